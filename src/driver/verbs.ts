/**
 * The verbs of a storage driver as a list and as types, for code that treats all of them alike: the façade, and drivers
 * that wrap another one. A verb takes one request at most and returns an `Answer`; `transaction`, `inTransaction` and
 * `hints` are no verbs.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { JournalError } from "../Errors.js"
import type { JournalDriver } from "./JournalDriver.js"
import type { Answer } from "./Model.js"

/**
 * The name of a verb.
 *
 * @since 0.1.0
 * @category verbs
 */
export type VerbName = Exclude<keyof JournalDriver, "transaction" | "inTransaction" | "hints">

/**
 * What each verb takes: one request, or nothing.
 *
 * @since 0.1.0
 * @category verbs
 */
export type VerbArguments = { readonly [Name in VerbName]: Parameters<JournalDriver[Name]> }

/**
 * What the answer of each verb holds.
 *
 * @since 0.1.0
 * @category verbs
 */
export type VerbValues = {
  readonly [Name in VerbName]: ReturnType<JournalDriver[Name]> extends Effect.Effect<Answer<infer A>, JournalError> ? A
    : never
}

/**
 * A verb in a form in which the compiler follows it from its name to its arguments and its value.
 *
 * @since 0.1.0
 * @category verbs
 */
export type Verb<Name extends VerbName> = (
  ...request: VerbArguments[Name]
) => Effect.Effect<Answer<VerbValues[Name]>, JournalError>

/**
 * All verbs. Every `JournalDriver` is assignable to it.
 *
 * @since 0.1.0
 * @category verbs
 */
export type Verbs = { readonly [Name in VerbName]: Verb<Name> }

/**
 * Whether a verb may change runs, queues, schedules or workers, or only reads them. `await` reads, and leaves a mark for a
 * hint.
 *
 * @since 0.1.0
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
  lookup: "read",
  history: "read",
  messages: "read",
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
