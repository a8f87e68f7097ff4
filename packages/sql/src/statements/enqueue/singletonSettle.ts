/**
 * Decides the starts whose singleton keys other runs have: join that run, replace the input of a debounced one, or take
 * the key over. The second statement of such a start; it sees what the transactions before have committed.
 *
 * Indexes: `runs_pkey`, `inputs_pkey`, `inputs_key`, `inbox_pkey`; `singletons_pkey` for keys that are taken over.
 * Locks: rows of the debounced runs that it changes, in order of id. The rows of `singletons` are locked already.
 */
import { encodeInstant } from "../../internal/json.js"
import * as Row from "../../internal/Row.js"
import type { Verb, Words } from "../../Verb.js"
import { finals, instant, millis } from "../shared/expressions.js"
import { keyNotices } from "../shared/keyNotices.js"
import { byIndexIfAny, expectFew, few } from "../shared/planner.js"
import { change, part, sql, withParts } from "../sql.js"
import type { SingletonStart } from "./singletons.js"

/** A start, and the run that has its key. */
export interface Contender extends SingletonStart {
  readonly holder: string
}

/**
 * - `existing`: the start repeats one with its id or idempotency key;
 * - `joined`: the holder does what the start asks for;
 * - `free`: the holder is final, or cannot be replaced: the start takes the key over;
 * - `again`: the holder changed while the statement executed.
 */
export type Verdict = "existing" | "joined" | "free" | "again"

const verdictNames = new Set<Verdict>(["existing", "joined", "free", "again"])

/** No worker has claimed run `r`. It may be paused. */
const isUnclaimed = "(r.status = 'pending' OR r.status = 'paused' AND r.pause = 'pending') AND r.fresh"

/** `start_situations`: each start with its holder; `replaceable`: the start may replace the holder's input. */
const startSituations = (t: Words): string => {
  const byKey = `SELECT true AS found FROM ${t.inputs} e WHERE e.workflow = a.workflow AND e.idempotency_key = a.idem`
  return part(
    "start_situations",
    sql`
      SELECT a.*, r.status, r.inbox_seq, n.created_at, ${few},
        ${isUnclaimed} AND r.queue = a.queue AND r.version = a.version
          AND r.key IS NOT DISTINCT FROM a.key COLLATE "C" AND a.quiet IS NOT NULL AND cancel.found IS NULL AS replaceable,
        by_id.found IS NOT NULL OR by_key.found IS NOT NULL AS repeated
      FROM json_to_recordset($1::json) AS a(i int, workflow text, singleton text, run text, holder text, idem text,
        queue text, version text, key text, priority int, payload text, tags text[], attributes jsonb, available float8,
        quiet float8, max_wait float8)
      ${byIndexIfAny(`SELECT * FROM ${t.runs} r WHERE r.id = a.holder`, "r")}
      ${byIndexIfAny(`SELECT n.created_at FROM ${t.inputs} n WHERE n.run = a.holder`, "n")}
      LEFT JOIN LATERAL (
        SELECT true AS found FROM (SELECT m.kind FROM ${t.inbox} m WHERE m.run = a.holder OFFSET 0) m
        WHERE m.kind = 'cancel' LIMIT 1
      ) cancel ON true
      ${byIndexIfAny(`SELECT true AS found FROM ${t.inputs} e WHERE e.run = a.run`, "by_id")}
      ${byIndexIfAny(byKey, "by_key")}
    `
  )
}

/** `replaced_runs`: debounced runs with the input of their latest start. */
const replacedRuns = (t: Words): string =>
  change(
    "replaced_runs",
    sql`
      UPDATE ${t.runs} r
      SET available_at = greatest(
          ${instant("s.available")},
          least(
            ${t.now} + s.quiet * interval '1 millisecond',
            s.created_at + s.max_wait * interval '1 millisecond'
          )
        ),
        priority = s.priority,
        -- Below the run's first entry: a claim reads the payload again.
        first_seq = -1
      FROM (SELECT * FROM start_situations WHERE replaceable AND NOT repeated ORDER BY holder COLLATE "C") s
      WHERE r.id = s.holder AND ${expectFew("s")} AND ${isUnclaimed} AND r.inbox_seq = s.inbox_seq
      RETURNING s.i, s.few, r.id, r.queue, r.key, s.payload, s.tags, s.attributes
    `
  )

const verdicts = part(
  "verdicts",
  sql`
    SELECT s.i, s.few, s.workflow, s.singleton, s.run, CASE
        WHEN s.repeated THEN 'existing'
        WHEN m.i IS NOT NULL THEN 'joined'
        WHEN s.status IS NULL OR s.status IN ${finals} THEN 'free'
        WHEN s.quiet IS NULL THEN 'joined'
        WHEN s.replaceable THEN 'again'
        ELSE 'free'
      END AS verdict
    FROM start_situations s
    LEFT JOIN replaced_runs m ON m.i = s.i
  `
)

/** $1 starts and the runs that have their keys */
export const singletonSettle: Verb = {
  name: "singleton_settle",
  parameters: 1,
  text: (t) =>
    withParts(
      [
        startSituations(t),
        replacedRuns(t),
        keyNotices(
          t,
          "replaced_key_notices",
          "SELECT m.queue, m.key FROM replaced_runs m WHERE m.key IS NOT NULL",
          false
        ),
        change(
          "updated_inputs",
          sql`
            UPDATE ${t.inputs} n SET payload = m.payload, tags = m.tags, attributes = m.attributes
            FROM replaced_runs m WHERE n.run = m.id AND ${expectFew("m")}
          `
        ),
        verdicts,
        change(
          "updated_singletons",
          sql`
            UPDATE ${t.singletons} g SET run = v.run
            FROM verdicts v
            WHERE v.verdict = 'free' AND ${expectFew("v")} AND g.workflow = v.workflow AND g.key = v.singleton
          `
        )
      ],
      sql`
        SELECT ${millis(t.now)} AS now,
          (SELECT json_agg(json_build_array(v.i, v.verdict))::text FROM verdicts v) AS verdicts
      `
    )
}

export const encode = (all: ReadonlyArray<Contender>): string =>
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
    max_wait: singleton.debounce?.maxWaitMillis ?? null
  })))

/** The verdict on each start, by its position. */
export const decode = (rows: ReadonlyArray<Row.Fields>): ReadonlyMap<number, Verdict> =>
  new Map(
    Row.list(Row.first(rows), "verdicts").map((each) => [Row.integer(each, 0), Row.oneOf(each, 1, verdictNames)])
  )
