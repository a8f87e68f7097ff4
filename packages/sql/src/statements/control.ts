/**
 * Pause and resume runs with their attached descendants, and what is known of all that was done to a run.
 *
 * Indexes: `inputs_parent` to find descendants, `runs_pkey` to lock and to update; `controls_pkey` and `inbox_pkey` to read.
 * Locks: the runs and their attached descendants, in order of id.
 *
 * A member of the family may have started a child after this statement's snapshot. One that it starts afterwards is born
 * as its parent is then, so the driver repeats the statement until it finds nobody to change.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../internal/Row.js"
import type { Verb, Words } from "../Verb.js"
import { claimable, finals, millis } from "./words.js"
import { notice } from "./keyed.js"

/**
 * `member`: the runs named by $1 and their attached descendants, each once; `named` is the run itself, or the one it
 * follows. To be put after WITH RECURSIVE.
 */
export const family = (t: Words): string =>
  `named AS MATERIALIZED (
    SELECT DISTINCT x.id COLLATE "C" AS id, 1 AS one FROM json_array_elements_text($1::json) AS x(id)
  ), family AS (
    SELECT n.run, n.run AS named
    FROM named x
    CROSS JOIN LATERAL (SELECT n.run FROM ${t.inputs} n WHERE n.run = x.id OFFSET 0) n
    -- Always true; makes the planner expect few rows, where it would expect a hundred of any JSON.
    WHERE x.one = 1
    UNION ALL
    SELECT n.run, f.named
    FROM family f
    CROSS JOIN LATERAL (SELECT n.run FROM ${t.inputs} n WHERE n.parent_id = f.run AND n.attached OFFSET 0) n
  ), member AS MATERIALIZED (
    SELECT f.run, CASE WHEN bool_or(f.run = f.named) THEN f.run ELSE min(f.named) END AS named
    FROM family f
    GROUP BY f.run
  )`

/** Note what was done, by $2 for the reason $3, to the rows (id and named) of a part. */
export const recorded = (t: Words, action: Driver.ControlAction, done: string): string =>
  `recorded AS (
    INSERT INTO ${t.controls} (at, run, action, requested_by, reason, detail)
    SELECT ${t.now}, d.id, '${action}', $2::text, $3::text, nullif(d.named, d.id) FROM ${done} d
  )`

const locked = (t: Words): string =>
  `locked AS MATERIALIZED (
    SELECT r.*, m.named
    FROM (SELECT m.run, m.named FROM member m ORDER BY m.run) m
    CROSS JOIN LATERAL (
      SELECT r.id, r.status, r.pause, r.queue, r.worker, r.fresh, r.key FROM ${t.runs} r WHERE r.id = m.run FOR UPDATE
    ) r
  )`

const answer = (t: Words, ready: string): string =>
  `SELECT ${millis(t.now)} AS now, (SELECT count(*)::int FROM done) AS all,
    (SELECT count(*)::int FROM done d WHERE d.id = d.named) AS named,
    (SELECT json_agg(DISTINCT d.queue)::text FROM done d WHERE ${ready}) AS ready,
    (SELECT json_agg(json_build_array(d.worker, d.id))::text FROM done d WHERE d.worker IS NOT NULL) AS held,
    NULL::text AS changed`

/** Row `d` of a paused run waited for its key's turn. */
const leaves = "d.key IS NOT NULL AND d.fresh AND d.status = 'pending'"

/** $1 runs, $2 by, $3 reason */
export const pause: Verb = {
  name: "pause",
  parameters: 3,
  text: (t) =>
    `WITH RECURSIVE ${family(t)}, ${locked(t)}, done AS MATERIALIZED (
    SELECT r.*, 1 AS touched FROM locked r
    WHERE r.status NOT IN ${finals} AND r.status <> 'paused' AND r.pause IS NULL
  ), updated AS (
    UPDATE ${t.runs} r
    SET status = CASE WHEN r.status IN ${claimable} THEN 'paused' ELSE r.status END,
      pause = CASE WHEN r.status IN ${claimable} THEN r.status ELSE 'asked' END
    FROM done x
    -- Always true; makes the planner expect few rows and use the index, whatever the statistics are.
    WHERE r.id = x.id AND x.touched = 1
  ), ${
      // The next of their keys may be for another worker.
      notice(t, "left_line", `SELECT d.queue, d.key FROM done d WHERE ${leaves}`, false)}, ${
      recorded(t, "pause", "done")
    }
  ${answer(t, leaves)}`
}

/** $1 runs, $2 by, $3 reason */
export const resume: Verb = {
  name: "resume",
  parameters: 3,
  text: (t) => {
    const mended = (r: string) => `${r}.status = 'diverged' AND x.id = x.named`
    return `WITH RECURSIVE ${family(t)}, ${locked(t)}, done AS MATERIALIZED (
    SELECT x.*, 1 AS touched FROM locked x WHERE x.status = 'paused' OR x.pause = 'asked' OR (${mended("x")})
  ), updated AS (
    UPDATE ${t.runs} r
    SET status = CASE WHEN r.status = 'paused' THEN r.pause WHEN ${mended("r")} THEN 'pending' ELSE r.status END,
      pause = CASE WHEN r.pause = 'cancelled' THEN r.pause END,
      available_at = CASE WHEN ${mended("r")} THEN ${t.now} ELSE r.available_at END,
      detail = CASE WHEN ${mended("r")} THEN NULL ELSE r.detail END
    FROM done x
    -- Always true; makes the planner expect few rows and use the index, whatever the statistics are.
    WHERE r.id = x.id AND x.touched = 1
  ), ${
      // Back into the line of its key.
      notice(
        t,
        "waiting",
        "SELECT d.queue, d.key FROM done d WHERE d.pause = 'pending' AND d.fresh AND d.key IS NOT NULL",
        false
      )}, ${recorded(t, "resume", "done")}
  ${answer(t, "d.status <> 'running'")}`
  }
}

export interface Controlled {
  readonly now: Driver.Millis
  /** Runs that were changed: of all, and of those that were named. */
  readonly all: number
  readonly named: number
  readonly row: Row.Fields
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Controlled => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), all: Row.integer(row, "all"), named: Row.integer(row, "named"), row }
}

/** $1 run */
export const controls: Verb = {
  name: "controls",
  parameters: 1,
  text: (t) =>
    `SELECT ${millis(t.now)} AS now, (
    SELECT json_agg(
      json_build_array(c.action, c.requested_by, c.reason, ${
      millis("c.at")
    }, c.detail) ORDER BY c.at, c.action COLLATE "C"
    )::text
    FROM (
      SELECT c.action, c.requested_by, c.reason, c.at, c.detail FROM ${t.controls} c WHERE c.run = $1::text
      UNION ALL
      SELECT 'cancel', m.requested_by, m.reason, m.at, NULL
      FROM ${t.inbox} m WHERE m.run = $1::text AND m.kind = 'cancel'
    ) c
  ) AS controls`
}

const actions: ReadonlySet<Driver.ControlAction> = new Set<Driver.ControlAction>([
  "pause",
  "resume",
  "cancel",
  "terminate",
  "retry",
  "fork"
])

export const decodeControls = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.Control>> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Row.list(row, "controls").map((each) => ({
      action: Row.oneOf(each, 0, actions),
      by: Row.textOrNull(each, 1),
      reason: Row.textOrNull(each, 2),
      at: Row.instant(each, 3),
      related: Row.textOrNull(each, 4)
    }))
  }
}
