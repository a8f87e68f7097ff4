/**
 * Many runs at once: list the runs that match a filter, count them, and change all of them.
 *
 * All of this asks storage at once, which no replay could repeat: call it outside of workflows, or in a step. A filter
 * or option of the wrong type or out of range is a defect (`Misuse`); storage is not asked then.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { outsideOnly } from "./CurrentRun.js"
import * as Driver from "./driver/JournalDriver.js"
import type { JournalError, UnknownQueue, ValueInvalid } from "./Errors.js"
import { makeExitCodec } from "./internal/codec/exits.js"
import type { Attribution } from "./internal/options/Attribution.js"
import { attributionTable } from "./internal/options/Attribution.js"
import type * as Filters from "./internal/options/filters.js"
import { driverFilter, runFilter, runList } from "./internal/options/filters.js"
import type * as Pages from "./internal/options/pages.js"
import { MAX_PAGE_SIZE } from "./internal/options/pages.js"
import { requireArguments } from "./internal/options/policy.js"
import type { Problems } from "./internal/options/Rule.js"
import { count as countRule, fields, optional } from "./internal/options/Rule.js"
import * as Outcomes from "./internal/runs/outcomes.js"
import { retryRuns } from "./internal/runs/retrying.js"
import { isFields } from "./internal/util/show.js"
import type { JournalService } from "./Journal.js"
import { Journal } from "./Journal.js"
import * as Run from "./Run.js"

/**
 * Conditions on runs. A run matches if it meets all conditions that are given.
 *
 * @since 0.1.0
 * @category models
 */
export type RunFilter = Filters.RunFilter

/**
 * @since 0.1.0
 * @category symbols
 */
export const AllTypeId: unique symbol = Symbol.for("perdure/Runs/All")

/**
 * @since 0.1.0
 * @category models
 */
export interface All {
  readonly [AllTypeId]: true
}

/**
 * Every run. Changes in bulk refuse a filter without conditions, so that an empty one does not change all runs by
 * mistake.
 *
 * @since 0.1.0
 * @category filters
 * @example
 * import * as Runs from "perdure/Runs"
 *
 * const program = Runs.pause(Runs.all, { by: "ann", reason: "the database is moved" })
 */
export const all: All = { [AllTypeId]: true }

/**
 * A run that matched: its record as it was then, and a handle. The handle's result is plain JSON; `Workflow.attach`
 * gives a handle with the workflow's own types.
 *
 * @since 0.1.0
 * @category models
 */
export interface Found extends Driver.RunRecord {
  readonly run: Run.Run<unknown, unknown>
}

/**
 * A page of runs, newest first.
 *
 * @since 0.1.0
 * @category models
 */
export type Page = Pages.Page<Found>

/**
 * @since 0.1.0
 * @category models
 */
export type PageOptions = Pages.PageOptions

/**
 * How runs are changed in bulk.
 *
 * @since 0.1.0
 * @category models
 */
export interface BulkOptions extends Attribution {
  /** Most runs of one statement, 1 to 1,000. Default 200. */
  readonly batchSize?: number
}

/**
 * The result of a change in bulk.
 *
 * @since 0.2.0
 * @category models
 */
export interface Totals {
  /** Runs that matched. */
  readonly matched: number
  /** Those of them that were changed. */
  readonly changed: number
  /** How many of the others were not changed for which reason. Reasons that did not occur are left out. */
  readonly unchanged: Unchanged
}

/**
 * Why a run was not changed:
 *
 * - `Ended`: it had ended meanwhile.
 * - `NoSuchRun`: it was deleted meanwhile.
 * - `AlreadyCancelled`, `AlreadyRetried`: it was cancelled or retried before.
 * - `OtherStatus`: the change does not apply to its status (for example, it is paused already, or it has succeeded).
 * - `Compensated`: `Run.retry` refuses it, because steps have succeeded after its failure.
 *
 * @since 0.2.0
 * @category models
 */
export type UnchangedReason = Outcomes.UnchangedReason

/**
 * The number of runs by the reason why they were not changed.
 *
 * @since 0.2.0
 * @category models
 */
export type Unchanged = Outcomes.Unchanged

