/**
 * Ordinary Effect programs, durable on Postgres.
 *
 * @since 0.1.0
 */
export * as Calendar from "./Calendar.js"
export * as Callback from "./Callback.js"
export * as Check from "./Check.js"
export * as Continuation from "./Continuation.js"
export { CurrentRun } from "./CurrentRun.js"
export * as Errors from "./Errors.js"
export * as HostProcess from "./HostProcess.js"
export { Journal } from "./Journal.js"
export * as JournalDriver from "./JournalDriver.js"
export * as JournalMemory from "./JournalMemory.js"
export { Limits } from "./Limits.js"
export * as Published from "./Published.js"
export * as Retention from "./Retention.js"
export * as Rule from "./Rule.js"
export * as Run from "./Run.js"
export * as RunQueue from "./RunQueue.js"
export * as RunSchedule from "./RunSchedule.js"
export * as Runs from "./Runs.js"
export * as Signal from "./Signal.js"
export * as Step from "./Step.js"
export * as Worker from "./Worker.js"
export * as Workers from "./Workers.js"
export * as Workflow from "./Workflow.js"
