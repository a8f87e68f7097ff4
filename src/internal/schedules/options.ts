/**
 * The options of a schedule: their types below `RunSchedule`, their rules, and the settings that they stand for.
 * Whether the settings suit the workflow, `definition` decides.
 */
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import { identity } from "effect/Function"
import type { Attributes } from "../../driver/JournalDriver.js"
import type { Calendar } from "../calendar/model.js"
import { problemsOf } from "../calendar/problems.js"
import { attributes, attributesType, tags, tagsType } from "../options/labels.js"
import { priority } from "../options/names.js"
import type { QueueReference } from "../options/queues.js"
import { namedQueue, queueName } from "../options/queues.js"
import type { Problems, Rule, Table } from "../options/Rule.js"
import { count, duration, either, fields, instant, nullable, oneOf, optional, refine, rule } from "../options/Rule.js"
import { isFields } from "../util/show.js"
import { instantOf } from "../util/time.js"
import { SCHEDULE_ATTRIBUTE, SLOT_ATTRIBUTE, slotText } from "./launch.js"
import type * as Model from "./model.js"
import { Overlap } from "./model.js"

/** Public as `RunSchedule.CatchUp`. */
export type CatchUp = "none" | "latest" | "all" | { readonly within: Duration.DurationInput }

type Instant = DateTime.DateTime | Date

/** Public as `RunSchedule.Options`. */
export interface ScheduleOptions {
  readonly calendar: Calendar
  /** Default `"skip"`. */
  readonly overlap?: Overlap
  /** Default `"latest"`. */
  readonly catchUp?: CatchUp
  /** Each run starts at its slot or up to this time later, at most 7 days. Default 0. */
  readonly jitter?: Duration.DurationInput
  /** No slot before this instant. */
  readonly startsAt?: Instant
  /** No slot at this instant or later. */
  readonly endsAt?: Instant
  /** The schedule ends after this number of runs. Manual runs do not count. */
  readonly maxRuns?: number
  /** The queue of its runs. Default: the workflow's. */
  readonly queue?: QueueReference
  /** The priority of its runs. Default: the workflow's. */
  readonly priority?: number
  /** A run becomes `expired` unless a worker claims it within this time after its start. */
  readonly expiresIn?: Duration.DurationInput
  /** Tags of its runs, besides the workflow's. */
  readonly tags?: ReadonlyArray<string>
  /** Attributes of its runs, besides the workflow's, `perdure.schedule` and `perdure.slot`: at most 30. */
  readonly attributes?: Attributes
}

/** Public as `RunSchedule.Changes`. */
export type ScheduleChanges =
  & { readonly calendar?: Calendar }
  & { readonly [Name in Exclude<keyof ScheduleOptions, "calendar">]?: ScheduleOptions[Name] | null }

const isCalendar = (value: unknown): value is Calendar => isFields(value) && typeof value["_tag"] === "string"

const calendarArgument: Rule<Calendar> = rule("a calendar made by a constructor of perdure/Calendar", isCalendar)

const calendar: Rule<Calendar> = refine(calendarArgument, problemsOf)

/** A week: a run that starts later than that after its slot is late, not spread. */
const JITTER_MAX_MILLIS = 604_800_000

/** Attributes of a run, without the two that a schedule adds. */
const ATTRIBUTE_COUNT = 30

/** The names of attributes that a schedule adds begin with it. */
const RESERVED_PREFIX = "perdure."

const ownAttributes: Rule<Attributes> = refine(attributes, (value, place) => {
  const names = Object.keys(value)
  return [
    ...names.filter((name) => name.startsWith(RESERVED_PREFIX)).map((name) =>
      `${
        JSON.stringify(`${place}.${name}`)
      } begins with "${RESERVED_PREFIX}", which is reserved for the attributes of ` +
      "schedules: use another name"
    ),
    ...(names.length > ATTRIBUTE_COUNT
      ? [
        `"${place}" has ${names.length} keys, the limit is ${ATTRIBUTE_COUNT}, as each run also has ` +
        `${SCHEDULE_ATTRIBUTE} and ${SLOT_ATTRIBUTE}: remove some`
      ]
      : [])
  ]
})

/** The rules of a definition's options. */
export const optionsTable: Table<ScheduleOptions> = {
  calendar,
  overlap: optional(oneOf(...Overlap.literals)),
  catchUp: optional(
    either(
      oneOf("none", "latest", "all"),
      fields<{ readonly within: Duration.DurationInput }>({ within: duration() })
    )
  ),
  jitter: optional(duration({ max: JITTER_MAX_MILLIS })),
  startsAt: optional(instant()),
  endsAt: optional(instant()),
  maxRuns: optional(count({ min: 1 })),
  queue: optional(namedQueue),
  priority: optional(priority),
  expiresIn: optional(duration({ min: 1 })),
  tags: optional(tags),
  attributes: optional(ownAttributes)
}

