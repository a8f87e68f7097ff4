/**
 * Starts of which one is live for a key. `enqueue` sends these in one transaction with the insert: `hold` first, which
 * locks the keys until its end; then `settle` for keys that another run has, which sees what those who held the keys before
 * have committed; then the insert; and `unhold` for keys that were taken in vain.
 *
 * Indexes: `singletons_pkey`; `runs_pkey`, `inputs_pkey` and `inputs_key`, `inbox_pkey`.
 * Locks: rows of `singletons` in order of (workflow, key); after them rows of pending runs that are to be replaced, in order
 * of id. Nobody who has locked a run that is not final waits for a row of `singletons`.
 */
import type * as Driver from "perdure/JournalDriver"
import { encodeInstant } from "../internal/json.js"
import * as Row from "../internal/Row.js"
import type { Verb } from "../Verb.js"
import { finals, instant, millis } from "./words.js"
import { notice } from "./keyed.js"

/** $1 workflows, keys and runs */
export const hold: Verb = {
  name: "singleton_hold",
  parameters: 1,
  text: (t) =>
    `WITH held AS (
    INSERT INTO ${t.singletons} AS s (workflow, key, run)
    SELECT a.workflow, a.key, a.run
    FROM json_to_recordset($1::json) AS a(workflow text, key text, run text)
    ORDER BY a.workflow COLLATE "C", a.key COLLATE "C"
    -- Changes nothing, and locks the row.
    ON CONFLICT (workflow, key) DO UPDATE SET run = s.run
    RETURNING s.workflow, s.key, s.run
  )
  SELECT ${millis(t.now)} AS now, (
    SELECT json_agg(json_build_array(h.workflow, h.key, h.run))::text FROM held h
  ) AS held`
}

/** A run that nobody has claimed yet, and that may be paused meanwhile. */
const unbegun = "(r.status = 'pending' OR r.status = 'paused' AND r.pause = 'pending') AND r.fresh"

/** $1 starts and the runs that have their keys */
export const settle: Verb = {
  name: "singleton_settle",
  parameters: 1,
  text: (t) =>
    `WITH seen AS MATERIALIZED (
    SELECT a.*, r.status, r.inbox_seq, n.created_at, 1 AS touched,
      ${unbegun} AND r.queue = a.queue AND r.version = a.version
        AND r.key IS NOT DISTINCT FROM a.key COLLATE "C" AND a.quiet IS NOT NULL AND cancel.there IS NULL AS may,
      by_id.there IS NOT NULL OR by_key.there IS NOT NULL AS known
    FROM json_to_recordset($1::json) AS a(i int, workflow text, singleton text, run text, holder text, idem text,
      queue text, version text, key text, priority int, payload text, tags text[], attributes jsonb, available float8,
      quiet float8, most float8)
    -- Without OFFSET these would be joins, which are planned badly while the tables are small.
    LEFT JOIN LATERAL (SELECT * FROM ${t.runs} r WHERE r.id = a.holder OFFSET 0) r ON true
    LEFT JOIN LATERAL (SELECT n.created_at FROM ${t.inputs} n WHERE n.run = a.holder OFFSET 0) n ON true
    LEFT JOIN LATERAL (
      SELECT true AS there FROM (SELECT m.kind FROM ${t.inbox} m WHERE m.run = a.holder OFFSET 0) m
      WHERE m.kind = 'cancel' LIMIT 1
    ) cancel ON true
    LEFT JOIN LATERAL (SELECT true AS there FROM ${t.inputs} e WHERE e.run = a.run OFFSET 0) by_id ON true
    LEFT JOIN LATERAL (
      SELECT true AS there FROM ${t.inputs} e WHERE e.workflow = a.workflow AND e.idempotency_key = a.idem OFFSET 0
    ) by_key ON true
  ), moved AS (
    UPDATE ${t.runs} r
    SET available_at = greatest(
        ${instant("s.available")},
        least(
          ${t.now} + s.quiet * interval '1 millisecond',
          s.created_at + s.most * interval '1 millisecond'
        )
      ),
      priority = s.priority,
      -- Below the first entry that it will have: whoever claims it looks for its payload again.
      first_seq = -1
    FROM (SELECT * FROM seen WHERE may AND NOT known ORDER BY holder COLLATE "C") s
    -- The second condition is always true. It makes the planner expect few rows and use the index.
    WHERE r.id = s.holder AND s.touched = 1 AND ${unbegun} AND r.inbox_seq = s.inbox_seq
    RETURNING s.i, s.touched, r.id, r.queue, r.key, s.payload, s.tags, s.attributes
  ), ${notice(t, "noticed", "SELECT m.queue, m.key FROM moved m WHERE m.key IS NOT NULL", false)}, replaced AS (
    UPDATE ${t.inputs} n SET payload = m.payload, tags = m.tags, attributes = m.attributes
    FROM moved m WHERE n.run = m.id AND m.touched = 1
  ), verdict AS MATERIALIZED (
    SELECT s.i, s.touched, s.workflow, s.singleton, s.run, CASE
        WHEN s.known THEN 'known'
        WHEN m.i IS NOT NULL THEN 'joined'
        WHEN s.status IS NULL OR s.status IN ${finals} THEN 'free'
        WHEN s.quiet IS NULL THEN 'joined'
        WHEN s.may THEN 'again'
        ELSE 'free'
      END AS verdict
    FROM seen s
    LEFT JOIN moved m ON m.i = s.i
  ), freed AS (
    UPDATE ${t.singletons} g SET run = v.run
    FROM verdict v WHERE v.verdict = 'free' AND v.touched = 1 AND g.workflow = v.workflow AND g.key = v.singleton
  )
  SELECT ${millis(t.now)} AS now, (
    SELECT json_agg(json_build_array(v.i, v.verdict))::text FROM verdict v
  ) AS verdicts`
}

