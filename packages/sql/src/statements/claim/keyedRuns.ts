/**
 * Runs with keys in a claim: which runs start, in key order.
 *
 * The table `turns` has a place for each priority of each key that can start a run. A key that is served, noticed, or
 * has nothing to serve gets new places, which follow from its runs themselves.
 */
import type { Words } from "../../Verb.js"
import { expectFew } from "../shared/planner.js"
import { change, part, recursion, sql, unionAll } from "../sql.js"
import { claimLimit, isInTime, isLevel } from "./parts.js"
import { keyRemainder } from "./queueBudgets.js"

/** Run `r` waits for its key, and is of the queue and key of row `of`. All of it is in the index `runs_waiting`. */
const isOfKey = (t: Words, of: string): string =>
  sql`
    r.key IS NOT NULL AND r.fresh AND r.status = 'pending' AND r.queue = ${of}.queue AND r.key = ${of}.key
      AND ${isInTime(t)}
  `

/** Whether the worker can execute run `r`. */
const isExecutable = "EXISTS (SELECT FROM run_kinds k WHERE k.workflow = r.workflow AND k.version = r.version)"

/** Place `u` is of the queue, kind and priority of level `l`. All of it is in the index `turns_order`. */
const isOfLevel = "u.queue = l.queue AND u.workflow = l.workflow AND u.version = l.version"

/** Joins the due runs of the queue, key and priority of row `of`, in order. */
const dueRunsOfKey = (t: Words, of: string, rest: string): string =>
  sql`
    CROSS JOIN LATERAL (
      SELECT r.id, r.available_at, r.workflow, r.version FROM ${t.runs} r
      WHERE ${isOfKey(t, of)}
        AND r.priority = ${of}.priority AND r.available_at <= ${t.now}
      ORDER BY r.available_at, r.id
      ${rest}
    ) r
  `

/** The priorities of the waiting runs of key `n`, by a skip scan. */
const prioritiesOfKey = (t: Words): string =>
  sql`
    (
      WITH RECURSIVE key_priorities AS (
        SELECT 1 AS few, (
          SELECT r.priority FROM ${t.runs} r
          WHERE ${isOfKey(t, "n")}
          ORDER BY r.priority LIMIT 1
        ) AS priority
        UNION ALL
        SELECT 1, (
          SELECT r.priority FROM ${t.runs} r
          WHERE ${isOfKey(t, "n")}
            AND r.priority > s.priority
          ORDER BY r.priority LIMIT 1
        )
        FROM key_priorities s WHERE s.priority IS NOT NULL
      )
      SELECT s.priority FROM key_priorities s WHERE ${expectFew("s")} AND s.priority IS NOT NULL
    )
  `

/** `key_levels`: the priorities of the places of each queue and kind, by a skip scan. */
const keyLevels = (t: Words): string =>
  recursion(
    "key_levels",
    unionAll([
      sql`
        SELECT q.queue, k.workflow, k.version, 1 AS few, (
          SELECT u.priority FROM ${t.turns} u
          WHERE u.queue = q.queue AND u.workflow = k.workflow AND u.version = k.version ORDER BY u.priority LIMIT 1
        ) AS priority
        FROM locked_queues q CROSS JOIN run_kinds k
      `,
      sql`
        SELECT l.queue, l.workflow, l.version, 1, (
          SELECT u.priority FROM ${t.turns} u
          WHERE ${isOfLevel} AND u.priority > l.priority
          ORDER BY u.priority LIMIT 1
        )
        FROM key_levels l
        WHERE l.priority IS NOT NULL
      `
    ])
  )

/** When the next place will be due, of keys that this claim does not change. */
export const nextPlace = (t: Words): string =>
  sql`
    SELECT min(d.at)
    FROM key_levels l
    CROSS JOIN LATERAL (
      SELECT u.at FROM ${t.turns} u
      WHERE ${isOfLevel} AND u.priority = l.priority
        AND u.at > ${t.now}
        AND NOT (u.queue, u.key) IN (SELECT x.queue, x.key FROM changed_keys x)
      ORDER BY u.at LIMIT 1
    ) d
    WHERE ${isLevel}
  `

/**
 * - `key_heads`: the keys whose places are due, the first of each kind and priority, without the noticed ones.
 * - `waiting_keys`: those and the noticed ones, in all their priorities, with when the key was last served.
 * - `key_capacities`: how many more runs each key may have.
 */
