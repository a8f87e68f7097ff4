/** Entries of a journal, as JSON arrays in a result. */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import { millis } from "./expressions.js"

/** The fields of an entry `j`. */
export const entryFields = `j.seq, j.op, j.kind, j.name, j.exit_kind, j.exit_value, ${millis("j.at")}`

export const decodeEntry = (each: Row.Fields): Driver.Entry => ({
  seq: Row.integer(each, 0),
  op: Row.integer(each, 1),
  kind: Row.text(each, 2),
  name: Row.text(each, 3),
  exit: Row.exit(each, 4, 5),
  at: Row.instant(each, 6)
})
