/**
 * Insert runs.
 *
 * Indexes: `inputs_pkey` and `inputs_key` decide what is new; rows that are not new are looked up by the same two.
 * Locks: only new index entries, taken in order of (workflow, key, id), so that two bulk starts of the same runs in
 * opposite orders wait for each other instead of deadlocking.
 *
 * A row that conflicts with one committed after this statement's snapshot cannot be read by it: its answer is null, and
 * the caller asks again for those.
 */
import type * as Driver from "perdure/JournalDriver"
import { encodeInstant } from "../internal/json.js"
import * as Row from "../internal/Row.js"
import type { Verb, Words } from "../Verb.js"
import { arrived } from "./keyed.js"
import { readyNotices } from "./notices.js"
import { instant, millis } from "./words.js"

/** The columns of `asked`, which commits use for children too. */
export const newRunColumns = `i int, id text, workflow text, version text, queue text, priority int, payload text,
      idem text, available float8, parent text, token text, attached boolean, root text, depth int, key text,
      expires float8, tags text[], attributes jsonb`

/** The order in which new rows must be inserted. */
export const insertOrder = (a: string): string =>
  `${a}.workflow COLLATE "C", ${a}.idem COLLATE "C" NULLS FIRST, ${a}.id COLLATE "C"`

export const encodeNewRun = (i: number, run: Driver.NewRun) => ({
  i,
  id: run.id,
  workflow: run.workflow,
  version: run.version,
  queue: run.queue,
  priority: run.priority,
  payload: run.payload,
  idem: run.idempotencyKey,
  available: run.availableAt === null ? null : encodeInstant(Math.ceil(run.availableAt)),
  parent: run.parent?.id,
  token: run.parent?.token,
  attached: run.parent?.attached,
  root: run.root,
  depth: run.depth,
  // What most runs lack is left out of the text.
  ...(run.key === null ? {} : { key: run.key }),
  ...(run.expiresAt === null ? {} : { expires: encodeInstant(Math.ceil(run.expiresAt)) }),
  ...(run.tags.length === 0 ? {} : { tags: run.tags }),
  ...(Object.keys(run.attributes).length === 0 ? {} : { attributes: run.attributes })
})

/** Insert what is new of `source` (columns as above) into `inputs`. */
export const insertInputs = (t: Words, source: string): string =>
  `INSERT INTO ${t.inputs} (created_at, depth, attached, run, workflow, idempotency_key, parent_id, parent_token, root,
      payload, tags, attributes)
    SELECT ${t.now}, a.depth, a.attached, a.id, a.workflow, a.idem, a.parent, a.token, a.root, a.payload, a.tags,
      a.attributes
    FROM ${source} a
    ORDER BY ${insertOrder("a")}
    ON CONFLICT DO NOTHING
    RETURNING run`

/** What the runs of a request need of the statement. */
export interface Variant {
  /** The first of them are to be claimed at once. */
  readonly claiming: boolean
  /** Some have keys. */
  readonly keyed: boolean
}

