/** Keys that take turns: which may start runs now, and what their turns are afterwards. */
import type * as Driver from "../../driver/JournalDriver.js"
import * as Store from "./Store.js"

/** Keys that one claim looks at for their notices: one for each start and each end, and more to catch up. */
export const mostKeys = (limit: number): number => Math.max(100, 4 * limit)

/** What a claim looks for in a queue. */
export interface Look {
  readonly now: Driver.Millis
  readonly limit: number
  /** The worker has this workflow and version, and it is not paused. */
  readonly known: (run: { readonly workflow: string; readonly version: string }) => boolean
}

/** A key that was looked at. */
interface Seen {
  readonly key: string
  readonly served: Driver.Millis
  /** How many runs more it may have. */
  readonly room: number
  readonly priorities: ReadonlyArray<number>
  /** In how many of them a turn has come. */
  readonly due: number
  readonly noticed: boolean
}

/** A run to start, in which round of turns, and when its turn was. */
export interface Head {
  readonly row: Store.Row
  readonly at: Driver.Millis
  readonly round: number
}

/** What was seen of a queue's keys. */
export interface Turns {
  readonly heads: ReadonlyArray<Head>
  readonly seen: ReadonlyArray<Seen>
  /** There are notices left. */
  readonly more: boolean
  /** Some front was longer than what was looked at. */
  readonly full: boolean
}

/** A fresh run that is past its deadline is not to be claimed. */
export const inTime = (row: Store.Row, now: Driver.Millis): boolean =>
  !row.fresh || row.expiresAt === null || row.expiresAt > now

const waiting = (store: Store.Store, queue: string, key: string, now: Driver.Millis): ReadonlyArray<Store.Row> =>
  [...Store.waitingOf(store, queue, key)].filter((row) => inTime(row, now))

const groupBy = <A, K>(items: Iterable<A>, key: (item: A) => K): Map<K, Array<A>> => {
  const groups = new Map<K, Array<A>>()
  for (const item of items) {
    const group = groups.get(key(item))
    if (group === undefined) groups.set(key(item), [item])
    else group.push(item)
  }
  return groups
}

/** The turns that have come, of each kind and priority as many as the limit. */
const front = (turns: ReadonlyArray<Store.Turn>, { known, limit, now }: Look) => {
  const due = turns.filter((turn) => turn.at <= now && known(turn))
    .sort((a, b) => a.at - b.at || (a.key < b.key ? -1 : 1))
  return [...groupBy(due, ({ priority, version, workflow }) => JSON.stringify([workflow, version, priority])).values()]
    .flatMap((group) => group.slice(0, limit))
}

/** Look at the keys whose turn has come, and at those that were noticed. The notices are gone then. */
export const look = (store: Store.Store, queue: Store.Queue, request: Look): Turns => {
  const { known, limit, now } = request
  const { more, notices } = Store.takeNotices(store, queue.name, mostKeys(limit))
  const freed = new Map<string, Driver.Millis>()
  for (const notice of notices) {
    freed.set(notice.key, Math.max(freed.get(notice.key) ?? -Infinity, notice.freed ? notice.at : -Infinity))
  }
  const turns = store.turns.get(queue.name) ?? []
  const due = front(turns.filter(({ key }) => !freed.has(key)), request)
  const room = (key: string) =>
    queue.keyConcurrency === null
      ? Infinity
      : queue.keyConcurrency - Math.min(queue.keyConcurrency, Store.occupancy(store, queue.name, key).begun)
  const priorities = (key: string) => [
    ...new Set(waiting(store, queue.name, key, now).map(({ priority }) => priority))
  ]
  const seen: ReadonlyArray<Seen> = [
    ...[...new Set(due.map(({ key }) => key))].map((key): Seen => {
      const mine = turns.filter((turn) => turn.key === key)
      return {
        key,
        served: Math.max(...mine.map(({ served }) => served)),
        room: room(key),
        priorities: mine.map(({ priority }) => priority),
        due: mine.filter((turn) => turn.at <= now).length,
        noticed: false
      }
    }),
    ...Array.from(freed, ([key, at]): Seen => {
      const mine = turns.filter((turn) => turn.key === key)
      return {
        key,
        served: mine.length > 0 ? Math.max(...mine.map(({ served }) => served)) : at,
        room: room(key),
        priorities: priorities(key),
        due: Infinity,
        noticed: true
      }
    })
  ]
  const heads = seen.flatMap(({ key, priorities, room, served }) => {
    const rows = priorities.flatMap((priority) =>
      waiting(store, queue.name, key, now)
        .filter((row) => row.priority === priority && row.availableAt <= now)
        .slice(0, Math.max(0, Math.min(room, limit)))
    ).sort(Store.byTurn)
    const stranger = rows.findIndex((row) => !known(row))
    return rows.slice(0, stranger < 0 ? rows.length : stranger).slice(0, Math.max(0, room)).map((row, index): Head => ({
      row,
      at: Math.max(row.availableAt, served),
      round: index + 1
    }))
  })
  return {
    heads,
    seen,
    more,
    full: [...groupBy(due, ({ priority }) => priority).values()].some((group) => group.length >= limit)
  }
}

/** Write down the turns of the keys that were served, noticed, or had nothing to serve. Answers what is new. */
export const settle = (
  store: Store.Store,
  queue: Store.Queue,
  { heads, seen }: Turns,
  started: ReadonlyArray<Store.Row>,
  now: Driver.Millis
): { readonly changed: ReadonlySet<string>; readonly turns: ReadonlyArray<Store.Turn> } => {
  const served = groupBy(started, ({ key }) => key)
  const headsOf = groupBy(heads, ({ row }) => row.key)
  const prioritiesOf = (key: string) => new Set((headsOf.get(key) ?? []).map(({ row }) => row.priority)).size
  const isIdle = ({ due, key }: Seen) => prioritiesOf(key) < due
  const touched = seen.filter((each) => each.noticed || served.has(each.key) || isIdle(each))
  const turns = touched.flatMap((each) => {
    const taken = served.get(each.key)?.length ?? 0
    if (each.room - taken <= 0) return []
    // One that was looked at in vain has had its turn, too: it must not keep others from theirs.
    const isPassed = taken > 0 || (!each.noticed && !headsOf.has(each.key))
    const servedAt = isPassed ? now : each.served
    // Those that were started wait no more.
    const first = groupBy(waiting(store, queue.name, each.key, now), ({ priority }) => priority)
    return [...first.values()].flatMap(([row]) =>
      row === undefined ? [] : [{
        key: each.key,
        priority: row.priority,
        workflow: row.workflow,
        version: row.version,
        at: Math.max(row.availableAt, servedAt),
        served: servedAt
      }]
    )
  })
  const changed = new Set(touched.map(({ key }) => key))
  if (changed.size > 0) {
    const others = (store.turns.get(queue.name) ?? []).filter(({ key }) => !changed.has(key))
    Store.setTurns(store, queue.name, [...others, ...turns])
  }
  return { changed, turns }
}
