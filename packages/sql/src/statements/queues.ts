/**
 * Queues' rows: reading, making and changing them; and the workflows that are paused.
 *
 * Indexes: `queues_pkey`, `held_pkey`; `runs_claim`, `runs_waiting`, `runs_holder`, `runs_holding` and `runs_parked` to count.
 * Locks: the rows that it changes, in order of name. No run row.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../internal/Row.js"
import type { Verb, Words } from "../Verb.js"
import { millis, part } from "./words.js"
import { notice } from "./keyed.js"

const record = (k: string): string =>
  `json_build_array(${k}.name, ${k}.priority, ${k}.concurrency, ${k}.admission, ${k}.key_concurrency, ${k}.rate_limit,
      ${k}.rate_millis, ${k}.rate_burst, ${k}.paused, ${k}.definition, ${
    millis(`${k}.pause_at`)
  }, ${k}.pause_by, ${k}.pause_reason)`

const records = (t: Words, source: string): string =>
  `SELECT ${millis(t.now)} AS now, (SELECT json_agg(${record("k")} ORDER BY k.name)::text FROM ${source} k) AS queues`

/** $1 names, null for all */
export const read: Verb = {
  name: "queues",
  parameters: 1,
  text: (t) =>
    records(
      t,
      `(SELECT k.* FROM ${t.queues} k
      WHERE $1::text IS NULL OR k.name IN (SELECT json_array_elements_text($1::json) COLLATE "C"))`
    )
}

/** $1 names */
export const ensure: Verb = {
  name: "queues_ensure",
  parameters: 1,
  text: (t) =>
    `WITH made AS (
    INSERT INTO ${t.queues} (name)
    SELECT DISTINCT q.name COLLATE "C" FROM json_array_elements_text($1::json) AS q(name)
    WHERE NOT EXISTS (SELECT FROM ${t.queues} k WHERE k.name = q.name)
    ORDER BY 1
    ON CONFLICT DO NOTHING
    RETURNING name
  )
  SELECT ${millis(t.now)} AS now, (SELECT json_agg(name ORDER BY name)::text FROM made) AS names`
}

/**
 * The keys of a queue whose runs wait, each with a notice: what the queue allows to a key has changed. A skip scan over
 * `runs_waiting`.
 */
const lookAgain = (t: Words, queue: string): ReadonlyArray<string> => [
  `waiting AS (
    SELECT (
      SELECT r.key FROM ${t.runs} r
      WHERE r.key IS NOT NULL AND r.fresh AND r.status = 'pending' AND r.queue = ${queue} ORDER BY r.key LIMIT 1
    ) AS key
    UNION ALL
    SELECT (
      SELECT r.key FROM ${t.runs} r
      WHERE r.key IS NOT NULL AND r.fresh AND r.status = 'pending' AND r.queue = ${queue} AND r.key > w.key
      ORDER BY r.key LIMIT 1
    )
    FROM waiting w WHERE w.key IS NOT NULL
  )`,
  notice(
    t,
    "notices",
    "SELECT c.name AS queue, w.key FROM changed c, waiting w WHERE w.key IS NOT NULL AND c.look",
    false
  )
]

/** When the bucket will be full again if the rate becomes a new one: an empty one is as empty, and fills at the new rate. */
const arrival = (t: Words, column: (name: string) => string): string =>
  `CASE WHEN ${column("rate_limit")} IS NULL THEN 0 ELSE
        least(k.arrival, ${millis(t.now)} + ${column("rate_burst")} * ${column("rate_millis")} / ${
    column("rate_limit")
  }) END`

const settings = `priority int, concurrency int, admission int, key_concurrency int, rate_limit int, rate_millis float8,
      rate_burst int, paused boolean`

const pause = "pause_at, pause_by, pause_reason"

const limits = "priority, concurrency, admission, key_concurrency, rate_limit, rate_millis, rate_burst"

