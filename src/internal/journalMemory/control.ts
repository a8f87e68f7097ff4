/** Controls: pause, resume, terminate, expire, and their records. */
import type * as Driver from "../../driver/JournalDriver.js"
import { isFinal } from "../../driver/RunStatus.js"
import type { VerbRequest } from "../../driver/verbs.js"
import * as Changes from "./changes.js"
import { fork } from "./fork.js"
import * as Messages from "./messages.js"
import type { Operate } from "./operate.js"
import * as Store from "./Store.js"

/** A run that a control applies to. */
interface Target {
  readonly run: Store.Run
  /** The id that the request named: of the run itself, or of its ancestor. */
  readonly named: string
}

const withDescendants = (store: Store.Store, run: Store.Run, named: string): ReadonlyArray<Target> => [
  { run, named },
  ...(store.children.get(run.row.id) ?? []).flatMap((id) => {
    const child = store.runs.get(id)
    return child?.row.parent?.attached === true ? withDescendants(store, child, named) : []
  })
]

/** The named runs and their attached descendants, each once, in order of id. */
const targetsOf = (store: Store.Store, request: Driver.ControlRequest): ReadonlyArray<Target> => {
  const targets = new Map<string, Target>()
  const named = [...new Set(request.runs)].sort().flatMap((id) => store.runs.get(id) ?? [])
  for (const run of named) {
    for (const target of withDescendants(store, run, run.row.id)) {
      if (!targets.has(target.run.row.id)) targets.set(target.run.row.id, target)
    }
  }
  for (const run of named) targets.set(run.row.id, { run, named: run.row.id })
  return [...targets.values()].sort((a, b) => Store.byId(a.run, b.run))
}

/** Records the control for the runs that it changed. Returns the number of named runs among them. */
const record = (
  store: Store.Store,
  now: Driver.Millis,
  action: Driver.ControlAction,
  { by, reason }: Driver.ControlRequest,
  changed: ReadonlyArray<Target>
): number => {
  for (const { named, run: { row: { id } } } of changed) {
    Changes.addControl(store, id, { action, by, reason, at: now, related: named === id ? null : named })
  }
  return changed.filter(({ named, run }) => named === run.row.id).length
}

const isLive = (row: Store.Row): boolean => !isFinal(row.status)

const pause = (store: Store.Store, now: Driver.Millis, request: Driver.ControlRequest): number => {
  const targets = targetsOf(store, request)
    .filter(({ run: { row } }) => isLive(row) && row.status !== "paused" && row.pause === null)
  for (const { run } of targets) {
    const { id, status, worker } = run.row
    if (status === "pending" || status === "suspended") {
      Changes.updateRun(store, run, { status: "paused", pause: status })
      if (status === "pending") Messages.keyLineChanged(store, now, run)
    } else Changes.updateRun(store, run, { pause: "requested" })
    if (worker !== null) Changes.hint(store, { _tag: "Inbox", worker, run: id })
  }
  return record(store, now, "pause", request, targets)
}

const resume = (store: Store.Store, now: Driver.Millis, request: Driver.ControlRequest): number => {
  const targets = targetsOf(store, request).filter(({ named, run: { row } }) =>
    row.status === "paused" || row.pause === "requested" || (row.status === "diverged" && named === row.id)
  )
  for (const { named, run } of targets) {
    const { availableAt, id, pause, status, waiting, worker } = run.row
    if (status === "paused") {
      const before = pause === "suspended" ? "suspended" : "pending"
      Messages.release(store, run, { status: before, availableAt, waiting, pause: null })
      Messages.keyLineChanged(store, now, run)
    } else if (status === "diverged" && named === id) {
      const cancelled = pause === "cancelled" ? pause : null
      Messages.release(store, run, { status: "pending", availableAt: now, detail: null, pause: cancelled })
    } else {
      Changes.updateRun(store, run, { pause: null })
      if (worker !== null) Changes.hint(store, { _tag: "Inbox", worker, run: id })
    }
  }
  return record(store, now, "resume", request, targets)
}

const terminate = (store: Store.Store, now: Driver.Millis, request: Driver.ControlRequest): number => {
  const targets = targetsOf(store, request).filter(({ run }) => isLive(run.row))
  const endCause = { _tag: "Terminated", by: request.by, reason: request.reason } as const
  for (const { run } of targets) {
    const { fresh, queue } = run.row
    Messages.end(store, now, run, { status: "terminated", exit: null, endCause })
    // The end of a started run frees capacity of its queue.
    if (!fresh) Changes.hint(store, { _tag: "Ready", queue })
  }
  for (const { run } of targets) Messages.notifyParent(store, now, run)
  return record(store, now, "terminate", request, targets)
}

const isOverdue = ({ expiresAt, fresh, status }: Store.Row, now: Driver.Millis): boolean =>
  fresh && expiresAt !== null && expiresAt <= now && (status === "pending" || status === "paused")

const expire = (store: Store.Store, now: Driver.Millis, { limit }: VerbRequest<"expire">) => {
  const overdue = [...store.runs.values()]
    .filter(({ row }) => isOverdue(row, now))
    .sort((a, b) => (a.row.expiresAt ?? 0) - (b.row.expiresAt ?? 0) || Store.byId(a, b))
    .slice(0, limit)
  for (const run of overdue) Messages.end(store, now, run, { status: "expired", exit: null, endCause: null })
  for (const run of overdue) Messages.notifyParent(store, now, run)
  return { expired: overdue.length }
}

const cancelsOf = (run: Store.Run | undefined): ReadonlyArray<Driver.Control> =>
  [...run?.inbox.values() ?? []].flatMap(({ message }) =>
    message.kind === "cancel"
      ? [{ action: "cancel", by: message.by, reason: message.reason, at: message.at, related: null }]
      : []
  )

const controls = (store: Store.Store, run: string): ReadonlyArray<Driver.Control> =>
  [...store.controls.get(run) ?? [], ...cancelsOf(store.runs.get(run))].sort((a, b) => a.at - b.at)

export const make = (operate: Operate): Driver.ControlVerbs => ({
  pause: (request) => operate((store, now) => pause(store, now, request)),
  resume: (request) => operate((store, now) => resume(store, now, request)),
  terminate: (request) => operate((store, now) => terminate(store, now, request)),
  expire: (request) => operate((store, now) => expire(store, now, request)),
  fork: (request) => operate((store, now) => fork(store, now, request)),
  controls: (run) => operate((store) => controls(store, run))
})
