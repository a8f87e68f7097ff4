/**
 * Schedules: runs of a workflow that start by a calendar, exactly one for each slot, however many processes there are.
 * A schedule binds a workflow, a payload (or a function of the slot) and a calendar (`perdure/Calendar`), and is a Layer;
 * one may be made and changed while programs run, too.
 *
 * Workers fire schedules, all of them side by side. `docs/schedules.md` has a recipe for each policy:
 *
 * | policy                        | says                                                                               |
 * |-------------------------------|------------------------------------------------------------------------------------|
 * | `overlap`                     | what becomes of a slot while the run before it has not ended                         |
 * | `catchUp`                     | what becomes of slots that were missed because nobody was there to fire them         |
 * | `jitter`                      | by how much its runs are spread after their slots, the same for whoever fires them   |
 * | `startsAt`, `endsAt`, `maxRuns` | from when on, until when, and how often                                            |
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
import { define } from "./internal/schedules/definitions.js"
import type { Given } from "./internal/schedules/definition.js"
import type { Info } from "./internal/schedules/info.js"
import { infoOf } from "./internal/schedules/info.js"
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
 * What becomes of a slot that comes while the run before it has not ended.
 *
 * - `skip`: it has no run.
 * - `queueOne`: the first one that comes meanwhile has its run as soon as the one before has ended; those after it have none.
 * - `queueAll`: each has its run, one after the other.
 * - `cancelPrevious`: the run before is cancelled, and when it has ended, the latest slot has its run.
 * - `allow`: its run starts, beside the other.
 *
 * @since 0.1.0
 * @category models
 */
export type Overlap = "skip" | "queueOne" | "queueAll" | "cancelPrevious" | "allow"

/**
 * What becomes of slots that were missed: nobody was there to fire them within a minute.
 *
 * - `none`: they have no runs.
 * - `latest`: of those that are due, the latest has a run.
 * - `all`: each has its run, in order.
 * - `within`: those that are not older than that have runs, in order. Less than a minute counts as a minute.
 *
 * @since 0.1.0
 * @category models
 */
export type CatchUp = "none" | "latest" | "all" | { readonly within: Duration.DurationInput }

/**
 * When a schedule fires, and how.
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
  /** Each run starts at its slot, or up to this much later, at most 7 days. Default 0. */
  readonly jitter?: Duration.DurationInput
  /** No slot before this instant. */
  readonly startsAt?: Calendar.Instant
  /** No slot at this instant or later. */
  readonly endsAt?: Calendar.Instant
  /** After so many runs it ends. Runs that were asked for by hand do not count. */
  readonly maxRuns?: number
  /** Of its runs. Default: the workflow's. */
  readonly queue?: RunQueue.Ref
  /** Of its runs. Default: the workflow's. */
  readonly priority?: number
  /** Its runs are `expired` unless a worker takes them within this time after they were started. */
  readonly expiresIn?: Duration.DurationInput
  /** What its runs are found by, besides the workflow's. They have the attributes `perdure.schedule` and `perdure.slot`, too. */
  readonly tags?: ReadonlyArray<string>
  readonly attributes?: Attributes
}

/**
 * Options of a schedule that are to be changed. Null takes one away: it is its default again, or the workflow's.
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
 * A schedule's definition.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunSchedule extends Pipeable, Inspectable {
  readonly [TypeId]: TypeId
  readonly name: string
  /**
   * Store the definition, and its queue's if it has one, if it is new or differs from what was stored last. Workers of the process
   * fire it. A new schedule, and one whose calendar or `startsAt` has changed, begins with the next slot; one that has changed
   * otherwise goes on where it was. What was changed by hand stays until the definition changes.
   *
   * Fails with `ConfigurationInvalid`, before anything is written.
   */
  readonly layer: Layer.Layer<never, ConfigurationInvalid | JournalError, Journal>
  /** @internal */
  readonly given: Given
}

/**
 * A schedule, or its name.
 *
 * @since 0.1.0
 * @category models
 */
export type Ref = RunSchedule | string