const waitingKeys = (t: Words): ReadonlyArray<string> => [
  part(
    "key_heads",
    sql`
      SELECT l.queue, u.key, l.priority, u.served
      FROM key_levels l
      CROSS JOIN LATERAL (
        SELECT u.key, u.served FROM ${t.turns} u
        WHERE ${isOfLevel} AND u.priority = l.priority
          AND u.at <= ${t.now}
          AND NOT (u.queue, u.key) IN (SELECT n.queue, n.key FROM key_checks n)
        ORDER BY u.at, u.key LIMIT ${claimLimit}
      ) u
      WHERE ${isLevel}
    `
  ),
  part(
    "waiting_keys",
    sql`
      SELECT f.queue, f.key, u.priority, u.served, u.at <= ${t.now} AS due, false AS noticed
      FROM (SELECT DISTINCT f.queue, f.key FROM key_heads f) f
      CROSS JOIN LATERAL (
        SELECT u.priority, u.served, u.at FROM ${t.turns} u WHERE u.queue = f.queue AND u.key = f.key OFFSET 0
      ) u
      UNION ALL
      SELECT n.queue, n.key, s.priority, coalesce(
        (SELECT max(u.served) FROM ${t.turns} u WHERE u.queue = n.queue AND u.key = n.key), n.freed, '-infinity'
      ), true, true
      FROM key_checks n
      CROSS JOIN LATERAL ${prioritiesOfKey(t)} s
      WHERE ${expectFew("n")}
    `
  ),
  part(
    "key_capacities",
    sql`
      SELECT w.queue, w.key, w.priorities, w.due, w.served, w.noticed,
        coalesce(${keyRemainder(t)}, 2147483647) AS capacity
      FROM (
        SELECT w.queue, w.key, array_agg(w.priority) AS priorities, count(*) FILTER (WHERE w.due) AS due,
          max(w.served) AS served, bool_or(w.noticed) AS noticed
        FROM waiting_keys w GROUP BY 1, 2
      ) w
      JOIN locked_queues q ON q.queue = w.queue
    `
  )
]

/**
 * - `first_runs`: of each key and priority, its share of what this claim would start if no other priority existed.
 * - `later_runs`: the runs behind those, where the shares of a priority do not fill the claim. So no run is taken
 *   before one of a higher priority.
 * - `keyed_runs`: the runs to start, those of each key in order, with their positions within their key.
 */
const startingRuns = (t: Words): ReadonlyArray<string> => [
  part(
    "first_runs",
    sql`
      SELECT x.*,
        bool_and(x.executable) OVER (PARTITION BY x.queue, x.key ORDER BY x.priority, x.available_at, x.id) AS clear
      FROM (
        SELECT l.queue, l.key, l.priority, l.capacity, l.served, l.share, r.id, r.available_at,
          ${isExecutable} AS executable
        FROM (
          SELECT m.queue, m.key, m.capacity, m.served, p.priority,
            least(m.capacity, ceil($3::float8 / count(*) OVER (PARTITION BY m.queue, p.priority))::int) AS share
          FROM key_capacities m CROSS JOIN LATERAL unnest(m.priorities) AS p(priority)
        ) l
        ${dueRunsOfKey(t, "l", "LIMIT greatest(0, l.share)")}
      ) x
    `
  ),
  part(
    "later_runs",
    sql`
      SELECT f.queue, f.key, f.priority, f.capacity, f.served, r.id, r.available_at,
        ${isExecutable} AS executable
      FROM (
        SELECT f.queue, f.key, f.priority, f.capacity, f.served, f.share, count(*) AS found,
          sum(count(*) FILTER (WHERE f.clear)) OVER (PARTITION BY f.queue, f.priority) AS all
        FROM first_runs f GROUP BY 1, 2, 3, 4, 5, 6
      ) f
      ${dueRunsOfKey(t, "f", "OFFSET f.share LIMIT least(f.capacity, $3::int) - f.share")}
      WHERE f.all < $3::int AND f.found = f.share AND f.share < least(f.capacity, $3::int)
    `
  ),
  part(
    "keyed_runs",
    sql`
      SELECT * FROM (
        SELECT h.queue, h.key, h.id, h.priority, greatest(h.available_at, h.served) AS at, h.capacity,
          row_number() OVER of_key AS position, bool_and(h.executable) OVER of_key AS executable
        FROM (
          SELECT f.queue, f.key, f.priority, f.capacity, f.served, f.id, f.available_at, f.executable FROM first_runs f
          UNION ALL
          SELECT o.* FROM later_runs o
        ) h
        WINDOW of_key AS (PARTITION BY h.queue, h.key ORDER BY h.priority, h.available_at, h.id)
      ) h
      WHERE h.executable AND h.position <= h.capacity
    `
  )
]

