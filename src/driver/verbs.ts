/**
 * The verbs of a driver, by name, as a value and as types. They are for code that treats all verbs alike: the façade,
 * and wrappers of drivers. `transaction`, `inTransaction`, `keepLease` and `hints` are not verbs: they have no
 * `Answer`.
 *
 * @since 0.2.0
 */
import type { Call } from "./Answer.js"
import type { JournalDriver } from "./JournalDriver.js"

/**
 * The name of a verb.
 *
 * @since 0.2.0
 * @category verbs
 */
export type VerbName = Exclude<keyof JournalDriver, "transaction" | "inTransaction" | "keepLease" | "hints">

/**
 * What each verb takes: one request, or nothing.
 *
 * @since 0.2.0
 * @category verbs
 */
export type VerbArguments = { readonly [Name in VerbName]: Parameters<JournalDriver[Name]> }

/**
 * What a verb takes.
 *
 * @since 0.2.0
 * @category verbs
 */
export type VerbRequest<Name extends VerbName> = VerbArguments[Name][0]

/**
 * What the answer of each verb holds.
 *
 * @since 0.2.0
 * @category verbs
 */
export type VerbValues = {
  readonly [Name in VerbName]: ReturnType<JournalDriver[Name]> extends Call<infer A> ? A : never
}

/**
 * A verb by its name. In generic code, the compiler infers the request and the value from the name.
 *
 * @since 0.2.0
 * @category verbs
 */
export type Verb<Name extends VerbName> = (...request: VerbArguments[Name]) => Call<VerbValues[Name]>

/**
 * All verbs. Every `JournalDriver` is assignable to it.
 *
 * @since 0.2.0
 * @category verbs
 */
export type Verbs = { readonly [Name in VerbName]: Verb<Name> }

/**
 * Each verb with what it does to storage. `await` reads: the hint that it requests is not stored as data.
 *
 * @since 0.2.0
 * @category verbs
 */
export const verbs: { readonly [Name in VerbName]: "read" | "write" } = {
  enqueue: "write",
  claim: "write",
  commit: "write",
  deliver: "write",
  inbox: "read",
  reconcile: "write",
  retire: "write",
  reap: "write",
  get: "read",
  await: "read",
  history: "read",
  published: "read",
  publish: "write",
  pause: "write",
  resume: "write",
  terminate: "write",
  expire: "write",
  fork: "write",
  controls: "read",
  find: "read",
  count: "read",
  retain: "write",
  queues: "read",
  queueCounts: "read",
  ensureQueues: "write",
  defineQueue: "write",
  changeQueue: "write",
  pauseWorkflows: "write",
  resumeWorkflows: "write",
  pausedWorkflows: "read",
  queuePage: "read",
  schedules: "read",
  dueSchedules: "read",
  writeSchedules: "write",
  removeSchedules: "write",
  seeSchedules: "write",
  heartbeat: "write",
  workers: "read",
  samples: "read",
  ping: "write",
  pong: "write"
}
