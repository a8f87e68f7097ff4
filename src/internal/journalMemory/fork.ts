/** A new run that begins with the journal of another one. */
import type * as Driver from "../../driver/JournalDriver.js"
import { insertRun } from "./enqueue.js"
import * as Store from "./Store.js"

/** Signals that these entries have not received: of each name, those after the first so many. */
const unreceived = (source: Store.Run, prefix: ReadonlyArray<Store.Written>): ReadonlyArray<Store.Stored> => {
  const received = new Map<string, number>()
  for (const { entry: { exit, kind, name } } of prefix) {
    if (kind === "receive" && exit.kind === "success") received.set(name, (received.get(name) ?? 0) + 1)
  }
  return [...source.inbox.values()].filter(({ message: { kind, name } }) => {
    if (kind !== "signal") return false
    const left = received.get(name) ?? 0
    received.set(name, left - 1)
    return left <= 0
  })
}

export const fork = (store: Store.Store, now: Driver.Millis, request: Driver.ForkRequest): Driver.ForkResult => {
  const { action, by, id, reason, seq } = request
  if (store.runs.has(id)) return { _tag: "Existing" }
  const source = store.runs.get(request.source)
  if (source === undefined) return { _tag: "NoSuchRun" }
  const { row } = source
  const first = row.nextSeq - source.journal.length
  if (seq < first || seq > row.nextSeq) return { _tag: "OutOfRange", first, next: row.nextSeq }
  insertRun(store, now, {
    id,
    workflow: row.workflow,
    version: row.version,
    queue: request.queue ?? row.queue,
    priority: request.priority ?? row.priority,
    payload: row.payload,
    idempotencyKey: null,
    availableAt: null,
    parent: null,
    root: id,
    depth: 0,
    key: row.key,
    expiresAt: null,
    tags: row.tags,
    attributes: row.attributes,
    singleton: null
  }, null)
  const made = store.runs.get(id)
  if (made === undefined) return { _tag: "NoSuchRun" }
  const prefix = source.journal.filter(({ entry }) => entry.seq < seq)
  const signals = unreceived(source, prefix)
  Store.append(store, made, prefix)
  signals.forEach(({ id: messageId, message }, index) => {
    const ordinal = index + 1
    Store.receive(store, made, { id: messageId, message: { ...message, run: id, ordinal }, consumed: false })
  })
  Store.update(store, made, {
    generation: row.generation,
    nextSeq: seq,
    inherited: seq,
    inboxSeq: signals.length,
    startedAt: row.startedAt,
    seed: row.seed,
    source: { run: row.id, seq }
  })
  Store.control(store, row.id, { action, by, reason, at: now, related: id })
  Store.control(store, id, { action, by, reason, at: now, related: row.id })
  return { _tag: "Forked" }
}
