/**
 * Many runs at once: find them by what they are, count them, and do something to all that match.
 *
 * All of this asks storage at once, which no replay could repeat: it is for outside of workflows, and for steps.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { outsideOnly } from "./CurrentRun.js"
import type { FilterInvalid, JournalError, UnknownQueue } from "./Errors.js"
import { FilterTooWide } from "./Errors.js"
import { makeExitCodec } from "./internal/codec/exits.js"
import { cursorOf, encodeCursor, filterOf, optionsOf, sizeOf } from "./internal/options/filters.js"
import { retryId, retryRun } from "./internal/runs/forking.js"
import type { JournalService } from "./Journal.js"
import { Journal } from "./Journal.js"
import type * as Driver from "./driver/JournalDriver.js"
import { type Attributes, liveStatuses, type RunRecord, type RunStatus } from "./driver/JournalDriver.js"
import * as Run from "./Run.js"
import type * as RunQueue from "./RunQueue.js"

/**
 * What runs are looked for by: those are found that meet all conditions which are there.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunFilter {
  /** Workflows, or their names. */
  readonly workflow?: Named | ReadonlyArray<Named>
  readonly version?: string
  readonly status?: RunStatus | ReadonlyArray<RunStatus>
  /** Queues, or their names. */
  readonly queue?: RunQueue.Ref | ReadonlyArray<RunQueue.Ref>
  /** The key within its queue. */
  readonly key?: string
  /** It has all of these. */
  readonly tags?: ReadonlyArray<string>
  /** It has all of these, with these values. */
  readonly attributes?: Attributes
  /** The run that started it. */
  readonly parent?: string
  /** The topmost run above it; that one is found, too. */
  readonly root?: string
  readonly idempotencyKey?: string
  /** The run that it is a fork of. */
  readonly source?: string
  readonly createdFrom?: DateTime.DateTime | Date
  /** Not at this instant any more. */
  readonly createdBefore?: DateTime.DateTime | Date
  readonly finishedFrom?: DateTime.DateTime | Date
  readonly finishedBefore?: DateTime.DateTime | Date
  /**
   * The `_tag` of what it failed with, of the runtime's error that it died of, or the name of what was thrown. Of failed
   * runs, unless `status` says otherwise.
   */
  readonly errorCode?: string
  /**
   * Part of the JSON of what it failed with or died of, or of what a diverged, exhausted or ended run says. A to Z are
   * as good as a to z. Of runs in states that can have any, unless `status` says otherwise.
   */
  readonly text?: string
}

/** What has the name of a workflow. */
type Named = string | { readonly name: string; readonly toLayer: unknown }

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
 * Every run, said explicitly: what is done to many runs takes no filter without conditions.
 *
 * @since 0.1.0
 * @category filters
 */
export const all: All = { [AllTypeId]: true }

/**
 * A run that was found: its record, as it was then, and a handle on it. The handle gives its result as plain JSON; that
 * of the workflow's own types is `Workflow.attach`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Found extends RunRecord {
  readonly run: Run.Run<unknown, unknown>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Page {
  /** Newest first. */
  readonly runs: ReadonlyArray<Found>
  /** Give it as `cursor` to get the page after this one; null if this is the last. */
  readonly next: string | null
}

/**
 * @since 0.1.0
 * @category models
 */
export interface PageOptions {
  /** Runs of a page, 1 to 1000. Default 100. */
  readonly limit?: number
  /** The `next` of the page before. */
  readonly cursor?: string | null
}

/**
 * How runs are changed in bulk.
 *
 * @since 0.1.0
 * @category models
 */
export interface BulkOptions extends Run.Attribution {
  /** Runs of a batch, 1 to 1000. Default 200. */
  readonly batch?: number
}

/**
 * How far a change in bulk has come.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress {
  /** Runs that matched so far. */
  readonly matched: number
  /** Those of them that it changed. The others had ended meanwhile, or were changed already. */
  readonly changed: number
  /** It is over. */
  readonly done: boolean
}

const untyped = makeExitCodec({
  success: Schema.Unknown,
  failure: Schema.Unknown,
  what: "result of a run",
  limitBytes: Infinity
})

const isAll = (filter: RunFilter | All): filter is All => AllTypeId in filter

const toDriver = (filter: RunFilter | All): Either.Either<Driver.RunFilter, FilterInvalid> =>
  typeof filter === "object" && filter !== null && isAll(filter) ? Either.right({}) : filterOf(filter)

const DEFAULT_PAGE = 100
const DEFAULT_BATCH = 200