/**
 * The progress of a change in bulk, after each batch.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress extends Totals {
  /** This was the last batch. */
  readonly done: boolean
}

const untyped = makeExitCodec({
  success: Schema.Unknown,
  failure: Schema.Unknown,
  what: "result of a run",
  limitBytes: Infinity
})

const DEFAULT_BATCH_SIZE = 200

const isAll = (filter: unknown): filter is All => isFields(filter) && AllTypeId in filter

const checkFilter = (filter: RunFilter | All): Problems => isAll(filter) ? [] : runFilter.problems(filter, "filter")

const conditionsOf = (filter: RunFilter | All): Driver.RunFilter => isAll(filter) ? {} : driverFilter(filter)

const read = (filter: RunFilter | All) => (after: Driver.RunCursor | null, limit: number) =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const { next, runs } = yield* journal.find({ filter: conditionsOf(filter), after, limit })
    return { items: runs.map((record): Found => ({ ...record, run: handle(journal, record) })), next }
  })

const handle = (journal: JournalService, { id, workflow }: Driver.RunRecord): Run.Run<unknown, unknown> =>
  Run.make(journal, { name: workflow, exit: untyped }, id)

/**
 * Returns a page of the runs that match, newest first. Runs that are started meanwhile do not shift the pages after it.
 *
 * Fails with `ValueInvalid` if the cursor is not from such a page.
 *
 * @since 0.2.0
 * @category finding
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Runs from "perdure/Runs"
 *
 * const program = Effect.gen(function*() {
 *   const first = yield* Runs.list({ workflow: "Fulfil", status: "failed", tags: ["eu"] }, { limit: 50 })
 *   const second = yield* Runs.list({ workflow: "Fulfil", status: "failed", tags: ["eu"] }, { cursor: first.next })
 *   return [...first.items, ...second.items].map(({ id, finishedAt }) => [id, finishedAt])
 * })
 * ```
 */
export const list = (
  filter: RunFilter | All,
  options?: PageOptions
): Effect.Effect<Page, ValueInvalid | JournalError, Journal> =>
  outsideOnly("Runs.list", () =>
    Effect.zipRight(
      requireArguments("Runs.list", checkFilter(filter)),
      Effect.suspend(() => runList.page(options, read(filter)))
    ))

/**
 * All runs that match, newest first.
 *
 * @since 0.1.0
 * @category finding
 * @example
 * ```ts
 * import * as Stream from "effect/Stream"
 * import * as Runs from "perdure/Runs"
 *
 * const ids = Runs.stream({ status: ["failed", "exhausted"] }).pipe(Stream.map(({ id }) => id), Stream.runCollect)
 * ```
 */
export const stream = (filter: RunFilter | All): Stream.Stream<Found, JournalError, Journal> =>
  Stream.unwrap(outsideOnly("Runs.stream", () =>
    Effect.as(
      requireArguments("Runs.stream", checkFilter(filter)),
      Stream.suspend(() => runList.stream(read(filter)))
    )))

/**
 * Returns how many runs match, by state.
 *
 * @since 0.1.0
 * @category finding
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Runs from "perdure/Runs"
 *
 * const failures = Effect.map(Runs.count({ workflow: "Fulfil" }), ({ exhausted, failed }) => failed + exhausted)
 * ```
 */
export const count = (
  filter: RunFilter | All
): Effect.Effect<Readonly<Record<Driver.RunStatus, number>>, JournalError, Journal> =>
  outsideOnly("Runs.count", () =>
    Effect.gen(function*() {
      yield* requireArguments("Runs.count", checkFilter(filter))
      const journal = yield* Journal
      return { ...zero, ...yield* journal.count(conditionsOf(filter)) }
    }))

const zero: Readonly<Record<Driver.RunStatus, number>> = {
  pending: 0,
  running: 0,
  suspended: 0,
  paused: 0,
  diverged: 0,
  completed: 0,
  failed: 0,
  cancelled: 0,
  terminated: 0,
  expired: 0,
  exhausted: 0
}

const bulkOptions = optional(fields<BulkOptions>({
  ...attributionTable,
  batchSize: optional(countRule({ min: 1, max: MAX_PAGE_SIZE }))
}))

