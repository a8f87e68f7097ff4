/** New runs that begin with the journal of another one: forks, and retries, which are forks at a place that is found. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import {
  ForkInvalid,
  type JournalError,
  NoSuchRun,
  NotRetryable,
  type UnknownQueue,
  ValueInvalid
} from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { ForkRequest, HistoryEntry, RunRecord } from "../../driver/JournalDriver.js"
import { priorityProblem } from "../options/legacyNames.js"
import { makeRunId } from "../codec/ids.js"
import { idProblem } from "../options/names.js"
import type * as RunQueue from "../../RunQueue.js"
import { show } from "../options/reading.js"
import { nameOf, refProblem } from "../options/queueReference.js"
import { refusal, requestProblem } from "../options/requests.js"

interface Options {
  readonly queue?: RunQueue.Ref
  readonly priority?: number
  readonly by?: string
  readonly reason?: string
}

type Refused = NoSuchRun | ForkInvalid | ValueInvalid | UnknownQueue | JournalError

/** The largest `seq` there can be. */
const LAST = 2_147_483_647

const PAGE = 500

/** The id of a retry: whose, and how many it is. */
const RETRY = /^([^]*)~(\d+)$/

/** What is wrong with the id that a user gives a fork. */
const ownIdProblem = (id: string): string | undefined =>
  typeof id !== "string"
    ? `the id is ${show(id)}, it must be a text`
    : id === ""
    ? "the id is empty: give one, or leave it out"
    : idProblem("the id", id) ??
      (RETRY.test(id) ? `the id "${id}" ends as those of retries do: leave "~" and the number out` : undefined)

const check = (
  journal: JournalService,
  what: string,
  known: ReadonlyArray<string>,
  options: (Options & { readonly id?: string }) | undefined
): Effect.Effect<void, ValueInvalid | UnknownQueue | JournalError> =>
  Effect.suspend((): Effect.Effect<void, ValueInvalid | UnknownQueue | JournalError> => {
    const problem = requestProblem(options, [...known, "queue", "priority"]) ?? placeProblem(options ?? {})
    if (problem !== undefined) return refusal(what, problem)
    return options?.queue === undefined ? Effect.void : journal.process.queues.require(nameOf(options.queue))
  })

const placeProblem = ({ id, priority, queue }: Options & { readonly id?: string }): string | undefined =>
  (id === undefined ? undefined : ownIdProblem(id)) ??
    (queue === undefined ? undefined : refProblem(queue)) ??
    (priority === undefined ? undefined : priorityProblem(priority))

const fork = Effect.fnUntraced(function*(
  journal: JournalService,
  request: Pick<ForkRequest, "source" | "seq" | "id" | "action">,
  { by, priority, queue, reason }: Options
): Effect.fn.Return<string, Refused> {
  const { id, seq, source } = request
  const answer = yield* journal.fork({
    ...request,
    // What is no place in any journal is out of its range.
    seq: Number.isInteger(seq) && seq >= 0 && seq <= LAST ? seq : -1,
    queue: queue === undefined ? null : nameOf(queue),
    priority: priority ?? null,
    by: by ?? null,
    reason: reason ?? null
  })
  switch (answer._tag) {
    case "Forked":
      return id
    case "NoSuchRun":
      return yield* new NoSuchRun({ runId: source })
    case "OutOfRange":
      return yield* new ForkInvalid({ runId: source, seq, first: answer.first, next: answer.next })
    case "Existing": {
      const [found] = yield* journal.get([id])
      if (found?.source?.run === source && (request.action === "retry" || found.source.seq === seq)) return id
      const detail = `run ${id} exists and is not this fork: give another id, or none`
      return yield* new ValueInvalid({ what: `fork of run ${source}`, detail })
    }
  }
})

