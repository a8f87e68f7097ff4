/**
 * Schedules: runs of a workflow that start by a calendar, exactly one for each slot, however many processes there
 * are. A schedule binds a workflow, a payload (or a function of the slot) and a calendar (`perdure/Calendar`), and is
 * a Layer. Schedules can also be made and changed at run time.
 *
 * Workers fire schedules side by side. `docs/schedules.md` has a recipe for each policy:
 *
 * | policy                          | decides                                                          |
 * |---------------------------------|------------------------------------------------------------------|
 * | `overlap`                       | what happens to a slot while the previous run is live            |
 * | `catchUp`                       | what happens to slots that no worker fired in time               |
 * | `jitter`                        | how far runs are spread after their slots, the same everywhere   |
 * | `startsAt`, `endsAt`, `maxRuns` | the first slot, the last slot, and the number of runs            |
 *
 * A run is *live* until it has ended: it waits, runs, sleeps or is paused.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type { Inspectable } from "effect/Inspectable"
import * as Layer from "effect/Layer"
import type { Pipeable } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { outsideOnly } from "./CurrentRun.js"
import type { ConfigurationInvalid, JournalError, UnknownSchedule, ValueInvalid } from "./Errors.js"
import type { InputOf } from "./internal/codec/construct.js"
import type { AnySchema } from "./internal/codec/wire.js"
import type { Attribution } from "./internal/options/Attribution.js"
import { attribution } from "./internal/options/Attribution.js"
import type * as Pages from "./internal/options/pages.js"
import { requireArguments } from "./internal/options/policy.js"
import { isQueueDefinition } from "./internal/options/queues.js"
import type { Problems, Rule } from "./internal/options/Rule.js"
import { rule } from "./internal/options/Rule.js"
import * as Control from "./internal/schedules/control.js"
import type { Definition } from "./internal/schedules/definition.js"
import type { Info } from "./internal/schedules/info.js"
import * as Listing from "./internal/schedules/listing.js"
import * as ManualRuns from "./internal/schedules/manualRuns.js"
import type * as Model from "./internal/schedules/model.js"
import type { CatchUp as ScheduleCatchUp, ScheduleChanges, ScheduleOptions } from "./internal/schedules/options.js"
import { scheduleChanges } from "./internal/schedules/options.js"
import { register } from "./internal/schedules/registration.js"
import { isFields } from "./internal/util/show.js"
import { defineQueue } from "./internal/workflow/queueDefinition.js"
import { makeValue } from "./internal/util/value.js"
import type { Journal } from "./Journal.js"
import type { Workflow } from "./Workflow.js"
import { isWorkflow } from "./Workflow.js"

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("perdure/RunSchedule")

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * What happens to a slot that is due while the previous run is live.
 *
 * - `skip`: it has no run.
 * - `queueOne`: the first such slot starts when the previous run has ended; later ones have no run.
 * - `queueAll`: each such slot has its run, one after the other.
 * - `cancelPrevious`: the previous run is cancelled; when it has ended, the latest slot starts.
 * - `allow`: its run starts, in parallel.
 *
 * @since 0.1.0
 * @category models
 */
export type Overlap = Model.Overlap

/**
 * What happens to missed slots: no worker fired them within a minute.
 *
 * - `none`: they have no run.
 * - `latest`: of all slots that are due, the latest has a run.
 * - `all`: each has its run, in order.
 * - `within`: those not older than this have their runs, in order. Less than a minute counts as a minute.
 *
 * @since 0.1.0
 * @category models
 */
export type CatchUp = ScheduleCatchUp

/**
 * When a schedule fires, and how its runs start.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends ScheduleOptions {}

/**
 * Options to change. Null removes one: its default, or the workflow's, applies again.
 *
 * @since 0.1.0
 * @category models
 */
export interface Changes extends ScheduleChanges {}

/**
 * How a manual run starts.
 *
 * @since 0.2.0
 * @category models
 */
export interface TriggerOptions extends ManualRuns.TriggerOptions {}

/**
 * The slots of a backfill, and how their runs start.
 *
 * @since 0.2.0
 * @category models
 */
export interface BackfillOptions extends ManualRuns.BackfillOptions {}

/**
 * How much of a schedule is shown.
 *
 * @since 0.2.0
 * @category models
 */
export interface InfoOptions extends Listing.InfoOptions {}

/**
 * Which page of schedules to read, and how much of each schedule is shown.
 *
 * @since 0.2.0
 * @category models
 */
export interface ListOptions extends Listing.ListOptions {}

