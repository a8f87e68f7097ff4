/**
 * Reads the journals and unread messages of claimed runs, each up to a bound; the same statement reads the rest. A
 * statement of its own, after the claim: its snapshot is younger, so it has all that was written before the claim, and
 * `seen` fits the messages.
 *
 * Indexes: `runs_pkey`, `journal_pkey`, `inbox_unread`, `inputs_pkey`. Locks: none.
 */
import type * as Either from "effect/Either"
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb, Words } from "../../Verb.js"
import { bytesBefore, MAX_ITEMS } from "../shared/bounds.js"
import { boundedEntries, decodeEntry, entryFields } from "../shared/entries.js"
import { decodeMessage, messageBytes, messagesOf, unreadMessages } from "../shared/messages.js"
import { byIndex } from "../shared/planner.js"
import { part, sql, withParts } from "../sql.js"

/** The first entries of run `w`, as JSON. */
const entries = (t: Words): string =>
  sql`
    (
      SELECT json_agg(json_build_array(${entryFields}) ORDER BY j.seq)::text
      FROM (
        ${boundedEntries(t, "r.id", `greatest(r.first_seq, w."from")`, MAX_ITEMS)}
      ) j
      WHERE j.earlier < w.bytes
    )
  `

/** Its first unread messages, as JSON. */
const messages = (t: Words): string =>
  sql`
    (
      SELECT ${messagesOf("m.earlier < w.bytes")}
      FROM (
        SELECT m.*, ${bytesBefore(messageBytes("m"), "m.ordinal")} AS earlier
        FROM (
          ${unreadMessages(t, "r.id", "w.after")}
        ) m
      ) m
    )
  `

/** $1 runs: run, whether to read its journal, the first entry, the message before the first, the bytes of each list */
export const claimContents: Verb = {
  name: "claim_contents",
  parameters: 1,
  text: (t) =>
    withParts(
      [
        part(
          "requested_runs",
          sql`
            SELECT * FROM json_to_recordset($1::json)
              AS w(run text, journal boolean, "from" int, after int, bytes int)
          `
        )
      ],
      sql`
        SELECT r.id, r.inbox_seq AS seen, n.payload,
          CASE WHEN w.journal THEN ${entries(t)} END AS journal,
          ${messages(t)} AS inbox
        FROM requested_runs w
        ${byIndex(`SELECT r.id, r.inbox_seq, r.first_seq FROM ${t.runs} r WHERE r.id = w.run`, "r")}
        ${byIndex(`SELECT n.payload FROM ${t.inputs} n WHERE n.run = w.run`, "n")}
      `
    )
}

/** A part of what a claimed run has. */
export interface ClaimContents {
  readonly seen: number
  readonly payload: Driver.Json
  readonly journal: ReadonlyArray<Driver.Entry>
  readonly inbox: ReadonlyArray<Driver.Message>
}

/** What to read of one run: nothing of its journal, or its entries from `from` on; its messages after `after`. */
export interface ClaimContentsRequest {
  readonly run: string
  readonly journal: boolean
  readonly from: number
  readonly after: number
}

/** `bytes`: the bound of each journal and of each inbox. */
export const encode = (requests: ReadonlyArray<ClaimContentsRequest>, bytes: number): string =>
  JSON.stringify(requests.map((request) => ({ ...request, bytes })))

/** By run: its contents, or why they cannot be read. */
export const decode = (rows: ReadonlyArray<Row.Fields>): ReadonlyMap<string, Either.Either<ClaimContents, string>> =>
  new Map(rows.map((row) => {
    const id = Row.text(row, "id")
    return [
      id,
      Row.attempt(() => ({
        seen: Row.integer(row, "seen"),
        payload: Row.text(row, "payload"),
        journal: Row.list(row, "journal").map(decodeEntry),
        inbox: Row.list(row, "inbox").map((each) => decodeMessage(id, each))
      }))
    ]
  }))
