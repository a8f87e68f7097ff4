/**
 * The typed errors of the core. A message names the value, the place and the cure. See `docs/errors.md`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Why an operation of the storage failed.
 *
 * @since 0.1.0
 * @category models
 */
export const JournalErrorCode = Schema.Literal(
  /** The database cannot be reached, or it closed the connection before the statement was sent. */
  "Unavailable",
  /** The connection broke while the statement ran. The statement may have been applied. */
  "OutcomeUnknown",
  /** Deadlock, serialization failure, lock timeout or statement timeout. The statement was rolled back; retry it. */
  "Conflict",
  /** The schema of the database is older or newer than this code supports. */
  "SchemaVersion",
  /** The database refused the statement: a bug, a missing privilege, or (`retryable`) a full disk or no memory. */
  "Refused",
  /** A stored row cannot be read. */
  "Corrupt"
)

/**
 * An operation of the storage failed. `retryable`: the same call may succeed later.
 *
 * @since 0.1.0
 * @category errors
 */
export class JournalError extends Schema.TaggedError<JournalError>("perdure/JournalError")("JournalError", {
  code: JournalErrorCode,
  operation: Schema.String,
  detail: Schema.String,
  retryable: Schema.Boolean,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `journal ${this.operation}: ${this.code}: ${this.detail}`
  }
}

/**
 * A value cannot be encoded: it does not match its schema, has excess keys, or contains something that JSON cannot
 * represent (`NaN`, `undefined`, a lone surrogate, NUL, a class instance, a cycle). Nothing was written.
 *
 * @since 0.1.0
 * @category errors
 */
export class ValueInvalid extends Schema.TaggedError<ValueInvalid>("perdure/ValueInvalid")("ValueInvalid", {
  /** The role of the value, for example `payload of workflow Fulfil`. */
  what: Schema.String,
  /** The problem, with its path in the value. */
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.what} is not valid: ${this.detail}`
  }
}

/**
 * The JSON of a value is larger than its limit. Pass a reference instead, or raise the limit (`Limits`). Sizes are in
 * bytes of UTF-8.
 *
 * @since 0.1.0
 * @category errors
 */
export class ValueTooLarge extends Schema.TaggedError<ValueTooLarge>("perdure/ValueTooLarge")("ValueTooLarge", {
  what: Schema.String,
  bytes: Schema.Number,
  limit: Schema.Number
}) {
  override get message(): string {
    return `${this.what} has ${this.bytes} bytes, the limit is ${this.limit}: pass a reference to it instead, or raise Limits`
  }
}

/**
 * The journal of a run would have more bytes than its limit. The run dies of this; its finalizers still execute.
 *
 * @since 0.2.0
 * @category errors
 */
export class JournalTooLarge extends Schema.TaggedError<JournalTooLarge>("perdure/JournalTooLarge")("JournalTooLarge", {
  runId: Schema.String,
  bytes: Schema.Number,
  limit: Schema.Number
}) {
  override get message(): string {
    return `the journal of run ${this.runId} would have ${this.bytes} bytes, the limit is ${this.limit}: ` +
      `return references from steps instead of large values, use continueAsNew, or raise Limits`
  }
}

/**
 * A stored value does not match the schema that reads it, usually after a deploy that changed the schema.
 *
 * @since 0.1.0
 * @category errors
 */
export class ValueUnreadable extends Schema.TaggedError<ValueUnreadable>("perdure/ValueUnreadable")("ValueUnreadable", {
  what: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.what} cannot be read by its schema: ${this.detail}`
  }
}

const conflictFields = {
  workflow: Schema.String,
  key: Schema.String,
  runId: Schema.String,
  /** The keys of the payload that differ. Empty if a payload is no object. */
  differing: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] }),
  /** The encoded payload of the existing run. */
  existing: Schema.String,
  /** The encoded payload that was refused. */
  payload: Schema.String
}

/**
 * A run with the same idempotency key and another payload exists. The message, logs and `console.log` do not show the
 * payloads, which may have secrets. Read them from the error's properties.
 *
 * @since 0.1.0
 * @category errors
 */
export class IdempotencyConflict
  extends Schema.TaggedError<IdempotencyConflict>("perdure/IdempotencyConflict")("IdempotencyConflict", conflictFields)
{
  constructor(props: Schema.Struct.Constructor<typeof conflictFields>, options?: Schema.MakeOptions) {
    super(props, options)
    // What prints an error lists its enumerable properties.
    for (const key of ["existing", "payload"]) Object.defineProperty(this, key, { enumerable: false })
  }

  override toJSON(): object {
    const { _tag, differing, key, message, runId, workflow } = this
    return { _tag, workflow, key, runId, differing, message }
  }

  override toString(): string {
    return `${this.name}: ${this.message}`
  }

  override get message(): string {
    const keys = this.differing.map((key) => JSON.stringify(key)).join(", ")
    return `run ${this.runId} of workflow ${this.workflow} has the idempotency key "${this.key}" and another payload` +
      `${keys === "" ? "" : ` (different: ${keys})`}: use another key, or the same payload`
  }
}

