/** The options of a worker: their type, their rules and the settings that follow from them. */
import * as Duration from "effect/Duration"
import { name } from "../options/names.js"
import type { QueueReference } from "../options/queues.js"
import { DEFAULT_QUEUE, checkDefinition, queueName, queueReference } from "../options/queues.js"
import type { Rule } from "../options/Rule.js"
import { accepts, arrayOf, count, duration, fields, optional, refine } from "../options/Rule.js"
import { isFields } from "../util/show.js"
import type { WorkerSettings } from "./WorkerCore.js"

/** Public as `Worker.WorkerOptions`. */
export interface WorkerOptions {
  /** Unique among live workers. Default: a random one. */
  readonly id?: string
  /** The queues that it serves, definitions or names. Default `["default"]`. */
  readonly queues?: ReadonlyArray<QueueReference>
  /** Most runs that it executes at a time; runs that only wait do not count. Default 100. */
  readonly concurrency?: number
  /** Most runs of one claim. Default 100. */
  readonly claimBatchSize?: number
  /** Most runs of one commit. Small enough that one batch is written while the next one forms. Default 250. */
  readonly commitBatchSize?: number
  /** Commits on their way to storage at a time. Default 3. */
  readonly commitsInFlight?: number
  /** How often it looks for runs when no hint comes. Default 1 second. */
  readonly pollInterval?: Duration.DurationInput
  /**
   * How long after its last heartbeat a worker counts as dead. A heartbeat comes every third of this time. Default 15
   * seconds.
   */
  readonly leaseDuration?: Duration.DurationInput
  /**
   * How long the event loop may be busy, for example with a step that computes, until the lease is given up. A thread
   * keeps the lease meanwhile, on Postgres. Default 2 minutes; 0: no thread.
   */
  readonly busyTimeout?: Duration.DurationInput
  /** Deaths of workers in a row, without progress, after which a run is `exhausted`. Default 10. */
  readonly maxCrashes?: number
  /** How long a run that waits for a message stays with the worker before it is suspended. Default 1 second. */
  readonly lingerDuration?: Duration.DurationInput
  /** Machines of suspended runs that stay in memory, 15 to 20 KB each. */
  readonly hot?: HotOptions
  /**
   * The time limit of steps without one of their own or of their workflow. A step that exceeds it dies with the defect
   * `TimedOut`. Default none.
   */
  readonly stepTimeout?: Duration.DurationInput
  /** A step that executes for longer is reported as a warning. Default 10 minutes. */
  readonly longStepDuration?: Duration.DurationInput
  /**
   * How long a body may take to end after its time limit. Then its step ends without it, and the body is reported.
   * Default 10 seconds.
   */
  readonly interruptTimeout?: Duration.DurationInput
  /** How long running steps may take to end when the worker stops. Default 20 seconds. */
  readonly drainTimeout?: Duration.DurationInput
}

/** Public as `Worker.HotOptions`. */
export interface HotOptions {
  /** Most machines; 0: none stays. Default 2,000. */
  readonly capacity?: number
  /** How long a machine stays. Default 1 minute. */
  readonly timeToLive?: Duration.DurationInput
}

/** Far below the longest string of Node and of Postgres, with JSON in JSON and three bytes for a character. */
const COMMIT_SIZE = 8 * 1024 * 1024

/** A definition among the queues is checked with them, so that all problems are listed together. */
const queues: Rule<ReadonlyArray<QueueReference>> = refine(
  arrayOf(queueReference, { min: 1 }),
  (all, place) =>
    all.flatMap((queue, index) =>
      typeof queue === "string"
        ? name.problems(queue, `${place}[${index}]`)
        : checkDefinition(queue).map((problem) => `queue "${queue.name}": ${problem}`)
    )
)

export const workerOptions: Rule<WorkerOptions> = fields<WorkerOptions>({
  id: optional(name),
  queues: optional(queues),
  concurrency: optional(count({ min: 1 })),
  claimBatchSize: optional(count({ min: 1 })),
  commitBatchSize: optional(count({ min: 1 })),
  commitsInFlight: optional(count({ min: 1 })),
  pollInterval: optional(duration({ min: 10 })),
  leaseDuration: optional(duration({ min: 100 })),
  busyTimeout: optional(duration()),
  maxCrashes: optional(count({ min: 1 })),
  lingerDuration: optional(duration()),
  hot: optional(fields<HotOptions>({
    capacity: optional(count({ min: 0 })),
    timeToLive: optional(duration())
  })),
  stepTimeout: optional(duration({ max: Infinity })),
  longStepDuration: optional(duration({ max: Infinity })),
  interruptTimeout: optional(duration()),
  drainTimeout: optional(duration())
})

/** What other layers of the process are checked against, of options that may have problems. */
export const declaredWorker = (
  options: unknown
): { readonly id: string | undefined; readonly queues: ReadonlyArray<QueueReference> } => {
  const { id, queues }: Readonly<Record<string, unknown>> = isFields(options) ? options : {}
  return {
    id: typeof id === "string" ? id : undefined,
    queues: Array.isArray(queues)
      ? queues.filter((queue): queue is QueueReference => accepts(queueReference, queue))
      : [DEFAULT_QUEUE]
  }
}

/** The settings that valid options stand for. */
export const workerSettings = (options: WorkerOptions): WorkerSettings => ({
  queues: [...new Set((options.queues ?? [DEFAULT_QUEUE]).map(queueName))],
  concurrency: options.concurrency ?? 100,
  claimBatch: options.claimBatchSize ?? 100,
  commitBatch: options.commitBatchSize ?? 250,
  commitSize: COMMIT_SIZE,
  commitsInFlight: options.commitsInFlight ?? 3,
  pollMillis: Duration.toMillis(options.pollInterval ?? "1 second"),
  leaseMillis: Duration.toMillis(options.leaseDuration ?? "15 seconds"),
  busyMillis: Duration.toMillis(options.busyTimeout ?? "2 minutes"),
  maxCrashes: options.maxCrashes ?? 10,
  lingerMillis: Duration.toMillis(options.lingerDuration ?? "1 second"),
  hotRuns: options.hot?.capacity ?? 2_000,
  hotMillis: Duration.toMillis(options.hot?.timeToLive ?? "1 minute"),
  stepMillis: Duration.toMillis(options.stepTimeout ?? Duration.infinity),
  longStepMillis: Duration.toMillis(options.longStepDuration ?? "10 minutes"),
  interruptMillis: Duration.toMillis(options.interruptTimeout ?? "10 seconds"),
  drainMillis: Duration.toMillis(options.drainTimeout ?? "20 seconds")
})
