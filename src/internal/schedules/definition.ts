/** A schedule's definition without its types: what is wrong with it, and what it comes down to when it is stored. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
import * as Calendar from "../../Calendar.js"
import type { NewRun } from "../../driver/JournalDriver.js"
import type { Attributes } from "../../driver/Model.js"
import { Limits } from "../../Limits.js"
import type { StartOptions } from "../../Workflow.js"
import type { Shape } from "../workflow/definition.js"
import { nameProblem, priorityProblem } from "../workflow/definition.js"
import { EARLIEST, instantOf, millisOf } from "../util/time.js"
import { attributesProblem, tagsProblem } from "../options/labels.js"
import { isFields, show, strangers } from "../options/reading.js"
import { freshRun } from "../runs/start.js"
import { queueProblem } from "../options/startOptions.js"
import { decodeText, encodeText, shown, storable } from "../codec/wire.js"
import type { CatchUp, Settings } from "./settings.js"
import { Overlap } from "./settings.js"

/** A definition as users write it, whatever its type says. */
export interface Given {
  readonly name: string
  /** Null: it was given none. */
  readonly workflow: Shape | null
  readonly payload: unknown
  readonly options: Readonly<Record<string, unknown>>
}

/** The attributes by which the runs of a schedule are found. */
export const SCHEDULE = "perdure.schedule"
export const SLOT = "perdure.slot"

export const slotText = (slot: number): string => DateTime.formatIso(DateTime.unsafeMake(slot))

/** One run for each slot, whoever fires it, and however often. */
export const slotKey = (name: string, slot: number): string => `schedule ${name} ${slotText(slot)}`

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

/** The longest jitter, a week: what fires later than that is not spread, but late. Milliseconds. */
const JITTER = 604_800_000

/** Attributes of a run, two of which are its schedule's. */
const ATTRIBUTES = 30

/** Attributes of this kind say which slot of which schedule a run is of. */
const RESERVED = "perdure."

const jitterProblem = (value: unknown): string | undefined =>
  time("jitter", value) ?? ((millisOf(value ?? 0) ?? 0) > JITTER
    ? `jitter is ${show(value)}, it must be at most 7 days: shorten it, or move the calendar`
    : undefined)

