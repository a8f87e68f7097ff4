/**
 * What a calendar is: plain data, which a driver keeps as JSON text. The public names of these types are in `Calendar.ts`,
 * which says what they mean; here is their shape, and nothing that acts.
 */
import * as Schema from "effect/Schema"

/** Slots at `anchor + k * millis`, for every integer `k`. */
export interface Every {
  readonly _tag: "Every"
  readonly millis: number
  readonly anchor: number
}

/** Slots at what a clock on the wall shows. `null` is any; `days` knows -1, the last of the month. */
export interface Wall {
  readonly _tag: "Wall"
  readonly zone: string
  readonly seconds: ReadonlyArray<number>
  readonly minutes: ReadonlyArray<number>
  readonly hours: ReadonlyArray<number>
  readonly days: ReadonlyArray<number> | null
  readonly months: ReadonlyArray<number> | null
  readonly weekdays: ReadonlyArray<number> | null
  readonly match: Match
  readonly repeated: Repeated
}

export type Match = "either" | "both"

export type Repeated = "first" | "both"

/** Slots at these instants. */
export interface At {
  readonly _tag: "At"
  readonly instants: ReadonlyArray<number>
}

/** The slots of several calendars. */
export interface Join {
  readonly _tag: "Join"
  readonly calendars: ReadonlyArray<Calendar>
}

/** The slots of a calendar without those on some dates (the last one included) or in some ranges (their ends left out). */
export interface Except {
  readonly _tag: "Except"
  readonly calendar: Calendar
  readonly zone: string
  readonly dates: ReadonlyArray<{ readonly from: string; readonly to: string }>
  readonly ranges: ReadonlyArray<{ readonly from: number; readonly to: number }>
}

/** What could not become a calendar, so that it is told with all else that is wrong, and no module throws while it loads. */
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

/** Neither written nor read. */
const InvalidSchema = Schema.Struct({ _tag: Schema.Literal("Invalid"), problems: Schema.Array(Schema.String) }).pipe(
  Schema.filter(({ problems }) => `no calendar: ${problems.join("; ")}`)
)

export const schema: Schema.Schema<Calendar> = Schema.Union(
  EverySchema,
  WallSchema,
  AtSchema,
  JoinSchema,
  ExceptSchema,
  InvalidSchema
).annotations({ identifier: "Calendar", ...strict })

/** When a calendar fires, in milliseconds since the epoch. */
export interface Slots {
  /** The first slot after an instant. */
  readonly next: (after: number) => number | null
  /** The last slot that is not after `to`. None that is not after `from` is asked for, so nobody looks far below that. */
  readonly last: (to: number, from: number) => number | null
}