/** `keyed_runs`, and what they follow from. */
export const keyedRuns = (t: Words): ReadonlyArray<string> => [keyLevels(t), ...waitingKeys(t), ...startingRuns(t)]

/** `changed_keys`: keys that get new places: those that are served, noticed, or have nothing to serve. */
const changedKeys = (t: Words): string =>
  part(
    "changed_keys",
    sql`
      -- Grouped and not joined: the planner expects few rows of the join, and would compare all keys with each other.
      SELECT e.queue, e.key, coalesce(e.ids, '{}') AS ids, e.capacity - coalesce(cardinality(e.ids), 0) AS capacity,
        -- A key whose runs were locked by others counts as served, too: it must not keep others from their places.
        CASE WHEN e.ids IS NULL AND (e.noticed OR e.heads > 0) THEN e.served
          ELSE ${t.now} END AS served,
        1 AS few, e.priorities
      FROM (
        SELECT e.queue, e.key, array_agg(e.id) FILTER (WHERE e.id IS NOT NULL) AS ids, max(e.capacity) AS capacity,
          max(e.served) AS served, bool_or(e.noticed) AS noticed, max(e.priorities) AS priorities, max(e.due) AS due,
          count(DISTINCT e.priority) AS heads
        FROM (
          SELECT m.queue, m.key, NULL AS id, m.capacity, m.served, m.noticed, m.priorities, m.due, NULL::int AS priority
          FROM key_capacities m
          UNION ALL
          SELECT k.queue, k.key, NULL, NULL, NULL, NULL, NULL, NULL, k.priority FROM keyed_runs k
          UNION ALL
          SELECT p.queue, p.key, p.id, NULL, NULL, NULL, NULL, NULL, NULL FROM locked_runs p WHERE p.key IS NOT NULL
        ) e
        GROUP BY 1, 2
      ) e
      WHERE e.ids IS NOT NULL OR e.noticed OR e.heads < e.due
      UNION ALL
      -- Noticed keys without waiting runs.
      SELECT n.queue, n.key, '{}', 0, '-infinity', 1, '{}' FROM key_checks n
      WHERE NOT (n.queue, n.key) IN (SELECT m.queue, m.key FROM key_capacities m)
    `
  )

/** `key_places`: the new places of the changed keys. They replace the old ones in `turns`. */
export const keyPlaces = (t: Words): ReadonlyArray<string> => [
  changedKeys(t),
  part(
    "key_places",
    sql`
      SELECT x.queue, x.key, s.priority, greatest(r.available_at, x.served) AS at, x.served, r.workflow, r.version
      FROM changed_keys x
      CROSS JOIN LATERAL (SELECT x.queue, x.key, p.priority FROM unnest(x.priorities) AS p(priority)) s
      CROSS JOIN LATERAL (
        SELECT r.available_at, r.workflow, r.version FROM ${t.runs} r
        WHERE ${isOfKey(t, "x")}
          AND r.priority = s.priority AND r.id <> ALL (x.ids)
        ORDER BY r.available_at, r.id LIMIT 1
      ) r
      WHERE x.capacity > 0 AND r.available_at < 'infinity'
    `
  ),
  change(
    "deleted_places",
    sql`
      DELETE FROM ${t.turns} u USING changed_keys x
      WHERE u.queue = x.queue AND u.key = x.key AND ${expectFew("x")}
        AND NOT (u.queue, u.key, u.priority) IN (SELECT n.queue, n.key, n.priority FROM key_places n)
    `
  ),
  change(
    "written_places",
    sql`
      INSERT INTO ${t.turns} AS u (at, served, priority, queue, key, workflow, version)
      SELECT n.at, n.served, n.priority, n.queue, n.key, n.workflow, n.version FROM key_places n
      ON CONFLICT (queue, key, priority) DO UPDATE
      SET at = excluded.at, served = excluded.served, workflow = excluded.workflow, version = excluded.version
    `
  )
]
