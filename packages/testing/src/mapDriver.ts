/**
 * `mapDriver` of `perdure/JournalDriver`, which wraps every verb of a driver by one function: for drivers of tests.
 */
export { type AroundVerb, mapDriver } from "perdure/JournalDriver"