const text = ({ claiming, keyed }: Variant) => (t: Words): string =>
  `WITH asked AS MATERIALIZED (
    SELECT a.*, coalesce(${instant("a.available")}, ${t.now}) AS at
    FROM json_to_recordset($1::json) AS a(${newRunColumns})
  )${
    claiming
      ? `, chosen AS MATERIALIZED (
    SELECT a.i
    FROM asked a
    LEFT JOIN LATERAL (SELECT true AS there FROM ${t.inputs} n WHERE n.run = a.id OFFSET 0) by_id ON true
    LEFT JOIN LATERAL (
      SELECT true AS there FROM ${t.inputs} n
      WHERE n.workflow = a.workflow AND n.idempotency_key = a.idem OFFSET 0
    ) by_key ON true
    WHERE a.at <= ${t.now} AND by_id.there IS NULL AND by_key.there IS NULL AND a.key IS NULL
      AND coalesce(a.expires > ${millis(t.now)}, true)
      -- Runs of queues with limits, and of what is paused, are for claims only.
      AND NOT EXISTS (
        SELECT FROM ${t.queues} k
        WHERE k.name = a.queue
          AND (k.paused OR k.concurrency IS NOT NULL OR k.admission IS NOT NULL OR k.rate_limit IS NOT NULL)
      )
      AND NOT EXISTS (SELECT FROM ${t.held} h WHERE h.workflow = a.workflow)
    ORDER BY a.i
    LIMIT $6::int
  )`
      : ""
  }, inserted AS (
    ${insertInputs(t, "asked")}
  ), started AS (
    INSERT INTO ${t.runs} (available_at, claimed_at, started_at, expires_at, priority, epoch, inbox_seq, unread, fresh, id,
      status, queue, workflow, version, worker, incarnation, key)
    SELECT a.at, ${
    claiming
      ? `CASE WHEN c.i IS NOT NULL THEN ${t.now} END, CASE WHEN c.i IS NOT NULL THEN ${t.now} END`
      : "NULL, NULL"
  }, ${instant("a.expires")}, a.priority, ${claiming ? "CASE WHEN c.i IS NULL THEN 0 ELSE 1 END" : "0"}, 0, 0, ${
    claiming ? "c.i IS NULL" : "true"
  }, a.id, ${
    claiming ? "CASE WHEN c.i IS NULL THEN 'pending' ELSE 'running' END" : "'pending'"
  }, a.queue, a.workflow, a.version, ${
    claiming ? "CASE WHEN c.i IS NOT NULL THEN $4::text END, CASE WHEN c.i IS NOT NULL THEN $5::text END" : "NULL, NULL"
  }, a.key
    FROM asked a
    JOIN inserted n ON n.run = a.id${claiming ? "\n    LEFT JOIN chosen c ON c.i = a.i" : ""}
  )${
    keyed
      ? `, ${
        arrived(t, "SELECT a.queue, a.key FROM asked a JOIN inserted n ON n.run = a.id WHERE a.key IS NOT NULL").join(
          ", "
        )
      }`
      : ""
  }, notified AS MATERIALIZED (
    ${
    readyNotices(t, {
      queues: `SELECT DISTINCT a.queue FROM asked a JOIN inserted n ON n.run = a.id${
        claiming ? " LEFT JOIN chosen c ON c.i = a.i WHERE c.i IS NULL" : ""
      }`,
      origin: "$2::text",
      local: "$3::json"
    })
  }
  )
  SELECT ${millis(t.now)} AS now, (
    SELECT json_agg(
      CASE
        WHEN n.run IS NOT NULL THEN ${
    claiming ? "CASE WHEN c.i IS NULL THEN to_json(0) ELSE to_json(1) END" : "to_json(0)"
  }
        WHEN s.id IS NOT NULL THEN json_build_array(s.id, e.payload, s.status)
      END
      ORDER BY a.i
    )::text
    FROM asked a
    LEFT JOIN inserted n ON n.run = a.id${claiming ? "\n    LEFT JOIN chosen c ON c.i = a.i" : ""}
    LEFT JOIN LATERAL (
      SELECT e.run FROM ${t.inputs} e WHERE n.run IS NULL AND e.run = a.id OFFSET 0
    ) by_id ON true
    LEFT JOIN LATERAL (
      SELECT e.run FROM ${t.inputs} e
      WHERE n.run IS NULL AND by_id.run IS NULL AND e.workflow = a.workflow AND e.idempotency_key = a.idem OFFSET 0
    ) by_key ON true
    LEFT JOIN LATERAL (
      SELECT e.payload FROM ${t.inputs} e WHERE n.run IS NULL AND e.run = coalesce(by_id.run, by_key.run) OFFSET 0
    ) e ON true
    LEFT JOIN LATERAL (
      SELECT r.id, r.status FROM ${t.runs} r WHERE n.run IS NULL AND r.id = coalesce(by_id.run, by_key.run) OFFSET 0
    ) s ON true
  ) AS answers, (SELECT count(*)::int FROM notified) AS notified`

/** $1 runs, $2 origin of notices, $3 ids of this process's workers; if it claims: $4 worker, $5 incarnation, $6 slots */
export const enqueue = (variant: Variant): Verb => ({
  name: `enqueue${variant.claiming ? "_claiming" : ""}${variant.keyed ? "_keyed" : ""}`,
  parameters: variant.claiming ? 6 : 3,
  text: text(variant)
})

/**
 * The indexes of runs in rounds, so that no round has an id, a key or a singleton twice and what repeats another comes after it.
 * Almost always there is one round.
 */
export const rounds = (runs: ReadonlyArray<Driver.NewRun>): ReadonlyArray<ReadonlyArray<number>> => {
  const result: Array<Array<number>> = [[]]
  const next = new Map<string, number>()
  runs.forEach(({ id, idempotencyKey, singleton, workflow }, index) => {
    const names = [
      id,
      ...(idempotencyKey === null ? [] : [JSON.stringify([workflow, idempotencyKey])]),
      ...(singleton === null ? [] : [JSON.stringify([workflow, singleton.key, "singleton"])])
    ]
    const round = Math.max(...names.map((name) => next.get(name) ?? 0))
    for (const name of names) next.set(name, round + 1)
    const found = result[round]
    if (found === undefined) result.push([index])
    else found.push(index)
  })
  return result
}

/** What became of each run, in order; null for those to be asked again. */
export const decode = (
  rows: ReadonlyArray<Row.Fields>,
  runs: ReadonlyArray<Driver.NewRun>
): Driver.Answer<ReadonlyArray<Driver.EnqueueResult | null>> => {
  const row = Row.first(rows)
  const answers = Row.json(row, "answers")
  return {
    now: Row.instant(row, "now"),
    value: runs.map(({ id }, index): Driver.EnqueueResult | null => {
      const answer = answers[index]
      if (answer === null || answer === undefined) return null
      if (answer === 0 || answer === 1) return { _tag: "Started", id, epoch: answer === 1 ? 1 : null }
      const existing = Row.fields(answer)
      return {
        _tag: "Existing",
        id: Row.text(existing, 0),
        payload: Row.text(existing, 1),
        status: Row.status(existing, 2)
      }
    })
  }
}