/**
 * A live run has the singleton key, and the workflow's `singleton` has mode `refuse`.
 *
 * @since 0.1.0
 * @category errors
 */
export class SingletonBusy extends Schema.TaggedError<SingletonBusy>("perdure/SingletonBusy")("SingletonBusy", {
  workflow: Schema.String,
  key: Schema.String,
  runId: Schema.String
}) {
  override get message(): string {
    return `the singleton key "${this.key}" of workflow ${this.workflow} is taken by live run ${this.runId}: ` +
      `wait for that run, or use mode "join"`
  }
}

/**
 * A child would be nested deeper than the limit, for example because two workflows start each other.
 *
 * @since 0.1.0
 * @category errors
 */
export class ChildDepthExceeded
  extends Schema.TaggedError<ChildDepthExceeded>("perdure/ChildDepthExceeded")("ChildDepthExceeded", {
    workflow: Schema.String,
    parent: Schema.String,
    depth: Schema.Number,
    limit: Schema.Number
  })
{
  override get message(): string {
    return `child ${this.workflow} of run ${this.parent} would be at depth ${this.depth}, the limit is ${this.limit}: ` +
      `look for workflows that start each other, or raise Limits`
  }
}

/**
 * A run has started as many children as the limit allows.
 *
 * @since 0.1.0
 * @category errors
 */
export class ChildLimitExceeded
  extends Schema.TaggedError<ChildLimitExceeded>("perdure/ChildLimitExceeded")("ChildLimitExceeded", {
    workflow: Schema.String,
    parent: Schema.String,
    limit: Schema.Number
  })
{
  override get message(): string {
    return `run ${this.parent} has started ${this.limit} children and cannot start child ${this.workflow}: ` +
      `start children in batches from child runs, use continueAsNew, or raise Limits`
  }
}

/**
 * A step or a run took longer than its `timeout`.
 *
 * @since 0.1.0
 * @category errors
 */
export class TimedOut extends Schema.TaggedError<TimedOut>("perdure/TimedOut")("TimedOut", {
  /** For example `step reserve` or `workflow Fulfil`. */
  what: Schema.String,
  millis: Schema.Number
}) {
  override get message(): string {
    return `${this.what} took longer than ${this.millis} ms`
  }
}

/**
 * The awaited run ended without a success or a failure of its handler.
 *
 * - `cancelled`, `terminated`: a control, or the end of its parent, ended it.
 * - `expired`: no worker claimed it before its deadline (`expiresIn`, `expiresAt`).
 * - `exhausted`: too many workers in a row died while they held it.
 * - `failed`: its handler died of a defect, which `detail` describes.
 *
 * @since 0.1.0
 * @category errors
 */
export class RunEnded extends Schema.TaggedError<RunEnded>("perdure/RunEnded")("RunEnded", {
  runId: Schema.String,
  workflow: Schema.String,
  status: Schema.Literal("cancelled", "terminated", "expired", "exhausted", "failed"),
  detail: Schema.String
}) {
  override get message(): string {
    return `run ${this.runId} of workflow ${this.workflow} is ${this.status}${
      this.detail === "" ? "" : `: ${this.detail}`
    }`
  }
}

/**
 * The run ended before the awaited step, signal or value.
 *
 * @since 0.2.0
 * @category errors
 */
export class RunEndedEarly extends Schema.TaggedError<RunEndedEarly>("perdure/RunEndedEarly")("RunEndedEarly", {
  runId: Schema.String,
  /** The awaited thing, for example `step ship`. */
  what: Schema.String
}) {
  override get message(): string {
    return `run ${this.runId} has ended without ${this.what}: check the name, and see run.history`
  }
}

/**
 * No run with this id exists.
 *
 * @since 0.1.0
 * @category errors
 */
export class NoSuchRun extends Schema.TaggedError<NoSuchRun>("perdure/NoSuchRun")("NoSuchRun", {
  runId: Schema.String
}) {
  override get message(): string {
    return `run "${this.runId}" does not exist: check the id and the database`
  }
}

/**
 * The run cannot be forked from this entry: its journal ends before the entry, or starts after it (`continueAsNew`
 * deletes the entries of earlier generations). Nothing was written.
 *
 * @since 0.1.0
 * @category errors
 */
export class ForkInvalid extends Schema.TaggedError<ForkInvalid>("perdure/ForkInvalid")("ForkInvalid", {
  runId: Schema.String,
  seq: Schema.Number,
  /** The lowest valid `seq`: the fork keeps no entry. */
  first: Schema.Number,
  /** The highest valid `seq`: the fork keeps the whole journal. */
  next: Schema.Number
}) {
  override get message(): string {
    return `run ${this.runId} cannot be forked from entry ${this.seq}: "from" must be an integer from ${this.first} ` +
      `(keeps no entry) to ${this.next} (keeps the whole journal)`
  }
}

/**
 * The run cannot be retried: it has not ended, it succeeded or was cancelled, or the place to retry from is ambiguous.
 * `detail` names the cure. Nothing was written.
 *
 * @since 0.1.0
 * @category errors
 */
export class NotRetryable extends Schema.TaggedError<NotRetryable>("perdure/NotRetryable")("NotRetryable", {
  runId: Schema.String,
  status: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `run ${this.runId} is ${this.status} and cannot be retried: ${this.detail}`
  }
}

