/**
 * Every typed error of the core. Each has a tag, says what, where and the cure, and whether trying again makes sense.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Why the storage could not answer.
 *
 * @since 0.1.0
 * @category models
 */
export const JournalErrorCode = Schema.Literal(
  /** The database cannot be reached, or cut the connection before a statement was sent. */
  "Unavailable",
  /** The connection broke while a statement ran: it may or may not have been applied. */
  "OutcomeUnknown",
  /** Deadlock, serialization failure, lock or statement timeout: rolled back, try again. */
  "Conflict",
  /** The database's schema is older or newer than this code can use. */
  "SchemaVersion",
  /** The statement is refused: a bug, a missing privilege; or, `retryable` then, a full disk or no memory. */
  "Refused",
  /** A stored row cannot be read. */
  "Corrupt"
)

/**
 * The storage failed. `retryable` says whether the same call may succeed later.
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
 * A value cannot be written as its schema's JSON: it does not match the schema, has excess keys, or holds something
 * that JSON cannot carry (`NaN`, `undefined`, a lone surrogate, NUL, a class instance, a cycle). Nothing was written.
 *
 * @since 0.1.0
 * @category errors
 */
export class ValueInvalid extends Schema.TaggedError<ValueInvalid>("perdure/ValueInvalid")("ValueInvalid", {
  /** What the value was meant to be, for example `payload of workflow Fulfil`. */
  what: Schema.String,
  /** What is wrong, and where in the value. */
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.what} is not valid: ${this.detail}`
  }
}

/**
 * A value's JSON is larger than the limit. Store it elsewhere and pass a reference, or raise the limit (`Limits`).
 *
 * @since 0.1.0
 * @category errors
 */
export class ValueTooLarge extends Schema.TaggedError<ValueTooLarge>("perdure/ValueTooLarge")("ValueTooLarge", {
  what: Schema.String,
  /** Its size, in bytes of UTF-8. */
  bytes: Schema.Number,
  /** The limit, in bytes of UTF-8. */
  limit: Schema.Number
}) {
  override get message(): string {
    return `${this.what} has ${this.bytes} bytes, the limit is ${this.limit}: pass a reference to it instead, or raise Limits`
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

/**
 * The idempotency key names a run with another payload.
 *
 * @since 0.1.0
 * @category errors
 */
export class IdempotencyConflict
  extends Schema.TaggedError<IdempotencyConflict>("perdure/IdempotencyConflict")("IdempotencyConflict", {
    workflow: Schema.String,
    key: Schema.String,
    runId: Schema.String,
    /** The encoded payload of the existing run. */
    existing: Schema.String,
    /** The encoded payload that was refused. */
    payload: Schema.String
  })
{
  override get message(): string {
    return `workflow ${this.workflow} already has run ${this.runId} for key "${this.key}" with another payload: ` +
      `it has ${this.existing}, refused ${this.payload}`
  }
}

/**
 * The workflow starts one run at a time for a key (`singleton` with mode `refuse`), and one is live.
 *
 * @since 0.1.0
 * @category errors
 */
export class SingletonBusy extends Schema.TaggedError<SingletonBusy>("perdure/SingletonBusy")("SingletonBusy", {
  workflow: Schema.String,
  key: Schema.String,
  /** The run that is live. */
  runId: Schema.String
}) {
  override get message(): string {
    return `workflow ${this.workflow} has live run ${this.runId} for key "${this.key}", and one at a time: ` +
      `wait for it, or use mode "join"`
  }
}

/**
 * A run would start a child deeper than allowed, for example because two workflows start each other.
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
 * A run has started as many children as allowed.
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
    return `run ${this.parent} has started ${this.limit} children, child ${this.workflow} is one too many: ` +
      `start them in batches by child runs or continueAsNew, or raise Limits`
  }
}

/**
 * A step, or a run, took longer than its `timeout`.
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
 * A run that was waited for ended otherwise than by its own success or failure.
 *
 * - `cancelled`, `terminated`: somebody ended it, or its parent's end did.
 * - `expired`: no worker had taken it when its deadline passed (`expiresIn`, `expiresAt` of its start).
 * - `exhausted`: its workers died too often while they held it.
 * - `failed`: its handler died; `detail` describes the defect.
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
 * A run has ended before that came which it was waited for.
 *
 * @since 0.1.0
 * @category errors
 */
export class WaitInVain extends Schema.TaggedError<WaitInVain>("perdure/WaitInVain")("WaitInVain", {
  runId: Schema.String,
  /** What was waited for, for example `step ship`. */
  what: Schema.String
}) {
  override get message(): string {
    return `run ${this.runId} has ended without ${this.what}: look at the name, and at run.history`
  }
}

/**
 * There is no run of that id.
 *
 * @since 0.1.0
 * @category errors
 */
export class NoSuchRun extends Schema.TaggedError<NoSuchRun>("perdure/NoSuchRun")("NoSuchRun", {
  runId: Schema.String
}) {
  override get message(): string {
    return `there is no run ${this.runId}`
  }
}

/**
 * A run cannot be forked before that entry: its journal does not reach so far, or does not begin so early (after
 * `continueAsNew` only entries of the present generation are there). Nothing was written.
 *
 * @since 0.1.0
 * @category errors
 */
export class ForkInvalid extends Schema.TaggedError<ForkInvalid>("perdure/ForkInvalid")("ForkInvalid", {
  runId: Schema.String,
  /** The `seq` that was asked for. */
  seq: Schema.Number,
  /** The first `seq` that may be asked for: nothing is kept. */
  first: Schema.Number,
  /** The last `seq` that may be asked for: the whole journal is kept. */
  next: Schema.Number
}) {
  override get message(): string {
    return `run ${this.runId} cannot be forked from entry ${this.seq}: give an integer from ${this.first} (nothing is kept) ` +
      `to ${this.next} (the whole journal is)`
  }
}

/**
 * A run cannot be retried: it has not ended, or not badly, or there is no telling from where. `detail` names the cure.
 * Nothing was written.
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
 * A fiber of the workflow waits, or waited, for something that the journal cannot know: a bare promise, a real timer, a
 * database call outside a step; or the program waits for itself. The run gets this as a defect.
 *
 * @since 0.1.0
 * @category errors
 */
export class NotDurable extends Schema.TaggedError<NotDurable>("perdure/NotDurable")("NotDurable", {
  problem: Schema.Literal("StrayWakeUp", "Stuck"),
  /** Where: the workflow and run, its spans, the last durable operation of the fiber. */
  place: Schema.String
}) {
  override get message(): string {
    return this.problem === "StrayWakeUp"
      ? `a fiber was woken by something that the journal does not know (a promise, a timer, I/O), at ${this.place}: ` +
        `put what it awaits into a Step`
      : `the workflow waits for something that no journal entry can bring (itself, a bare promise, a real timer, what it ` +
        `asks for again and again), at ${this.place}: put what it awaits into a Step, a Signal or a Callback`
  }
}

/**
 * A workflow was used in a way that its own code shows to be wrong; the message says how to mend it.
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
 * Definitions or options do not fit together. Lists every problem that was found.
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
 * Another live worker process uses this worker id.
 *
 * @since 0.1.0
 * @category errors
 */
export class WorkerIdTaken extends Schema.TaggedError<WorkerIdTaken>("perdure/WorkerIdTaken")("WorkerIdTaken", {
  workerId: Schema.String
}) {
  override get message(): string {
    return `another worker holds the id "${this.workerId}": give each process its own id, or leave the id out`
  }
}

/**
 * There is no worker of that id: it never was, has stopped in good order, or died a week ago.
 *
 * @since 0.1.0
 * @category errors
 */
export class NoSuchWorker extends Schema.TaggedError<NoSuchWorker>("perdure/NoSuchWorker")("NoSuchWorker", {
  workerId: Schema.String
}) {
  override get message(): string {
    return `there is no worker "${this.workerId}": see Workers.list`
  }
}

/**
 * A worker did not answer in time: it is dead, hangs, or cannot reach the journal.
 *
 * @since 0.1.0
 * @category errors
 */
export class WorkerUnresponsive
  extends Schema.TaggedError<WorkerUnresponsive>("perdure/WorkerUnresponsive")("WorkerUnresponsive", {
    workerId: Schema.String,
    /** How long it was waited for. */
    millis: Schema.Number
  })
{
  override get message(): string {
    return `worker "${this.workerId}" did not answer within ${this.millis} ms`
  }
}

/**
 * What runs are looked for by, or how, is not valid. Nothing was asked of storage.
 *
 * @since 0.1.0
 * @category errors
 */
export class FilterInvalid extends Schema.TaggedError<FilterInvalid>("perdure/FilterInvalid")("FilterInvalid", {
  /** Which condition or option. */
  field: Schema.String,
  /** What it was given. */
  value: Schema.String,
  /** What is wrong with it, and the cure. */
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.field} is ${this.value}: ${this.detail}`
  }
}

