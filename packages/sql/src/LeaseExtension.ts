/**
 * The statement that extends a worker's lease from outside of the driver: a thread sends it on a connection of its own
 * while the event loop is busy. Its parameters are the worker's id, its incarnation, and the lease in milliseconds. It
 * changes one row if the lease was valid and is extended, else none.
 *
 * @since 0.2.0
 */
import * as Tables from "./Tables.js"
import { extendLease } from "./statements/workers/extendLease.js"
import { statement } from "./Verb.js"

/**
 * The text of the statement for a valid schema, by the clock of the database.
 *
 * @since 0.2.0
 * @category constructors
 * @example
 * ```ts
 * import * as LeaseExtension from "@perdure/sql/LeaseExtension"
 *
 * const text = LeaseExtension.textFor("perdure")
 * ```
 */
export const textFor = (schema: string): string => statement(extendLease, Tables.unsafeMake(schema), "database").text