/**
 * A fiber of the workflow waited for something that is not in the journal: a bare promise, a real timer, a database
 * call outside a step; or the program waits for itself. The run dies of this defect.
 *
 * @since 0.1.0
 * @category errors
 */
export class NotDurable extends Schema.TaggedError<NotDurable>("perdure/NotDurable")("NotDurable", {
  problem: Schema.Literal("StrayWakeUp", "Stuck"),
  /** The workflow, the run, its spans and the last durable operation of the fiber. */
  place: Schema.String
}) {
  override get message(): string {
    return this.problem === "StrayWakeUp"
      ? `a fiber was woken by something that is not in the journal (a promise, a timer, I/O), at ${this.place}: ` +
        `move the awaited operation into a Step`
      : `the workflow waits for something that no journal entry can deliver (itself, a bare promise, a real timer, a ` +
        `polling loop), at ${this.place}: move the awaited operation into a Step, or await a Signal or a Callback`
  }
}

/**
 * A mistake in the calling code, whatever the data. It is a defect. The message says what to write instead.
 *
 * @since 0.1.0
 * @category errors
 */
export class Misuse extends Schema.TaggedError<Misuse>("perdure/Misuse")("Misuse", {
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/**
 * Definitions or options are invalid, or contradict each other. Lists all problems.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConfigurationInvalid
  extends Schema.TaggedError<ConfigurationInvalid>("perdure/ConfigurationInvalid")("ConfigurationInvalid", {
    what: Schema.String,
    problems: Schema.Array(Schema.String)
  })
{
  override get message(): string {
    return `${this.what}: ${this.problems.length} problem(s):\n${this.problems.map((each) => `  - ${each}`).join("\n")}`
  }
}

/**
 * Another live worker uses this worker id.
 *
 * @since 0.1.0
 * @category errors
 */
export class WorkerIdTaken extends Schema.TaggedError<WorkerIdTaken>("perdure/WorkerIdTaken")("WorkerIdTaken", {
  workerId: Schema.String
}) {
  override get message(): string {
    return `another live worker has the id "${this.workerId}": give each worker its own id, or omit the id`
  }
}

/**
 * No worker with this id exists: it never did, it stopped normally, or it died more than a week ago.
 *
 * @since 0.1.0
 * @category errors
 */
export class NoSuchWorker extends Schema.TaggedError<NoSuchWorker>("perdure/NoSuchWorker")("NoSuchWorker", {
  workerId: Schema.String
}) {
  override get message(): string {
    return `worker "${this.workerId}" does not exist: see Workers.list`
  }
}

/**
 * A worker did not answer a ping in time: it is dead, it hangs, or it cannot reach the database.
 *
 * @since 0.1.0
 * @category errors
 */
export class WorkerUnresponsive
  extends Schema.TaggedError<WorkerUnresponsive>("perdure/WorkerUnresponsive")("WorkerUnresponsive", {
    workerId: Schema.String,
    millis: Schema.Number
  })
{
  override get message(): string {
    return `worker "${this.workerId}" did not answer within ${this.millis} ms`
  }
}

/**
 * No queue with this name exists: no definition was stored, and no worker has served it.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnknownQueue extends Schema.TaggedError<UnknownQueue>("perdure/UnknownQueue")("UnknownQueue", {
  queue: Schema.String
}) {
  override get message(): string {
    return `queue "${this.queue}" does not exist: correct the name, define the queue (RunQueue.make and its layer), ` +
      `or start a worker that serves it`
  }
}

/**
 * No schedule with this name exists.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnknownSchedule
  extends Schema.TaggedError<UnknownSchedule>("perdure/UnknownSchedule")("UnknownSchedule", { schedule: Schema.String })
{
  override get message(): string {
    return `schedule "${this.schedule}" does not exist: correct the name, or define the schedule (RunSchedule.make)`
  }
}

/**
 * The errors of a start outside workflows.
 *
 * @since 0.1.0
 * @category errors
 */
export type StartError =
  | UnknownQueue
  | ValueInvalid
  | ValueTooLarge
  | IdempotencyConflict
  | SingletonBusy
  | ChildDepthExceeded
  | ChildLimitExceeded
  | JournalError

/**
 * The errors of the runtime that a handler may fail with, and that a run's stored exit can contain.
 *
 * @since 0.1.0
 * @category errors
 */
export const RuntimeError = Schema.Union(
  ValueInvalid,
  ValueTooLarge,
  JournalTooLarge,
  ValueUnreadable,
  IdempotencyConflict,
  SingletonBusy,
  ChildDepthExceeded,
  ChildLimitExceeded,
  TimedOut,
  RunEnded,
  NoSuchRun,
  UnknownQueue,
  NotDurable,
  Misuse,
  JournalError
)

/**
 * @since 0.1.0
 * @category errors
 */
export type RuntimeError = typeof RuntimeError.Type

/**
 * The errors of waiting for a run's result, besides the workflow's own.
 *
 * @since 0.1.0
 * @category errors
 */
export type ResultError = RuntimeError
