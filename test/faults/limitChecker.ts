/**
 * Checks limits of queues from a record of every state change of every run. The numbers of the record follow cause and
 * effect: a claim that relies on the end of a run has a higher number than that end, since the end was committed first.
 */
import type { Row } from "./harness.js"

/** Records every change of a run's status in order, and the instant of its first claim in milliseconds. */
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

/** Every violation of a limit, as a sentence. */
export const violations = (
  all: ReadonlyArray<Move>,
  limits: Readonly<Record<string, QueueLimits>>
): ReadonlyArray<string> =>
  Object.entries(limits).flatMap(([queue, limit]) => {
    const mine = all.filter((move) => move.queue === queue)
    return [...occupancy(queue, mine, limit), ...order(queue, mine, limit), ...pace(queue, mine, limit)]
  })

/** The numbers of runs after a move: in the queue, and of the key that moves. */
interface Moment {
  readonly index: number
  readonly key: string | null
  readonly running: number
  readonly live: number
  readonly ofKey: number
  /** Pending runs that have never run. */
  readonly waiting: number
  readonly waitingOfKey: number
}

/** Every moment of a queue, in order. */
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

/** No moment has more running runs, live runs or live runs of a key than the limit, and none is left at the end. */
const occupancy = (queue: string, mine: ReadonlyArray<Move>, limit: QueueLimits): ReadonlyArray<string> => {
  const all = moments(mine)
  const found = all.flatMap(({ index, key, live, ofKey, running }) => {
    const check = (what: string, count: number, most: number | undefined) =>
      count > (most ?? Infinity) ? [`${queue}: ${count} ${what} at move ${index}, the limit is ${most}`] : []
    return [
      ...check("running", running, limit.concurrency),
      ...check("live", live, limit.admission),
      ...(key === null ? [] : check(`live of key ${key}`, ofKey, limit.keyConcurrency))
    ]
  })
  const { live, running } = all.at(-1) ?? { running: 0, live: 0 }
  if (running > 0) found.push(`${queue}: ${running} are running at the end`)
  if (live > 0) found.push(`${queue}: ${live} have not ended`)
  return found
}

/** The limits that never delayed a run: at no moment the limit was reached and a run waited. */
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
    // A bucket gives whole tokens, so an empty one may contain a fraction.
    const spared = rate !== undefined && pace(queue, mine, { rate: { ...rate, burst: rate.burst - 1 } }).length === 0
    return [
      ...never("running", limit.concurrency, ({ running, waiting }, most) => running === most && waiting > 0),
      ...never("live", limit.admission, ({ live, waiting }, most) => live === most && waiting > 0),
      ...never("live of a key", limit.keyConcurrency, ({ key, ofKey, waitingOfKey }, most) =>
        key !== null && ofKey === most && waitingOfKey > 0),
      ...(spared ? [`${queue}: never ${rate.burst} starts at its rate`] : [])
    ]
  })

/** Runs of a key with a concurrency of 1 start in the order in which they wait. */
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
    return expected === (begun.get(key) ?? []).join() ? [] : [`${queue}: runs of key ${key} started out of order`]
  })
}

/** No span of time has more starts than the burst plus the tokens of that span. */
const pace = (queue: string, mine: ReadonlyArray<Move>, { rate }: QueueLimits): ReadonlyArray<string> => {
  if (rate === undefined) return []
  const starts = new Map<string, number>()
  for (const { run, started } of mine) if (started !== null) starts.set(run, started)
  const sorted = [...starts.values()].sort((a, b) => a - b)
  // Minus the tokens since the beginning, no start may be more than the burst above an earlier one.
  let least = Infinity
  return sorted.flatMap((at, index) => {
    const level = index - at * rate.limit / rate.millis
    least = Math.min(least, level)
    const above = Math.round((level - least + 1) * 1e6) / 1e6
    return above > rate.burst ? [`${queue}: ${above} starts beyond its rate at ${at}, the burst is ${rate.burst}`] : []
  })
}
