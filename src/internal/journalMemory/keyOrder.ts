/**
 * Key order: which keys of a queue can start runs now, and the heads that they have after a claim.
 *
 * A claim reads the keys whose heads are due, and the keys that have notices. From the runs themselves it decides what
 * can start, and replaces the heads of the keys that it served, that had notices, or that had nothing to start.
 */
import type * as Driver from "../../driver/JournalDriver.js"
import * as Changes from "./changes.js"
import * as Indexes from "./indexes.js"
import * as Store from "./Store.js"

const MIN_KEY_LIMIT = 100

/** The number of keys that one claim reads for their notices: one for each start and each end, and more to catch up. */
const keyLimit = (limit: number): number => Math.max(MIN_KEY_LIMIT, 4 * limit)

/** What a claim wants from a queue. */
export interface Scope {
  readonly now: Driver.Millis
  readonly limit: number
  /** Whether the worker has this workflow and version, and the workflow is not paused. */
  readonly canExecute: (run: { readonly workflow: string; readonly version: string }) => boolean
}

/** A run that a claim can take, with its place. */
export interface Candidate {
  readonly row: Store.Row
  readonly at: Driver.Millis
  /** 1 for the first run of its key, 2 for the second; 1 for runs without a key. */
  readonly round: number
}

/** A key that a claim has read. */
interface KeyState {
  readonly key: string
  readonly servedAt: Driver.Millis
  /** How many more runs the key can start. */
  readonly capacity: number
  readonly priorities: ReadonlyArray<number>
  /** How many of its heads are due. */
  readonly dueHeads: number
  readonly hasNotice: boolean
}

/** The keys of a queue that a claim has read, and the runs that they can start. */
export interface KeyOrder {
  readonly candidates: ReadonlyArray<Candidate>
  readonly keys: ReadonlyArray<KeyState>
  /** The queue has notices that were not read. */
  readonly hasMoreNotices: boolean
  /** The due heads of some priority may be more than were read. */
  readonly hasMoreHeads: boolean
}

/** Whether the run can still be claimed: a fresh run past its deadline cannot. */
export const isInTime = (row: Store.Row, now: Driver.Millis): boolean =>
  !row.fresh || row.expiresAt === null || row.expiresAt > now

/** The runs of a key that wait for their first claim, in order. */
const lineOf = (store: Store.Store, queue: string, key: string, now: Driver.Millis): ReadonlyArray<Store.Row> =>
  [...Indexes.keyLine(store, queue, key)].filter((row) => isInTime(row, now))

const groupBy = <A, K>(items: Iterable<A>, key: (item: A) => K): Map<K, Array<A>> => {
  const groups = new Map<K, Array<A>>()
  for (const item of items) Indexes.getOrInsert(groups, key(item), () => []).push(item)
  return groups
}

const max = (instants: ReadonlyArray<Driver.Millis>): Driver.Millis => Math.max(...instants)

/** The due heads, of each workflow, version and priority up to the limit. */
const dueHeads = (heads: ReadonlyArray<Store.KeyHead>, { canExecute, limit, now }: Scope) => {
  const due = heads.filter((head) => head.at <= now && canExecute(head))
    .sort((a, b) => a.at - b.at || Store.compare(a.key, b.key))
  return [...groupBy(due, ({ priority, version, workflow }) => JSON.stringify([workflow, version, priority])).values()]
    .flatMap((group) => group.slice(0, limit))
}

const capacityOf = (store: Store.Store, { keyConcurrency, name }: Store.Queue, key: string): number =>
  keyConcurrency === null
    ? Infinity
    : keyConcurrency - Math.min(keyConcurrency, Indexes.usage(store, name, key).started)

/** The runs that a key can start now. A run that the worker cannot execute blocks those behind it. */
const candidatesOf = (
  store: Store.Store,
  queue: string,
  { capacity, key, priorities, servedAt }: KeyState,
  { canExecute, limit, now }: Scope
): ReadonlyArray<Candidate> => {
  const rows = priorities.flatMap((priority) =>
    lineOf(store, queue, key, now)
      .filter((row) => row.priority === priority && row.availableAt <= now)
      .slice(0, Math.max(0, Math.min(capacity, limit)))
  ).sort(Store.byClaimOrder)
  const blocker = rows.findIndex((row) => !canExecute(row))
  return rows
    .slice(0, blocker < 0 ? rows.length : blocker)
    .slice(0, Math.max(0, capacity))
    .map((row, index) => ({ row, at: max([row.availableAt, servedAt]), round: index + 1 }))
}