const checkBulk = (filter: RunFilter | All, options: BulkOptions | undefined): Problems => {
  const problems = [...checkFilter(filter), ...bulkOptions.problems(options, "")]
  return problems.length > 0 || isAll(filter) || Object.keys(driverFilter(filter)).length > 0
    ? problems
    : [`"filter" has no conditions, which matches every run: add a condition, or give Runs.all if you mean all runs`]
}

/** Changes a batch of runs, and returns the outcome of each, in any order. */
type Change<E> = (
  journal: JournalService,
  runs: ReadonlyArray<string>,
  by: Attribution
) => Effect.Effect<ReadonlyArray<Outcomes.Outcome>, E | JournalError>

type Bulk<E> = (filter: RunFilter | All, options?: BulkOptions) => Effect.Effect<Totals, E | JournalError, Journal>

type BulkStream<E> = (
  filter: RunFilter | All,
  options?: BulkOptions
) => Stream.Stream<Progress, E | JournalError, Journal>

/**
 * Changes page by page, newest first, each by its own statement. `statuses` are those in which the change makes sense;
 * they hold if the filter names no states.
 */
const bulk =
  <E>(operation: string, statuses: ReadonlyArray<Driver.RunStatus>, change: Change<E>): BulkStream<E> =>
  (filter, options) =>
    Stream.unwrap(outsideOnly(operation, () =>
      Effect.gen(function*() {
        yield* requireArguments(operation, checkBulk(filter, options))
        const { batchSize: limit = DEFAULT_BATCH_SIZE, by, reason } = options ?? {}
        const attribution = { ...(by === undefined ? {} : { by }), ...(reason === undefined ? {} : { reason }) }
        const journal = yield* Journal
        const request = { filter: { statuses, ...conditionsOf(filter) }, limit }
        return Stream.paginateEffect<
          Totals & { readonly after: Driver.RunCursor | null },
          Progress,
          E | JournalError,
          never
        >(
          { after: null, ...Outcomes.none },
          ({ after, ...before }) =>
            Effect.gen(function*() {
              const { next, runs } = yield* journal.find({ ...request, after })
              const ids = runs.map(({ id }) => id)
              const totals = Outcomes.add(before, ids.length === 0 ? [] : yield* change(journal, ids, attribution))
              return [
                { ...totals, done: next === null },
                next === null ? Option.none() : Option.some({ after: next, ...totals })
              ] as const
            })
        )
      })))

/** The same without progress. */
const total = <E>(stream: BulkStream<E>): Bulk<E> => (filter, options) =>
  Stream.runFold(stream(filter, options), Outcomes.none, (_, { done: _done, ...totals }) => totals)

/** A change that the driver makes to a batch by one statement. */
const controlled = (control: "pause" | "resume" | "terminate"): Change<never> => (journal, runs, { by, reason }) =>
  Effect.map(
    journal[control]({ runs, by: by ?? null, reason: reason ?? null }),
    (changed) => runs.map((_, index) => index < changed ? "Changed" : "OtherStatus")
  )

/**
 * As `cancel`, with progress after each batch.
 *
 * @since 0.2.0
 * @category bulk
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import * as Runs from "perdure/Runs"
 *
 * const program = Runs.cancelStream({ tags: ["campaign-7"] }, { by: "ann", reason: "wrong prices" }).pipe(
 *   Stream.runForEach(({ changed, matched }) => Effect.log(`${changed} of ${matched} cancelled`))
 * )
 * ```
 */
export const cancelStream: BulkStream<never> = bulk<never>(
  "Runs.cancel",
  Driver.liveStatuses,
  (journal, runs, { by, reason }) =>
    Effect.map(
      journal.cancel(runs.map((run) => ({ run, by, reason }))),
      (dispositions) => dispositions.map((each) => Outcomes.ofCancel[each])
    )
)

/**
 * Cancels all live runs that match, as `Run.cancel` does each: durably, finalizers run. Runs are changed in batches.
 * What was done before an interruption or an error stays; the same call may be repeated.
 *
 * A filter without conditions is a defect (`Misuse`): give `Runs.all` if you mean all runs.
 *
 * @since 0.1.0
 * @category bulk
 * @example
 * ```ts
 * import * as Runs from "perdure/Runs"
 *
 * const program = Runs.cancel({ tags: ["campaign-7"] }, { by: "ann", reason: "wrong prices" })
 * ```
 */
