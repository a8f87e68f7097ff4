/**
 * Insert a run that begins with the journal of another one.
 *
 * Indexes: `runs_pkey` and `inputs_pkey` for the source, `journal_pkey` and `inbox_pkey` for what is copied; `inputs_pkey`
 * decides whether the run is new.
 * Locks: the source's run row; then new index entries only.
 *
 * The statement sees its snapshot; only the locked row is current. If the source has moved on in between, its entries and
 * messages may be missing here: nothing is written, and the caller asks again.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../internal/Row.js"
import type { Verb } from "../Verb.js"
import { arrived } from "./keyed.js"
import { millis } from "./words.js"

/** $1 source, $2 seq, $3 id, $4 queue, $5 priority, $6 action, $7 by, $8 reason */
export const fork: Verb = {
  name: "fork",
  parameters: 8,
  text: (t) =>
    `WITH seen AS MATERIALIZED (
    SELECT r.next_seq, r.inbox_seq, r.generation FROM ${t.runs} r WHERE r.id = $1::text
  ), locked AS MATERIALIZED (
    SELECT r.*
    FROM (SELECT count(*) AS looked FROM seen) before
    CROSS JOIN LATERAL (
      SELECT r.id, r.queue, r.priority, r.workflow, r.version, r.key, r.generation, r.first_seq, r.next_seq, r.inbox_seq,
        r.started_at
      FROM ${t.runs} r WHERE r.id = $1::text FOR UPDATE
    ) r
    WHERE before.looked >= 0
  ), judged AS MATERIALIZED (
    SELECT l.*, CASE
        WHEN EXISTS (SELECT FROM ${t.inputs} n WHERE n.run = $3::text) THEN 'Existing'
        WHEN l.id IS NULL THEN 'NoSuchRun'
        WHEN (l.next_seq, l.inbox_seq, l.generation) IS DISTINCT FROM (s.next_seq, s.inbox_seq, s.generation) THEN 'Moved'
        WHEN $2::int NOT BETWEEN l.first_seq AND l.next_seq THEN 'OutOfRange'
        ELSE 'Forked'
      END AS verdict
    FROM (SELECT 1) one
    LEFT JOIN locked l ON true
    LEFT JOIN seen s ON true
  ), born AS (
    INSERT INTO ${t.inputs} (created_at, depth, run, workflow, root, payload, generation, tags, attributes, source,
      source_seq, seed)
    SELECT ${t.now}, 0, $3::text, n.workflow, $3::text, n.payload, n.generation, n.tags, n.attributes, j.id, $2::int,
      coalesce(n.seed, n.run)
    FROM judged j
    CROSS JOIN LATERAL (SELECT n.* FROM ${t.inputs} n WHERE n.run = j.id OFFSET 0) n
    WHERE j.verdict = 'Forked'
    ON CONFLICT DO NOTHING
    RETURNING run
  ), source AS MATERIALIZED (
    SELECT j.* FROM judged j JOIN born b ON true
  ), prefix AS MATERIALIZED (
    SELECT e.*
    FROM source s
    CROSS JOIN LATERAL (
      SELECT e.* FROM ${t.journal} e WHERE e.run = s.id AND e.seq >= s.first_seq AND e.seq < $2::int OFFSET 0
    ) e
  ), copied AS (
    INSERT INTO ${t.journal} (at, seq, op, epoch, run, worker, kind, name, exit_kind, exit_value)
    SELECT p.at, p.seq, p.op, p.epoch, $3::text, p.worker, p.kind, p.name, p.exit_kind, p.exit_value FROM prefix p
  ), unread AS MATERIALIZED (
    SELECT m.*, row_number() OVER (ORDER BY m.ordinal) AS place
    FROM (
      SELECT m.*, row_number() OVER (PARTITION BY m.name ORDER BY m.ordinal) AS turn
      FROM source s
      CROSS JOIN LATERAL (
        SELECT m.* FROM ${t.inbox} m WHERE m.run = s.id AND m.kind = 'signal' OFFSET 0
      ) m
    ) m
    LEFT JOIN (
      SELECT p.name, count(*) AS count FROM prefix p WHERE p.kind = 'receive' AND p.exit_kind = 'success' GROUP BY 1
    ) received ON received.name = m.name
    WHERE m.turn > coalesce(received.count, 0)
  ), sent AS (
    INSERT INTO ${t.inbox} (at, ordinal, run, id, kind, name, payload)
    SELECT u.at, u.place, $3::text, u.id, u.kind, u.name, u.payload FROM unread u
  ), started AS (
    INSERT INTO ${t.runs} (available_at, started_at, priority, epoch, generation, first_seq, next_seq, inbox_seq, unread, id,
      status, queue, workflow, version, key)
    SELECT ${t.now}, s.started_at, coalesce($5::int, s.priority), 0, s.generation, s.first_seq, $2::int, u.count, u.count,
      $3::text, 'pending', coalesce($4::text, s.queue), s.workflow, s.version, s.key
    FROM source s
    CROSS JOIN (SELECT count(*)::int AS count FROM unread) u
  ), ${
      arrived(t, "SELECT coalesce($4::text, s.queue) AS queue, s.key FROM source s WHERE s.key IS NOT NULL").join(", ")
    }, recorded AS (
    INSERT INTO ${t.controls} (at, run, action, requested_by, reason, detail)
    SELECT ${t.now}, d.run, $6::text, $7::text, $8::text, d.detail
    FROM source s
    CROSS JOIN LATERAL (VALUES (s.id, $3::text), ($3::text, s.id)) AS d(run, detail)
  )
  SELECT ${millis(t.now)} AS now,
    CASE WHEN j.verdict = 'Forked' AND NOT EXISTS (SELECT FROM born) THEN 'Existing' ELSE j.verdict END AS verdict,
    coalesce($4::text, j.queue) AS queue, j.first_seq, j.next_seq
  FROM judged j`
}

/** What came of it; null: the source has moved on meanwhile. */
export interface Answered {
  readonly now: Driver.Millis
  readonly value: Driver.ForkResult | null
  /** Where the new run waits. */
  readonly queue: string | null
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Answered => {
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

const verdicts: ReadonlySet<Driver.ForkResult["_tag"] | "Moved"> = new Set(
  [
    "Forked",
    "Existing",
    "NoSuchRun",
    "OutOfRange",
    "Moved"
  ] as const
)
