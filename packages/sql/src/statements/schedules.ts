/**
 * Schedules' rows: reading them, finding those that are due, and replacing them.
 *
 * Indexes: `schedules_pkey`; to find those that are due `schedules_due` and `schedules_waiting`, once for each of what a
 * process has, and `runs_pkey`. Locks: rows of schedules that are written, in order of name, with SKIP LOCKED: it never
 * waits. No run row.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../internal/Row.js"
import type { Verb, Words } from "../Verb.js"
import { change, finals, instant, millis, part } from "./words.js"

const record = (s: string, r: string): string =>
  `json_build_array(${s}.name, ${s}.needs, ${millis(`${s}.due_at`)}, ${s}.run, ${s}.waits, ${s}.settings, ${s}.state,
      ${s}.definition, ${s}.revision, ${millis(`${s}.seen_at`)}, ${r}.status)`

/** The rows of `found`, in order of name. */
const reading = (t: Words, found: string): string =>
  `SELECT ${millis(t.now)} AS now, (
    SELECT json_agg(${record("s", "r")} ORDER BY s.name)::text
    FROM (
      ${found}
    ) s
    LEFT JOIN LATERAL (SELECT r.status FROM ${t.runs} r WHERE r.id = s.run LIMIT 1) r ON true
  ) AS schedules`

/** The texts of $1, each once. `one` makes the planner expect few, where it would expect a hundred of any JSON. */
const asked = (column: string): string =>
  part(
    "asked",
    `SELECT DISTINCT n.text COLLATE "C" AS ${column}, 1 AS one FROM json_array_elements_text($1::json) AS n(text)`
  )

/** $1 names, $2 after or null, $3 limit */
export const named: Verb = {
  name: "schedules_named",
  parameters: 3,
  text: (t) =>
    `WITH ${asked("name")}
  ${
      reading(
        t,
        `SELECT s.* FROM asked a
      CROSS JOIN LATERAL (SELECT s.* FROM ${t.schedules} s WHERE s.name = a.name LIMIT 1) s
      WHERE a.one = 1 AND a.name > coalesce($2::text, '')
      ORDER BY s.name LIMIT $3::int`
      )
    }`
}

/** $1 after or null, $2 limit */
export const page: Verb = {
  name: "schedules_page",
  parameters: 2,
  text: (t) =>
    reading(
      t,
      `SELECT s.* FROM ${t.schedules} s WHERE s.name > coalesce($1::text, '') ORDER BY s.name LIMIT $2::int`
    )
}

/**
 * The limit of `due` as no plan knows it: if a plan for the number that is given seemed cheaper than one for any number, the
 * server would plan each tick anew.
 */
const atMost = "SELECT $2::int"

/** $1 needs, $2 limit */
export const due: Verb = {
  name: "schedules_due",
  parameters: 2,
  text: (t) => {
    // Rows of no needs are not asked for: a LATERAL with a limit goes by index for each of them, whatever the planner expects.
    const ofEach = (columns: string, where: string, rest: string) =>
      `SELECT s.* FROM asked a
    CROSS JOIN LATERAL (
      SELECT ${columns} FROM ${t.schedules} s WHERE s.needs = a.needs AND ${where} ${rest}
    ) s
    WHERE a.one = 1`
    return `WITH ${
      [
        asked("needs"),
        part(
          "timed",
          `${
            ofEach(
              "s.name, s.due_at",
              `s.due_at < 'infinity' AND s.due_at <= ${t.now}`,
              `ORDER BY s.due_at, s.name LIMIT (${atMost})`
            )
          }
    ORDER BY s.due_at, s.name LIMIT (${atMost})`
        ),
        part(
          "waiting",
          `SELECT s.name, s.run, coalesce(r.status IN ${finals}, true) AS over
    FROM (
      ${ofEach("s.name, s.run", "s.waits", "OFFSET 0")}
    ) s
    LEFT JOIN LATERAL (SELECT r.status FROM ${t.runs} r WHERE r.id = s.run LIMIT 1) r ON true`
        ),
        part(
          "found",
          `SELECT f.name, min(f.class) AS class, min(f.due_at) AS due_at
    FROM (
      SELECT w.name, 0 AS class, '-infinity'::timestamptz AS due_at FROM waiting w WHERE w.over
      UNION ALL
      SELECT d.name, 1, d.due_at FROM timed d
    ) f
    GROUP BY f.name
    ORDER BY 2, 3, 1 LIMIT (${atMost})`
        )
      ].join(", ")
    }
  SELECT ${millis(t.now)} AS now, (
    SELECT json_agg(${record("s", "r")} ORDER BY f.class, f.due_at, f.name)::text
    FROM found f
    CROSS JOIN LATERAL (SELECT s.* FROM ${t.schedules} s WHERE s.name = f.name LIMIT 1) s
    LEFT JOIN LATERAL (SELECT r.status FROM ${t.runs} r WHERE r.id = s.run LIMIT 1) r ON true
  ) AS schedules, ${
      millis(`(
    SELECT min(l.due_at) FROM (
    ${ofEach("s.due_at", `s.due_at < 'infinity' AND s.due_at > ${t.now}`, "ORDER BY s.due_at LIMIT 1")}
    ) l
  )`)
    } AS next_due, (
    SELECT json_agg(w.run ORDER BY w.run)::text
    FROM (SELECT DISTINCT w.run FROM waiting w WHERE NOT w.over ORDER BY w.run LIMIT (${atMost})) w
  ) AS awaited`
  }
}

/**
 * The rows of the request, locked unless somebody else has them. `touched` makes the planner expect few of them, so that
 * they are changed by index, whatever the statistics are.
 */
