/**
 * Reads the journals and unread messages of claimed runs. A statement of its own, after the claim: its snapshot is
 * younger, so it has all that was written before the claim, and `seen` fits the messages.
 *
 * Indexes: `runs_pkey`, `journal_pkey`, `inbox_unread`, `inputs_pkey`. Locks: none.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb } from "../../Verb.js"
import { decodeEntry, entryFields } from "../shared/entries.js"
import { decodeMessage, unreadMessages } from "../shared/messages.js"
import { byIndex } from "../shared/planner.js"
import { part, sql, withParts } from "../sql.js"

/** $1 runs: run, and whether to read its journal */
export const claimContents: Verb = {
  name: "claim_contents",
  parameters: 1,
  text: (t) =>
    withParts(
      [part("requested_runs", "SELECT * FROM json_to_recordset($1::json) AS w(run text, journal boolean)")],
      sql`
        SELECT r.id, r.inbox_seq AS seen, n.payload,
          CASE WHEN w.journal THEN (
            SELECT json_agg(json_build_array(${entryFields}) ORDER BY j.seq)::text
            FROM ${t.journal} j WHERE j.run = r.id AND j.seq >= r.first_seq
          ) END AS journal,
          ${unreadMessages(t, "r.id", "0")} AS inbox
        FROM requested_runs w
        ${byIndex(`SELECT r.id, r.inbox_seq, r.first_seq FROM ${t.runs} r WHERE r.id = w.run`, "r")}
        ${byIndex(`SELECT n.payload FROM ${t.inputs} n WHERE n.run = w.run`, "n")}
      `
    )
}

export interface ClaimContents {
  readonly id: string
  readonly seen: number
  readonly payload: Driver.Json
  readonly journal: ReadonlyArray<Driver.Entry>
  readonly inbox: ReadonlyArray<Driver.Message>
}

export const encode = (runs: ReadonlyArray<{ readonly run: string; readonly journal: boolean }>): string =>
  JSON.stringify(runs)

export const decode = (rows: ReadonlyArray<Row.Fields>): ReadonlyArray<ClaimContents> =>
  rows.map((row) => {
    const id = Row.text(row, "id")
    return {
      id,
      seen: Row.integer(row, "seen"),
      payload: Row.text(row, "payload"),
      journal: Row.list(row, "journal").map(decodeEntry),
      inbox: Row.list(row, "inbox").map((each) => decodeMessage(id, each))
    }
  })
