/**
 * Calendars as plain data, which storage keeps as JSON text. `Calendar.ts` documents their meaning; this module has
 * their shapes and the schema, and no behaviour.
 */
import * as Schema from "effect/Schema"

/** Slots at `anchor + k * millis`, for each integer `k`. */
export interface Every {
  readonly _tag: "Every"
  readonly millis: number
  /** Milliseconds since the epoch. */
  readonly anchor: number
}

/** Slots at the times that a wall clock shows. `null` stands for each value. */
export interface Wall {
  readonly _tag: "Wall"
  readonly zone: string
  readonly seconds: ReadonlyArray<number>
  readonly minutes: ReadonlyArray<number>
  readonly hours: ReadonlyArray<number>
  /** Days of the month; -1 is the last day. */
  readonly days: ReadonlyArray<number> | null
  readonly months: ReadonlyArray<number> | null
  /** 0 is Sunday. */
  readonly weekdays: ReadonlyArray<number> | null
  readonly match: Match
  readonly repeated: Repeated
}

export type Match = "either" | "both"

export type Repeated = "first" | "both"

/** Slots at these instants, in milliseconds since the epoch. */
export interface At {
  readonly _tag: "At"
  readonly instants: ReadonlyArray<number>
}

/** The slots of all these calendars. */
export interface Join {
  readonly _tag: "Join"
  readonly calendars: ReadonlyArray<Calendar>
}

/** The slots of a calendar, except those on some dates and in some ranges. */
export interface Except {
  readonly _tag: "Except"
  readonly calendar: Calendar
  /** The zone of `dates`. */
  readonly zone: string
  /** `to` is included. */
  readonly dates: ReadonlyArray<{ readonly from: string; readonly to: string }>
  /** Milliseconds since the epoch. `to` is excluded. */
  readonly ranges: ReadonlyArray<{ readonly from: number; readonly to: number }>
}

/** The result of a constructor with invalid arguments. It has no slots. */
export interface Invalid {
  readonly _tag: "Invalid"
  readonly problems: ReadonlyArray<string>
}

export type Calendar = Every | Wall | At | Join | Except | Invalid

const strict = { parseOptions: { onExcessProperty: "error" } } as const

const ints = Schema.Array(Schema.Int)
const calendar = Schema.suspend((): Schema.Schema<Calendar> => schema)

const EverySchema = Schema.Struct({ _tag: Schema.Literal("Every"), millis: Schema.Int, anchor: Schema.Int })

const WallSchema = Schema.Struct({
  _tag: Schema.Literal("Wall"),
  zone: Schema.String,
  seconds: ints,
  minutes: ints,
  hours: ints,
  days: Schema.NullOr(ints),
  months: Schema.NullOr(ints),
  weekdays: Schema.NullOr(ints),
  match: Schema.Literal("either", "both"),
  repeated: Schema.Literal("first", "both")
})

const AtSchema = Schema.Struct({ _tag: Schema.Literal("At"), instants: ints })

const JoinSchema = Schema.Struct({ _tag: Schema.Literal("Join"), calendars: Schema.Array(calendar) })

const ExceptSchema = Schema.Struct({
  _tag: Schema.Literal("Except"),
  calendar,
  zone: Schema.String,
  dates: Schema.Array(Schema.Struct({ from: Schema.String, to: Schema.String })),
  ranges: Schema.Array(Schema.Struct({ from: Schema.Int, to: Schema.Int }))
})

/** An invalid calendar is neither written nor read. */
const InvalidSchema = Schema.Struct({ _tag: Schema.Literal("Invalid"), problems: Schema.Array(Schema.String) }).pipe(
  Schema.filter(({ problems }) => `invalid calendar: ${problems.join("; ")}`)
)

export const schema: Schema.Schema<Calendar> = Schema.Union(
  EverySchema,
  WallSchema,
  AtSchema,
  JoinSchema,
  ExceptSchema,
  InvalidSchema
).annotations({ identifier: "Calendar", ...strict })
