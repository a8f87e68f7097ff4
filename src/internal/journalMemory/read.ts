/** Reading, without changing anything. */
import type * as Driver from "../../driver/JournalDriver.js"
import { unread } from "./claim.js"
import * as Store from "./Store.js"

/** A row without what only the driver needs. */
export const record = ({ row }: Store.Run): Driver.RunRecord => {
  const {
    claimedAt: _1,
    closed: _2,
    inboxSeq: _3,
    incarnation: _4,
    last: _5,
    waiting: _6,
    fresh: _7,
    seed: _8,
    inherited: _9,
    pause,
    ...shown
  } = row
  return { ...shown, pausing: pause === "asked" }
}

const found = (store: Store.Store, ids: ReadonlyArray<string>): ReadonlyArray<Store.Run> =>
  [...new Set(ids)].flatMap((id) => store.runs.get(id) ?? [])

export const get = (store: Store.Store, ids: ReadonlyArray<string>): ReadonlyArray<Driver.RunRecord> =>
  found(store, ids).map(record)

/** Not undone by a rollback: a hint too many does no harm. */
export const awaitRuns = (store: Store.Store, ids: ReadonlyArray<string>): ReadonlyArray<Driver.RunRecord> => {
  const runs = found(store, ids)
  for (const { row } of runs) if (!Store.isFinal(row.status)) store.awaited.add(row.id)
  return runs.map(record)
}

export const inbox = (
  store: Store.Store,
  requests: ReadonlyArray<{ readonly run: string; readonly after: number }>
): ReadonlyArray<Driver.Inbox> =>
  requests.flatMap(({ after, run: id }) => {
    const run = store.runs.get(id)
    if (run === undefined) return []
    const { inboxSeq, pause } = run.row
    return [{ run: id, seen: inboxSeq, pausing: pause === "asked", messages: unread(run, after) }]
  })

export const history = (
  store: Store.Store,
  request: { readonly run: string; readonly from: number; readonly limit: number }
): ReadonlyArray<Driver.HistoryEntry> =>
  (store.runs.get(request.run)?.journal ?? [])
    .filter(({ entry }) => entry.seq >= request.from)
    .slice(0, request.limit)
    .map(({ entry, epoch, worker }) => ({ ...entry, worker, epoch }))

export const messages = (
  store: Store.Store,
  request: { readonly run: string; readonly after: number; readonly limit: number }
): ReadonlyArray<Driver.Message & { readonly consumed: boolean }> =>
  [...store.runs.get(request.run)?.inbox.values() ?? []]
    .filter(({ message }) => message.ordinal > request.after)
    .slice(0, request.limit)
    .map(({ consumed, message }) => ({ ...message, consumed }))

export const published = (store: Store.Store, run: string): ReadonlyArray<Store.Published> =>
  [...store.runs.get(run)?.published.values() ?? []].sort((a, b) => a.key < b.key ? -1 : 1)
