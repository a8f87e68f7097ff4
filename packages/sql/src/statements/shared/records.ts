/** Records of runs, as rows of a result. */
import * as Either from "effect/Either"
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Words } from "../../Verb.js"
import { sql } from "../sql.js"
import { bytesBefore, bytesOf, MAX_BYTES } from "./bounds.js"
import { millis } from "./expressions.js"
import { byIndex } from "./planner.js"

/**
 * The records of the rows of `runs` of a query, in order of its column `i`; at least one row, which has the time.
 * Index: `inputs_pkey`.
 */
export const selectRecords = (t: Words, runs: string): string =>
  sql`
    SELECT ${millis(t.now)} AS now, x.*
    FROM (SELECT 1) one_row
    LEFT JOIN (
      ${records(t, runs)}
    ) x ON true
    ORDER BY x.i
  `

/** As `selectRecords`, up to the bound of an answer. */
export const selectBoundedRecords = (t: Words, runs: string): string =>
  sql`
    SELECT ${millis(t.now)} AS now, x.*
    FROM (SELECT 1) one_row
    LEFT JOIN (
      SELECT y.*, ${bytesBefore(bytesOf("y.payload", "y.exit_value", "y.detail"), "y.i")} AS earlier
      FROM (
        ${records(t, runs)}
      ) y
    ) x ON x.earlier < ${MAX_BYTES}
    ORDER BY x.i
  `

const records = (t: Words, runs: string): string =>
  sql`
    SELECT r.id, r.workflow, r.version, r.status, r.queue, r.priority, n.payload, n.idempotency_key, n.parent_id,
      n.parent_token, n.attached, n.root, n.depth, r.key, to_json(n.tags)::text AS tags, n.attributes::text AS attributes,
      n.source, n.source_seq, ${millis("r.expires_at")} AS expires_at, coalesce(r.pause = 'asked', false) AS pausing,
      r.epoch, r.generation, r.next_seq, r.crashes, ${millis("n.created_at")} AS created_at,
      ${millis("r.started_at")} AS started_at, ${millis("r.finished_at")} AS finished_at,
      ${millis("r.available_at")} AS available_at, r.worker, r.exit_kind, r.exit_value, r.ended_by, r.end_reason,
      r.crashed_worker, r.detail, r.i
    FROM (
      ${runs}
    ) r
    ${byIndex(`SELECT n.* FROM ${t.inputs} n WHERE n.run = r.id`, "n")}
  `

/** Attributes come as JSON text, which all clients read alike. */
const attributes = (text: string | null): Driver.Attributes => {
  if (text === null) return {}
  const found = Row.fields(JSON.parse(text))
  return Object.fromEntries(Object.keys(found).map((name) => [name, Row.scalar(found, name)]))
}

/** The columns of `runs` that say what ended a run from outside. */
export const endCauseColumns = { by: "ended_by", reason: "end_reason", crashes: "crashes", worker: "crashed_worker" }

const record = (row: Row.Fields): Driver.RunRecord => {
  const parent = Row.textOrNull(row, "parent_id")
  const source = Row.textOrNull(row, "source")
  const status = Row.status(row, "status")
  return {
    id: Row.text(row, "id"),
    workflow: Row.text(row, "workflow"),
    version: Row.text(row, "version"),
    status,
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
    endCause: Row.endCauseOrNull(row, status, endCauseColumns),
    detail: Row.textOrNull(row, "detail")
  }
}

/** A run whose row cannot be read, and why. */
export interface UnreadableRecord {
  readonly id: string
  readonly detail: string
}

interface RecordPage extends Driver.Answer<ReadonlyArray<Driver.RunRecord>> {
  readonly unreadable: ReadonlyArray<UnreadableRecord>
}

/** The records that can be read, and the runs whose rows cannot. */
export const decodeReadable = (rows: ReadonlyArray<Row.Fields>): RecordPage => {
  const unreadable: Array<UnreadableRecord> = []
  const value = rows.filter((row) => row["id"] !== null).flatMap((row) => {
    const found = Row.attempt(() => record(row))
    if (Either.isRight(found)) return [found.right]
    unreadable.push({ id: Row.text(row, "id"), detail: found.left })
    return []
  })
  return { now: Row.instant(Row.first(rows), "now"), value, unreadable }
}

/** All records. A row that cannot be read is an error, which names its run. */
export const decodeRecords = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.RunRecord>> => {
  const { now, unreadable: [first], value } = decodeReadable(rows)
  return first === undefined ? { now, value } : Row.unreadableRun(first.id, first.detail)
}
