/**
 * Perdure on PGlite, the embedded PostgreSQL.
 *
 * @since 0.1.0
 */
export * as FolderLock from "./FolderLock.js"
export * as PgliteClient from "./PgliteClient.js"
export * as PgliteJournal from "./PgliteJournal.js"
