/**
 * Reads the unread messages of held runs, up to the bound of an answer, and the inbox sequence up to which they are
 * complete.
 *
 * Indexes: `runs_pkey`, `inbox_unread`. Locks: none. One snapshot, so `seen` fits the messages.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb, Words } from "../../Verb.js"
import { bytesBefore, MAX_BYTES, MAX_ITEMS } from "../shared/bounds.js"
import { millis } from "../shared/expressions.js"
import { decodeMessage, messageBytes, messagesOf, unreadMessages } from "../shared/messages.js"
import { byIndex } from "../shared/planner.js"
import { part, sql, withParts } from "../sql.js"

/** The unread messages of all requests, with the bytes of those before each. */
const unread = (t: Words): string =>
  part(
    "unread_messages",
    sql`
      SELECT m.*, ${bytesBefore("m.bytes", "m.i, m.ordinal")} < ${MAX_BYTES} AS fits
      FROM (
        SELECT q.i, m.*, ${messageBytes("m")} AS bytes
        FROM requests q
        ${byIndex(unreadMessages(t, "q.run", "q.after"), "m")}
      ) m
    `
  )

/** $1 requests: run, after */
export const inbox: Verb = {
  name: "inbox",
  parameters: 1,
  text: (t) =>
    withParts(
      [
        part("requests", "SELECT * FROM json_to_recordset($1::json) AS q(i int, run text, after int)"),
        unread(t),
        part(
          "inboxes",
          sql`
            SELECT m.i, count(*) AS count, max(m.ordinal) FILTER (WHERE m.fits) AS last, bool_and(m.fits) AS complete,
              ${messagesOf("m.fits")} AS messages
            FROM unread_messages m GROUP BY m.i
          `
        )
      ],
      sql`
        SELECT ${millis(t.now)} AS now, x.*
        FROM (SELECT 1) one_row
        LEFT JOIN (
          SELECT q.i, r.id, coalesce(r.pause = 'asked', false) AS pausing, u.messages,
            CASE WHEN u.complete AND u.count < ${MAX_ITEMS} OR u.i IS NULL THEN r.inbox_seq
              ELSE coalesce(u.last, q.after) END AS seen
          FROM requests q
          LEFT JOIN inboxes u ON u.i = q.i
          ${byIndex(`SELECT r.id, r.inbox_seq, r.pause FROM ${t.runs} r WHERE r.id = q.run`, "r")}
        ) x ON true
        ORDER BY x.i
      `
    )
}

export const encode = (requests: ReadonlyArray<{ readonly run: string; readonly after: number }>): string =>
  JSON.stringify(requests.map(({ after, run }, i) => ({ i, run, after })))

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.Inbox>> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: rows.filter((each) => each["id"] !== null).map((each) => {
      const run = Row.text(each, "id")
      return {
        run,
        seen: Row.integer(each, "seen"),
        pausing: Row.flag(each, "pausing"),
        messages: Row.list(each, "messages").map((sent) => decodeMessage(run, sent))
      }
    })
  }
}