const locked = (t: Words): string =>
  part(
    "locked",
    `SELECT g.*, 1 AS touched
    FROM (SELECT g.* FROM given g WHERE g.revision > 0 ORDER BY g.name) g
    CROSS JOIN LATERAL (
      SELECT s.revision FROM ${t.schedules} s WHERE s.name = g.name FOR UPDATE SKIP LOCKED OFFSET 0
    ) s
    WHERE s.revision = g.revision`
  )

/** $1 rows; $2 milliseconds for which the transaction may be idle from now on, as text, or null */
export const write: Verb = {
  name: "schedules_write",
  parameters: 2,
  text: (t) =>
    `WITH ${
      [
        part(
          "given",
          `SELECT g.revision, g.waits, g.name COLLATE "C" AS name, g.needs, g.run, g.settings, g.state, g.definition,
      ${instant("g.due_at")} AS due_at
    FROM json_to_recordset($1::json) AS g(revision bigint, waits boolean, name text, needs text, run text, settings text,
      state text, definition text, due_at float8)`
        ),
        locked(t),
        change(
          "changed",
          `UPDATE ${t.schedules} s
    SET due_at = l.due_at, revision = s.revision + 1, waits = l.waits, needs = l.needs, run = l.run, settings = l.settings,
      state = l.state, definition = l.definition
    FROM locked l
    WHERE s.name = l.name AND l.touched = 1
    RETURNING s.name`
        ),
        change(
          "made",
          `INSERT INTO ${t.schedules} (due_at, seen_at, waits, name, needs, run, settings, state, definition)
    SELECT g.due_at, ${t.now}, g.waits, g.name, g.needs, g.run, g.settings, g.state, g.definition
    FROM given g WHERE g.revision = 0
    ORDER BY g.name
    ON CONFLICT DO NOTHING
    RETURNING name`
        )
      ].join(", ")
    }
  SELECT ${millis(t.now)} AS now, (
    SELECT json_agg(w.name ORDER BY w.name)::text
    FROM (SELECT c.name FROM changed c UNION ALL SELECT m.name FROM made m) w
  ) AS names, CASE WHEN $2::text IS NOT NULL
    THEN set_config('idle_in_transaction_session_timeout', $2::text, true) END AS idle`
}

/** $1 names and revisions */
export const remove: Verb = {
  name: "schedules_remove",
  parameters: 1,
  text: (t) =>
    `WITH ${
      [
        part(
          "given",
          `SELECT g.revision, g.name COLLATE "C" AS name FROM json_to_recordset($1::json) AS g(revision bigint, name text)`
        ),
        locked(t),
        change(
          "gone",
          `DELETE FROM ${t.schedules} s USING locked l WHERE s.name = l.name AND l.touched = 1 RETURNING s.name`
        )
      ].join(", ")
    }
  SELECT ${millis(t.now)} AS now, (SELECT json_agg(g.name ORDER BY g.name)::text FROM gone g) AS names`
}

/** $1 names */
export const see: Verb = {
  name: "schedules_see",
  parameters: 1,
  text: (t) =>
    `WITH ${
      [
        asked("name"),
        part(
          "known",
          `SELECT s.name, s.seen_at
    FROM asked a
    CROSS JOIN LATERAL (SELECT s.name, s.seen_at FROM ${t.schedules} s WHERE s.name = a.name LIMIT 1) s
    WHERE a.one = 1`
        ),
        part(
          "locked",
          `SELECT s.name, 1 AS touched
    FROM (SELECT k.name FROM known k WHERE k.seen_at < ${t.now} - interval '30 seconds' ORDER BY k.name) k
    CROSS JOIN LATERAL (SELECT s.name FROM ${t.schedules} s WHERE s.name = k.name FOR UPDATE SKIP LOCKED OFFSET 0) s`
        ),
        change(
          "seen",
          `UPDATE ${t.schedules} s SET seen_at = ${t.now} FROM locked l WHERE s.name = l.name AND l.touched = 1`
        )
      ].join(", ")
    }
  SELECT ${millis(t.now)} AS now, (SELECT count(*) FROM known)::int AS seen`
}

export const encodeRow = (
  { definition, dueAt, name, needs, revision, run, settings, state, waits }: Driver.ScheduleRow & {
    readonly revision: number
  }
) => ({
  revision,
  waits,
  name,
  needs,
  run,
  settings,
  state,
  definition,
  due_at: dueAt === Infinity ? "Infinity" : dueAt
})

const schedule = (row: Row.Fields): Driver.ScheduleRecord => ({
  name: Row.text(row, 0),
  needs: Row.text(row, 1),
  dueAt: Row.instant(row, 2),
  run: Row.textOrNull(row, 3),
  waits: Row.flag(row, 4),
  settings: Row.text(row, 5),
  state: Row.text(row, 6),
  definition: Row.textOrNull(row, 7),
  revision: Row.integer(row, 8),
  seenAt: Row.instant(row, 9),
  runStatus: row[10] === null ? null : Row.status(row, 10)
})

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.ScheduleRecord>> => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: Row.list(row, "schedules").map(schedule) }
}

export const decodeDue = (rows: ReadonlyArray<Row.Fields>) => {
  const row = Row.first(rows)
  const { now, value } = decode(rows)
  return {
    now,
    value: { schedules: value, nextDue: Row.instantOrNull(row, "next_due"), awaited: Row.texts(row, "awaited") }
  }
}

export const decodeNames = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<string>> => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: Row.texts(row, "names") }
}

export const decodeSeen = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<number> => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: Row.integer(row, "seen") }
}
