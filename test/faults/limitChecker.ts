/**
 * Whether limits held, by the record of every change of state of every run. The record is numbered as it is written, which
 * is an order that fits cause and effect: a claim that counted on the end of a run has a higher number than that end,
 * for it could see it only when it was committed.
 */
import type { Row } from "./harness.js"

/** Every change of a run's state, in order; starts with the instant of the first claim, in milliseconds. */
export const recorder = (schema: string): ReadonlyArray<string> => [
  `create table moves (number bigint generated always as identity, run text, queue text, key text, status text,
    started float8, place text)`,
  `create function record_move() returns trigger language plpgsql as $$
  begin
    insert into moves (run, queue, key, status, started, place)
    values (new.id, new.queue, new.key, new.status, extract(epoch from new.started_at) * 1000,
      new.priority || ' ' || new.available_at || ' ' || new.id);
    return null;
  end $$`,
  `create trigger record_move after insert or update of status on ${schema}.runs for each row execute function record_move()`
]

export const moves = "select run, queue, key, status, started, place from moves order by number"

export interface Move {
  readonly run: string
  readonly queue: string
  readonly key: string | null
  readonly status: string
  readonly started: number | null
  readonly place: string
}

export const readMove = (row: Row): Move => ({
  run: String(row["run"]),
  queue: String(row["queue"]),
  key: row["key"] === null ? null : String(row["key"]),
  status: String(row["status"]),
  started: row["started"] === null ? null : Number(row["started"]),
  place: String(row["place"])
})

export interface QueueLimits {
  readonly concurrency?: number
  readonly admission?: number
  readonly keyConcurrency?: number
  readonly rate?: { readonly limit: number; readonly millis: number; readonly burst: number }
}

const finals = new Set(["completed", "failed", "cancelled", "terminated", "expired", "exhausted"])

/** Everything that is wrong, in words. */
export const violations = (
  all: ReadonlyArray<Move>,
  limits: Readonly<Record<string, QueueLimits>>
): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  for (const [queue, limit] of Object.entries(limits)) {
    const mine = all.filter((move) => move.queue === queue)
    wrong.push(...occupancy(queue, mine, limit), ...order(queue, mine, limit), ...pace(queue, mine, limit))
  }
  return wrong
}

/** How many there are at a moment: in the queue, and of the key that moves. */
interface Moment {
  readonly index: number
  readonly key: string | null
  readonly running: number
  readonly live: number
  readonly ofKey: number
  /** Have not begun. */
  readonly waiting: number
  readonly waitingOfKey: number
}

/** All moments of a queue, the last one at its end. */
const moments = (mine: ReadonlyArray<Move>): ReadonlyArray<Moment> => {
  const [running, live, waiting] = [new Set<string>(), new Set<string>(), new Set<string>()]
  const byKey = new Map<string, { readonly live: Set<string>; readonly waiting: Set<string> }>()
  return mine.map(({ key, run, status }, index) => {
    const ofKey = byKey.get(key ?? "") ?? { live: new Set(), waiting: new Set() }
    byKey.set(key ?? "", ofKey)
    if (status === "running") {
      for (const each of [running, live, ofKey.live]) each.add(run)
    } else running.delete(run)
    if (finals.has(status)) { for (const each of [live, ofKey.live]) each.delete(run) }
    for (const each of [waiting, ofKey.waiting]) {
      if (status === "pending" && !live.has(run)) each.add(run)
      else each.delete(run)
    }
    return {
      index,
      key,
      running: running.size,
      live: live.size,
      ofKey: ofKey.live.size,
      waiting: waiting.size,
      waitingOfKey: ofKey.waiting.size
    }
  })
}

