/** The options of a schedule, as users write them: their problems, and the settings that they stand for. */
import * as Either from "effect/Either"
import type { Calendar } from "../calendar/model.js"
import { problemsOf as calendarProblemsOf } from "../calendar/problems.js"
import type { Attributes } from "../../driver/Model.js"
import { priorityProblem } from "../workflow/definition.js"
import { EARLIEST, instantOf, millisOf } from "../util/time.js"
import { attributesProblem, tagsProblem } from "../options/labels.js"
import { isFields, show, strangers } from "../options/reading.js"
import { queueProblem } from "../options/startOptions.js"
import { SCHEDULE_ATTRIBUTE, SLOT_ATTRIBUTE, slotText } from "./launch.js"
import type { CatchUp, Settings } from "./model.js"
import { Overlap } from "./model.js"

/** Options whose values are not checked yet. */
export type Options = Readonly<Record<string, unknown>>

const OPTIONS = [
  "calendar",
  "overlap",
  "catchUp",
  "jitter",
  "startsAt",
  "endsAt",
  "maxRuns",
  "queue",
  "priority",
  "expiresIn",
  "tags",
  "attributes"
]

/** A week: a run that starts later than that after its slot is late, not spread. */
const JITTER_LIMIT_MILLIS = 604_800_000

/** Attributes of a run, without the two that a schedule adds. */
const ATTRIBUTE_COUNT = 30

/** The attributes that a schedule adds begin with it. */
const RESERVED_PREFIX = "perdure."

const jitterProblem = (value: unknown): string | undefined =>
  time("jitter", value) ?? ((millisOf(value ?? 0) ?? 0) > JITTER_LIMIT_MILLIS
    ? `jitter is ${show(value)}, it must be at most 7 days: shorten it, or move the calendar`
    : undefined)

const ownAttributesProblem = (value: unknown): string | undefined => {
  const problem = attributesProblem(value)
  if (problem !== undefined) return problem
  if (!isFields(value)) return `attributes are ${show(value)}, they must be an object of texts, numbers and booleans`
  const names = Object.keys(value)
  const reserved = names.find((name) => name.startsWith(RESERVED_PREFIX))
  return reserved !== undefined
    ? `attribute ${
      show(reserved)
    } begins with "${RESERVED_PREFIX}", which is kept for schedules themselves: give it another name`
    : names.length > ATTRIBUTE_COUNT
    ? `there are ${names.length} attributes, at most ${ATTRIBUTE_COUNT} may be, as each run has ${SCHEDULE_ATTRIBUTE} ` +
      `and ${SLOT_ATTRIBUTE}, too: leave out what no run is looked for by`
    : undefined
}

const time = (name: string, value: unknown, least = 0): string | undefined => {
  if (value === undefined) return undefined
  const millis = millisOf(value)
  return millis !== undefined && Number.isFinite(millis) && millis >= least
    ? undefined
    : `${name} is ${show(value)}, it must be a finite duration${
      least > 0 ? ` of at least ${least} ms` : ""
    }, such as "10 minutes"`
}

const instant = (name: string, value: unknown): string | undefined => {
  const millis = value === undefined ? 0 : instantOf(value)
  return millis !== undefined && millis > EARLIEST
    ? undefined
    : `${name} is ${show(value)}, it must be an instant: give a DateTime or a Date`
}

const catchUpProblem = (value: unknown): string | undefined =>
  isFields(value) && Object.keys(value).join() === "within"
    ? time("catchUp.within", value["within"] ?? null)
    : value === undefined || value === "none" || value === "latest" || value === "all"
    ? undefined
    : `catchUp is ${show(value)}, it must be "none", "latest", "all", or { within: a duration }`

const bounds = ({ endsAt, startsAt }: Options): string | undefined => {
  const [from, until] = [instantOf(startsAt), instantOf(endsAt)]
  return from !== undefined && until !== undefined && from >= until
    ? `endsAt (${slotText(until)}) must be after startsAt (${slotText(from)})`
    : undefined
}

const isCalendar = (value: unknown): value is Calendar => isFields(value) && typeof value["_tag"] === "string"

const calendarProblems = (value: unknown): ReadonlyArray<string> =>
  isCalendar(value)
    ? calendarProblemsOf(value).map((problem) => `calendar: ${problem}`)
    : [
      `calendar is ${
        show(value)
      }, it must be one: make it with perdure/Calendar, such as Calendar.daily({ at: "02:00" })`
    ]