/**
 * A schedule as it is.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScheduleInfo extends Info {}

/**
 * Whether a value is a schedule's definition.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRunSchedule = (u: unknown): u is RunSchedule => Predicate.hasProperty(u, TypeId)

/** Do something with the schedule of a name; what is none, nobody has. */
const named = <A, E, R>(
  schedule: Ref,
  use: (name: string) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | UnknownSchedule, R> => {
  const name: unknown = isRunSchedule(schedule) ? schedule.name : schedule
  return typeof name === "string" ? use(name) : new UnknownSchedule({ schedule: show(name) })
}

/**
 * Define a schedule.
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
    /** The payload of each run, or what makes it of the slot. The function should only compute. */
    readonly payload: NoInfer<Payload> | ((slot: DateTime.Utc) => NoInfer<Payload>)
  }
): RunSchedule => {
  // Whatever its type says: what is wrong is told when it is stored, for no module throws while it loads.
  const given: Readonly<Record<string, unknown>> = isFields(options) ? options : {}
  const { payload, workflow, ...rest } = given
  const { queue } = given
  const schedule: RunSchedule = {
    ...makeValue({ _id: "perdure/RunSchedule", name }),
    [TypeId]: TypeId,
    name,
    given: { name, workflow: isWorkflow(workflow) ? workflow.shape : null, payload, options: rest },
    layer: Layer.scopedDiscard(
      Effect.suspend(() =>
        define(schedule.given, schedule, RunQueue.isRunQueue(queue) ? RunQueue.define(queue) : Effect.void)
      )
    )
  }
  return schedule
}

/** The errors of changing a schedule: there is none, what is stored of it cannot be read, storage. */
type ChangeError = UnknownSchedule | ValueInvalid | JournalError

/**
 * Store a schedule at run time, in place of the one of its name if there is one. Any worker that has its workflow fires it.
 * Its payload must be given, not computed, and its queue be there. Of a schedule that has a definition in code, this is a change
 * by hand, which cannot change its workflow, unless no process has that definition any more (`orphaned`).
 *
 * Fails with `ConfigurationInvalid`, before anything is written.
 *
 * @since 0.1.0
 * @category control
 */
export const put = (schedule: RunSchedule): Effect.Effect<void, ConfigurationInvalid | JournalError, Journal> =>
  outsideOnly("RunSchedule.put", (): Effect.Effect<void, ConfigurationInvalid | JournalError, Journal> => {
    if (isRunSchedule(schedule)) return Control.put(schedule.given)
    const problem = `${show(schedule)} is no schedule: make it with RunSchedule.make`
    return new ConfigurationInvalid({ what: "RunSchedule.put", problems: [problem] })
  })

/**
 * Change some options of a schedule; null takes one away. With another calendar or `startsAt` it goes on with its next slot, and
 * slots that wait are passed over; else it goes on where it was.
 *
 * Fails with `ConfigurationInvalid` or `UnknownSchedule`, before anything is written.
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
): Effect.Effect<void, ConfigurationInvalid | ChangeError, Journal> =>
  outsideOnly("RunSchedule.change", () => named(schedule, (name) => Control.alter(name, options)))

/**
 * Take a schedule away. Its runs stay. One that has a definition in code comes back when a process with it starts.
 *
 * Fails with `UnknownSchedule`.
 *
 * @since 0.1.0
 * @category control
 */
export const remove = (schedule: Ref): Effect.Effect<void, UnknownSchedule | JournalError, Journal> =>
  outsideOnly("RunSchedule.remove", () => named(schedule, Control.remove))

/**
 * Fire nothing until it is resumed; `note` says why, in at most 1,000 characters. What runs goes on, and what is asked for
 * by hand starts. Pausing one that is paused changes its note.
 *
 * @since 0.1.0
 * @category control
 */
export const pause = (
  schedule: Ref,
  options: { readonly by?: string; readonly note?: string } = {}
): Effect.Effect<void, ChangeError, Journal> =>
  outsideOnly("RunSchedule.pause", () =>
    named(schedule, (name) =>
      Effect.zipRight(
        refuse(`RunSchedule.pause of schedule "${name}"`, pauseProblem(options)),
        Effect.suspend(() => Control.pause(name, options.note ?? null, options.by ?? null))
      )))

/**
 * Let a schedule go on that was paused or quarantined. After a pause it goes on with its next slot; after a quarantine,
 * what was missed is caught up with. One that is active stays as it is.
 *
 * @since 0.1.0
 * @category control
 */
export const resume = (schedule: Ref): Effect.Effect<void, ChangeError, Journal> =>
  outsideOnly("RunSchedule.resume", () => named(schedule, Control.resume))

