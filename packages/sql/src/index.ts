/**
 * Perdure's journal in SQL.
 *
 * @since 0.1.0
 */
export * as Listener from "./Listener.js"
export * as Migrations from "./Migrations.js"
export * as SqlErrors from "./SqlErrors.js"
export * as SqlJournal from "./SqlJournal.js"
export * as Tables from "./Tables.js"
export * as Verb from "./Verb.js"
