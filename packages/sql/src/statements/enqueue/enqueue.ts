/**
 * Inserts runs.
 *
 * Indexes: `inputs_pkey` and `inputs_key` decide which runs are new, and find the others.
 * Locks: new index entries only, in the order of `insertInputs`.
 *
 * The statement cannot read a row that was committed after its snapshot and that conflicts with one of its own. The
 * result for such a run is null, and the caller sends the run again.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb, Words } from "../../Verb.js"
import { instant, millis } from "../shared/expressions.js"
import { keyArrivals } from "../shared/keyNotices.js"
import { insertInputs, newRunColumns } from "../shared/newRuns.js"
import { notifyReady } from "../shared/notifications.js"
import { byIndexIfAny } from "../shared/planner.js"
import { change, part, sql, withParts } from "../sql.js"

/** What the runs of a request need of the statement. */
export interface Variant {
  /** The worker of the request claims the first runs that are available. */
  readonly claiming: boolean
  /** A run has a key. */
  readonly keyed: boolean
}

/** `claimed_runs`: the new runs that the worker of the request claims. Runs of queues with limits wait for a claim. */
const claimedRuns = (t: Words): string => {
  const byId = `SELECT true AS found FROM ${t.inputs} n WHERE n.run = a.id`
  const byKey = `SELECT true AS found FROM ${t.inputs} n WHERE n.workflow = a.workflow AND n.idempotency_key = a.idem`
  return part(
    "claimed_runs",
    sql`
      SELECT a.i
      FROM requested_runs a
      ${byIndexIfAny(byId, "by_id")}
      ${byIndexIfAny(byKey, "by_key")}
      WHERE a.at <= ${t.now} AND by_id.found IS NULL AND by_key.found IS NULL AND a.key IS NULL
        AND coalesce(a.expires > ${millis(t.now)}, true)
        AND NOT EXISTS (
          SELECT FROM ${t.queues} k
          WHERE k.name = a.queue
            AND (k.paused OR k.concurrency IS NOT NULL OR k.admission IS NOT NULL OR k.rate_limit IS NOT NULL)
        )
        AND NOT EXISTS (SELECT FROM ${t.held} h WHERE h.workflow = a.workflow)
      ORDER BY a.i
      LIMIT $6::int
    `
  )
}

const claimJoin = "LEFT JOIN claimed_runs c ON c.i = a.i"

const insertedRuns = (t: Words, { claiming }: Variant): string => {
  const ifClaimed = (value: string) => claiming ? `CASE WHEN c.i IS NOT NULL THEN ${value} END` : "NULL"
  const byClaim = (pending: string, running: string) =>
    claiming ? `CASE WHEN c.i IS NULL THEN ${pending} ELSE ${running} END` : pending
  return change(
    "inserted_runs",
    sql`
      INSERT INTO ${t.runs} (available_at, claimed_at, started_at, expires_at, priority, epoch, inbox_seq, unread, fresh,
        id, status, queue, workflow, version, worker, incarnation, key)
      SELECT a.at,
        ${ifClaimed(t.now)},
        ${ifClaimed(t.now)},
        ${instant("a.expires")}, a.priority, ${byClaim("0", "1")}, 0, 0, ${claiming ? "c.i IS NULL" : "true"}, a.id,
        ${byClaim("'pending'", "'running'")}, a.queue, a.workflow, a.version,
        ${ifClaimed("$4::text")}, ${ifClaimed("$5::text")}, a.key
      FROM requested_runs a
      JOIN inserted_inputs n ON n.run = a.id
      ${claiming ? claimJoin : ""}
    `
  )
}