/** $1 workflows, keys and runs: of those that did not start */
export const unhold: Verb = {
  name: "singleton_unhold",
  parameters: 1,
  text: (t) =>
    `WITH asked AS MATERIALIZED (
    SELECT a.*, 1 AS touched FROM json_to_recordset($1::json) AS a(workflow text, key text, run text)
  ), dropped AS (
    DELETE FROM ${t.singletons} s
    USING asked a
    -- The first condition is always true. It makes the planner expect few rows and use the index.
    WHERE a.touched = 1 AND s.workflow = a.workflow AND s.key = a.key AND s.run = a.run
  )
  SELECT ${millis(t.now)} AS now`
}

export type Verdict = "known" | "joined" | "free" | "again"

const verdicts = new Set<Verdict>(["known", "joined", "free", "again"])

/** A start for a key. */
export interface Single {
  readonly run: Driver.NewRun
  readonly singleton: Driver.Singleton
}

export const encodeKeys = (all: ReadonlyArray<Single>): string =>
  JSON.stringify(all.map(({ run, singleton }) => ({ workflow: run.workflow, key: singleton.key, run: run.id })))

export const encodeHeld = (all: ReadonlyArray<Single & { readonly holder: string }>): string =>
  JSON.stringify(all.map(({ holder, run, singleton }, i) => ({
    i,
    workflow: run.workflow,
    singleton: singleton.key,
    run: run.id,
    holder,
    idem: run.idempotencyKey,
    queue: run.queue,
    version: run.version,
    key: run.key,
    priority: run.priority,
    payload: run.payload,
    tags: run.tags.length === 0 ? null : run.tags,
    attributes: Object.keys(run.attributes).length === 0 ? null : run.attributes,
    available: run.availableAt === null ? null : encodeInstant(Math.ceil(run.availableAt)),
    quiet: singleton.debounce?.quietMillis ?? null,
    most: singleton.debounce?.maxWaitMillis ?? null
  })))

/** The run that has each key. */
export const decodeHeld = (
  rows: ReadonlyArray<Row.Fields>
): { readonly now: Driver.Millis; readonly holders: ReadonlyMap<string, string> } => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    holders: new Map(
      Row.list(row, "held").map((each) => [keyOf(Row.text(each, 0), Row.text(each, 1)), Row.text(each, 2)])
    )
  }
}

export const decodeVerdicts = (rows: ReadonlyArray<Row.Fields>): ReadonlyMap<number, Verdict> =>
  new Map(
    Row.list(Row.first(rows), "verdicts").map((each) => [Row.integer(each, 0), Row.oneOf(each, 1, verdicts)])
  )

export const keyOf = (workflow: string, key: string): string => JSON.stringify([workflow, key])