/** Reads the keys with due heads and the keys with notices, and removes those notices. */
export const readKeys = (store: Store.Store, queue: Store.Queue, scope: Scope): KeyOrder => {
  const { limit, now } = scope
  const { more, notices } = Changes.takeKeyNotices(store, queue.name, keyLimit(limit))
  const freedAt = new Map<string, Driver.Millis>()
  for (const { at, freed, key } of notices)
    freedAt.set(key, max([freedAt.get(key) ?? -Infinity, freed ? at : -Infinity]))
  const heads = store.keyHeads.get(queue.name) ?? []
  const due = dueHeads(heads.filter(({ key }) => !freedAt.has(key)), scope)
  const headsOf = (key: string) => heads.filter((head) => head.key === key)
  const keys: ReadonlyArray<KeyState> = [
    ...[...new Set(due.map(({ key }) => key))].map((key): KeyState => {
      const own = headsOf(key)
      return {
        key,
        servedAt: max(own.map(({ servedAt }) => servedAt)),
        capacity: capacityOf(store, queue, key),
        priorities: own.map(({ priority }) => priority),
        dueHeads: own.filter(({ at }) => at <= now).length,
        hasNotice: false
      }
    }),
    ...Array.from(freedAt, ([key, at]): KeyState => {
      const own = headsOf(key)
      return {
        key,
        servedAt: own.length > 0 ? max(own.map(({ servedAt }) => servedAt)) : at,
        capacity: capacityOf(store, queue, key),
        priorities: [...new Set(lineOf(store, queue.name, key, now).map(({ priority }) => priority))],
        dueHeads: Infinity,
        hasNotice: true
      }
    })
  ]
  return {
    candidates: keys.flatMap((key) => candidatesOf(store, queue.name, key, scope)),
    keys,
    hasMoreNotices: more,
    hasMoreHeads: [...groupBy(due, ({ priority }) => priority).values()].some((group) => group.length >= limit)
  }
}

/** Replaces the heads of the keys that were served, had notices, or had nothing to start. Returns the new heads. */
export const updateHeads = (
  store: Store.Store,
  queue: Store.Queue,
  { candidates, keys }: KeyOrder,
  started: ReadonlyArray<Store.Row>,
  now: Driver.Millis
): ReadonlyArray<Store.KeyHead> => {
  const startedByKey = groupBy(started, ({ key }) => key)
  const candidatesByKey = groupBy(candidates, ({ row }) => row.key)
  const prioritiesOf = (key: string) => new Set((candidatesByKey.get(key) ?? []).map(({ row }) => row.priority)).size
  const changed = keys.filter(({ dueHeads, hasNotice, key }) =>
    hasNotice || startedByKey.has(key) || prioritiesOf(key) < dueHeads
  )
  const heads = changed.flatMap(({ capacity, hasNotice, key, servedAt }) => {
    const starts = startedByKey.get(key)?.length ?? 0
    if (capacity - starts <= 0) return []
    // A key that had nothing to start counts as served, so that it does not stay ahead of other keys.
    const isServed = starts > 0 || (!hasNotice && !candidatesByKey.has(key))
    const lastServedAt = isServed ? now : servedAt
    // The runs that this claim started have left the line.
    const byPriority = groupBy(lineOf(store, queue.name, key, now), ({ priority }) => priority)
    return [...byPriority.values()].flatMap(([row]): ReadonlyArray<Store.KeyHead> =>
      row === undefined ? [] : [{
        key,
        priority: row.priority,
        workflow: row.workflow,
        version: row.version,
        at: max([row.availableAt, lastServedAt]),
        servedAt: lastServedAt
      }]
    )
  })
  if (changed.length > 0) {
    const names = new Set(changed.map(({ key }) => key))
    const others = (store.keyHeads.get(queue.name) ?? []).filter(({ key }) => !names.has(key))
    Changes.setKeyHeads(store, queue.name, [...others, ...heads])
  }
  return heads
}