/** No moment with more running runs, live runs, or live runs of a key; none of them left at the end. */
const occupancy = (queue: string, mine: ReadonlyArray<Move>, limit: QueueLimits): ReadonlyArray<string> => {
  const all = moments(mine)
  const wrong = all.flatMap(({ index, key, live, ofKey, running }) => {
    const check = (what: string, count: number, most: number | undefined) =>
      count > (most ?? Infinity) ? [`${queue}: ${count} ${what} at move ${index}, the limit is ${most}`] : []
    return [
      ...check("running", running, limit.concurrency),
      ...check("live", live, limit.admission),
      ...(key === null ? [] : check(`live of key ${key}`, ofKey, limit.keyConcurrency))
    ]
  })
  const { live, running } = all.at(-1) ?? { running: 0, live: 0 }
  if (running > 0) wrong.push(`${queue}: ${running} are running at the end`)
  if (live > 0) wrong.push(`${queue}: ${live} have not ended`)
  return wrong
}

/** Limits that held nothing back: there was no moment at which they were full and somebody waited. */
export const unreached = (
  all: ReadonlyArray<Move>,
  limits: Readonly<Record<string, QueueLimits>>
): ReadonlyArray<string> =>
  Object.entries(limits).flatMap(([queue, limit]) => {
    const mine = all.filter((move) => move.queue === queue)
    const seen = moments(mine)
    const never = (what: string, most: number | undefined, full: (moment: Moment, most: number) => boolean) =>
      most === undefined || seen.some((moment) => full(moment, most)) ? [] : [`${queue}: never ${most} ${what}`]
    const { rate } = limit
    // Of a bucket that gives whole tokens, less than one is left when it is empty.
    const spared = rate !== undefined && pace(queue, mine, { rate: { ...rate, burst: rate.burst - 1 } }).length === 0
    return [
      ...never("running", limit.concurrency, ({ running, waiting }, most) => running === most && waiting > 0),
      ...never("live", limit.admission, ({ live, waiting }, most) => live === most && waiting > 0),
      ...never("live of a key", limit.keyConcurrency, ({ key, ofKey, waitingOfKey }, most) =>
        key !== null && ofKey === most && waitingOfKey > 0),
      ...(spared ? [`${queue}: never ${rate.burst} starts at its rate`] : [])
    ]
  })

/** Runs of a key that takes one at a time begin in the order in which they waited. */
const order = (queue: string, mine: ReadonlyArray<Move>, limit: QueueLimits): ReadonlyArray<string> => {
  if (limit.keyConcurrency !== 1) return []
  const waited = new Map<string, Array<string>>()
  const begun = new Map<string, Array<string>>()
  const places = new Map<string, string>()
  const seen = new Set<string>()
  for (const { key, place, run, status } of mine) {
    if (key === null) continue
    if (!places.has(run)) {
      places.set(run, place)
      waited.set(key, [...waited.get(key) ?? [], run])
    }
    if (status !== "running" || seen.has(run)) continue
    seen.add(run)
    begun.set(key, [...begun.get(key) ?? [], run])
  }
  const place = (run: string) => places.get(run) ?? ""
  return [...waited].flatMap(([key, runs]) => {
    const expected = runs.toSorted((a, b) => place(a) < place(b) ? -1 : 1).join()
    return expected === (begun.get(key) ?? []).join() ? [] : [`${queue}: key ${key} did not go in order`]
  })
}

/** In any stretch of time, no more starts than the bucket holds and what comes in meanwhile. */
const pace = (queue: string, mine: ReadonlyArray<Move>, { rate }: QueueLimits): ReadonlyArray<string> => {
  if (rate === undefined) return []
  const starts = new Map<string, number>()
  for (const { run, started } of mine) if (started !== null) starts.set(run, started)
  const sorted = [...starts.values()].sort((a, b) => a - b)
  // With what has come in since the beginning taken off, no later start may be more than a bucket above an earlier one.
  let least = Infinity
  return sorted.flatMap((at, index) => {
    const level = index - at * rate.limit / rate.millis
    least = Math.min(least, level)
    const above = Math.round((level - least + 1) * 1e6) / 1e6
    return above > rate.burst ? [`${queue}: ${above} starts beyond its rate at ${at}, the burst is ${rate.burst}`] : []
  })
}
