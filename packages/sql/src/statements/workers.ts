/**
 * Read workers and their samples; ask a worker to answer, and answer.
 *
 * Indexes: `workers_pkey`, `samples_pkey`. Locks: `ping` and `pong` the worker's row.
 */
import type * as Driver from "perdure/JournalDriver"
import { WorkerBounds } from "perdure/JournalDriver"
import * as Row from "../internal/Row.js"
import type { Verb } from "../Verb.js"
import { within } from "./lease.js"
import { millis } from "./words.js"

const openPing = "CASE WHEN w.ping IS DISTINCT FROM w.pong THEN w.ping END"

/** $1 the only id or null, $2 after or null, $3 limit */
export const workers: Verb = {
  name: "workers",
  parameters: 3,
  text: (t) =>
    `SELECT ${millis(t.now)} AS now, (
    SELECT json_agg(json_build_array(w.id, w.incarnation, ${millis("w.started_at")}, ${millis("w.beat_at")},
      ${millis("w.lease_until")}, w.lease_until > ${t.now}, w.info, ${openPing}) ORDER BY w.id)::text
    FROM (
      SELECT w.* FROM ${t.workers} w
      WHERE w.id = coalesce($1::text, w.id) AND w.id > coalesce($2::text, '')
        AND w.lease_until > ${t.now} - ${within(WorkerBounds.lapsedMillis)}
      ORDER BY w.id LIMIT $3::int
    ) w
  ) AS workers`
}

export const decodeWorkers = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.WorkerRecord>> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Row.list(row, "workers").map((each) => ({
      id: Row.text(each, 0),
      incarnation: Row.text(each, 1),
      startedAt: Row.instantOrNull(each, 2),
      beatAt: Row.instantOrNull(each, 3),
      leaseUntil: Row.instant(each, 4),
      live: Row.flag(each, 5),
      info: Row.textOrNull(each, 6),
      ping: Row.textOrNull(each, 7)
    }))
  }
}

/** $1 worker, $2 limit */
export const samples: Verb = {
  name: "samples",
  parameters: 2,
  text: (t) =>
    `SELECT ${millis(t.now)} AS now, (
    SELECT json_agg(json_build_array(${millis("s.at")}, s.incarnation, s.info) ORDER BY s.at, s.incarnation)::text
    FROM (
      SELECT s.* FROM ${t.samples} s
      WHERE s.worker = $1::text AND s.at > ${t.now} - ${within(WorkerBounds.sampleAgeMillis)}
      ORDER BY s.at DESC, s.incarnation DESC LIMIT $2::int
    ) s
  ) AS samples`
}

export const decodeSamples = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.WorkerSample>> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Row.list(row, "samples").map((each) => ({
      at: Row.instant(each, 0),
      incarnation: Row.text(each, 1),
      info: Row.text(each, 2)
    }))
  }
}

/** $1 worker, $2 nonce */
export const ping: Verb = {
  name: "ping",
  parameters: 2,
  text: (t) =>
    `WITH asked AS (
    UPDATE ${t.workers} w SET ping = coalesce(${openPing}, $2::text) WHERE w.id = $1::text RETURNING w.ping
  )
  SELECT ${millis(t.now)} AS now, (SELECT ping FROM asked) AS ping`
}

export const decodePing = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<string | null> => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: Row.textOrNull(row, "ping") }
}

/** $1 worker, $2 incarnation, $3 nonce */
export const pong: Verb = {
  name: "pong",
  parameters: 3,
  text: (t) =>
    `WITH answered AS (
    UPDATE ${t.workers} w SET pong = w.ping
    WHERE w.id = $1::text AND w.incarnation = $2::text AND w.ping = $3::text AND w.pong IS DISTINCT FROM w.ping
    RETURNING w.id
  )
  SELECT ${millis(t.now)} AS now, EXISTS (SELECT FROM answered) AS answered`
}

export const decodePong = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<boolean> => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: Row.flag(row, "answered") }
}