export const cancel: Bulk<never> = total(cancelStream)

/**
 * As `terminate`, with progress after each batch.
 *
 * @since 0.2.0
 * @category bulk
 * @example
 * import * as Runs from "perdure/Runs"
 *
 * const progress = Runs.terminateStream({ workflow: "Broken", version: "3" }, { by: "ann" })
 */
export const terminateStream: BulkStream<never> = bulk<never>(
  "Runs.terminate",
  Driver.liveStatuses,
  controlled("terminate")
)

/**
 * Ends all live runs that match at once, with their attached children, as `Run.terminate` does each; no finalizer runs.
 * Changes as `cancel` does. Children that match and have ended with their parents do not count as changed.
 *
 * @since 0.1.0
 * @category bulk
 * @example
 * ```ts
 * import * as Runs from "perdure/Runs"
 *
 * const program = Runs.terminate({ workflow: "Broken", version: "3" }, { by: "ann" })
 * ```
 */
export const terminate: Bulk<never> = total(terminateStream)

/**
 * As `pause`, with progress after each batch.
 *
 * @since 0.2.0
 * @category bulk
 * @example
 * import * as Runs from "perdure/Runs"
 *
 * const progress = Runs.pauseStream({ queue: "mail" }, { by: "ann", reason: "the provider is down" })
 */
export const pauseStream: BulkStream<never> = bulk<never>(
  "Runs.pause",
  Driver.PausableStatus.literals,
  controlled("pause")
)

/**
 * Pauses all live runs that match, with their attached children, as `Run.pause` does each. Changes as `cancel` does.
 *
 * @since 0.1.0
 * @category bulk
 * @example
 * ```ts
 * import * as Runs from "perdure/Runs"
 *
 * const program = Runs.pause({ queue: "mail" }, { by: "ann", reason: "the provider is down" })
 * ```
 */
export const pause: Bulk<never> = total(pauseStream)

/**
 * As `resume`, with progress after each batch.
 *
 * @since 0.2.0
 * @category bulk
 * @example
 * import * as Runs from "perdure/Runs"
 *
 * const progress = Runs.resumeStream({ queue: "mail" }, { by: "ann" })
 */
export const resumeStream: BulkStream<never> = bulk<never>(
  "Runs.resume",
  Driver.HaltedStatus.literals,
  controlled("resume")
)

/**
 * Lets all paused runs that match continue, with their attached children, and retries diverged ones, as `Run.resume`
 * does each. Changes as `cancel` does. Runs that still are to be paused are `running`: name that status to include
 * them.
 *
 * @since 0.1.0
 * @category bulk
 * @example
 * ```ts
 * import * as Runs from "perdure/Runs"
 *
 * const program = Runs.resume({ queue: "mail", status: "paused" }, { by: "ann" })
 * ```
 */
export const resume: Bulk<never> = total(resumeStream)

/**
 * As `retry`, with progress after each batch.
 *
 * @since 0.2.0
 * @category bulk
 * @example
 * import * as Runs from "perdure/Runs"
 *
 * const progress = Runs.retryStream({ workflow: "Fulfil", errorCode: "Unreachable" }, { by: "ann" })
 */
export const retryStream: BulkStream<UnknownQueue> = bulk<UnknownQueue>(
  "Runs.retry",
  Driver.RetryableStatus.literals,
  retryRuns
)

/**
 * Retries all runs that match and have not succeeded, as `Run.retry` does each: new runs continue from where they
 * failed. Changes as `cancel` does. Runs that were retried before are not retried again, so the same call may be
 * repeated.
 *
 * @since 0.1.0
 * @category bulk
 * @example
 * ```ts
 * import * as Runs from "perdure/Runs"
 *
 * const program = Runs.retry({ workflow: "Fulfil", errorCode: "Unreachable" }, { by: "ann" })
 * ```
 */
export const retry: Bulk<UnknownQueue> = total(retryStream)
