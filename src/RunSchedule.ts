/**
 * Schedules: runs of a workflow that start by a calendar, exactly one for each slot, however many processes there are.
 * A schedule binds a workflow, a payload (or a function of the slot) and a calendar (`perdure/Calendar`), and is a Layer.
 * Schedules can also be made and changed at run time.
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
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Inspectable } from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { Pipeable } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import type * as Calendar from "./Calendar.js"
import { outsideOnly } from "./CurrentRun.js"
import type { JournalError, ValueInvalid } from "./Errors.js"
import { ConfigurationInvalid, UnknownSchedule } from "./Errors.js"
import { isFields, show } from "./internal/options/reading.js"
import { askProblem, pauseProblem, refuse, showProblem } from "./internal/options/requests.js"
import * as Control from "./internal/schedules/control.js"
import type { Definition } from "./internal/schedules/definition.js"
import type { Info } from "./internal/schedules/info.js"
import { infoOf } from "./internal/schedules/info.js"
import * as ManualRuns from "./internal/schedules/manualRuns.js"
import { register } from "./internal/schedules/registration.js"
import { makeValue } from "./internal/util/value.js"
import { Journal } from "./Journal.js"
import type { Attributes } from "./driver/JournalDriver.js"
import * as RunQueue from "./RunQueue.js"
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
export type Overlap = "skip" | "queueOne" | "queueAll" | "cancelPrevious" | "allow"

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
export type CatchUp = "none" | "latest" | "all" | { readonly within: Duration.DurationInput }

/**
 * When a schedule fires, and how its runs start.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly calendar: Calendar.Calendar
  /** Default `"skip"`. */
  readonly overlap?: Overlap
  /** Default `"latest"`. */
  readonly catchUp?: CatchUp
  /** Each run starts at its slot or up to this time later, at most 7 days. Default 0. */
  readonly jitter?: Duration.DurationInput
  /** No slot before this instant. */
  readonly startsAt?: Calendar.Instant
  /** No slot at this instant or later. */
  readonly endsAt?: Calendar.Instant
  /** The schedule ends after this number of runs. Manual runs do not count. */
  readonly maxRuns?: number
  /** The queue of its runs. Default: the workflow's. */
  readonly queue?: RunQueue.Ref
  /** The priority of its runs. Default: the workflow's. */
  readonly priority?: number
  /** A run becomes `expired` unless a worker claims it within this time after its start. */
  readonly expiresIn?: Duration.DurationInput
  /** Tags of its runs, besides the workflow's. */
  readonly tags?: ReadonlyArray<string>
  /** Attributes of its runs, besides the workflow's, `perdure.schedule` and `perdure.slot`. */
  readonly attributes?: Attributes
}

/**
 * Options to change. Null removes one: its default, or the workflow's, applies again.
 *
 * @since 0.1.0
 * @category models
 */
export type Changes =
  & { readonly calendar?: Calendar.Calendar }
  & {
    readonly [Name in Exclude<keyof Options, "calendar">]?: Options[Name] | null
  }

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
   * Stores the definition, and that of its queue if it has one, where it is new or differs from the one stored last. Workers of
   * this process then fire it. A new schedule, and one whose calendar or `startsAt` has changed, begins with its next slot; after
   * other changes it goes on where it was. An operator's changes stay until the definition changes.
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
 * @since 0.1.0
 * @category models
 */
export type Ref = RunSchedule | string

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