export const optionProblems = (options: Options): ReadonlyArray<string> => {
  const { attributes, catchUp, endsAt, expiresIn, jitter, maxRuns, overlap, priority, queue, startsAt, tags } = options
  return [
    ...strangers("", options, OPTIONS),
    ...calendarProblems(options["calendar"]),
    overlap === undefined || Overlap.literals.some((each) => each === overlap)
      ? undefined
      : `overlap is ${show(overlap)}, it must be one of ${Overlap.literals.map((each) => `"${each}"`).join(", ")}`,
    catchUpProblem(catchUp),
    jitterProblem(jitter),
    instant("startsAt", startsAt),
    instant("endsAt", endsAt),
    bounds(options),
    maxRuns === undefined || (typeof maxRuns === "number" && Number.isSafeInteger(maxRuns) && maxRuns > 0)
      ? undefined
      : `maxRuns is ${show(maxRuns)}, it must be a positive integer`,
    queueProblem(queue),
    priority === undefined ? undefined : priorityProblem(priority),
    time("expiresIn", expiresIn, 1),
    tags === undefined ? undefined : tagsProblem(tags),
    attributes === undefined ? undefined : ownAttributesProblem(attributes)
  ].filter((problem) => problem !== undefined)
}

const orNull = (value: unknown, read: (value: unknown) => number | undefined): number | null =>
  value === undefined ? null : read(value) ?? null

const catchUpOf = (value: unknown): CatchUp =>
  isFields(value)
    ? { within: millisOf(value["within"]) ?? 0 }
    : value === "none" || value === "all"
    ? value
    : "latest"

const queueName = (queue: unknown): string | null =>
  typeof queue === "string" ? queue : isFields(queue) && typeof queue["name"] === "string" ? queue["name"] : null

/** The settings that options without problems stand for. */
export const settingsOf = (
  { name: workflow, version }: { readonly name: string; readonly version: string },
  payload: string | null,
  options: Options
): Settings => {
  const {
    attributes,
    calendar,
    catchUp,
    endsAt,
    expiresIn,
    jitter,
    maxRuns,
    overlap,
    priority,
    queue,
    startsAt,
    tags
  } = options
  return {
    workflow,
    version,
    payload,
    // It has no problems.
    calendar: calendar as Calendar,
    overlap: Overlap.literals.find((each) => each === overlap) ?? "skip",
    catchUp: catchUpOf(catchUp),
    jitter: jitter === undefined ? 0 : millisOf(jitter) ?? 0,
    startsAt: orNull(startsAt, instantOf),
    endsAt: orNull(endsAt, instantOf),
    maxRuns: typeof maxRuns === "number" ? maxRuns : null,
    run: {
      queue: queueName(queue),
      priority: typeof priority === "number" ? priority : null,
      expiresIn: orNull(expiresIn, millisOf),
      tags: Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string") : [],
      attributes: attributesProblem(attributes ?? {}) === undefined ? attributes as Attributes ?? {} : {}
    }
  }
}

/** Settings with some options changed (null: its default again), or all problems of these. */
export const settingsWith = (
  settings: Settings,
  options: Options
): Either.Either<Settings, ReadonlyArray<string>> => {
  const isDefault = (name: string, value: unknown) => value === null && name !== "calendar" && OPTIONS.includes(name)
  const given = Object.fromEntries(
    Object.entries(options).filter(([name, value]) => value !== undefined && !isDefault(name, value))
  )
  const problems = optionProblems({ calendar: settings.calendar, ...given })
  if (problems.length > 0) return Either.left(problems)
  const all = settingsOf({ name: settings.workflow, version: settings.version }, settings.payload, {
    calendar: settings.calendar,
    ...given
  })
  const has = (name: string) => options[name] !== undefined
  const next: Settings = {
    ...settings,
    calendar: all.calendar,
    ...(has("overlap") ? { overlap: all.overlap } : {}),
    ...(has("catchUp") ? { catchUp: all.catchUp } : {}),
    ...(has("jitter") ? { jitter: all.jitter } : {}),
    ...(has("startsAt") ? { startsAt: all.startsAt } : {}),
    ...(has("endsAt") ? { endsAt: all.endsAt } : {}),
    ...(has("maxRuns") ? { maxRuns: all.maxRuns } : {}),
    run: {
      queue: has("queue") ? all.run.queue : settings.run.queue,
      priority: has("priority") ? all.run.priority : settings.run.priority,
      expiresIn: has("expiresIn") ? all.run.expiresIn : settings.run.expiresIn,
      tags: has("tags") ? all.run.tags : settings.run.tags,
      attributes: has("attributes") ? all.run.attributes : settings.run.attributes
    }
  }
  return next.startsAt !== null && next.endsAt !== null && next.startsAt >= next.endsAt
    ? Either.left([`endsAt (${slotText(next.endsAt)}) must be after startsAt (${slotText(next.startsAt)})`])
    : Either.right(next)
}
