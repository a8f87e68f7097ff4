/**
 * Inserts a run that starts with the first entries of another run's journal.
 *
 * Indexes: `runs_pkey` and `inputs_pkey` for the source, `journal_pkey` and `inbox_pkey` for what is copied;
 * `inputs_pkey` decides whether the run is new.
 * Locks: the source's row; then new index entries only.
 *
 * The statement reads its snapshot; only the locked row is current. If the source has changed in between, the snapshot
 * may lack entries and messages of it: nothing is written, and the caller tries again.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb, Words } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { keyArrivals } from "../shared/keyNotices.js"
import { byIndex } from "../shared/planner.js"
import { change, part, sql, withParts } from "../sql.js"

const judgment = (t: Words): ReadonlyArray<string> => [
  part("source_snapshot", `SELECT r.next_seq, r.inbox_seq, r.generation FROM ${t.runs} r WHERE r.id = $1::text`),
  part(
    "locked_source",
    sql`
      SELECT r.*
      FROM (SELECT count(*) AS count FROM source_snapshot) snapshot
      CROSS JOIN LATERAL (
        SELECT r.id, r.queue, r.priority, r.workflow, r.version, r.key, r.generation, r.first_seq, r.next_seq, r.inbox_seq,
          r.started_at
        FROM ${t.runs} r WHERE r.id = $1::text FOR UPDATE
      ) r
      -- Always true: the snapshot is read before the row is locked.
      WHERE snapshot.count >= 0
    `
  ),
  part(
    "verdicts",
    sql`
      SELECT l.*, CASE
          WHEN EXISTS (SELECT FROM ${t.inputs} n WHERE n.run = $3::text) THEN 'Existing'
          WHEN l.id IS NULL THEN 'NoSuchRun'
          WHEN (l.next_seq, l.inbox_seq, l.generation) IS DISTINCT FROM (s.next_seq, s.inbox_seq, s.generation) THEN 'Moved'
          WHEN $2::int NOT BETWEEN l.first_seq AND l.next_seq THEN 'OutOfRange'
          ELSE 'Forked'
        END AS verdict
      FROM (SELECT 1) one_row
      LEFT JOIN locked_source l ON true
      LEFT JOIN source_snapshot s ON true
    `
  )
]

const input = (t: Words): ReadonlyArray<string> => [
  change(
    "inserted_inputs",
    sql`
      INSERT INTO ${t.inputs} (created_at, depth, run, workflow, root, payload, generation, tags, attributes, source,
        source_seq, seed)
      SELECT ${t.now}, 0, $3::text, n.workflow, $3::text, n.payload, n.generation, n.tags, n.attributes, j.id, $2::int,
        coalesce(n.seed, n.run)
      FROM verdicts j
      ${byIndex(`SELECT n.* FROM ${t.inputs} n WHERE n.run = j.id`, "n")}
      WHERE j.verdict = 'Forked'
      ON CONFLICT DO NOTHING
      RETURNING run
    `
  ),
  part("sources", "SELECT j.* FROM verdicts j JOIN inserted_inputs b ON true")
]

const entries = (t: Words): ReadonlyArray<string> => [
  part(
    "source_entries",
    sql`
      SELECT e.*
      FROM sources s
      ${byIndex(`SELECT e.* FROM ${t.journal} e WHERE e.run = s.id AND e.seq >= s.first_seq AND e.seq < $2::int`, "e")}
    `
  ),
  change(
    "inserted_entries",
    sql`
      INSERT INTO ${t.journal} (at, seq, op, epoch, run, worker, kind, name, exit_kind, exit_value)
      SELECT p.at, p.seq, p.op, p.epoch, $3::text, p.worker, p.kind, p.name, p.exit_kind, p.exit_value
      FROM source_entries p
    `
  )
]

/** The signals of the source that the copied entries have not received. */
const signals = (t: Words): ReadonlyArray<string> => [
  part(
    "unread_signals",
    sql`
      SELECT m.*, row_number() OVER (ORDER BY m.ordinal) AS place
      FROM (
        SELECT m.*, row_number() OVER (PARTITION BY m.name ORDER BY m.ordinal) AS place_of_name
        FROM sources s
        ${byIndex(`SELECT m.* FROM ${t.inbox} m WHERE m.run = s.id AND m.kind = 'signal'`, "m")}
      ) m
      LEFT JOIN (
        SELECT p.name, count(*) AS count FROM source_entries p
        WHERE p.kind = 'receive' AND p.exit_kind = 'success' GROUP BY 1
      ) received ON received.name = m.name
      WHERE m.place_of_name > coalesce(received.count, 0)
    `
  ),
  change(
    "inserted_messages",
    sql`
      INSERT INTO ${t.inbox} (at, ordinal, run, id, kind, name, payload)
      SELECT u.at, u.place, $3::text, u.id, u.kind, u.name, u.payload FROM unread_signals u
    `
  )
]