/**
 * A page of schedules.
 *
 * @since 0.2.0
 * @category models
 */
export interface Page extends Pages.Page<ScheduleInfo> {}

/**
 * The definition of a schedule.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunSchedule extends Pipeable, Inspectable {
  readonly [TypeId]: TypeId
  readonly name: string
  /**
   * Stores the definition, and that of its queue if it has one, where it is new or differs from the one stored last.
   * Workers of this process then fire it. A new schedule, and one whose calendar or `startsAt` has changed, begins
   * with its next slot; after other changes it continues where it was. An operator's changes stay until the
   * definition changes.
   *
   * Fails with `ConfigurationInvalid` before anything is written.
   */
  readonly layer: Layer.Layer<never, ConfigurationInvalid | JournalError, Journal>
  /** @internal */
  readonly definition: Definition
}

/**
 * A schedule, or its name.
 *
 * @since 0.2.0
 * @category models
 */
export type Reference = RunSchedule | string

/**
 * A stored schedule.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScheduleInfo extends Info {}

/**
 * Whether a value is the definition of a schedule.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRunSchedule = (u: unknown): u is RunSchedule => Predicate.hasProperty(u, TypeId)

/**
 * Defines a schedule. Problems are reported where it is stored: by its layer, by `put`, or by `Check`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * import * as DateTime from "effect/DateTime"
 * import * as Schema from "effect/Schema"
 * import * as Calendar from "perdure/Calendar"
 * import * as RunSchedule from "perdure/RunSchedule"
 * import * as Workflow from "perdure/Workflow"
 *
 * const Report = Workflow.make("Report", { payload: { day: Schema.String } })
 *
 * const Nightly = RunSchedule.make("nightly-report", {
 *   workflow: Report,
 *   payload: (slot) => ({ day: DateTime.formatIsoDateUtc(slot) }),
 *   calendar: Calendar.daily({ at: "02:00", zone: "Europe/Berlin" }),
 *   jitter: "5 minutes",
 *   overlap: "queueOne"
 * })
 *
 * const NightlyLive = Nightly.layer // beside Worker.layer()
 */
export const make = <P extends Schema.Schema.Any, S extends AnySchema, E extends AnySchema>(
  name: string,
  options: Options & {
    readonly workflow: Workflow<P, S, E>
    /** The payload of each run, or a pure function of the slot that computes it. */
    readonly payload: NoInfer<InputOf<P>> | ((slot: DateTime.Utc) => NoInfer<InputOf<P>>)
  }
): RunSchedule => {
  // No module throws while it loads.
  const { queue, workflow }: Readonly<Record<string, unknown>> = isFields(options) ? options : {}
  const schedule: RunSchedule = {
    ...makeValue({ _id: "perdure/RunSchedule", name }),
    [TypeId]: TypeId,
    name,
    definition: { name, workflow: isWorkflow(workflow) ? workflow.shape : null, options },
    layer: Layer.scopedDiscard(
      Effect.suspend(() =>
        register(schedule.definition, schedule, isQueueDefinition(queue) ? defineQueue(queue) : Effect.void)
      )
    )
  }
  return schedule
}

/** The schedule does not exist, its stored text cannot be read, or storage fails. */
type ControlError = UnknownSchedule | ValueInvalid | JournalError

/** A `ControlError`, or the changes do not suit the stored schedule. */
type ChangeError = ConfigurationInvalid | ControlError

const isReference = (u: unknown): u is Reference => isRunSchedule(u) || typeof u === "string"

/** Whether the first argument is the schedule, in calls whose options may be left out. */
const isDataFirst = (args: IArguments): boolean => args.length > 1 || isReference(args[0])

const reference: Rule<Reference> = rule("a RunSchedule or its name", isReference)

const definition: Rule<RunSchedule> = rule("a schedule made by RunSchedule.make", isRunSchedule)

