/**
 * Perdure's journal on Postgres.
 *
 * @since 0.1.0
 */
export * as LeaseThread from "./LeaseThread.js"
export * as PgJournal from "./PgJournal.js"
export * as PgListener from "./PgListener.js"
