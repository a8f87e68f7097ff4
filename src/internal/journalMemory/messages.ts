/** Delivery of messages, and the end of runs, which sends a message to the parent. */
import type * as Driver from "../../driver/JournalDriver.js"
import { isFinal } from "../../driver/RunStatus.js"
import type { VerbRequest } from "../../driver/verbs.js"
import * as Changes from "./changes.js"
import type * as Store from "./Store.js"

/** Stores a message in the inbox of its run, and wakes the run if it waits for the message. */
export const deliver = (store: Store.Store, now: Driver.Millis, message: Driver.NewMessage): Driver.Disposition => {
  const { id, to, ...content } = message
  const { kind, name } = message
  const run = store.runs.get(to)
  if (run === undefined) return "NoSuchRun"
  if (run.messageIds.has(id)) return "Duplicate"
  const { availableAt, closed, inboxSeq, pause, status, waiting, worker } = run.row
  if (isFinal(status) || (kind === "signal" && closed.has(name))) return "Expired"
  const ordinal = inboxSeq + 1
  Changes.insertMessage(store, run, {
    id,
    message: { ...content, run: to, ordinal, at: now },
    consumed: false
  })
  // A cancel lifts a pause, so that the run can end.
  const liftsPause = kind === "cancel" && status === "paused"
  const isAwaited = waiting.includes(`${kind}:${name}`)
  const wakes = liftsPause || (status === "pending" ? kind === "cancel" : status === "suspended" && isAwaited)
  const isDueNow = wakes || (status === "paused" && pause === "suspended" && isAwaited)
  Changes.updateRun(store, run, {
    inboxSeq: ordinal,
    availableAt: isDueNow ? Math.min(availableAt, now) : availableAt,
    ...(kind === "cancel" ? { pause: "cancelled" } : {}),
    ...(liftsPause ? { status: pause === "suspended" ? "suspended" : "pending" } : {})
  })
  if (liftsPause) keyLineChanged(store, now, run)
  if (wakes) Changes.hint(store, { _tag: "Ready", queue: run.row.queue })
  if (worker !== null) Changes.hint(store, { _tag: "Inbox", worker, run: to })
  return wakes ? "Delivered" : "Buffered"
}

/** Called when a fresh run enters or leaves the line of its key: the head of the key may be another run. */
export const keyLineChanged = (store: Store.Store, now: Driver.Millis, { row }: Store.Run): void => {
  const { fresh, key, queue, status } = row
  if (!fresh || key === null || (status !== "pending" && status !== "paused")) return
  Changes.addKeyNotice(store, queue, { key, at: now, freed: false })
  Changes.hint(store, { _tag: "Ready", queue })
}

/** Gives a run a final state. The caller also calls `notifyParent`. */
export const end = (
  store: Store.Store,
  now: Driver.Millis,
  run: Store.Run,
  ending: Driver.Ending,
  errorCode: string | null = null
): void => {
  const { fresh, key, queue } = run.row
  if (key !== null) {
    // Also for a fresh run: the new head of the key may be a run of another workflow.
    Changes.addKeyNotice(store, queue, { key, at: now, freed: !fresh })
    Changes.hint(store, { _tag: "Ready", queue })
  }
  Changes.updateRun(store, run, {
    ...ending,
    detail: null,
    errorCode,
    finishedAt: now,
    worker: null,
    incarnation: null,
    waiting: [],
    pause: null
  })
  hintAwaited(store, run.row.id)
  store.awaited.delete(run.row.id)
}

/** Sends the parent of a run that has ended the message of kind `child`. */
export const notifyParent = (store: Store.Store, now: Driver.Millis, run: Store.Run): void => {
  const { endCause, exit, id, parent, status } = run.row
  if (parent === null || !isFinal(status)) return
  deliver(store, now, {
    to: parent.id,
    kind: "child",
    name: parent.token,
    id: `child:${id}`,
    child: id,
    ending: { status, exit, endCause }
  })
}

/** Hints the callers of `await` that the run has changed. */
export const hintAwaited = (store: Store.Store, id: string): void => {
  if (store.awaited.has(id)) Changes.hint(store, { _tag: "Changed", run: id })
}

/** Makes a run claimable from `availableAt` on, without a holder; or pauses it, if that was requested. */
export const release = (
  store: Store.Store,
  run: Store.Run,
  change: Partial<Store.Row> & { readonly status: "pending" | "suspended"; readonly availableAt: Driver.Millis }
): void => {
  const pauses = run.row.pause === "requested" && change.pause === undefined
  Changes.updateRun(store, run, {
    worker: null,
    incarnation: null,
    waiting: [],
    ...change,
    ...(pauses ? { status: "paused", pause: change.status } : {})
  })
  // Also for an instant to come: workers must learn when to claim.
  if (change.availableAt < Infinity && !pauses) Changes.hint(store, { _tag: "Ready", queue: run.row.queue })
}

export const publish = (
  store: Store.Store,
  now: Driver.Millis,
  { key, run: id, value }: VerbRequest<"publish">
): boolean => {
  const run = store.runs.get(id)
  if (run === undefined || isFinal(run.row.status)) return false
  Changes.publishValue(store, run, { key, value, at: now })
  hintAwaited(store, id)
  return true
}
