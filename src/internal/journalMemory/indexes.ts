/** The indexes over run rows: claimable runs, the lines of keys, held runs, and the usage of limits. */
import { isFinal } from "../../driver/RunStatus.js"
import { SortedList } from "./SortedList.js"
import * as Store from "./Store.js"

/** The value of a map at a key, inserted if the map has none. */
export const getOrInsert = <K, V>(map: Map<K, V>, key: K, make: () => V): V => {
  const found = map.get(key)
  if (found !== undefined) return found
  const made = make()
  map.set(key, made)
  return made
}

const byTime = (a: Store.Row, b: Store.Row): number => a.availableAt - b.availableAt || Store.compare(a.id, b.id)

/** Whether the run waits for its first claim in the order of its key. */
const hasPlaceInLine = (row: Store.Row): boolean => row.key !== null && row.fresh

const isClaimable = (row: Store.Row): boolean =>
  (row.status === "pending" || row.status === "suspended") && row.availableAt < Infinity && !hasPlaceInLine(row)

const isInLine = (row: Store.Row): boolean =>
  hasPlaceInLine(row) && row.status === "pending" && row.availableAt < Infinity

export const claimableRuns = (store: Store.Store, queue: string): Store.ClaimableRuns =>
  getOrInsert(store.claimable, queue, () => ({
    due: new SortedList<Store.Row>(Store.byClaimOrder),
    later: new SortedList<Store.Row>(byTime),
    sortedAt: -Infinity
  }))

/** The runs of a key that wait for their first claim, in order. */
export const keyLine = (store: Store.Store, queue: string, key: string): SortedList<Store.Row> =>
  getOrInsert(
    getOrInsert(store.keyLines, queue, () => new Map<string, SortedList<Store.Row>>()),
    key,
    () => new SortedList<Store.Row>(Store.byClaimOrder)
  )

/** The keys of a queue whose lines are not empty. */
export const keysInLine = (store: Store.Store, queue: string): ReadonlyArray<string> =>
  [...store.keyLines.get(queue) ?? []].flatMap(([key, rows]) => rows.first === undefined ? [] : [key])

const heldRuns = (store: Store.Store, row: Store.Row): Set<Store.Run> =>
  getOrInsert(store.held, Store.pairKey(row.worker ?? "", row.incarnation ?? ""), () => new Set<Store.Run>())

/** The usage of a queue, or of a key in it. */
export const usage = (store: Store.Store, queue: string, key: string | null): Readonly<Store.Usage> =>
  getOrInsert(store.usage, Store.pairKey(queue, key === null ? "" : `key ${key}`), () => ({ running: 0, started: 0 }))

const addUsage = (store: Store.Store, row: Store.Row, runs: 1 | -1): void => {
  if (row.fresh || isFinal(row.status)) return
  for (const key of row.key === null ? [null] : [null, row.key]) {
    const used: Store.Usage = usage(store, row.queue, key)
    used.started += runs
    if (row.status === "running") used.running += runs
  }
}

export const add = (store: Store.Store, run: Store.Run): void => {
  const { row } = run
  if (isClaimable(row)) claimableRuns(store, row.queue).later.insert(row)
  if (row.key !== null && isInLine(row)) keyLine(store, row.queue, row.key).insert(row)
  if (row.status === "running") heldRuns(store, row).add(run)
  addUsage(store, row, 1)
}

export const remove = (store: Store.Store, run: Store.Run): void => {
  const { row } = run
  if (isClaimable(row)) {
    const { due, later } = claimableRuns(store, row.queue)
    if (!later.remove(row)) due.remove(row)
  }
  if (row.key !== null && isInLine(row)) keyLine(store, row.queue, row.key).remove(row)
  if (row.status === "running") heldRuns(store, row).delete(run)
  addUsage(store, row, -1)
}
