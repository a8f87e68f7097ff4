/**
 * What a claim brings: journals and unread inboxes of runs that this process holds.
 *
 * A statement of its own, after the claim: its snapshot is younger than the claim, so it sees all that was written
 * before the claim, and `seen` fits the messages.
 *
 * Indexes: `runs_pkey`, `journal_pkey`, `inbox_unread`, `inputs_pkey`. Locks: none.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../internal/Row.js"
import type { Verb } from "../Verb.js"
import { contentOf } from "./delivery.js"
import { millis } from "./words.js"

/** Unread messages of `run` after an ordinal, as a JSON array in order. */
export const unreadMessages = (inbox: string, run: string, after: string): string =>
  `(
      SELECT json_agg(json_build_array(m.ordinal, m.kind, m.name, ${millis("m.at")}, ${
    contentOf("m")
  }) ORDER BY m.ordinal)::text
      FROM ${inbox} m
      WHERE m.run = ${run} AND m.ordinal > ${after} AND NOT m.consumed
    )`

/** $1 wanted: run, and whether its journal is wanted */
export const brought: Verb = {
  name: "brought",
  parameters: 1,
  text: (t) =>
    `WITH wanted AS MATERIALIZED (
    SELECT * FROM json_to_recordset($1::json) AS w(run text, journal boolean)
  )
  SELECT r.id, r.inbox_seq AS seen, n.payload,
    CASE WHEN w.journal THEN (
      SELECT json_agg(
        json_build_array(j.seq, j.op, j.kind, j.name, j.exit_kind, j.exit_value, ${millis("j.at")}) ORDER BY j.seq
      )::text
      FROM ${t.journal} j WHERE j.run = r.id AND j.seq >= r.first_seq
    ) END AS journal,
    ${unreadMessages(t.inbox, "r.id", "0")} AS inbox
  FROM wanted w
  CROSS JOIN LATERAL (SELECT r.id, r.inbox_seq, r.first_seq FROM ${t.runs} r WHERE r.id = w.run OFFSET 0) r
  CROSS JOIN LATERAL (SELECT n.payload FROM ${t.inputs} n WHERE n.run = w.run OFFSET 0) n`
}

export interface Brought {
  readonly id: string
  readonly seen: number
  readonly payload: Driver.Json
  readonly journal: ReadonlyArray<Driver.Entry>
  readonly inbox: ReadonlyArray<Driver.Message>
}

const content = (kind: Driver.MessageKind, each: Row.Fields): Driver.MessageContent => {
  switch (kind) {
    case "signal":
    case "callback":
    case "defect":
      return { kind, payload: Row.text(each, 4) }
    case "cancel":
      return { kind, by: Row.textOrNull(each, 5), reason: Row.textOrNull(each, 6) }
    case "child":
      return {
        kind,
        child: Row.text(each, 7),
        ending: {
          status: Row.finalStatus(each, 8),
          exit: Row.exitOrNull(each, 9, 10),
          detail: Row.textOrNull(each, 11)
        }
      }
  }
}

export const message = (run: string, each: Row.Fields): Driver.Message => ({
  run,
  ordinal: Row.integer(each, 0),
  name: Row.text(each, 2),
  at: Row.instant(each, 3),
  ...content(Row.messageKind(each, 1), each)
})

export const entry = (each: Row.Fields): Driver.Entry => ({
  seq: Row.integer(each, 0),
  op: Row.integer(each, 1),
  kind: Row.text(each, 2),
  name: Row.text(each, 3),
  exit: Row.exit(each, 4, 5),
  at: Row.instant(each, 6)
})

export const decode = (rows: ReadonlyArray<Row.Fields>): ReadonlyArray<Brought> =>
  rows.map((row) => {
    const id = Row.text(row, "id")
    return {
      id,
      seen: Row.integer(row, "seen"),
      payload: Row.text(row, "payload"),
      journal: Row.list(row, "journal").map(entry),
      inbox: Row.list(row, "inbox").map((each) => message(id, each))
    }
  })