/** $1 name, $2 definition, $3 settings */
export const define: Verb = {
  name: "queue_define",
  parameters: 3,
  text: (t) =>
    `WITH RECURSIVE asked AS MATERIALIZED (
    SELECT $1::text AS name, n.* FROM json_to_record($3::json) AS n(${settings})
  ), made AS (
    INSERT INTO ${t.queues} (name, definition, ${limits})
    SELECT n.name, $2::text, ${limits} FROM asked n
    ON CONFLICT DO NOTHING
    RETURNING *
  ), locked AS MATERIALIZED (
    SELECT k.* FROM ${t.queues} k WHERE k.name = $1::text FOR UPDATE
  ), changed AS (
    UPDATE ${t.queues} k
    SET (definition, ${limits}) = ROW ($2::text, n.priority, n.concurrency, n.admission, n.key_concurrency, n.rate_limit,
      n.rate_millis, n.rate_burst),
      arrival = ${arrival(t, (column) => `n.${column}`)}
    FROM asked n, locked l
    WHERE k.name = l.name AND l.definition IS DISTINCT FROM $2::text
    RETURNING k.*, (l.key_concurrency IS DISTINCT FROM n.key_concurrency) AS look
  ), ${lookAgain(t, "$1::text").join(", ")}
  ${
      records(
        t,
        `(SELECT name, ${limits}, paused, definition, ${pause} FROM made
      UNION ALL SELECT name, ${limits}, paused, definition, ${pause} FROM changed
      UNION ALL SELECT name, ${limits}, paused, definition, ${pause} FROM locked WHERE definition IS NOT DISTINCT FROM $2::text)`
      )
    }`
}

/** $1 name, $2 names of the columns to change, $3 settings, $4 by whom, $5 why */
export const alter: Verb = {
  name: "queue_change",
  parameters: 5,
  text: (t) => {
    const value = (column: string) => `CASE WHEN '${column}' = ANY (a.columns) THEN n.${column} ELSE k.${column} END`
    const asked: Readonly<Record<string, string>> = { pause_at: t.now, pause_by: "$4::text", pause_reason: "$5::text" }
    const turned = Object.entries(asked).map(([column, value]) =>
      `${column} = CASE WHEN 'paused' = ANY (a.columns) AND n.paused <> k.paused THEN ${value} ELSE k.${column} END`
    )
    return `WITH RECURSIVE asked AS MATERIALIZED (
    SELECT ARRAY(SELECT json_array_elements_text($2::json)) AS columns
  ), locked AS MATERIALIZED (
    SELECT k.* FROM ${t.queues} k WHERE k.name = $1::text FOR UPDATE
  ), changed AS (
    UPDATE ${t.queues} k
    SET ${
      [...`${limits}, paused`.split(", ").map((column) => `${column} = ${value(column)}`), ...turned].join(",\n      ")
    },
      arrival = ${arrival(t, value)}
    FROM asked a, json_to_record($3::json) AS n(${settings}), locked l
    WHERE k.name = l.name
    RETURNING k.*, (l.key_concurrency IS DISTINCT FROM k.key_concurrency) AS look
  ), ${lookAgain(t, "$1::text").join(", ")}
  ${records(t, "changed")}`
  }
}

/** $1 workflows, $2 by whom, $3 why */
export const hold: Verb = {
  name: "workflows_hold",
  parameters: 3,
  text: (t) =>
    `WITH held AS (
    INSERT INTO ${t.held} (at, workflow, requested_by, reason)
    SELECT DISTINCT ${t.now}, w.name COLLATE "C", $2::text, $3::text FROM json_array_elements_text($1::json) AS w(name)
    ORDER BY 2
    ON CONFLICT DO NOTHING
    RETURNING workflow
  )
  SELECT ${millis(t.now)} AS now, (SELECT json_agg(workflow ORDER BY workflow)::text FROM held) AS names`
}

/** $1 workflows */
export const unhold: Verb = {
  name: "workflows_unhold",
  parameters: 1,
  text: (t) =>
    `WITH locked AS MATERIALIZED (
    SELECT h.workflow FROM ${t.held} h
    WHERE h.workflow IN (SELECT json_array_elements_text($1::json) COLLATE "C")
    ORDER BY h.workflow FOR UPDATE
  ), gone AS (
    DELETE FROM ${t.held} h USING locked l WHERE h.workflow = l.workflow RETURNING h.workflow
  )
  SELECT ${millis(t.now)} AS now, (SELECT json_agg(workflow ORDER BY workflow)::text FROM gone) AS names,
    -- Whichever of them has runs of those: workers are to look, if there are not too many to tell of.
    (
      SELECT json_agg(k.name)::text
      FROM (SELECT k.name FROM ${t.queues} k WHERE EXISTS (SELECT FROM gone) LIMIT 1000) k
    ) AS queues`
}

/** No parameters */
export const held: Verb = {
  name: "workflows_held",
  parameters: 0,
  text: (t) =>
    `SELECT ${millis(t.now)} AS now, (
    SELECT json_agg(json_build_array(h.workflow, ${millis("h.at")}, h.requested_by, h.reason) ORDER BY h.workflow)::text
    FROM ${t.held} h
  ) AS held`
}