/**
 * Something is to be done to all runs, and was not said to be. Nothing was written.
 *
 * @since 0.1.0
 * @category errors
 */
export class FilterTooWide extends Schema.TaggedError<FilterTooWide>("perdure/FilterTooWide")("FilterTooWide", {
  operation: Schema.String
}) {
  override get message(): string {
    return `${this.operation} was given a filter without conditions, which matches every run: ` +
      `add a condition, or say Runs.all if all runs are meant`
  }
}

/**
 * There is no queue of that name: nobody has defined it, and no worker has ever served it.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnknownQueue extends Schema.TaggedError<UnknownQueue>("perdure/UnknownQueue")("UnknownQueue", {
  queue: Schema.String
}) {
  override get message(): string {
    return `there is no queue "${this.queue}": mend the name, define it (RunQueue.make and its layer), or start a worker ` +
      `that serves it`
  }
}

/**
 * There is no schedule of that name.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnknownSchedule
  extends Schema.TaggedError<UnknownSchedule>("perdure/UnknownSchedule")("UnknownSchedule", { schedule: Schema.String })
{
  override get message(): string {
    return `there is no schedule "${this.schedule}": mend the name, or make it (RunSchedule.make)`
  }
}

/**
 * The errors that starting a run outside of workflows may give.
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
 * The errors of the runtime that a handler may let pass, and that a run's journaled exit can hold beside the
 * workflow's own.
 *
 * @since 0.1.0
 * @category errors
 */
export const RuntimeError = Schema.Union(
  ValueInvalid,
  ValueTooLarge,
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
 * The errors, besides the workflow's own, with which waiting for a run's result may end.
 *
 * @since 0.1.0
 * @category errors
 */
export type ResultError = Exclude<RuntimeError, never>