/** The arguments of a change. The content of its calendar and labels are values: `changedSettings` checks them. */
export const scheduleChanges: Rule<ScheduleChanges> = fields<ScheduleChanges>({
  calendar: optional(calendarArgument),
  overlap: nullable(optionsTable.overlap),
  catchUp: nullable(optionsTable.catchUp),
  jitter: nullable(optionsTable.jitter),
  startsAt: nullable(optionsTable.startsAt),
  endsAt: nullable(optionsTable.endsAt),
  maxRuns: nullable(optionsTable.maxRuns),
  queue: nullable(optionsTable.queue),
  priority: nullable(optionsTable.priority),
  expiresIn: nullable(optionsTable.expiresIn),
  tags: nullable(optional(tagsType)),
  attributes: nullable(optional(attributesType))
})

/** The problem of bounds that allow no slot. */
export const checkBounds = (startsAt: number | null, endsAt: number | null): Problems =>
  startsAt !== null && endsAt !== null && startsAt >= endsAt
    ? [`"endsAt" must be after "startsAt" (${slotText(startsAt)}), got ${slotText(endsAt)}`]
    : []

/** Milliseconds of an instant that its rule has accepted. */
const millisOf = (instant: Instant): number => instantOf(instant) ?? NaN

const catchUpSetting = (catchUp: CatchUp): Model.CatchUp =>
  typeof catchUp === "object" ? { within: Duration.toMillis(catchUp.within) } : catchUp

const defaults: Omit<Model.Settings, "workflow" | "version" | "payload" | "calendar"> = {
  overlap: "skip",
  catchUp: "latest",
  jitter: 0,
  startsAt: null,
  endsAt: null,
  maxRuns: null,
  run: { queue: null, priority: null, expiresIn: null, tags: [], attributes: {} }
}

const changed = <A, B>(
  change: A | null | undefined,
  kept: B,
  standard: B,
  settingOf: (value: A) => B
): B => change === undefined ? kept : change === null ? standard : settingOf(change)

const withChanges = (settings: Model.Settings, changes: ScheduleChanges): Model.Settings => ({
  ...settings,
  calendar: changes.calendar ?? settings.calendar,
  overlap: changed(changes.overlap, settings.overlap, defaults.overlap, identity),
  catchUp: changed(changes.catchUp, settings.catchUp, defaults.catchUp, catchUpSetting),
  jitter: changed(changes.jitter, settings.jitter, defaults.jitter, Duration.toMillis),
  startsAt: changed(changes.startsAt, settings.startsAt, defaults.startsAt, millisOf),
  endsAt: changed(changes.endsAt, settings.endsAt, defaults.endsAt, millisOf),
  maxRuns: changed(changes.maxRuns, settings.maxRuns, defaults.maxRuns, identity),
  run: {
    queue: changed(changes.queue, settings.run.queue, defaults.run.queue, queueName),
    priority: changed(changes.priority, settings.run.priority, defaults.run.priority, identity),
    expiresIn: changed(changes.expiresIn, settings.run.expiresIn, defaults.run.expiresIn, Duration.toMillis),
    tags: changed(changes.tags, settings.run.tags, defaults.run.tags, identity),
    attributes: changed(changes.attributes, settings.run.attributes, defaults.run.attributes, identity)
  }
})

/** The settings of a definition. */
export const settingsOf = (
  workflow: { readonly name: string; readonly version: string },
  payload: string | null,
  options: ScheduleOptions
): Model.Settings =>
  withChanges(
    { workflow: workflow.name, version: workflow.version, payload, calendar: options.calendar, ...defaults },
    options
  )

/** The settings after a change, or all problems of its values. */
export const changedSettings = (
  settings: Model.Settings,
  changes: ScheduleChanges
): Either.Either<Model.Settings, Problems> => {
  const next = withChanges(settings, changes)
  const problems = [
    ...optionsTable.calendar.problems(next.calendar, "calendar"),
    ...optionsTable.tags.problems(next.run.tags, "tags"),
    ...optionsTable.attributes.problems(next.run.attributes, "attributes"),
    ...checkBounds(next.startsAt, next.endsAt)
  ]
  return problems.length === 0 ? Either.right(next) : Either.left(problems)
}