/** $1 names, $2 most */
export const counts: Verb = {
  name: "queue_counts",
  parameters: 2,
  text: (t) => {
    const count = (query: string) => `(SELECT count(*) FROM (${query} LIMIT $2::int) x)::int`
    const claimable = `SELECT FROM ${t.runs} r
          WHERE r.status IN ('pending', 'suspended') AND (r.key IS NULL OR NOT r.fresh) AND r.queue = q.name`
    const waiting = `SELECT FROM ${t.runs} r
          WHERE r.key IS NOT NULL AND r.fresh AND r.status = 'pending' AND r.queue = q.name`
    const fresh = (due: string) =>
      count(`SELECT FROM (
        ${claimable} AND r.fresh AND r.available_at ${due} ${t.now}
        UNION ALL
        ${waiting} AND r.available_at ${due} ${t.now}
      ) f`)
    return `WITH ${
      part(
        "asked",
        `SELECT q.name COLLATE "C" AS name, q.i FROM json_array_elements_text($1::json) WITH ORDINALITY AS q(name, i)`
      )
    }
  SELECT ${millis(t.now)} AS now, (
    SELECT json_agg(json_build_array(q.name, ${fresh("<=")}, ${fresh(">")}, ${
      count(`SELECT FROM ${t.runs} r WHERE r.queue = q.name AND r.worker IS NOT NULL`)
    }, ${count(`${claimable} AND NOT r.fresh`)}, ${
      count(`SELECT FROM ${t.runs} r WHERE r.status IN ('paused', 'diverged') AND NOT r.fresh AND r.queue = q.name`)
    }) ORDER BY q.i)::text
    FROM asked q
  ) AS counts`
  }
}

/** The columns of settings, and those that are given. */
export const encodeSettings = (change: Partial<Driver.QueueSettings>) => ({
  ...(change.priority === undefined ? {} : { priority: change.priority }),
  ...(change.concurrency === undefined ? {} : { concurrency: change.concurrency }),
  ...(change.admission === undefined ? {} : { admission: change.admission }),
  ...(change.keyConcurrency === undefined ? {} : { key_concurrency: change.keyConcurrency }),
  ...(change.rate === undefined ? {} : {
    rate_limit: change.rate?.limit ?? null,
    rate_millis: change.rate?.millis ?? null,
    rate_burst: change.rate?.burst ?? null
  }),
  ...(change.paused === undefined ? {} : { paused: change.paused })
})

const integerOrNull = (row: Row.Fields, key: number): number | null => row[key] === null ? null : Row.integer(row, key)

const queue = (row: Row.Fields): Driver.QueueRecord => {
  const limit = integerOrNull(row, 5)
  return {
    name: Row.text(row, 0),
    priority: Row.integer(row, 1),
    concurrency: integerOrNull(row, 2),
    admission: integerOrNull(row, 3),
    keyConcurrency: integerOrNull(row, 4),
    rate: limit === null ? null : { limit, millis: Row.number(row, 6), burst: Row.integer(row, 7) },
    paused: Row.flag(row, 8),
    definition: Row.textOrNull(row, 9),
    pause: row[10] === null
      ? null
      : { at: Row.number(row, 10), by: Row.textOrNull(row, 11), reason: Row.textOrNull(row, 12) }
  }
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.QueueRecord>> => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: Row.list(row, "queues").map(queue) }
}

export const decodeNames = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<string>> => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: Row.texts(row, "names") }
}

export const decodeHeld = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.PausedWorkflow>> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Row.list(row, "held").map((each) => ({
      name: Row.text(each, 0),
      at: Row.number(each, 1),
      by: Row.textOrNull(each, 2),
      reason: Row.textOrNull(each, 3)
    }))
  }
}

export const decodeUnheld = (rows: ReadonlyArray<Row.Fields>) => ({
  ...decodeNames(rows),
  queues: Row.texts(Row.first(rows), "queues")
})

export const decodeCounts = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.QueueCounts>> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Row.list(row, "counts").map((each) => ({
      name: Row.text(each, 0),
      ready: Row.integer(each, 1),
      delayed: Row.integer(each, 2),
      running: Row.integer(each, 3),
      suspended: Row.integer(each, 4),
      parked: Row.integer(each, 5)
    }))
  }
}
