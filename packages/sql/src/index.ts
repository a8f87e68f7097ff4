/**
 * Perdure's journal in SQL.
 *
 * How the package is divided:
 *
 * - `SqlJournal` puts the driver together. `verbs/` has its operations, one module for each group: which statements an
 *   operation sends, in which order, and which hints follow.
 * - `statements/` has a folder for each of those groups. A file has one SQL statement at most: its text, its parameters
 *   and how its rows are decoded; the comment above names the indexes that it uses and the rows that it locks, in
 *   order. Other files of a folder have parts of its statements; `statements/shared/` has parts that several folders
 *   use. `packages/sql/statements/` has the text of each statement as the server gets it.
 * - `migrations/` has the history of the schema, `internal/` what knows neither statements nor operations.
 *
 * Imports go down this list only.
 *
 * @since 0.1.0
 */
export * as LeaseExtension from "./LeaseExtension.js"
export * as Listener from "./Listener.js"
export * as Migrations from "./Migrations.js"
export * as SqlErrors from "./SqlErrors.js"
export * as SqlJournal from "./SqlJournal.js"
export * as Tables from "./Tables.js"
export * as Verb from "./Verb.js"
