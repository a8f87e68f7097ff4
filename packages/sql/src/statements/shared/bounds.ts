/**
 * Bounds of results. A list ends with the item that reaches the bound: an item is in it if the items before it have not
 * reached the bound. The size of a value is read without the value itself, which may be stored apart from its row.
 */
import { AnswerBounds } from "perdure/JournalDriver"
import { sql } from "../sql.js"

/** The bound of one result, in bytes. */
export const MAX_BYTES = String(AnswerBounds.bytes)

/** The bound of the items of one list. */
export const MAX_ITEMS = String(AnswerBounds.items)

/** The bytes of some columns of type text. */
export const bytesOf = (...columns: ReadonlyArray<string>): string =>
  columns.map((column) => `coalesce(octet_length(${column}), 0)`).join(" + ")

/** The bytes of the rows before this one. */
export const bytesBefore = (bytes: string, order: string): string =>
  sql`
    coalesce(sum(${bytes}) OVER (ORDER BY ${order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
  `
