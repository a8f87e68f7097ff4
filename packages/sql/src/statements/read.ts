/**
 * Reading: runs, journals, inboxes, published values. `await` also marks the runs, so that their end is told.
 *
 * Indexes: `runs_pkey`, `inputs_pkey`, `inputs_key`, `journal_pkey`, `inbox_pkey`, `published_pkey`.
 * Locks: none, but for `await` the rows that it marks, in order of id.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../internal/Row.js"
import type { Verb, Words } from "../Verb.js"
import { entry } from "./brought.js"
import { finals, millis } from "./words.js"

/** A record of run row `r` and input row `n`. */
const columns = `r.id, r.workflow, r.version, r.status, r.queue, r.priority, n.payload, n.idempotency_key, n.parent_id,
    n.parent_token, n.attached, n.root, n.depth, r.key, to_json(n.tags)::text AS tags, n.attributes::text AS attributes, n.source, n.source_seq,
    ${
  millis("r.expires_at")
} AS expires_at, coalesce(r.pause = 'asked', false) AS pausing, r.epoch, r.generation, r.next_seq, r.crashes,
    ${millis("n.created_at")} AS created_at, ${millis("r.started_at")} AS started_at,
    ${millis("r.finished_at")} AS finished_at, ${millis("r.available_at")} AS available_at, r.worker, r.exit_kind,
    r.exit_value, r.detail`

export const records = (t: Words, rows: string): string =>
  `SELECT ${millis(t.now)} AS now, x.*
  FROM (SELECT 1) one
  LEFT JOIN (
    SELECT ${columns}, r.i
    FROM (${rows}) r
    CROSS JOIN LATERAL (SELECT n.* FROM ${t.inputs} n WHERE n.run = r.id OFFSET 0) n
  ) x ON true
  ORDER BY x.i`

const asked = `json_array_elements_text($1::json) WITH ORDINALITY AS q(id, i)`

/** $1 ids */
export const get: Verb = {
  name: "get",
  parameters: 1,
  text: (t) =>
    records(
      t,
      `SELECT r.*, q.i FROM ${asked} CROSS JOIN LATERAL (SELECT r.* FROM ${t.runs} r WHERE r.id = q.id OFFSET 0) r`
    )
}

/**
 * $1 ids. Rows that it marks are read after they are locked, so a run that ends meanwhile is either shown as ended, or
 * its end is told.
 */
export const await_: Verb = {
  name: "await",
  parameters: 1,
  text: (t) =>
    `WITH found AS MATERIALIZED (
    SELECT r.*, q.i, NOT r.awaited AND r.status NOT IN ${finals} AS unmarked
    FROM ${asked}
    CROSS JOIN LATERAL (SELECT r.* FROM ${t.runs} r WHERE r.id = q.id OFFSET 0) r
  ), locked AS MATERIALIZED (
    SELECT r.*, f.i, true AS unmarked
    FROM (SELECT f.id, f.i FROM found f WHERE f.unmarked ORDER BY f.id) f
    CROSS JOIN LATERAL (SELECT r.* FROM ${t.runs} r WHERE r.id = f.id FOR UPDATE) r
  ), touched AS MATERIALIZED (
    SELECT l.id, 1 AS touched FROM locked l
  ), marked AS (
    UPDATE ${t.runs} r SET awaited = true
    FROM touched x
    -- Always true; makes the planner expect few rows and use the index, whatever the statistics are.
    WHERE r.id = x.id AND x.touched = 1
  )
  ${records(t, "SELECT * FROM locked UNION ALL SELECT * FROM found WHERE NOT unmarked")}`
}

/** As JSON text, which the connection cannot read in more than one way. */
const attributes = (text: string | null): Driver.Attributes => {
  if (text === null) return {}
  const found = Row.fields(JSON.parse(text))
  return Object.fromEntries(Object.keys(found).map((name) => [name, Row.scalar(found, name)]))
}

const record = (row: Row.Fields): Driver.RunRecord => {
  const parent = Row.textOrNull(row, "parent_id")
  const source = Row.textOrNull(row, "source")
  return {
    id: Row.text(row, "id"),
    workflow: Row.text(row, "workflow"),
    version: Row.text(row, "version"),
    status: Row.status(row, "status"),
    queue: Row.text(row, "queue"),
    priority: Row.integer(row, "priority"),
    payload: Row.text(row, "payload"),
    idempotencyKey: Row.textOrNull(row, "idempotency_key"),
    parent: parent === null
      ? null
      : { id: parent, token: Row.text(row, "parent_token"), attached: Row.flag(row, "attached") },
    root: Row.text(row, "root"),
    depth: Row.integer(row, "depth"),
    key: Row.textOrNull(row, "key"),
    expiresAt: Row.instantOrNull(row, "expires_at"),
    tags: Row.texts(row, "tags"),
    attributes: attributes(Row.textOrNull(row, "attributes")),
    source: source === null ? null : { run: source, seq: Row.integer(row, "source_seq") },
    pausing: Row.flag(row, "pausing"),
    epoch: Row.integer(row, "epoch"),
    generation: Row.integer(row, "generation"),
    nextSeq: Row.integer(row, "next_seq"),
    crashes: Row.integer(row, "crashes"),
    createdAt: Row.instant(row, "created_at"),
    startedAt: Row.instantOrNull(row, "started_at"),
    finishedAt: Row.instantOrNull(row, "finished_at"),
    availableAt: Row.instant(row, "available_at"),
    worker: Row.textOrNull(row, "worker"),
    exit: Row.exitOrNull(row, "exit_kind", "exit_value"),
    detail: Row.textOrNull(row, "detail")
  }
}

export const decodeRecords = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.RunRecord>> => ({
  now: Row.instant(Row.first(rows), "now"),
  value: rows.filter((row) => row["id"] !== null).map(record)
})

/** $1 run, $2 from, $3 limit */
export const history: Verb = {
  name: "history",
  parameters: 3,
  text: (t) =>
    `SELECT ${millis(t.now)} AS now, (
    SELECT json_agg(json_build_array(
      j.seq, j.op, j.kind, j.name, j.exit_kind, j.exit_value, ${millis("j.at")}, j.worker, j.epoch
    ) ORDER BY j.seq)::text
    FROM (SELECT r.first_seq FROM ${t.runs} r WHERE r.id = $1::text) r
    CROSS JOIN LATERAL (
      SELECT j.* FROM ${t.journal} j
      WHERE j.run = $1::text AND j.seq >= greatest($2::int, r.first_seq)
      ORDER BY j.seq LIMIT $3::int
    ) j
  ) AS entries`
}

export const decodeHistory = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.HistoryEntry>> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Row.list(row, "entries").map((each) => ({
      ...entry(each),
      worker: Row.text(each, 7),
      epoch: Row.integer(each, 8)
    }))
  }
}

/** $1 run */
export const published: Verb = {
  name: "published",
  parameters: 1,
  text: (t) =>
    `SELECT ${millis(t.now)} AS now, (
    SELECT json_agg(json_build_array(p.key, p.value, p.version, ${millis("p.at")}) ORDER BY p.key)::text
    FROM ${t.published} p WHERE p.run = $1::text
  ) AS published`
}

export const decodePublished = (rows: ReadonlyArray<Row.Fields>) => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Row.list(row, "published").map((each) => ({
      key: Row.text(each, 0),
      value: Row.text(each, 1),
      version: Row.integer(each, 2),
      at: Row.instant(each, 3)
    }))
  }
}
