/** Messages into inboxes, and the end of runs, of which parents are told by a message. */
import type * as Driver from "../../driver/JournalDriver.js"
import * as Store from "./Store.js"

/** Give a message to its run: stored and dealt with, or refused. */
export const deliver = (store: Store.Store, now: Driver.Millis, message: Driver.NewMessage): Driver.Disposition => {
  const { id, kind, name, payload, to } = message
  const run = store.runs.get(to)
  if (run === undefined) return "NoSuchRun"
  if (run.messageIds.has(id)) return "Duplicate"
  const { availableAt, closed, inboxSeq, pause, status, waiting, worker } = run.row
  if (Store.isFinal(status) || (kind === "signal" && closed.has(name))) return "Expired"
  const ordinal = inboxSeq + 1
  Store.receive(store, run, { id, message: { run: to, ordinal, kind, name, payload, at: now }, consumed: false })
  // A paused run that is cancelled goes on, to its end.
  const lifts = kind === "cancel" && status === "paused"
  const isAwaited = waiting.includes(`${kind}:${name}`)
  const wakes = lifts || (status === "pending" ? kind === "cancel" : status === "suspended" && isAwaited)
  const stirs = wakes || (status === "paused" && pause === "suspended" && isAwaited)
  Store.update(store, run, {
    inboxSeq: ordinal,
    availableAt: stirs ? Math.min(availableAt, now) : availableAt,
    ...(kind === "cancel" ? { pause: "cancelled" } : {}),
    ...(lifts ? { status: pause === "suspended" ? "suspended" : "pending" } : {})
  })
  if (lifts) lineChanged(store, now, run)
  if (wakes) Store.hint(store, { _tag: "Ready", queue: run.row.queue })
  if (worker !== null) Store.hint(store, { _tag: "Inbox", worker, run: to })
  return wakes ? "Delivered" : "Buffered"
}

/** A run that has not begun has come into the line of its key, or left it: another may be the next one. */
export const lineChanged = (store: Store.Store, now: Driver.Millis, { row }: Store.Run): void => {
  const { fresh, key, queue, status } = row
  if (!fresh || key === null || (status !== "pending" && status !== "paused")) return
  Store.notice(store, queue, { key, at: now, freed: false })
  Store.hint(store, { _tag: "Ready", queue })
}

/** A run's last change of state. The parent is told by `tellParent`. */
export const end = (
  store: Store.Store,
  now: Driver.Millis,
  run: Store.Run,
  change: {
    readonly status: Driver.FinalStatus
    readonly exit: Driver.EncodedExit | null
    readonly detail: Driver.Json | null
  }
): void => {
  const { fresh, key, queue } = run.row
  if (key !== null) {
    // The end of one that waited is news as well: another workflow's run may be next.
    Store.notice(store, queue, { key, at: now, freed: !fresh })
    Store.hint(store, { _tag: "Ready", queue })
  }
  Store.update(store, run, { ...change, finishedAt: now, worker: null, incarnation: null, waiting: [], pause: null })
  changed(store, run.row.id)
  store.awaited.delete(run.row.id)
}

/** The message that a run's end is to its parent. */
export const tellParent = (store: Store.Store, now: Driver.Millis, run: Store.Run): void => {
  const { exit, id, parent, status } = run.row
  if (parent === null) return
  deliver(store, now, {
    to: parent.id,
    kind: "child",
    name: parent.token,
    id: `child:${id}`,
    payload: JSON.stringify({ run: id, status, exit })
  })
}

/** Whoever awaits the run should look again. */
export const changed = (store: Store.Store, id: string): void => {
  if (store.awaited.has(id)) Store.hint(store, { _tag: "Changed", run: id })
}

/** Make a run claimable (again) from `at` on, held by nobody; or paused, if that was asked for. */
export const release = (
  store: Store.Store,
  run: Store.Run,
  change: Partial<Store.Row> & { readonly status: "pending" | "suspended"; readonly availableAt: Driver.Millis }
): void => {
  const pauses = run.row.pause === "asked" && change.pause === undefined
  Store.update(store, run, {
    worker: null,
    incarnation: null,
    waiting: [],
    ...change,
    ...(pauses ? { status: "paused", pause: change.status } : {})
  })
  // A new instant to wake at is worth a hint too.
  if (change.availableAt < Infinity && !pauses) Store.hint(store, { _tag: "Ready", queue: run.row.queue })
}

/** Set a published value from outside of its run. */
export const publish = (
  store: Store.Store,
  now: Driver.Millis,
  { key, run: id, value }: Parameters<Driver.JournalDriver["publish"]>[0]
): boolean => {
  const run = store.runs.get(id)
  if (run === undefined || Store.isFinal(run.row.status)) return false
  Store.publish(store, run, { key, value, at: now })
  changed(store, id)
  return true
}
