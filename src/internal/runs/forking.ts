/**
 * Forks: new runs that begin with the journal of another run. A retry is a fork at a place that is found in the
 * journal.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import {
  ForkInvalid,
  type JournalError,
  NoSuchRun,
  NotRetryable,
  type UnknownQueue,
  ValueInvalid
} from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import {
  type ForkRequest,
  type HistoryEntry,
  isLastPage,
  isRetryable,
  type RunRecord
} from "../../driver/JournalDriver.js"
import { makeRunId } from "../codec/ids.js"
import { nextAttemptId } from "./attempts.js"
import type { ForkOptions, RetryOptions } from "../options/forkOptions.js"
import { forkOptions, retryOptions } from "../options/forkOptions.js"
import { requireArguments } from "../options/policy.js"
import type { QueueReference } from "../options/queues.js"
import { queueName } from "../options/queues.js"
import { optional } from "../options/Rule.js"
import { isFields } from "../util/show.js"

type ForkError = NoSuchRun | ForkInvalid | ValueInvalid | UnknownQueue | JournalError

/** The largest `seq` that a journal can have. */
const MAX_SEQ = 2_147_483_647

const HISTORY_PAGE_SIZE = 500

const requireQueue = ({ process }: JournalService, queue: QueueReference | undefined) =>
  queue === undefined ? Effect.void : process.queues.require(queueName(queue))

/** Inserts a fork. Returns the run that has its id already, else null. */
const fork = Effect.fnUntraced(function*(
  journal: JournalService,
  request: Pick<ForkRequest, "source" | "seq" | "id" | "action">,
  { by, priority, queue, reason }: Pick<ForkOptions, "by" | "priority" | "queue" | "reason">
): Effect.fn.Return<RunRecord | null, ForkError> {
  const { id, seq, source } = request
  const answer = yield* journal.fork({
    ...request,
    // A number that is no seq of any journal is out of range.
    seq: Number.isInteger(seq) && seq >= 0 && seq <= MAX_SEQ ? seq : -1,
    queue: queue === undefined ? null : queueName(queue),
    priority: priority ?? null,
    by: by ?? null,
    reason: reason ?? null
  })
  switch (answer._tag) {
    case "Forked":
      return null
    case "NoSuchRun":
      return yield* new NoSuchRun({ runId: source })
    case "OutOfRange":
      return yield* new ForkInvalid({ runId: source, seq, first: answer.first, next: answer.next })
    case "Existing": {
      const [found] = yield* journal.get([id])
      return found ?? (yield* new NoSuchRun({ runId: id }))
    }
  }
})

/** The published value that names the last step of a run that failed, if that step may have been compensation. */
export const COMPENSATION_KEY = "perdure:compensation"

const compensationOf = { key: COMPENSATION_KEY, schema: Schema.String }

/** Forks a run before the entry `from`. Returns the new run's id. */
export const forkRun = Effect.fnUntraced(function*(
  journal: JournalService,
  source: string,
  options: ForkOptions
): Effect.fn.Return<string, ForkError> {
  yield* requireArguments(`fork of run ${source}`, forkOptions.problems(options, ""))
  yield* requireQueue(journal, options.queue)
  const id = options.id ?? makeRunId(yield* Clock.currentTimeMillis)
  const existing = yield* fork(journal, { source, seq: options.from, id, action: "fork" }, options)
  if (existing === null || (existing.source?.run === source && existing.source.seq === options.from)) return id
  const detail = `run ${id} exists and is not this fork: give another id, or leave it out`
  return yield* new ValueInvalid({ what: `fork of run ${source}`, detail })
})

/** Retries a run that failed or was ended from outside. Returns the new run's id. */
export const retryRun = Effect.fnUntraced(function*(
  journal: JournalService,
  source: string,
  options: RetryOptions | undefined
): Effect.fn.Return<string, ForkError | NotRetryable> {
  yield* requireArguments(`retry of run ${source}`, optional(retryOptions).problems(options, ""))
  yield* requireQueue(journal, options?.queue)
  const { from = "failure" } = options ?? {}
  const [record] = yield* journal.get([source])
  if (record === undefined) return yield* new NoSuchRun({ runId: source })
  const reason = notRetryable(record)
  if (reason !== undefined) return yield* new NotRetryable({ runId: source, status: record.status, detail: reason })
  const seq = typeof from === "number" ? from : yield* retrySeq(journal, record, from)
  return yield* attempt(journal, { source, seq, isPlaced: options?.from !== undefined }, options ?? {})
})

/**
 * Forks a run as its next attempt. Two requests are one attempt: the first free id after the source's is taken, unless
 * an earlier id has a retry of this run. If the caller gave a place, only a retry from that place counts.
 */