/** The result of each run, in order: 0 inserted, 1 claimed, or what exists. */
const results = (t: Words, { claiming }: Variant): string => {
  const inserted = claiming ? "CASE WHEN c.i IS NULL THEN to_json(0) ELSE to_json(1) END" : "to_json(0)"
  const byId = `SELECT e.run FROM ${t.inputs} e WHERE n.run IS NULL AND e.run = a.id`
  const byKey = sql`
    SELECT e.run FROM ${t.inputs} e
    WHERE n.run IS NULL AND by_id.run IS NULL AND e.workflow = a.workflow AND e.idempotency_key = a.idem
  `
  const input = `SELECT e.payload FROM ${t.inputs} e WHERE n.run IS NULL AND e.run = coalesce(by_id.run, by_key.run)`
  const run = `SELECT r.id, r.status FROM ${t.runs} r WHERE n.run IS NULL AND r.id = coalesce(by_id.run, by_key.run)`
  return sql`
    SELECT json_agg(
      CASE
        WHEN n.run IS NOT NULL THEN ${inserted}
        WHEN s.id IS NOT NULL THEN json_build_array(s.id, e.payload, s.status)
      END
      ORDER BY a.i
    )::text
    FROM requested_runs a
    LEFT JOIN inserted_inputs n ON n.run = a.id
    ${claiming ? claimJoin : ""}
    ${byIndexIfAny(byId, "by_id")}
    ${byIndexIfAny(byKey, "by_key")}
    ${byIndexIfAny(input, "e")}
    ${byIndexIfAny(run, "s")}
  `
}

const text = (variant: Variant) => (t: Words): string => {
  const { claiming, keyed } = variant
  const inserted = "requested_runs a JOIN inserted_inputs n ON n.run = a.id"
  const queues = sql`
    SELECT DISTINCT a.queue FROM ${inserted}
    ${claiming ? `${claimJoin} WHERE c.i IS NULL` : ""}
  `
  const parts = [
    part(
      "requested_runs",
      sql`
        SELECT a.*, coalesce(${instant("a.available")}, ${t.now}) AS at
        FROM json_to_recordset($1::json) AS a(
          ${newRunColumns}
        )
      `
    ),
    ...(claiming ? [claimedRuns(t)] : []),
    change("inserted_inputs", insertInputs(t, "requested_runs")),
    insertedRuns(t, variant),
    ...(keyed ? keyArrivals(t, `SELECT a.queue, a.key FROM ${inserted} WHERE a.key IS NOT NULL`) : []),
    part("notifications", notifyReady(t, { origin: "$2::text", localWorkers: "$3::json" }, queues))
  ]
  return withParts(
    parts,
    sql`
      SELECT ${millis(t.now)} AS now, (
        ${results(t, variant)}
      ) AS answers, (SELECT count(*)::int FROM notifications) AS notified
    `
  )
}

/** $1 runs, $2 origin, $3 local workers; with `claiming` $4 worker, $5 incarnation, $6 limit of claimed runs */
export const enqueue = (variant: Variant): Verb => ({
  name: `enqueue${variant.claiming ? "_claiming" : ""}${variant.keyed ? "_keyed" : ""}`,
  parameters: variant.claiming ? 6 : 3,
  text: text(variant)
})

/** What happened to each run, in order; null for a run that must be sent again. */
export const decode = (
  rows: ReadonlyArray<Row.Fields>,
  runs: ReadonlyArray<Driver.NewRun>
): Driver.Answer<ReadonlyArray<Driver.EnqueueResult | null>> => {
  const row = Row.first(rows)
  const answers = Row.json(row, "answers")
  return {
    now: Row.instant(row, "now"),
    value: runs.map(({ id }, index): Driver.EnqueueResult | null => {
      const answer = answers[index]
      if (answer === null || answer === undefined) return null
      if (answer === 0 || answer === 1) return { _tag: "Started", id, epoch: answer === 1 ? 1 : null }
      const existing = Row.fields(answer)
      return {
        _tag: "Existing",
        id: Row.text(existing, 0),
        payload: Row.text(existing, 1),
        status: Row.status(existing, 2)
      }
    })
  }
}