/** Fork a run before the entry `from`. Answers the new run's id. */
export const forkRun = Effect.fnUntraced(function*(
  journal: JournalService,
  source: string,
  options: Options & { readonly from: number; readonly id?: string }
): Effect.fn.Return<string, Refused> {
  const what = `fork of run ${source}`
  yield* check(journal, what, ["from", "id"], options)
  const from: unknown = options?.from
  if (typeof from !== "number") {
    return yield* refusal(what, `from is ${show(from)}, it must be the seq of the first entry that is not taken over`)
  }
  const id = options.id ?? makeRunId(yield* Clock.currentTimeMillis)
  return yield* fork(journal, { source, seq: options.from, id, action: "fork" }, options)
})

/** Retry a run that has ended badly. Answers the new run's id. */
export const retryRun = Effect.fnUntraced(function*(
  journal: JournalService,
  source: string,
  options: (Options & { readonly from?: "failure" | "start" | number }) | undefined
): Effect.fn.Return<string, Refused | NotRetryable> {
  const what = `retry of run ${source}`
  yield* check(journal, what, ["from"], options)
  const { from = "failure" } = options ?? {}
  if (from !== "failure" && from !== "start" && typeof from !== "number") {
    return yield* refusal(what, `from is ${show(from)}, it must be "failure", "start" or the seq of an entry`)
  }
  const [record] = yield* journal.get([source])
  if (record === undefined) return yield* new NoSuchRun({ runId: source })
  const why = unfit(record)
  if (why !== undefined) return yield* new NotRetryable({ runId: source, status: record.status, detail: why })
  const seq = typeof from === "number" ? from : yield* place(journal, record, from)
  return yield* fork(journal, { source, seq, id: retryId(source), action: "retry" }, options ?? {})
})

/** The next retry of a run has a name that follows from its own: asked for twice, it is one. */
export const retryId = (id: string): string => {
  const match = RETRY.exec(id)
  return match === null ? `${id}~1` : `${match[1]}~${Number(match[2]) + 1}`
}

const unfit = ({ status }: RunRecord): string | undefined => {
  switch (status) {
    case "failed":
    case "exhausted":
    case "terminated":
    case "expired":
      return undefined
    case "completed":
      return "it has succeeded; Run.fork does a part of it again, or start a new run"
    case "cancelled":
      return "it was cancelled, and what it had done was undone by its finalizers; Run.fork does a part of it again, or " +
        "start a new run"
    case "diverged":
      return "it has not ended: Run.resume lets mended code go on with it"
    default:
      return "it has not ended: wait for its end, or end it by Run.cancel or Run.terminate"
  }
}

const entriesOf = Effect.fnUntraced(function*(
  journal: JournalService,
  run: string
): Effect.fn.Return<ReadonlyArray<HistoryEntry>, JournalError> {
  const entries: Array<HistoryEntry> = []
  for (;;) {
    const from = (entries.at(-1)?.seq ?? -1) + 1
    const page = yield* journal.history({ run, from, limit: PAGE })
    entries.push(...page)
    if (page.length < PAGE) return entries
  }
})

const place = Effect.fnUntraced(function*(
  journal: JournalService,
  { id, nextSeq, status }: RunRecord,
  from: "failure" | "start"
): Effect.fn.Return<number, NotRetryable | JournalError> {
  if (from === "start") {
    const [first] = yield* journal.history({ run: id, from: 0, limit: 1 })
    return first?.seq ?? nextSeq
  }
  if (status !== "failed") return nextSeq
  const entries = yield* entriesOf(journal, id)
  const index = entries.findLastIndex(hasFailed)
  const failed = entries[index]
  if (failed === undefined) return nextSeq
  const later = entries.slice(index + 1).find(({ exit, kind }) => kind === "step" && exit.kind === "success")
  if (later === undefined) return failed.seq
  return yield* new NotRetryable({
    runId: id,
    status,
    detail: `after its last failure (entry ${failed.seq}, ${failed.kind} "${failed.name}") step "${later.name}" has ` +
      `succeeded (entry ${later.seq}), as compensation does, so it cannot go on from there: retry it from "start", or ` +
      `from the seq of an entry before which all is as it should be`
  })
})

/** A step that failed, a child that ended otherwise than by success, or a defect of the run itself. */
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