/** Calls `use` with the name of a schedule. */
const named = <A, E, R>(
  schedule: Ref,
  use: (name: string) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | UnknownSchedule, R> => {
  const name: unknown = isRunSchedule(schedule) ? schedule.name : schedule
  return typeof name === "string" ? use(name) : new UnknownSchedule({ schedule: show(name) })
}

/**
 * Defines a schedule. Problems are reported where it is stored: by its layer, by `put`, or by `Check`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
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
 * ```
 */
export const make = <Payload, Success, Failure>(
  name: string,
  options: Options & {
    readonly workflow: Workflow<Payload, Success, Failure>
    /** The payload of each run, or a pure function of the slot that computes it. */
    readonly payload: NoInfer<Payload> | ((slot: DateTime.Utc) => NoInfer<Payload>)
  }
): RunSchedule => {
  // No module throws while it loads.
  const given: Readonly<Record<string, unknown>> = isFields(options) ? options : {}
  const { payload, workflow, ...rest } = given
  const { queue } = given
  const schedule: RunSchedule = {
    ...makeValue({ _id: "perdure/RunSchedule", name }),
    [TypeId]: TypeId,
    name,
    definition: { name, workflow: isWorkflow(workflow) ? workflow.shape : null, payload, options: rest },
    layer: Layer.scopedDiscard(
      Effect.suspend(() =>
        register(schedule.definition, schedule, RunQueue.isRunQueue(queue) ? RunQueue.define(queue) : Effect.void)
      )
    )
  }
  return schedule
}

/** The schedule does not exist, its stored text cannot be read, or storage fails. */
type ControlError = UnknownSchedule | ValueInvalid | JournalError

/**
 * Stores a schedule at run time; it replaces one of the same name. Any worker that has its workflow fires it. Its payload must
 * be a value, and its queue must exist. If the schedule has a definition in code, this is an operator's change: it cannot change
 * the workflow, unless no process has that definition any more (`orphaned`).
 *
 * Fails with `ConfigurationInvalid` before anything is written.
 *
 * @since 0.1.0
 * @category control
 */
export const put = (schedule: RunSchedule): Effect.Effect<void, ConfigurationInvalid | JournalError, Journal> =>
  outsideOnly("RunSchedule.put", (): Effect.Effect<void, ConfigurationInvalid | JournalError, Journal> => {
    if (isRunSchedule(schedule)) return Control.put(schedule.definition)
    const problem = `${show(schedule)} is not a schedule: make it with RunSchedule.make`
    return new ConfigurationInvalid({ what: "RunSchedule.put", problems: [problem] })
  })

/**
 * Changes some options of a schedule; null removes one. With another calendar or `startsAt` it goes on with its next slot, and
 * slots that wait are skipped. Otherwise it goes on where it was.
 *
 * Fails with `ConfigurationInvalid` or `UnknownSchedule` before anything is written.
 *
 * @since 0.1.0
 * @category control
 * @example
 * ```ts
 * import * as Calendar from "perdure/Calendar"
 * import * as RunSchedule from "perdure/RunSchedule"
 *
 * const later = RunSchedule.change("nightly-report", { calendar: Calendar.daily({ at: "04:00" }), overlap: "skip" })
 * ```
 */
export const change = (
  schedule: Ref,
  options: Changes
): Effect.Effect<void, ConfigurationInvalid | ControlError, Journal> =>
  outsideOnly("RunSchedule.change", () => named(schedule, (name) => Control.change(name, options)))

/**
 * Removes a schedule. Its runs stay. A schedule that has a definition in code is stored again by the next process that starts
 * with it.
 *
 * Fails with `UnknownSchedule`.
 *
 * @since 0.1.0
 * @category control
 */
export const remove = (schedule: Ref): Effect.Effect<void, UnknownSchedule | JournalError, Journal> =>
  outsideOnly("RunSchedule.remove", () => named(schedule, Control.remove))

/**
 * Stops a schedule from firing until it is resumed. `by` and `reason` are kept, at most 1,000 characters each. Live runs go on,
 * and manual runs start. Pausing a paused schedule replaces `by` and `reason`.
 *
 * @since 0.1.0
 * @category control
 */
export const pause = (
  schedule: Ref,
  options: { readonly by?: string; readonly reason?: string } = {}
): Effect.Effect<void, ControlError, Journal> =>
  outsideOnly("RunSchedule.pause", () =>
    named(schedule, (name) =>
      Effect.zipRight(
        refuse(`RunSchedule.pause of schedule "${name}"`, pauseProblem(options)),
        Effect.suspend(() => Control.pause(name, { by: options.by ?? null, reason: options.reason ?? null }))
      )))

/**
 * Resumes a schedule that is paused or quarantined. After a pause it goes on with its next slot. After a quarantine it catches
 * up with missed slots. An active schedule does not change.
 *
 * @since 0.1.0
 * @category control
 */
export const resume = (schedule: Ref): Effect.Effect<void, ControlError, Journal> =>
  outsideOnly("RunSchedule.resume", () => named(schedule, Control.resume))

/**
 * Starts a manual run now, besides those of the calendar, whether or not the schedule is paused. Returns the run's id.
 *
 * The run has started when this returns, if this process has the schedule's definition or, for a schedule made at run time, its
 * workflow. Otherwise the next process that has it starts the run. In a caller's transaction, COMMIT starts it.
 *
 * With `overlap: "queueAll"` it waits for the previous run to end; the default is `"allow"`.
 *
 * Fails with `ValueInvalid` if the schedule is quarantined, or if the run's payload cannot be made.
 *
 * @since 0.1.0
 * @category control
 */
export const trigger = (
  schedule: Ref,
  options: { readonly overlap?: "allow" | "queueAll" } = {}
): Effect.Effect<string, ControlError, Journal> =>
  outsideOnly("RunSchedule.trigger", () =>
    named(schedule, (name) =>
      Effect.zipRight(
        refuse(`RunSchedule.trigger of schedule "${name}"`, askProblem(options)),
        Effect.suspend(() => ManualRuns.trigger(name, options.overlap))
      )))

/**
 * Starts manual runs for the slots from `from` to before `to`, which must have passed. Returns these slots. A slot that had its
 * run gets no second one.
 *
 * With `overlap: "allow"` (the default) they start together, with `"queueAll"` one after the other.
 *
 * Fails with `ValueInvalid` for more than 1,000 slots, if `to` is ahead, if a payload cannot be made, or if the schedule is
 * quarantined.
 *
 * @since 0.1.0
 * @category control
 * @example
 * ```ts
 * import * as RunSchedule from "perdure/RunSchedule"
 *
 * const again = RunSchedule.backfill("nightly-report", {
 *   from: new Date("2026-03-01T00:00:00Z"),
 *   to: new Date("2026-03-08T00:00:00Z"),
 *   overlap: "queueAll"
 * })
 * ```
 */
export const backfill = (
  schedule: Ref,
  range: { readonly from: Calendar.Instant; readonly to: Calendar.Instant; readonly overlap?: "allow" | "queueAll" }
): Effect.Effect<ReadonlyArray<DateTime.Utc>, ControlError, Journal> =>
  outsideOnly("RunSchedule.backfill", () =>
    named(schedule, (name) =>
      Effect.zipRight(
        refuse(`RunSchedule.backfill of schedule "${name}"`, askProblem(range ?? null, ["from", "to"])),
        Effect.suspend(() => ManualRuns.backfill(name, range))
      )))

/** Schedules that one statement reads. */
const PAGE_SIZE = 200

/** A page of schedules: of these names, or all after one. */
const page = (names: ReadonlyArray<string> | null, after: string | null, upcoming: number) =>
  Effect.flatMap(
    Journal,
    (journal) =>
      Effect.map(
        journal.schedules({ names, after, limit: PAGE_SIZE }),
        ({ now, value }): ReadonlyArray<ScheduleInfo> => {
          const registered = journal.process.registrations.schedules
          return value.map((record) => infoOf(record, { now, upcoming, isRegistered: registered.has(record.name) }))
        }
      )
  )

/**
 * A stored schedule, with up to `upcoming` start times of its next runs: 5 by default, at most 1,000.
 *
 * Fails with `UnknownSchedule`, and with `ValueInvalid` for another `upcoming`.
 *
 * @since 0.1.0
 * @category reading
 */
export const get = (
  schedule: Ref,
  options: { readonly upcoming?: number } = {}
): Effect.Effect<ScheduleInfo, UnknownSchedule | ValueInvalid | JournalError, Journal> =>
  outsideOnly("RunSchedule.get", () =>
    named(schedule, (name) =>
      Effect.gen(function*() {
        yield* refuse(`RunSchedule.get of schedule "${name}"`, showProblem(options))
        yield* Control.requireStorable(name)
        const [info] = yield* page([name], null, options.upcoming ?? 5)
        return info === undefined ? yield* new UnknownSchedule({ schedule: name }) : info
      })))

/**
 * All schedules, in order of name, each with up to `upcoming` start times of its next runs: 1 by default, at most 1,000.
 *
 * Fails with `ValueInvalid` for another `upcoming`.
 *
 * @since 0.1.0
 * @category reading
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import * as RunSchedule from "perdure/RunSchedule"
 *
 * const show = Stream.runForEach(
 *   RunSchedule.list({ upcoming: 3 }),
 *   ({ name, status, upcoming }) => Effect.log(name, status, upcoming)
 * )
 * ```
 */
export const list = (
  options: { readonly upcoming?: number } = {}
): Stream.Stream<ScheduleInfo, ValueInvalid | JournalError, Journal> =>
  Stream.unwrap(
    outsideOnly("RunSchedule.list", () =>
      Effect.as(
        refuse("RunSchedule.list", showProblem(options)),
        Stream.flattenIterables(Stream.paginateEffect(
          Option.none<string>(),
          (after) =>
            Effect.map(page(null, Option.getOrNull(after), options.upcoming ?? 1), (infos) =>
              [
                infos,
                infos.length < PAGE_SIZE
                  ? Option.none()
                  : Option.map(Option.fromNullable(infos.at(-1)), ({ name }) => Option.some(name))
              ] as const)
        ))
      ))
  )