/**
 * Start a run now, besides those of the calendar, whether or not it is paused. Answers the run's id. The run is there when
 * this returns if the process has the schedule's definition or, for one made at run time, its workflow; else as soon as one
 * that has hears of it. In a transaction of the caller's it is started by COMMIT.
 *
 * With `overlap: "queueAll"` it waits for the run before it to end; the default is `"allow"`.
 *
 * Fails with `ValueInvalid` if the schedule is quarantined, and if the run's payload cannot be made.
 *
 * @since 0.1.0
 * @category control
 */
export const trigger = (
  schedule: Ref,
  options: { readonly overlap?: "allow" | "queueAll" } = {}
): Effect.Effect<string, ChangeError, Journal> =>
  outsideOnly("RunSchedule.trigger", () =>
    named(schedule, (name) =>
      Effect.zipRight(
        refuse(`RunSchedule.trigger of schedule "${name}"`, askProblem(options)),
        Effect.suspend(() => Control.trigger(name, options.overlap))
      )))

/**
 * Start the runs of the slots of a time that has passed, for example from before the schedule was made; answers the slots. A
 * slot that has had its run has no second one.
 *
 * With `overlap: "allow"` (the default) they start together, with `"queueAll"` one after the other.
 *
 * Fails with `ValueInvalid` for more than 1,000 slots, for a time that has not passed, if a payload cannot be made, and if the
 * schedule is quarantined.
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
): Effect.Effect<ReadonlyArray<DateTime.Utc>, ChangeError, Journal> =>
  outsideOnly("RunSchedule.backfill", () =>
    named(schedule, (name) =>
      Effect.zipRight(
        refuse(`RunSchedule.backfill of schedule "${name}"`, askProblem(range ?? null, ["from", "to"])),
        Effect.suspend(() => Control.backfill(name, range))
      )))

/** A page of schedules, of these names or all after one, as they are shown. */
const page = (names: ReadonlyArray<string> | null, after: string | null, count: number) =>
  Effect.flatMap(
    Journal,
    ({ driver, registry, time }) =>
      Effect.map(driver.schedules({ names, after, limit: PAGE }), ({ now, value }): ReadonlyArray<ScheduleInfo> => {
        time.observe(now)
        const known = registry.schedules
        return value.map((record) => infoOf(record, { now, count, isKnown: known.has(record.name) }))
      })
  )

/** Schedules that one statement reads. */
const PAGE = 200

/**
 * A schedule as it is, with when its next runs start: 5, or `next` of them, at most 1,000.
 *
 * Fails with `UnknownSchedule`, and with `ValueInvalid` for another `next`.
 *
 * @since 0.1.0
 * @category reading
 */
export const get = (
  schedule: Ref,
  options: { readonly next?: number } = {}
): Effect.Effect<ScheduleInfo, UnknownSchedule | ValueInvalid | JournalError, Journal> =>
  outsideOnly("RunSchedule.get", () =>
    named(schedule, (name) =>
      Effect.gen(function*() {
        yield* refuse(`RunSchedule.get of schedule "${name}"`, showProblem(options))
        yield* Control.known(name)
        const [info] = yield* page([name], null, options.next ?? 5)
        return info === undefined ? yield* new UnknownSchedule({ schedule: name }) : info
      })))

/**
 * All schedules, in order of name, each with when its next runs start: 1, or `next` of them, at most 1,000.
 *
 * Fails with `ValueInvalid` for another `next`.
 *
 * @since 0.1.0
 * @category reading
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import * as RunSchedule from "perdure/RunSchedule"
 *
 * const show = Stream.runForEach(RunSchedule.list({ next: 3 }), ({ name, next, status }) => Effect.log(name, status, next))
 * ```
 */
export const list = (
  options: { readonly next?: number } = {}
): Stream.Stream<ScheduleInfo, ValueInvalid | JournalError, Journal> =>
  Stream.unwrap(
    outsideOnly("RunSchedule.list", () =>
      Effect.as(
        refuse("RunSchedule.list", showProblem(options)),
        Stream.flattenIterables(Stream.paginateEffect(
          Option.none<string>(),
          (after) =>
            Effect.map(page(null, Option.getOrNull(after), options.next ?? 1), (infos) =>
              [
                infos,
                infos.length < PAGE
                  ? Option.none()
                  : Option.map(Option.fromNullable(infos.at(-1)), ({ name }) => Option.some(name))
              ] as const)
        ))
      ))
  )
