/**
 * Reads the unread messages of held runs, and the inbox sequence up to which they are complete.
 *
 * Indexes: `runs_pkey`, `inbox_unread`. Locks: none. One snapshot, so `seen` fits the messages.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { decodeMessage, unreadMessages } from "../shared/messages.js"
import { byIndex } from "../shared/planner.js"
import { sql } from "../sql.js"

/** $1 requests: run, after */
export const inbox: Verb = {
  name: "inbox",
  parameters: 1,
  text: (t) =>
    sql`
      SELECT ${millis(t.now)} AS now, (
        SELECT json_agg(
          json_build_array(
            r.id, r.inbox_seq, ${unreadMessages(t, "r.id", "q.after")}, coalesce(r.pause = 'asked', false)
          ) ORDER BY q.i
        )
        FROM json_to_recordset($1::json) AS q(i int, run text, after int)
        ${byIndex(`SELECT r.id, r.inbox_seq, r.pause FROM ${t.runs} r WHERE r.id = q.run`, "r")}
      )::text AS inboxes
    `
}

export const encode = (requests: ReadonlyArray<{ readonly run: string; readonly after: number }>): string =>
  JSON.stringify(requests.map(({ after, run }, i) => ({ i, run, after })))

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.Inbox>> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Row.list(row, "inboxes").map((each) => {
      const run = Row.text(each, 0)
      return {
        run,
        seen: Row.integer(each, 1),
        pausing: Row.flag(each, 3),
        messages: Row.list(each, 2).map((sent) => decodeMessage(run, sent))
      }
    })
  }
}