/**
 * A page of the runs that match, newest first. Runs that are started meanwhile do not shift the pages after it.
 *
 * Fails with `FilterInvalid` if a condition, the limit or the cursor is not valid.
 *
 * @since 0.1.0
 * @category finding
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Runs from "perdure/Runs"
 *
 * const program = Effect.gen(function*() {
 *   const first = yield* Runs.find({ workflow: "Fulfil", status: "failed", tags: ["eu"] }, { limit: 50 })
 *   const second = yield* Runs.find({ workflow: "Fulfil", status: "failed", tags: ["eu"] }, { cursor: first.next })
 *   return [...first.runs, ...second.runs].map(({ id, finishedAt }) => [id, finishedAt])
 * })
 * ```
 */
export const find = (
  filter: RunFilter | All,
  options?: PageOptions
): Effect.Effect<Page, FilterInvalid | JournalError, Journal> =>
  outsideOnly("Runs.find", () =>
    Effect.gen(function*() {
      const wanted = yield* toDriver(filter)
      const given = yield* optionsOf(options, ["limit", "cursor"])
      const limit = yield* sizeOf("limit", given["limit"], DEFAULT_PAGE)
      const after = yield* cursorOf(given["cursor"])
      const journal = yield* Journal
      const { next, runs } = yield* journal.find({ filter: wanted, after, limit })
      return {
        runs: runs.map((record) => ({ ...record, run: handle(journal, record) })),
        next: next === null ? null : encodeCursor(next)
      }
    }))

const handle = (journal: JournalService, { id, workflow }: RunRecord): Run.Run<unknown, unknown> =>
  Run.make(journal, { name: workflow, exit: untyped }, id)

/**
 * All runs that match, newest first, a page at a time.
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
export const stream = (
  filter: RunFilter | All
): Stream.Stream<Found, FilterInvalid | JournalError, Journal> =>
  Stream.paginateChunkEffect<string | null, Found, FilterInvalid | JournalError, Journal>(
    null,
    (cursor) =>
      Effect.map(find(filter, { cursor }), ({ next, runs }) => [
        Chunk.fromIterable(runs),
        Option.fromNullable(next)
      ])
  )

/**
 * How many runs match, by state.
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
): Effect.Effect<Readonly<Record<RunStatus, number>>, FilterInvalid | JournalError, Journal> =>
  outsideOnly("Runs.count", () =>
    Effect.gen(function*() {
      const wanted = yield* toDriver(filter)
      const journal = yield* Journal
      return { ...none, ...yield* journal.count(wanted) }
    }))

const none: Readonly<Record<RunStatus, number>> = {
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

/** Changes a batch of runs; answers how many it changed. */
type Change<E> = (
  journal: JournalService,
  runs: ReadonlyArray<string>,
  request: Run.Attribution
) => Effect.Effect<number, E | JournalError>

/**
 * Page by page, newest first, each a statement of its own; `statuses` are those that the change makes sense for, and
 * count if the filter says nothing of states.
 */
const bulk = <E = never>(
  operation: string,
  statuses: ReadonlyArray<RunStatus>,
  change: Change<E>
) =>
(
  filter: RunFilter | All,
  options?: BulkOptions
): Stream.Stream<Progress, E | FilterInvalid | FilterTooWide | JournalError, Journal> =>
  Stream.unwrap(outsideOnly(operation, () =>
    Effect.gen(function*() {
      const wanted = yield* toDriver(filter)
      if (Object.keys(wanted).length === 0 && !isAll(filter)) return yield* new FilterTooWide({ operation })
      const given = yield* optionsOf(options, ["batch"], ["by", "reason"])
      const limit = yield* sizeOf("batch", given["batch"], DEFAULT_BATCH)
      const journal = yield* Journal
      const request = { filter: { statuses, ...wanted }, limit }
      return Stream.paginateEffect<
        { readonly after: Driver.RunCursor | null; readonly matched: number; readonly changed: number },
        Progress,
        E | JournalError,
        never
      >(
        { after: null, matched: 0, changed: 0 },
        ({ after, ...before }) =>
          Effect.gen(function*() {
            const { next, runs } = yield* journal.find({ ...request, after })
            const ids = runs.map(({ id }) => id)
            const matched = before.matched + ids.length
            const changed = before.changed + (ids.length === 0 ? 0 : yield* change(journal, ids, options ?? {}))
            return [
              { matched, changed, done: next === null },
              next === null ? Option.none() : Option.some({ after: next, matched, changed })
            ] as const
          })
      )
    })))

/** What the driver does to a batch in one statement. */
const controlled = (control: "pause" | "resume" | "terminate"): Change<never> => (journal, runs, { by, reason }) =>
  journal[control]({ runs, by: by ?? null, reason: reason ?? null })

