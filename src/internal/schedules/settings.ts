/**
 * A schedule as it is stored above the drivers: what it does and when (its settings), and how far it has come (its state).
 * Both are JSON, read strictly: a row that this code cannot read is one that cannot fire.
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Calendar from "../../Calendar.js"
import { memoize } from "../util/memoize.js"

const Millis = Schema.Number

/** What happens to a slot while the run before it has not ended. */
export const Overlap = Schema.Literal("skip", "queueOne", "queueAll", "cancelPrevious", "allow")

export type Overlap = typeof Overlap.Type

/** What happens to slots that nobody fired in time. */
export const CatchUp = Schema.Union(
  Schema.Literal("none", "latest", "all"),
  Schema.Struct({ within: Millis })
)

export type CatchUp = typeof CatchUp.Type

export const Settings = Schema.Struct({
  workflow: Schema.String,
  version: Schema.String,
  /** JSON text; null: each slot's payload is computed by the definition. */
  payload: Schema.NullOr(Schema.String),
  calendar: Calendar.schema,
  overlap: Overlap,
  catchUp: CatchUp,
  jitter: Millis,
  /** Slots from this instant on. */
  from: Schema.NullOr(Millis),
  /** Slots before this instant. */
  until: Schema.NullOr(Millis),
  maxRuns: Schema.NullOr(Schema.Number),
  /** How its runs are started. */
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

/** A run that was asked for by hand. */
export const Asked = Schema.Struct({
  slot: Millis,
  /** The run's id if it is no slot of the calendar; null: the run of a slot. */
  run: Schema.NullOr(Schema.String),
  /** It waits until the run before it has ended. */
  serial: Schema.Boolean
})

export type Asked = typeof Asked.Type

export const State = Schema.Struct({
  status: Status,
  /** The first slot that nobody has looked at since it came, or that is still ahead; null if there is none. */
  slot: Schema.NullOr(Millis),
  /** Slots that have come and wait, in order: of each stretch the first and the last. */
  queue: Schema.Array(Schema.Tuple(Millis, Millis)),
  /** For the slot that waits, the run before has been asked to be cancelled. */
  cancelled: Schema.Boolean,
  /** Runs started for slots. */
  started: Schema.Number,
  /** Slots that were passed over: they have no run. */
  skipped: Schema.Number,
  last: Schema.NullOr(Schema.Struct({ slot: Millis, run: Schema.String, at: Millis })),
  note: Schema.NullOr(
    Schema.Struct({ text: Schema.NullOr(Schema.String), by: Schema.NullOr(Schema.String), at: Millis })
  ),
  backlog: Schema.Array(Asked)
})

export type State = typeof State.Type

const strict = { onExcessProperty: "error" } as const

const reading = <A, I>(what: string, schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeEither(Schema.parseJson(schema), strict)
  return (text: string): Either.Either<A, string> =>
    Either.mapLeft(
      decode(text),
      (error) => `${what} cannot be read: ${ParseResult.TreeFormatter.formatErrorSync(error)}`
    )
}

/** The same settings give the same text. */
export const encodeSettings = Schema.encodeSync(Schema.parseJson(Settings))

export const encodeState = Schema.encodeSync(Schema.parseJson(State))

const settings = reading("its settings", Settings)

const state = reading("its state", State)

/** So many settings are kept as they were read, so that a schedule that fires often is not read anew each time. */
const KEPT = 2_000

/** What is wrong with stored settings is told by `Calendar.problems`, too: a zone may be unknown here. */
export const decodeSettings: (text: string) => Either.Either<Settings, string> = memoize(
  KEPT,
  (text) =>
    Either.flatMap(settings(text), (read) => {
      const problems = Calendar.problems(read.calendar)
      return problems.length === 0 ? Either.right(read) : Either.left(`its calendar: ${problems.join("; ")}`)
    })
)

export const decodeState = (text: string): Either.Either<State, string> => state(text)
