/** Entries of a journal, as JSON arrays in a result. */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Words } from "../../Verb.js"
import { sql } from "../sql.js"
import { bytesBefore, bytesOf } from "./bounds.js"
import { millis } from "./expressions.js"

/** The fields of an entry `j`. */
export const entryFields = `j.seq, j.op, j.kind, j.name, j.exit_kind, j.exit_value, ${millis("j.at")}`

/** The first entries of a run from `from` on, at most `limit`, with the bytes of those before each, as `earlier`. */
export const boundedEntries = (t: Words, run: string, from: string, limit: string): string =>
  sql`
    SELECT j.*, ${bytesBefore(bytesOf("j.exit_value"), "j.seq")} AS earlier
    FROM (SELECT j.* FROM ${t.journal} j WHERE j.run = ${run} AND j.seq >= ${from} ORDER BY j.seq LIMIT ${limit}) j
  `

export const decodeEntry = (each: Row.Fields): Driver.Entry => ({
  seq: Row.integer(each, 0),
  op: Row.integer(each, 1),
  kind: Row.text(each, 2),
  name: Row.text(each, 3),
  exit: Row.exit(each, 4, 5),
  at: Row.instant(each, 6)
})