const ownAttributesProblem = (value: unknown): string | undefined => {
  const problem = attributesProblem(value)
  if (problem !== undefined) return problem
  if (!isFields(value)) return `attributes are ${show(value)}, they must be an object of texts, numbers and booleans`
  const names = Object.keys(value)
  const reserved = names.find((name) => name.startsWith(RESERVED))
  return reserved !== undefined
    ? `attribute ${
      show(reserved)
    } begins with "${RESERVED}", which is kept for schedules themselves: give it another name`
    : names.length > ATTRIBUTES
    ? `there are ${names.length} attributes, at most ${ATTRIBUTES} may be, as each run has ${SCHEDULE} and ${SLOT}, too: ` +
      "leave out what no run is looked for by"
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

const bounds = ({ endsAt, startsAt }: Given["options"]): string | undefined => {
  const [from, until] = [instantOf(startsAt), instantOf(endsAt)]
  return from !== undefined && until !== undefined && from >= until
    ? `endsAt (${slotText(until)}) must be after startsAt (${slotText(from)})`
    : undefined
}

const isCalendar = (value: unknown): value is Calendar.Calendar => isFields(value) && typeof value["_tag"] === "string"

const calendarProblems = (value: unknown): ReadonlyArray<string> =>
  isCalendar(value)
    ? Calendar.problems(value).map((problem) => `calendar: ${problem}`)
    : [
      `calendar is ${
        show(value)
      }, it must be one: make it with perdure/Calendar, such as Calendar.daily({ at: "02:00" })`
    ]

/** What is wrong with options, all of it. */
export const optionProblems = (options: Given["options"]): ReadonlyArray<string> => {
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

/** What options without problems say. */
export const settingsOf = (
  { name: workflow, version }: { readonly name: string; readonly version: string },
  payload: string | null,
  options: Given["options"]
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
    calendar: calendar as Calendar.Calendar,
    overlap: Overlap.literals.find((each) => each === overlap) ?? "skip",
    catchUp: catchUpOf(catchUp),
    jitter: jitter === undefined ? 0 : millisOf(jitter) ?? 0,
    from: orNull(startsAt, instantOf),
    until: orNull(endsAt, instantOf),
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

const message = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return storable(error instanceof Error ? error.message : shown(error))
}

/** The run of a slot; why there can be none is said in words. */
export const runOf = (
  { name, payload, settings, shape }: {
    readonly name: string
    readonly shape: Shape
    readonly settings: Settings
    /** Of a slot; by the stored text if there is none. */
    readonly payload: ((slot: number) => unknown) | null
  },
  slot: number,
  { id, key, now }: { readonly id: string; readonly key: string; readonly now: number }
): Effect.Effect<Either.Either<NewRun, string>> => {
  const { attributes, expiresIn, priority, queue, tags } = settings.run
  const options: StartOptions = {
    tags,
    attributes: { ...attributes, [SCHEDULE]: name, [SLOT]: slotText(slot) },
    ...(queue === null ? {} : { queue }),
    ...(priority === null ? {} : { priority }),
    ...(expiresIn === null ? {} : { expiresIn })
  }
  const { idempotencyKey: _, ...rest } = shape.options
  const value = payload === null
    ? settings.payload === null
      ? Effect.fail("its payload is computed by a definition that this process does not have")
      : decodeText(shape.payloadSchema, settings.payload, `payload of schedule ${name}`)
    : Effect.try({ try: () => payload(slot), catch: (error) => error })
  return Effect.flatMap(value, (given) => freshRun({ ...shape, options: rest }, given, options, { id, now })).pipe(
    Effect.map((run) => ({ ...run, idempotencyKey: key })),
    Effect.exit,
    Effect.map((exit) => Exit.isSuccess(exit) ? Either.right(exit.value) : Either.left(message(exit.cause)))
  )
}

/** A run as a trial, so that what is wrong with its runs is known before the first one is due. */
export const trial = (
  schedule: Parameters<typeof runOf>[0],
  now: number
): Effect.Effect<Either.Either<NewRun, string>> => {
  const { calendar, from } = schedule.settings
  const slot = Calendar.nextMillis(calendar, Math.max(now, from ?? now)) ?? now
  return runOf(schedule, slot, { id: "trial", key: slotKey(schedule.name, slot), now })
}

/** The settings of a definition, or all that is wrong with it. */
export const check = (
  { name, options, payload, workflow }: Given,
  now: number
): Effect.Effect<Either.Either<Settings, ReadonlyArray<string>>> =>
  Effect.gen(function*() {
    const problems: Array<string> = [...optionProblems(options)]
    const named = nameProblem("the schedule", name)
    if (named !== undefined) problems.unshift(named)
    if (workflow === null) {
      const problem = "workflow is none: give one that Workflow.make has made"
      return Either.left([...problems, problem])
    }
    if (workflow.options.debounce !== undefined) {
      problems.push(
        `workflow ${workflow.name} has debounce, but each slot is a run of its own: start it in a workflow instead`
      )
    }
    if (problems.length > 0) return Either.left(problems)
    const computed = typeof payload === "function"
    const limits = yield* Limits
    const text = computed
      ? Either.right(null)
      : encodeText(workflow.payloadSchema, payload, `payload of schedule ${name}`, limits.payloadBytes)
    if (Either.isLeft(text)) return Either.left([text.left.message])
    const settings = settingsOf(workflow, text.right, options)
    const tried = yield* trial(
      { name, shape: workflow, settings, payload: computed ? payloadOf(payload) : null },
      now
    )
    return Either.mapBoth(tried, { onLeft: (problem) => [problem], onRight: () => settings })
  })

/** A definition's payload of a slot, as users write it. */
export const payloadOf = (payload: unknown): ((slot: number) => unknown) | null =>
  typeof payload === "function" ? (slot) => payload(DateTime.unsafeMake(slot)) : null

/** Settings with some options changed (null: its default again), or all that is wrong with these. */
export const settingsWith = (
  settings: Settings,
  options: Given["options"]
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
    ...(has("startsAt") ? { from: all.from } : {}),
    ...(has("endsAt") ? { until: all.until } : {}),
    ...(has("maxRuns") ? { maxRuns: all.maxRuns } : {}),
    run: {
      queue: has("queue") ? all.run.queue : settings.run.queue,
      priority: has("priority") ? all.run.priority : settings.run.priority,
      expiresIn: has("expiresIn") ? all.run.expiresIn : settings.run.expiresIn,
      tags: has("tags") ? all.run.tags : settings.run.tags,
      attributes: has("attributes") ? all.run.attributes : settings.run.attributes
    }
  }
  return next.from !== null && next.until !== null && next.from >= next.until
    ? Either.left([`endsAt (${slotText(next.until)}) must be after startsAt (${slotText(next.from)})`])
    : Either.right(next)
}
