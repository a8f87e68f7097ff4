/** The invariants of a journal after all runs have ended, whatever faults occurred. */
import * as Effect from "effect/Effect"
import type { Database } from "./harness.js"

const FINAL = `('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted')`

export interface Audit {
  /** Every violation, as a sentence. */
  readonly violations: ReadonlyArray<string>
  readonly runs: number
  readonly entries: number
  /** The number of step bodies that began. */
  readonly executions: number
  /** The number of bodies that began again in the same attempt. Allowed while the entry is not durable. */
  readonly repeated: number
}

/** `journal` has the trigger that records entries. The outside world may be in the same database. */
export const audit = (journal: Database, outside: Database, schema = "perdure"): Effect.Effect<Audit> =>
  Effect.gen(function*() {
    const violations: Array<string> = []
    const check = (what: string, text: string) =>
      Effect.map(journal.rows(text), (rows) => {
        for (const row of rows.slice(0, 5)) violations.push(`${what}: ${JSON.stringify(row)}`)
        if (rows.length > 5) violations.push(`${what}: ${rows.length - 5} more`)
      })
    yield* check("not final", `select id, status, worker from ${schema}.runs where status not in ${FINAL}`)
    yield* check("held", `select id, status, worker from ${schema}.runs where worker is not null`)
    yield* check(
      "journal not contiguous",
      `select r.id, r.first_seq, r.next_seq, count(e.seq)::int as entries, min(e.seq), max(e.seq)
      from ${schema}.runs r left join ${schema}.journal e on e.run = r.id
      group by r.id having count(e.seq) <> r.next_seq - r.first_seq
        or (count(e.seq) > 0 and (min(e.seq) <> r.first_seq or max(e.seq) <> r.next_seq - 1))`
    )
    yield* check(
      "an op finished twice",
      `select run, op, count(*)::int from ${schema}.journal where op >= 0 group by run, op having count(*) > 1`
    )
    yield* check(
      "epochs go back",
      `select a.run, a.seq, a.epoch, b.epoch as before from ${schema}.journal a
      join ${schema}.journal b on b.run = a.run and b.seq = a.seq - 1 where a.epoch < b.epoch`
    )
    yield* check(
      "the unread count differs",
      `select r.id, r.unread, count(m.run)::int as found from ${schema}.runs r
      left join ${schema}.inbox m on m.run = r.id and not m.consumed group by r.id having r.unread <> count(m.run)`
    )
    yield* check(
      "an entry was written twice",
      "select run, seq, count(*)::int from durable group by run, seq having count(*) > 1"
    )
    yield* check(
      "a transaction was applied twice",
      "select run, name from ledger group by 1, 2 having count(*) > 1"
    )

    const at = "extract(epoch from at)::float8 as at"
    const durable = yield* journal.rows(`select run, name, ${at} from durable where kind = 'step' order by run, seq`)
    const began = yield* outside.rows(`select run, name, attempt, process, ${at} from effects`)
    const entries = new Map<string, Array<number>>()
    for (const { at, name, run } of durable) {
      const key = `${run} ${name}`
      const list = entries.get(key)
      if (list === undefined) entries.set(key, [Number(at)])
      else list.push(Number(at))
    }
    const seen = new Set<string>()
    let repeated = 0
    for (const { at, attempt, name, process, run } of began) {
      const key = `${run} ${name} ${attempt}`
      if (seen.has(key)) repeated++
      seen.add(key)
      // The entries of a step's name are those of its attempts, in order.
      const written = entries.get(`${run} ${name}`)?.[Number(attempt) - 1]
      if (written !== undefined && Number(at) > written) {
        violations.push(
          `${process} began attempt ${attempt} of "${name}" of run ${run} ${Number(at) - written} s after its entry`
        )
      }
    }
    const [counted] = yield* journal.rows(
      `select (select count(*)::int from ${schema}.runs) as runs, (select count(*)::int from ${schema}.journal) as entries`
    )
    return {
      violations,
      runs: Number(counted?.["runs"]),
      entries: Number(counted?.["entries"]),
      executions: began.length,
      repeated
    }
  })
