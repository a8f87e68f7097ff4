/** What messages say: in columns of `inbox`, in parameters, and in results. */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Words } from "../../Verb.js"
import { sql } from "../sql.js"
import { bytesOf, MAX_ITEMS } from "./bounds.js"
import { millis } from "./expressions.js"

/** The columns of `inbox` for what a message says, with their types. */
const types = {
  payload: "text",
  requested_by: "text",
  reason: "text",
  child: "text",
  status: "text",
  exit_kind: "text",
  exit_value: "text",
  crashes: "int",
  crashed_worker: "text"
}

const columns = Object.keys(types)

export const contentColumns = columns.join(", ")

export const contentOf = (m: string): string => columns.map((column) => `${m}.${column}`).join(", ")

/** The columns with their types, for rows of JSON. */
export const contentFields = Object.entries(types).map((column) => column.join(" ")).join(", ")

const encodeEndCause = (endCause: Driver.EndCause | null) => {
  switch (endCause?._tag) {
    case undefined:
      return {}
    case "Terminated":
      return { requested_by: endCause.by, reason: endCause.reason }
    case "Exhausted":
      return { crashes: endCause.crashes, crashed_worker: endCause.worker }
  }
}

export const encodeContent = (content: Driver.MessageContent) => {
  switch (content.kind) {
    case "signal":
    case "callback":
    case "defect":
      return { payload: content.payload }
    case "cancel":
      return { requested_by: content.by, reason: content.reason }
    case "child": {
      const { child, ending: { endCause, exit, status } } = content
      return { child, status, exit_kind: exit?.kind, exit_value: exit?.value, ...encodeEndCause(endCause) }
    }
  }
}

const decodeContent = (kind: Driver.MessageKind, row: Row.Fields): Driver.MessageContent => {
  switch (kind) {
    case "signal":
    case "callback":
    case "defect":
      return { kind, payload: Row.text(row, 4) }
    case "cancel":
      return { kind, by: Row.textOrNull(row, 5), reason: Row.textOrNull(row, 6) }
    case "child": {
      const status = Row.finalStatus(row, 8)
      const endCause = Row.endCauseOrNull(row, status, { by: 5, reason: 6, crashes: 11, worker: 12 })
      return { kind, child: Row.text(row, 7), ending: { status, exit: Row.exitOrNull(row, 9, 10), endCause } }
    }
  }
}

/** The bytes of the values of message `m`. */
export const messageBytes = (m: string): string => bytesOf(`${m}.payload`, `${m}.exit_value`)

/** The first unread messages of a run beyond an ordinal, in order. Index: `inbox_unread`. */
export const unreadMessages = (t: Words, run: string, after: string): string =>
  sql`
    SELECT m.* FROM ${t.inbox} m
    WHERE m.run = ${run} AND m.ordinal > ${after} AND NOT m.consumed
    ORDER BY m.ordinal LIMIT ${MAX_ITEMS}
  `

/** Rows `m` of `inbox` in order, as a JSON array; of those for which the condition holds. */
export const messagesOf = (condition: string): string =>
  sql`
    json_agg(
      json_build_array(
        m.ordinal, m.kind, m.name, ${millis("m.at")},
        ${contentOf("m")}
      ) ORDER BY m.ordinal
    ) FILTER (WHERE ${condition})::text
  `

/** One of `messagesOf`. */
export const decodeMessage = (run: string, row: Row.Fields): Driver.Message => ({
  run,
  ordinal: Row.integer(row, 0),
  name: Row.text(row, 2),
  at: Row.instant(row, 3),
  ...decodeContent(Row.messageKind(row, 1), row)
})
