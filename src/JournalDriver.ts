/**
 * The storage contract: what a driver must do, and the values that it and the core exchange. `src/driver/` holds it,
 * one file for each group of operations.
 *
 * @since 0.1.0
 */
export * from "./driver/JournalDriver.js"
export * from "./driver/mapDriver.js"
export * from "./driver/verbs.js"