/**
 * Cancel all live runs that match, as `Run.cancel` does each: durably, finalizers run. In batches, with progress after
 * each; interrupted between two, what was done stays, and it may be begun again.
 *
 * Fails before anything is written with `FilterInvalid` if the filter is not valid, and with `FilterTooWide` if it has no
 * conditions and is not `Runs.all`.
 *
 * @since 0.1.0
 * @category bulk
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import * as Runs from "perdure/Runs"
 *
 * const program = Runs.cancel({ tags: ["campaign-7"] }, { by: "ann", reason: "wrong prices" }).pipe(
 *   Stream.runForEach(({ changed, matched }) => Effect.log(`${changed} of ${matched} cancelled`))
 * )
 * ```
 */
export const cancel = bulk("Runs.cancel", liveStatuses, (journal, runs, { by, reason }) =>
  Effect.map(
    journal.cancel(runs.map((run) => ({ run, by, reason }))),
    (dispositions) => dispositions.filter((each) => each === "Delivered" || each === "Buffered").length
  ))

/**
 * End all live runs that match at once, with their attached children, as `Run.terminate` does each; no finalizer runs.
 * In batches, as `cancel`. Children that match and have ended with their parents are not counted as changed.
 *
 * @since 0.1.0
 * @category bulk
 * @example
 * ```ts
 * import * as Stream from "effect/Stream"
 * import * as Runs from "perdure/Runs"
 *
 * const program = Stream.runLast(Runs.terminate({ workflow: "Broken", version: "3" }, { by: "ann" }))
 * ```
 */
export const terminate = bulk("Runs.terminate", liveStatuses, controlled("terminate"))

/**
 * Pause all live runs that match, with their attached children, as `Run.pause` does each. In batches, as `cancel`.
 *
 * @since 0.1.0
 * @category bulk
 * @example
 * ```ts
 * import * as Stream from "effect/Stream"
 * import * as Runs from "perdure/Runs"
 *
 * const program = Stream.runLast(Runs.pause({ queue: "mail" }, { by: "ann", reason: "the provider is down" }))
 * ```
 */
export const pause = bulk("Runs.pause", ["pending", "running", "suspended"], controlled("pause"))

/**
 * Let all paused runs that match go on, with their attached children, and diverged ones be tried again, as `Run.resume`
 * does each; runs that are only asked to pause are met with `status: "running"`. In batches, as `cancel`.
 *
 * @since 0.1.0
 * @category bulk
 * @example
 * ```ts
 * import * as Stream from "effect/Stream"
 * import * as Runs from "perdure/Runs"
 *
 * const program = Stream.runLast(Runs.resume({ queue: "mail", status: "paused" }, { by: "ann" }))
 * ```
 */
export const resume = bulk("Runs.resume", ["paused", "diverged"], controlled("resume"))

/**
 * Try all runs again that match and have ended badly, as `Run.retry` does each: new runs go on from where they failed. Runs
 * that were retried already are not retried once more, so it may be begun again. In batches, as `cancel`.
 *
 * @since 0.1.0
 * @category bulk
 * @example
 * ```ts
 * import * as Stream from "effect/Stream"
 * import * as Runs from "perdure/Runs"
 *
 * const program = Stream.runLast(Runs.retry({ workflow: "Fulfil", errorCode: "Unreachable" }, { by: "ann" }))
 * ```
 */
export const retry = bulk<UnknownQueue>(
  "Runs.retry",
  ["failed", "exhausted", "terminated", "expired"],
  (journal, runs, { by, reason }) =>
    Effect.gen(function*() {
      const records = yield* journal.get(runs.map(retryId))
      const known = new Set(
        records.flatMap(({ id, source }) => source !== null && retryId(source.run) === id ? [source.run] : [])
      )
      const request = { ...(by === undefined ? {} : { by }), ...(reason === undefined ? {} : { reason }) }
      const retried = yield* Effect.forEach(runs.filter((run) => !known.has(run)), (run) =>
        retryRun(journal, run, request).pipe(
          Effect.as(1),
          // It was deleted meanwhile, the filter asks for states in which nothing is to be retried, or another run has the id.
          Effect.catchTags({
            NoSuchRun: () =>
              Effect.succeed(0),
            NotRetryable: () => Effect.succeed(0),
            ForkInvalid: () => Effect.succeed(0),
            ValueInvalid: () => Effect.succeed(0)
          })
        ), { concurrency: 4 })
      return retried.reduce((sum, each) =>
        sum + each, 0)
    })
)
