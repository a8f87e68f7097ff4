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

/** No moment with more running runs, live runs, or live runs of a key; none of them left at the end. */
const occupancy = (queue: string, mine: ReadonlyArray<Move>, limit: QueueLimits): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  const running = new Set<string>()
  const live = new Set<string>()
  const byKey = new Map<string, Set<string>>()
  mine.forEach(({ key, run, status }, index) => {
    const ofKey = byKey.get(key ?? "") ?? new Set()
    byKey.set(key ?? "", ofKey)
    if (status === "running") { for (const each of [running, live, ofKey]) each.add(run) }
    else running.delete(run)
    if (finals.has(status)) { for (const each of [live, ofKey]) each.delete(run) }
    const check = (what: string, count: number, most: number | undefined) => {
      if (count > (most ?? Infinity)) wrong.push(`${queue}: ${count} ${what} at move ${index}, the limit is ${most}`)
    }
    check("running", running.size, limit.concurrency)
    check("live", live.size, limit.admission)
    if (key !== null) check(`live of key ${key}`, ofKey.size, limit.keyConcurrency)
  })
  if (running.size > 0) wrong.push(`${queue}: ${running.size} are running at the end`)
  if (live.size > 0) wrong.push(`${queue}: ${live.size} have not ended`)
  return wrong
}

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
