/** Reads of runs, journals, inboxes and published values. */
import type * as Driver from "../../driver/JournalDriver.js"
import { AnswerBounds, boundedBy, sizeOf, sizeOfEntry, sizeOfMessage } from "../../driver/AnswerBounds.js"
import { isFinal } from "../../driver/RunStatus.js"
import type { VerbRequest } from "../../driver/verbs.js"
import type { Operate } from "./operate.js"
import * as Store from "./Store.js"

/** The record of a row, without the fields that only the driver reads. */
export const recordOf = ({ row }: Store.Run): Driver.RunRecord => {
  const {
    claimedAt: _1,
    closed: _2,
    inboxSeq: _3,
    incarnation: _4,
    lastCommit: _5,
    waiting: _6,
    fresh: _7,
    seed: _8,
    inherited: _9,
    errorCode: _10,
    pause,
    ...record
  } = row
  return { ...record, pausing: pause === "requested" }
}

/** The unconsumed messages of a run beyond an ordinal. */
export const unreadMessages = (run: Store.Run, after: number): ReadonlyArray<Driver.Message> => {
  const messages: Array<Driver.Message> = []
  for (const [ordinal, stored] of run.inbox) {
    if (ordinal > after && !stored.consumed) messages.push(stored.message)
  }
  return messages
}

const runsOf = (store: Store.Store, ids: ReadonlyArray<string>): ReadonlyArray<Store.Run> =>
  [...new Set(ids)].flatMap((id) => store.runs.get(id) ?? [])

/** A rollback does not undo the request for hints, because an extra hint does no harm. */
const awaitRuns = (store: Store.Store, ids: ReadonlyArray<string>): ReadonlyArray<Driver.RunStanding> => {
  const runs = runsOf(store, ids)
  for (const { row } of runs) if (!isFinal(row.status)) store.awaited.add(row.id)
  let size = 0
  return runs.map(({ row: { detail, endCause, exit, finishedAt, id, status } }) => {
    const fits = size < AnswerBounds.bytes
    size += sizeOf([exit?.value ?? null, detail])
    return fits || !isFinal(status)
      ? { id, status, finishedAt, exit, endCause, detail }
      : { id, status, finishedAt, exit: null, endCause: null, detail: null, isPartial: true }
  })
}

const inbox = (store: Store.Store, requests: VerbRequest<"inbox">): ReadonlyArray<Driver.Inbox> => {
  let size = 0
  return requests.flatMap(({ after, run: id }) => {
    const run = store.runs.get(id)
    if (run === undefined) return []
    const { inboxSeq, pause } = run.row
    const unread = unreadMessages(run, after)
    const end = unread.findIndex((message, index) => {
      if (size >= AnswerBounds.bytes || index >= AnswerBounds.items) return true
      size += sizeOfMessage(message)
      return false
    })
    const messages = end < 0 ? unread : unread.slice(0, end)
    const seen = end < 0 ? inboxSeq : messages.at(-1)?.ordinal ?? after
    return [{ run: id, seen, pausing: pause === "requested", messages }]
  })
}

const history = (
  store: Store.Store,
  { from, limit, run }: VerbRequest<"history">
): ReadonlyArray<Driver.HistoryEntry> =>
  boundedBy(
    (store.runs.get(run)?.journal ?? []).filter(({ entry }) => entry.seq >= from).slice(0, limit),
    ({ entry }) => sizeOfEntry(entry)
  ).map(({ entry, epoch, worker }) => ({ ...entry, worker, epoch }))

const published = (store: Store.Store, run: string): ReadonlyArray<Store.PublishedValue> =>
  [...store.runs.get(run)?.published.values() ?? []].sort((a, b) => Store.compare(a.key, b.key))

export const make = (operate: Operate) => ({
  get: (runs: VerbRequest<"get">) => operate((store) => runsOf(store, runs).map(recordOf)),
  await: (runs: VerbRequest<"await">) => operate((store) => awaitRuns(store, runs)),
  history: (request: VerbRequest<"history">) => operate((store) => history(store, request)),
  inbox: (requests: VerbRequest<"inbox">) => operate((store) => inbox(store, requests)),
  published: (run: VerbRequest<"published">) => operate((store) => published(store, run))
})