const attempt = Effect.fnUntraced(function*(
  journal: JournalService,
  { isPlaced, seq, source }: { readonly source: string; readonly seq: number; readonly isPlaced: boolean },
  options: RetryOptions
): Effect.fn.Return<string, ForkError> {
  for (let id = nextAttemptId(source);; id = nextAttemptId(id)) {
    const existing = yield* fork(journal, { source, seq, id, action: "retry" }, options)
    if (existing === null) return id
    if (existing.source?.run === source && (!isPlaced || existing.source.seq === seq)) return id
  }
})

/** Why a run cannot be retried, or undefined. */
const notRetryable = ({ status }: RunRecord): string | undefined => {
  if (isRetryable(status)) return undefined
  switch (status) {
    case "completed":
      return "it has succeeded: use Run.fork to repeat a part of it, or start a new run"
    case "cancelled":
      return "it was cancelled, and its finalizers have compensated its steps: use Run.fork to repeat a part of it, or " +
        "start a new run"
    case "diverged":
      return "it has not ended: use Run.resume once its code is fixed"
    default:
      return "it has not ended: wait for its end, or end it with Run.cancel or Run.terminate"
  }
}

const entriesOf = Effect.fnUntraced(function*(
  journal: JournalService,
  run: string
): Effect.fn.Return<ReadonlyArray<HistoryEntry>, JournalError> {
  const entries: Array<HistoryEntry> = []
  for (;;) {
    const from = (entries.at(-1)?.seq ?? -1) + 1
    const page = yield* journal.history({ run, from, limit: HISTORY_PAGE_SIZE })
    entries.push(...page)
    if (isLastPage(page, HISTORY_PAGE_SIZE)) return entries
  }
})

/** The `seq` at which a retry begins. */
const retrySeq = Effect.fnUntraced(function*(
  journal: JournalService,
  record: RunRecord,
  from: "failure" | "start"
): Effect.fn.Return<number, NotRetryable | JournalError> {
  const { id, nextSeq, status } = record
  if (from === "start") {
    const [first] = yield* journal.history({ run: id, from: 0, limit: 1 })
    return first?.seq ?? nextSeq
  }
  if (status !== "failed") return nextSeq
  const entries = yield* entriesOf(journal, id)
  const limit = timeoutOf(record)
  const index = entries.findLastIndex((entry) => hasFailed(entry) || (entry.kind === "timer" && entry.at >= limit))
  const failed = entries[index]
  if (failed === undefined) {
    const compensation = yield* journal.published(compensationOf, id).pipe(
      Effect.catchTag("ValueUnreadable", () => Effect.succeedNone)
    )
    if (Option.isNone(compensation)) return nextSeq
    return yield* new NotRetryable({
      runId: id,
      status,
      detail:
        `its workflow's code failed, and after that step "${
          String(compensation.value.value)
        }" has succeeded, as compensation does, ` +
        `so it cannot continue from there: retry it from "start", or from the seq of an entry before which the journal is ` +
        `right`
    })
  }
  const later = entries.slice(index + 1).find(({ exit, kind }) => kind === "step" && exit.kind === "success")
  if (later === undefined) return failed.seq
  return yield* new NotRetryable({
    runId: id,
    status,
    detail: `after its last failure (entry ${failed.seq}, ${failed.kind} "${failed.name}") step "${later.name}" has ` +
      `succeeded (entry ${later.seq}), as compensation does, so it cannot continue from there: retry it from "start", or ` +
      `from the seq of an entry before which the journal is right`
  })
})

/** The instant at which the workflow's own timeout ended a run; `Infinity` if something else did. */
const timeoutOf = ({ createdAt, exit, startedAt, workflow }: RunRecord): number => {
  if (exit === null || exit.kind !== "failure" || exit.value === null) return Infinity
  const error: unknown = JSON.parse(exit.value)
  // A fork has the start of its source, and a timeout of its own.
  return isFields(error) && error["_tag"] === "TimedOut" && error["what"] === `workflow ${workflow}` &&
      typeof error["millis"] === "number"
    ? Math.max(createdAt, startedAt ?? createdAt) + error["millis"]
    : Infinity
}

/** A step that failed, a child that did not complete, or a defect of the run itself. */
const hasFailed = ({ exit, kind }: HistoryEntry): boolean => {
  switch (kind) {
    case "step":
      return exit.kind === "failure" || exit.kind === "defect"
    case "child": {
      const ending: unknown = exit.value === null ? null : JSON.parse(exit.value)
      return Predicate.hasProperty(ending, "status") && ending.status !== "completed"
    }
    default:
      return kind === "defect"
  }
}