/** A call from outside of workflows, if all arguments are valid. */
const call = <A, E, R>(
  operation: string,
  problems: Problems,
  use: () => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  outsideOnly(operation, () => Effect.zipRight(requireArguments(operation, problems), Effect.suspend(use)))

/** A call about a schedule. `problems` are those of the other arguments. */
const callWith = <A, E, R>(
  operation: string,
  schedule: Reference,
  use: (name: string) => Effect.Effect<A, E, R>,
  problems: Problems = []
): Effect.Effect<A, E, R> =>
  call(
    operation,
    [...reference.problems(schedule, "schedule"), ...problems],
    () => use(typeof schedule === "string" ? schedule : schedule.name)
  )

/**
 * Stores a schedule at run time; it replaces one of the same name. Any worker that has its workflow fires it. Its
 * payload must be a value, and its queue must exist. If the schedule has a definition in code, this is an operator's
 * change: it cannot change the workflow, unless no process has that definition any more (`orphaned`).
 *
 * Fails with `ConfigurationInvalid` before anything is written.
 *
 * @since 0.1.0
 * @category control
 * @example
 * import * as Calendar from "perdure/Calendar"
 * import * as RunSchedule from "perdure/RunSchedule"
 * import * as Workflow from "perdure/Workflow"
 *
 * const Report = Workflow.make("Report", { payload: {} })
 * const hourly = RunSchedule.make("hourly", { workflow: Report, payload: {}, calendar: Calendar.every("1 hour") })
 * const program = RunSchedule.put(hourly)
 */
export const put = (schedule: RunSchedule): Effect.Effect<void, ConfigurationInvalid | JournalError, Journal> =>
  call("RunSchedule.put", definition.problems(schedule, "schedule"), () => Control.put(schedule.definition))

/**
 * Changes some options of a schedule; null removes one. With another calendar or `startsAt` it continues with its
 * next slot, and slots that wait are skipped. Otherwise it continues where it was.
 *
 * Fails with `ConfigurationInvalid` or `UnknownSchedule` before anything is written.
 *
 * @since 0.1.0
 * @category control
 * @example
 * import * as Calendar from "perdure/Calendar"
 * import * as RunSchedule from "perdure/RunSchedule"
 *
 * const later = RunSchedule.change("nightly-report", { calendar: Calendar.daily({ at: "04:00" }), overlap: "skip" })
 */
export const change: {
  (changes: Changes): (schedule: Reference) => Effect.Effect<void, ChangeError, Journal>
  (schedule: Reference, changes: Changes): Effect.Effect<void, ChangeError, Journal>
} = dual(2, (schedule: Reference, changes: Changes) =>
  callWith(
    "RunSchedule.change",
    schedule,
    (name) => Control.change(name, changes),
    scheduleChanges.problems(changes, "")
  ))

/**
 * Removes a schedule. Its runs stay. A schedule that has a definition in code is stored again by the next process
 * that starts with it.
 *
 * Fails with `UnknownSchedule`.
 *
 * @since 0.1.0
 * @category control
 * @example
 * import * as RunSchedule from "perdure/RunSchedule"
 * const program = RunSchedule.remove("hourly-report")
 */
export const remove = (schedule: Reference): Effect.Effect<void, UnknownSchedule | JournalError, Journal> =>
  callWith("RunSchedule.remove", schedule, Control.remove)

/**
 * Stops a schedule from firing until it is resumed. `by` and `reason` are kept, at most 1,000 characters each. Live
 * runs continue, and manual runs start. Pausing a paused schedule replaces `by` and `reason`.
 *
 * @since 0.1.0
 * @category control
 * @example
 * import * as RunSchedule from "perdure/RunSchedule"
 * const calm = RunSchedule.pause("nightly-report", { by: "ann", reason: "the printer is out of paper" })
 */
export const pause: {
  (options?: Attribution): (schedule: Reference) => Effect.Effect<void, ControlError, Journal>
  (schedule: Reference, options?: Attribution): Effect.Effect<void, ControlError, Journal>
} = dual(isDataFirst, (schedule: Reference, options: Attribution = {}) =>
  callWith(
    "RunSchedule.pause",
    schedule,
    (name) => Control.pause(name, options),
    attribution.problems(options, "")
  ))

/**
 * Resumes a schedule that is paused or quarantined. After a pause it continues with its next slot. After a quarantine
 * it catches up with missed slots. An active schedule does not change.
 *
 * @since 0.1.0
 * @category control
 * @example
 * import * as RunSchedule from "perdure/RunSchedule"
 * const again = RunSchedule.resume("nightly-report")
 */
export const resume = (schedule: Reference): Effect.Effect<void, ControlError, Journal> =>
  callWith("RunSchedule.resume", schedule, Control.resume)

/**
 * Starts a manual run now, besides those of the calendar, whether or not the schedule is paused. Returns the run's
 * id.
 *
 * The run has started when this returns, if this process has the schedule's definition or, for a schedule made at run
 * time, its workflow. Otherwise the next process that has it starts the run. In a caller's transaction, COMMIT starts
 * it.
 *
 * With `overlap: "queueAll"` it waits for the previous run to end; the default is `"allow"`.
 *
 * Fails with `ValueInvalid` if the schedule is quarantined, or if the run's payload cannot be made.
 *
 * @since 0.1.0
 * @category control
 * @example
 * import * as RunSchedule from "perdure/RunSchedule"
 * const runId = RunSchedule.trigger("nightly-report", { overlap: "queueAll" })
 */
export const trigger: {
  (options?: TriggerOptions): (schedule: Reference) => Effect.Effect<string, ControlError, Journal>
  (schedule: Reference, options?: TriggerOptions): Effect.Effect<string, ControlError, Journal>
} = dual(isDataFirst, (schedule: Reference, options: TriggerOptions = {}) =>
  callWith(
    "RunSchedule.trigger",
    schedule,
    (name) => ManualRuns.trigger(name, options),
    ManualRuns.triggerOptions.problems(options, "")
  ))

/**
 * Starts manual runs for the slots from `from` to before `to`, which must have passed. Returns these slots. A slot
 * that had its run gets no second one.
 *
 * With `overlap: "allow"` (the default) they start together, with `"queueAll"` one after the other.
 *
 * Fails with `ValueInvalid` for more than 1,000 slots, if `to` is ahead, if a payload cannot be made, or if the
 * schedule is quarantined.
 *
 * @since 0.1.0
 * @category control
 * @example
 * import * as RunSchedule from "perdure/RunSchedule"
 *
 * const again = RunSchedule.backfill("nightly-report", {
 *   from: new Date("2026-03-01T00:00:00Z"),
 *   to: new Date("2026-03-08T00:00:00Z"),
 *   overlap: "queueAll"
 * })
 */
export const backfill: {
  (options: BackfillOptions): (schedule: Reference) => Effect.Effect<ReadonlyArray<DateTime.Utc>, ControlError, Journal>
  (schedule: Reference, options: BackfillOptions): Effect.Effect<ReadonlyArray<DateTime.Utc>, ControlError, Journal>
} = dual(2, (schedule: Reference, options: BackfillOptions) =>
  callWith(
    "RunSchedule.backfill",
    schedule,
    (name) => ManualRuns.backfill(name, options),
    ManualRuns.backfillOptions.problems(options, "")
  ))

/**
 * A stored schedule.
 *
 * Fails with `UnknownSchedule`.
 *
 * @since 0.1.0
 * @category reading
 * @example
 * import * as Effect from "effect/Effect"
 * import * as RunSchedule from "perdure/RunSchedule"
 * const next = Effect.map(RunSchedule.get("nightly-report", { upcoming: 3 }), ({ upcoming }) => upcoming)
 */
export const get: {
  (options?: InfoOptions): (schedule: Reference) => Effect.Effect<ScheduleInfo, UnknownSchedule | JournalError, Journal>
  (schedule: Reference, options?: InfoOptions): Effect.Effect<ScheduleInfo, UnknownSchedule | JournalError, Journal>
} = dual(isDataFirst, (schedule: Reference, options: InfoOptions = {}) =>
  callWith(
    "RunSchedule.get",
    schedule,
    (name) => Listing.get(name, options),
    Listing.infoOptions.problems(options, "")
  ))

/**
 * A page of all schedules, in order of name. `RunSchedule.stream` reads page after page.
 *
 * Fails with `ValueInvalid` if the cursor is not the `next` of a page of schedules.
 *
 * @since 0.1.0
 * @category reading
 * @example
 * import * as Effect from "effect/Effect"
 * import * as RunSchedule from "perdure/RunSchedule"
 *
 * const pages = Effect.gen(function*() {
 *   const first = yield* RunSchedule.list({ limit: 20 })
 *   const second = yield* RunSchedule.list({ limit: 20, cursor: first.next })
 *   return [...first.items, ...second.items]
 * })
 */
export const list = (options: ListOptions = {}): Effect.Effect<Page, ValueInvalid | JournalError, Journal> =>
  call("RunSchedule.list", Listing.listOptions.problems(options, ""), () => Listing.list(options))

/**
 * All schedules, in order of name.
 *
 * @since 0.2.0
 * @category reading
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import * as RunSchedule from "perdure/RunSchedule"
 *
 * const show = Stream.runForEach(
 *   RunSchedule.stream({ upcoming: 3 }),
 *   ({ name, status, upcoming }) => Effect.log(name, status, upcoming)
 * )
 */
export const stream = (options: InfoOptions = {}): Stream.Stream<ScheduleInfo, JournalError, Journal> =>
  Stream.unwrap(
    call(
      "RunSchedule.stream",
      Listing.infoOptions.problems(options, ""),
      () => Effect.succeed(Listing.stream(options))
    )
  )
