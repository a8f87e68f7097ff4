/**
 * Registers a worker or extends its lease, and keeps what it reports of itself. At most every `sampleMillis`, also adds
 * a sample, and deletes samples and workers that are too old to show.
 *
 * Indexes: `workers_pkey`; `samples_pkey` for the worker's own samples, `samples_at` for old ones of any worker.
 * `workers` is tiny.
 * Locks: the worker's row; then, with SKIP LOCKED, rows of workers whose lease ran out long ago.
 */
import type * as Driver from "perdure/JournalDriver"
import { WorkerBounds } from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb, Words } from "../../Verb.js"
import { interval, millis } from "../shared/expressions.js"
import { change, part, sql, withParts } from "../sql.js"

/** Old samples, and old workers, that one heartbeat deletes. */
const DELETE_BATCH_SIZE = "100"

/** Samples of a worker that are kept beside the new one, which the snapshot does not have. */
const KEPT_SAMPLES = `${WorkerBounds.samples - 1}`

const lease = (t: Words): ReadonlyArray<string> => [
  part("lease_snapshot", `SELECT w.lease_until FROM ${t.workers} w WHERE w.id = $1::text FOR UPDATE`),
  change(
    "written_workers",
    sql`
      INSERT INTO ${t.workers} AS w (id, incarnation, lease_until, started_at, beat_at, info)
      SELECT $1::text, $2::text, ${t.now} + $3::float8 * interval '1 millisecond', ${t.now}, ${t.now}, $4::text
      -- The row is read before it is changed.
      FROM (SELECT count(*) FROM lease_snapshot) snapshot
      ON CONFLICT (id) DO UPDATE
      SET lease_until = excluded.lease_until, incarnation = excluded.incarnation, beat_at = excluded.beat_at,
        started_at = CASE WHEN w.incarnation = excluded.incarnation THEN w.started_at ELSE excluded.started_at END,
        info = CASE WHEN w.incarnation = excluded.incarnation THEN coalesce(excluded.info, w.info) ELSE excluded.info END,
        idle = w.idle AND w.incarnation = excluded.incarnation
      WHERE w.incarnation = excluded.incarnation OR w.lease_until <= ${t.now}
      RETURNING w.ping, w.pong
    `
  )
]

const samples = (t: Words): ReadonlyArray<string> => [
  change(
    "inserted_samples",
    sql`
      INSERT INTO ${t.samples} (at, worker, incarnation, info)
      SELECT ${t.now}, $1::text, $2::text, $4::text
      FROM written_workers
      WHERE $4::text IS NOT NULL AND coalesce(
        (SELECT s.at FROM ${t.samples} s WHERE s.worker = $1::text ORDER BY s.at DESC LIMIT 1)
          <= ${t.now} - ${interval(WorkerBounds.sampleMillis)},
        true
      )
      ON CONFLICT DO NOTHING
      RETURNING at
    `
  ),
  change(
    "deleted_samples",
    sql`
      DELETE FROM ${t.samples} s
      WHERE s.ctid = ANY (ARRAY (
        (
          SELECT s.ctid FROM ${t.samples} s
          WHERE EXISTS (SELECT FROM inserted_samples) AND s.worker = $1::text
          ORDER BY s.at DESC
          OFFSET ${KEPT_SAMPLES}
        )
        UNION
        (
          -- A worker that exists deletes its own samples: no heartbeat waits for another.
          SELECT s.ctid FROM ${t.samples} s
          WHERE EXISTS (SELECT FROM inserted_samples) AND s.at <= ${t.now} - ${interval(WorkerBounds.sampleAgeMillis)}
            AND (s.worker = $1::text OR NOT EXISTS (SELECT FROM ${t.workers} w WHERE w.id = s.worker))
          ORDER BY s.at LIMIT ${DELETE_BATCH_SIZE}
        )
      ))
    `
  )
]

const lapsedWorkers = (t: Words): ReadonlyArray<string> => [
  part(
    "lapsed_workers",
    sql`
      SELECT w.id FROM ${t.workers} w
      WHERE EXISTS (SELECT FROM inserted_samples) AND w.lease_until <= ${t.now} - ${interval(WorkerBounds.lapsedMillis)}
        AND w.id <> $1::text
      LIMIT ${DELETE_BATCH_SIZE} FOR UPDATE SKIP LOCKED
    `
  ),
  change("deleted_workers", `DELETE FROM ${t.workers} w WHERE w.id IN (SELECT id FROM lapsed_workers)`)
]

/** $1 worker, $2 incarnation, $3 lease in milliseconds, $4 what it reports of itself */
export const heartbeat: Verb = {
  name: "heartbeat",
  parameters: 4,
  text: (t) =>
    withParts(
      [...lease(t), ...samples(t), ...lapsedWorkers(t)],
      sql`
        SELECT ${millis(t.now)} AS now, EXISTS (SELECT FROM written_workers) AS renewed,
          (SELECT CASE WHEN ping IS DISTINCT FROM pong THEN ping END FROM written_workers) AS ping,
          coalesce((SELECT lease_until <= ${t.now} FROM lease_snapshot), false) AS lapsed,
          (SELECT m.id FROM ${t.migrations} m WHERE m.breaking ORDER BY m.id DESC LIMIT 1) AS breaking
      `
    )
}

export interface HeartbeatRow extends Driver.Answer<Driver.HeartbeatResult> {
  /** The id of the last breaking migration of the schema. */
  readonly breaking: number | null
}

export const decode = (rows: ReadonlyArray<Row.Fields>): HeartbeatRow => {
  const row = Row.first(rows)
  return {
    breaking: Row.integerOrNull(row, "breaking"),
    now: Row.instant(row, "now"),
    value: Row.flag(row, "renewed")
      ? { _tag: "Renewed", lapsed: Row.flag(row, "lapsed"), ping: Row.textOrNull(row, "ping") }
      : { _tag: "Taken" }
  }
}
