/**
 * Register a worker or renew its lease, and keep what it says of itself. By the way, clear away a few workers and samples
 * that are too old to be shown.
 *
 * Indexes: `workers_pkey`; `samples_pkey` for the worker's own samples, `samples_at` for old ones of any worker. `workers`
 * is tiny.
 * Locks: the worker's row; then, without waiting, rows of workers that are long gone.
 */
import type * as Driver from "perdure/JournalDriver"
import { WorkerBounds } from "perdure/JournalDriver"
import * as Row from "../internal/Row.js"
import type { Verb } from "../Verb.js"
import { millis } from "./words.js"

/** Old rows that one beat clears away. */
const CLEARED = 100

export const within = (bound: number): string => `${bound} * interval '1 millisecond'`

/** $1 worker, $2 incarnation, $3 lease in milliseconds, $4 what it says of itself */
export const heartbeat: Verb = {
  name: "heartbeat",
  parameters: 4,
  text: (t) =>
    `WITH before AS MATERIALIZED (
    SELECT w.lease_until FROM ${t.workers} w WHERE w.id = $1::text FOR UPDATE
  ), held AS (
    INSERT INTO ${t.workers} AS w (id, incarnation, lease_until, started_at, beat_at, info)
    -- Reads \`before\`, so that the row is looked at before it is changed.
    SELECT $1::text, $2::text, ${t.now} + $3::float8 * interval '1 millisecond', ${t.now}, ${t.now}, $4::text
    FROM (SELECT count(*) FROM before) looked
    ON CONFLICT (id) DO UPDATE
    SET lease_until = excluded.lease_until, incarnation = excluded.incarnation, beat_at = excluded.beat_at,
      started_at = CASE WHEN w.incarnation = excluded.incarnation THEN w.started_at ELSE excluded.started_at END,
      info = CASE WHEN w.incarnation = excluded.incarnation THEN coalesce(excluded.info, w.info) ELSE excluded.info END,
      idle = w.idle AND w.incarnation = excluded.incarnation
    WHERE w.incarnation = excluded.incarnation OR w.lease_until <= ${t.now}
    RETURNING w.ping, w.pong
  ), sampled AS (
    INSERT INTO ${t.samples} (at, worker, incarnation, info)
    SELECT ${t.now}, $1::text, $2::text, $4::text
    FROM held
    WHERE $4::text IS NOT NULL AND coalesce(
      (SELECT s.at FROM ${t.samples} s WHERE s.worker = $1::text ORDER BY s.at DESC LIMIT 1)
        <= ${t.now} - ${within(WorkerBounds.sampleMillis)},
      true
    )
    ON CONFLICT DO NOTHING
    RETURNING at
  ), cleared AS (
    DELETE FROM ${t.samples} s
    WHERE s.ctid = ANY (ARRAY (
      (
        SELECT s.ctid FROM ${t.samples} s
        WHERE EXISTS (SELECT FROM sampled) AND s.worker = $1::text
        ORDER BY s.at DESC
        -- One more has come than this sees.
        OFFSET ${WorkerBounds.samples - 1}
      )
      UNION
      (
        -- Of workers that are there, each clears away its own: nobody waits for another.
        SELECT s.ctid FROM ${t.samples} s
        WHERE EXISTS (SELECT FROM sampled) AND s.at <= ${t.now} - ${within(WorkerBounds.sampleAgeMillis)}
          AND (s.worker = $1::text OR NOT EXISTS (SELECT FROM ${t.workers} w WHERE w.id = s.worker))
        ORDER BY s.at LIMIT ${CLEARED}
      )
    ))
  ), gone AS MATERIALIZED (
    SELECT w.id FROM ${t.workers} w
    WHERE EXISTS (SELECT FROM sampled) AND w.lease_until <= ${t.now} - ${within(WorkerBounds.lapsedMillis)}
      AND w.id <> $1::text
    LIMIT ${CLEARED} FOR UPDATE SKIP LOCKED
  ), forgotten AS (
    DELETE FROM ${t.workers} w WHERE w.id IN (SELECT id FROM gone)
  )
  SELECT ${millis(t.now)} AS now, EXISTS (SELECT FROM held) AS held,
    (SELECT CASE WHEN ping IS DISTINCT FROM pong THEN ping END FROM held) AS ping,
    coalesce((SELECT lease_until <= ${t.now} FROM before), false) AS lapsed`
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<Driver.HeartbeatResult> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Row.flag(row, "held")
      ? { _tag: "Renewed", lapsed: Row.flag(row, "lapsed"), ping: Row.textOrNull(row, "ping") }
      : { _tag: "Taken" }
  }
}