const run = (t: Words): string =>
  change(
    "inserted_runs",
    sql`
      INSERT INTO ${t.runs} (available_at, started_at, priority, epoch, generation, first_seq, next_seq, inbox_seq, unread,
        id, status, queue, workflow, version, key)
      SELECT ${t.now}, s.started_at, coalesce($5::int, s.priority), 0, s.generation, s.first_seq, $2::int, u.count, u.count,
        $3::text, 'pending', coalesce($4::text, s.queue), s.workflow, s.version, s.key
      FROM sources s
      CROSS JOIN (SELECT count(*)::int AS count FROM unread_signals) u
    `
  )

/** Both runs record the fork, each with the other run. */
const controls = (t: Words): string =>
  change(
    "inserted_controls",
    sql`
      INSERT INTO ${t.controls} (at, run, action, requested_by, reason, detail)
      SELECT ${t.now}, d.run, $6::text, $7::text, $8::text, d.detail
      FROM sources s
      CROSS JOIN LATERAL (VALUES (s.id, $3::text), ($3::text, s.id)) AS d(run, detail)
    `
  )

/** $1 source, $2 seq, $3 id, $4 queue, $5 priority, $6 action, $7 by, $8 reason */
export const fork: Verb = {
  name: "fork",
  parameters: 8,
  text: (t) =>
    withParts(
      [
        ...judgment(t),
        ...input(t),
        ...entries(t),
        ...signals(t),
        run(t),
        ...keyArrivals(t, "SELECT coalesce($4::text, s.queue) AS queue, s.key FROM sources s WHERE s.key IS NOT NULL"),
        controls(t)
      ],
      sql`
        SELECT ${millis(t.now)} AS now,
          CASE WHEN j.verdict = 'Forked' AND NOT EXISTS (SELECT FROM inserted_inputs) THEN 'Existing' ELSE j.verdict END
            AS verdict,
          coalesce($4::text, j.queue) AS queue, j.first_seq, j.next_seq
        FROM verdicts j
      `
    )
}

/** The result of a fork; a null value: the source has changed meanwhile. */
export interface ForkAnswer {
  readonly now: Driver.Millis
  readonly value: Driver.ForkResult | null
  /** The queue of the new run, if there is one. */
  readonly queue: string | null
}

const verdicts: ReadonlySet<Driver.ForkResult["_tag"] | "Moved"> = new Set(
  ["Forked", "Existing", "NoSuchRun", "OutOfRange", "Moved"] as const
)

export const decode = (rows: ReadonlyArray<Row.Fields>): ForkAnswer => {
  const row = Row.first(rows)
  const verdict = Row.oneOf(row, "verdict", verdicts)
  return {
    now: Row.instant(row, "now"),
    queue: verdict === "Forked" ? Row.text(row, "queue") : null,
    value: verdict === "Moved"
      ? null
      : verdict === "OutOfRange"
      ? { _tag: verdict, first: Row.integer(row, "first_seq"), next: Row.integer(row, "next_seq") }
      : { _tag: verdict }
  }
}
