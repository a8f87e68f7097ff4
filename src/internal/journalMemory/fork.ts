/** The `fork` verb: a new run that starts with entries of another one. */
import type * as Driver from "../../driver/JournalDriver.js"
import * as Changes from "./changes.js"
import { insertRun } from "./enqueue.js"
import type * as Store from "./Store.js"

/** The signals of the source that the entries have not received. Entries receive signals of one name in order. */
const unreceivedSignals = (
  source: Store.Run,
  entries: ReadonlyArray<Store.WrittenEntry>
): ReadonlyArray<Store.StoredMessage> => {
  const received = new Map<string, number>()
  for (const { entry: { exit, kind, name } } of entries) {
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
  const run = store.runs.get(id)
  if (run === undefined) return { _tag: "NoSuchRun" }
  const entries = source.journal.filter(({ entry }) => entry.seq < seq)
  const signals = unreceivedSignals(source, entries)
  Changes.appendEntries(store, run, entries)
  signals.forEach(({ id: messageId, message }, index) => {
    const ordinal = index + 1
    Changes.insertMessage(store, run, { id: messageId, message: { ...message, run: id, ordinal }, consumed: false })
  })
  Changes.updateRun(store, run, {
    generation: row.generation,
    nextSeq: seq,
    inherited: seq,
    inboxSeq: signals.length,
    startedAt: row.startedAt,
    seed: row.seed,
    source: { run: row.id, seq }
  })
  Changes.addControl(store, row.id, { action, by, reason, at: now, related: id })
  Changes.addControl(store, id, { action, by, reason, at: now, related: row.id })
  return { _tag: "Forked" }
}
