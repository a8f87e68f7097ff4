/**
 * Puts messages into inboxes and wakes their runs.
 *
 * Indexes: `runs_pkey` to lock and update the target runs, `inbox_id` to find duplicates.
 * Locks: the rows of the target runs, in order of id.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb, Words } from "../../Verb.js"
import {
  availableAfter,
  decodeLetters,
  delivery,
  letter,
  letterJoins,
  pauseAfter,
  statusAfter,
  targetColumns
} from "../shared/delivery.js"
import { millis } from "../shared/expressions.js"
import { decodeHints } from "../shared/hints.js"
import { contentFields, encodeContent } from "../shared/messages.js"
import { notifyInbox, notifyReady } from "../shared/notifications.js"
import { expectFew, few } from "../shared/planner.js"
import { change, part, sql, unionAll, withParts } from "../sql.js"

const sender = { origin: "$2::text", localWorkers: "$3::json" }

const readyQueues = "SELECT DISTINCT a.queue FROM inbox_arrivals a WHERE a.wakes"
const heldRuns = "SELECT a.worker, a.run FROM inbox_arrivals a WHERE a.worker IS NOT NULL"

const parts = (t: Words): ReadonlyArray<string> => [
  part(
    "outgoing_messages",
    sql`
      SELECT 0 AS c, m.*
      FROM json_to_recordset($1::json) AS m(
        k int, run text, kind text, name text, id text,
        ${contentFields}
      )
    `
  ),
  part(
    "locked_runs",
    sql`
      SELECT r.*
      FROM (SELECT DISTINCT m.run COLLATE "C" AS id FROM outgoing_messages m ORDER BY 1) target
      CROSS JOIN LATERAL (
        SELECT ${targetColumns("r")}
        FROM ${t.runs} r WHERE r.id = target.id FOR UPDATE
      ) r
    `
  ),
  ...delivery(t, "SELECT * FROM locked_runs"),
  part("run_changes", `SELECT a.*, ${few} FROM inbox_arrivals a`),
  change(
    "updated_runs",
    sql`
      UPDATE ${t.runs} r
      SET inbox_seq = a.ordinal,
        unread = r.unread + a.count,
        available_at = ${availableAfter(t, "r.available_at", "a")},
        status = ${statusAfter("r.status", "r.pause", "a")},
        pause = ${pauseAfter("r.pause", "a")}
      FROM run_changes a
      WHERE r.id = a.run AND ${expectFew("a")}
    `
  ),
  part("notifications", unionAll([notifyReady(t, sender, readyQueues), notifyInbox(t, sender, heldRuns)]))
]

/** $1 messages, $2 origin, $3 local workers */
export const deliver: Verb = {
  name: "deliver",
  parameters: 3,
  text: (t) =>
    withParts(
      parts(t),
      sql`
        SELECT ${millis(t.now)} AS now,
          (
            SELECT string_agg(
              ${letter}, '' ORDER BY m.k
            )
            FROM outgoing_messages m
            ${letterJoins(t, "locked_runs")}
          ) AS letters,
          (SELECT json_agg(DISTINCT a.queue)::text FROM inbox_arrivals a WHERE a.wakes) AS ready,
          (
            SELECT json_agg(json_build_array(a.worker, a.run))::text FROM inbox_arrivals a WHERE a.worker IS NOT NULL
          ) AS held,
          (SELECT count(*)::int FROM notifications) AS notified
      `
    )
}

export const encode = (messages: ReadonlyArray<Driver.NewMessage>): string =>
  JSON.stringify(
    messages.map((message, k) => {
      const { id, kind, name, to } = message
      return { k, run: to, kind, name, id, ...encodeContent(message) }
    })
  )

export const decode = (rows: ReadonlyArray<Row.Fields>) => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: decodeLetters(Row.textOrNull(row, "letters") ?? ""),
    hints: decodeHints(row)
  }
}
