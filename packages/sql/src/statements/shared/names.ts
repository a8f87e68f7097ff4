/** Results that are lists of names. */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"

/** The column `names` of the first row. */
export const decodeNames = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<string>> => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: Row.texts(row, "names") }
}
