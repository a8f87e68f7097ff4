/**
 * What a schedule is, as plain data: what it starts and when (its settings), and how far it has come (its state). A
 * driver keeps both as JSON text. Reading is strict: a schedule whose text this code cannot read does not fire.
 * Nothing here acts.
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { schema as Calendar } from "../calendar/model.js"
import { problemsOf } from "../calendar/problems.js"
import { memoize } from "../util/memoize.js"

const Millis = Schema.Number

/** A field whose name in the stored JSON differs, so that schedules stored by version 0.1.0 stay readable. */
const storedAs = <A, I, const Key extends string>(key: Key, schema: Schema.Schema<A, I>) =>
  Schema.propertySignature(schema).pipe(Schema.fromKey(key))

/** What happens to a slot that is due while the previous run is live. */
export const Overlap = Schema.Literal("skip", "queueOne", "queueAll", "cancelPrevious", "allow")

export type Overlap = typeof Overlap.Type

/** What happens to missed slots. */
export const CatchUp = Schema.Union(
  Schema.Literal("none", "latest", "all"),
  Schema.Struct({ within: Millis })
)

export type CatchUp = typeof CatchUp.Type

export const Settings = Schema.Struct({
  workflow: Schema.String,
  version: Schema.String,
  /** JSON text; null: the definition computes the payload of each slot. */
  payload: Schema.NullOr(Schema.String),
  calendar: Calendar,
  overlap: Overlap,
  catchUp: CatchUp,
  jitter: Millis,
  /** No slot before this instant. */
  startsAt: storedAs("from", Schema.NullOr(Millis)),
  /** No slot at this instant or later. */
  endsAt: storedAs("until", Schema.NullOr(Millis)),
  maxRuns: Schema.NullOr(Schema.Number),
  /** The options by which its runs start; null: the workflow's. */
  run: Schema.Struct({
    queue: Schema.NullOr(Schema.String),
    priority: Schema.NullOr(Schema.Number),
    expiresIn: Schema.NullOr(Millis),
    tags: Schema.Array(Schema.String),
    attributes: Schema.Record({ key: Schema.String, value: Schema.Union(Schema.String, Schema.Number, Schema.Boolean) })
  })
})

export type Settings = typeof Settings.Type

export const Status = Schema.Literal("active", "paused", "quarantined", "ended")

export type Status = typeof Status.Type

/** A run that a trigger or a backfill asks for. */
export const ManualRun = Schema.Struct({
  slot: Millis,
  /** The id of the run that a trigger asks for; null: the run of a slot, as a backfill asks for it. */
  run: Schema.NullOr(Schema.String),
  /** It waits for the previous run, and is the previous run of the next one. Otherwise it runs in parallel. */
  serial: Schema.Boolean
})

export type ManualRun = typeof ManualRun.Type

export const State = Schema.Struct({
  status: Status,
  /** The first slot that no process has evaluated since it was due, or that is ahead; null if no slot is left. */
  nextSlot: storedAs("slot", Schema.NullOr(Millis)),
  /** Slots that are due and wait for the previous run, in order: the first and the last slot of each stretch. */
  waiting: storedAs("queue", Schema.Array(Schema.Tuple(Millis, Millis))),
  /** A cancel was sent to the previous run for the slot that waits. */
  cancelled: Schema.Boolean,
  /** The number of runs started for slots. */
  started: Schema.Number,
  /** The number of slots without a run. */
  skipped: Schema.Number,
  last: Schema.NullOr(Schema.Struct({ slot: Millis, run: Schema.String, at: Millis })),
  /** Why it is paused or quarantined, or why manual runs were not started. */
  detail: storedAs(
    "note",
    Schema.NullOr(
      Schema.Struct({
        reason: storedAs("text", Schema.NullOr(Schema.String)),
        by: Schema.NullOr(Schema.String),
        at: Millis
      })
    )
  ),
  /** Manual runs that have not started, in the order of their requests. */
  backlog: Schema.Array(ManualRun)
})

export type State = typeof State.Type

/** The state of a schedule that has no slot yet. */
export const initialState: State = {
  status: "active",
  nextSlot: null,
  waiting: [],
  cancelled: false,
  started: 0,
  skipped: 0,
  last: null,
  detail: null,
  backlog: []
}

export interface Schedule {
  readonly name: string
  readonly settings: Settings
  readonly state: State
}

const strict = { onExcessProperty: "error" } as const

/** Left: what cannot be read, and why. */
const decoder = <A, I>(subject: string, schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeEither(Schema.parseJson(schema), strict)
  return (text: string): Either.Either<A, string> =>
    Either.mapLeft(
      decode(text),
      (error) => `${subject} cannot be read: ${ParseResult.TreeFormatter.formatErrorSync(error)}`
    )
}

/** Equal settings have equal JSON. */
export const encodeSettings = Schema.encodeSync(Schema.parseJson(Settings))

export const encodeState = Schema.encodeSync(Schema.parseJson(State))

const settingsOf = decoder("its settings", Settings)

/** The number of decoded settings to keep, so that a schedule that fires often is not decoded each time. */
const SETTINGS_CACHE_SIZE = 2_000

/** Fails for a calendar with problems, too: this machine may lack a time zone that another one has. */
export const decodeSettings: (text: string) => Either.Either<Settings, string> = memoize(
  SETTINGS_CACHE_SIZE,
  (text) =>
    Either.flatMap(settingsOf(text), (settings) => {
      const problems = problemsOf(settings.calendar, "calendar")
      return problems.length === 0 ? Either.right(settings) : Either.left(problems.join("; "))
    })
)

export const decodeState: (text: string) => Either.Either<State, string> = decoder("its state", State)
