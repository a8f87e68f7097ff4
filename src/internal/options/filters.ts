/** Filters as users write them, checked and turned into those of drivers; and the cursors of pages. */
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { FilterInvalid } from "../../Errors.js"
import { FinalStatus, type RunCursor, type RunFilter, RunStatus } from "../../driver/JournalDriver.js"
import { EARLIEST, instantOf } from "../util/time.js"
import { attributesProblem, tagsProblem } from "./labels.js"
import { canBeStored, idProblem } from "./names.js"
import { isFields } from "./reading.js"
import { isRunQueue } from "../../RunQueue.js"
import { shown, storable } from "../util/show.js"

/** How much of a bad value is shown. */
const SHOWN = 200

const invalid = (field: string, value: unknown, detail: string): FilterInvalid =>
  new FilterInvalid({ field, value: storable(shown(value)).slice(0, SHOWN), detail: storable(detail) })

const checked = <A, I>(schema: Schema.Schema<A, I>, problem: (value: A) => string | undefined): Schema.Schema<A, I> =>
  schema.pipe(Schema.filter((value) => problem(value) ?? true))

const Text = checked(
  Schema.String,
  (text) => text === "" ? "it is empty: leave it out, or say what is looked for" : idProblem("the text", text)
)

/** A key that a workflow makes of a payload: it may be empty. */
const Key = checked(Schema.String, (text) => idProblem("the text", text))

/** A text that has no need to fit into an index. */
const Words = checked(Schema.String, (text) =>
  text === ""
    ? "it is empty: leave it out, or say what is looked for"
    : canBeStored(text)
    ? undefined
    : "it has NUL or a lone surrogate, which no run's error has: leave it out")

const several = <A, I>(item: Schema.Schema<A, I>): Schema.Schema<ReadonlyArray<A>, ReadonlyArray<I>> =>
  checked(
    Schema.Array(item),
    (items) => items.length === 0 ? "it is empty, which no run matches: leave it out, or name at least one" : undefined
  )

/** The last instant of the year 9999. */
const LATEST = 253_402_300_799_999

/** Every storage has it, and no run is outside of it. */
const isWithin = (millis: number): boolean => millis >= EARLIEST && millis <= LATEST

const Instant = checked(Schema.Unknown, (value) => {
  const millis = instantOf(value)
  if (millis === undefined) return "it must be a DateTime or a Date, of a valid instant"
  return isWithin(millis)
    ? undefined
    : "it must be in the years -4000 to 9999: leave it out, if no run is to be left out"
})

const Status = RunStatus.annotations({
  message: () => ({
    message: `a status must be ${RunStatus.literals.slice(0, -1).join(", ")} or ${RunStatus.literals.at(-1)}`,
    override: true
  })
})

const Attribute = Schema.Union(Schema.String, Schema.Number, Schema.Boolean)

const Filter = Schema.Struct({
  workflow: Schema.optional(several(Text)),
  version: Schema.optional(Text),
  status: Schema.optional(several(Status)),
  queue: Schema.optional(several(Text)),
  key: Schema.optional(Key),
  tags: Schema.optional(several(Schema.String).pipe((schema) => checked(schema, tagsProblem))),
  attributes: Schema.optional(
    checked(
      Schema.Record({ key: Schema.String, value: Attribute }),
      (attributes) =>
        Object.keys(attributes).length === 0
          ? "it is empty, and so says nothing: leave it out, or name at least one"
          : attributesProblem(attributes)
    )
  ),
  parent: Schema.optional(Text),
  root: Schema.optional(Text),
  idempotencyKey: Schema.optional(Key),
  source: Schema.optional(Text),
  createdFrom: Schema.optional(Instant),
  createdBefore: Schema.optional(Instant),
  finishedFrom: Schema.optional(Instant),
  finishedBefore: Schema.optional(Instant),
  errorCode: Schema.optional(Text),
  text: Schema.optional(Words)
})

const decode = Schema.decodeUnknownEither(Filter, { onExcessProperty: "error" })

/** A workflow, or a queue's definition, is as good as its name. */
const nameOf = (value: unknown): unknown =>
  Predicate.hasProperty(value, "name") && (Predicate.hasProperty(value, "toLayer") || isRunQueue(value))
    ? value.name
    : value

const listed = (value: unknown): unknown => value === undefined || Array.isArray(value) ? value : [value]

const spelledOut = (filter: object): Record<string, unknown> => {
  const given: Record<string, unknown> = { ...filter }
  for (const field of ["workflow", "status", "queue"]) if (field in given) given[field] = listed(given[field])
  for (const field of ["workflow", "queue"]) {
    const named = given[field]
    if (Array.isArray(named)) given[field] = named.map(nameOf)
  }
  return given
}

/** The statuses of runs that may have a failure or a detail. */
const telling: ReadonlyArray<RunStatus> = [
  ...FinalStatus.literals.filter((status) => status !== "completed"),
  "diverged",
  "paused"
]

/** A condition that is there. */
const some = <K extends keyof RunFilter>(key: K, value: RunFilter[K] | undefined): Pick<RunFilter, K> | {} =>
  value === undefined ? {} : { [key]: value }

/** The driver's filter for a user's; one without any condition has no fields. */
export const filterOf = (filter: unknown): Either.Either<RunFilter, FilterInvalid> => {
  if (typeof filter !== "object" || filter === null || Array.isArray(filter)) {
    return Either.left(invalid("all", filter, "it must be an object of conditions, or Runs.all"))
  }
  const given = spelledOut(filter)
  return Either.mapBoth(decode(given), {
    onLeft: (error) => {
      const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
      const field = String(issue?.path[0] ?? "all")
      return invalid(
        field,
        Predicate.hasProperty(filter, field) ? filter[field] : filter,
        issue?.message ?? error.message
      )
    },
    onRight: (found): RunFilter => ({
      ...some("workflows", found.workflow),
      ...some("version", found.version),
      // What has no error is not looked into for one.
      ...some(
        "statuses",
        found.status ?? (found.errorCode !== undefined ? ["failed"] : found.text !== undefined ? telling : undefined)
      ),
      ...some("queues", found.queue),
      ...some("key", found.key),
      ...some("tags", found.tags),
      ...some("attributes", found.attributes),
      ...some("parent", found.parent),
      ...some("root", found.root),
      ...some("idempotencyKey", found.idempotencyKey),
      ...some("source", found.source),
      ...some("createdFrom", instantOf(found.createdFrom)),
      ...some("createdBefore", instantOf(found.createdBefore)),
      ...some("finishedFrom", instantOf(found.finishedFrom)),
      ...some("finishedBefore", instantOf(found.finishedBefore)),
      ...some("errorCode", found.errorCode),
      ...some("text", found.text)
    })
  })
}

/** The present form of cursors, in case that there will be another. */
const FORM = 1

const Cursor = Schema.parseJson(Schema.Tuple(
  Schema.Literal(FORM),
  Schema.Int.pipe(Schema.filter(isWithin)),
  Schema.String.pipe(Schema.filter(canBeStored))
))

const decodeCursor = Schema.decodeEither(Cursor)

/** A cursor as users carry it: nothing that they should look into. */
export const encodeCursor = ({ createdAt, id }: RunCursor): string =>
  Encoding.encodeBase64Url(JSON.stringify([FORM, createdAt, id]))

export const cursorOf = (cursor: unknown): Either.Either<RunCursor | null, FilterInvalid> => {
  if (cursor === undefined || cursor === null) return Either.right(null)
  const bad = () =>
    invalid("cursor", cursor, "it must be the `next` of a page, as it was given: or leave it out to begin again")
  if (typeof cursor !== "string") return Either.left(bad())
  return Either.mapBoth(Either.flatMap(Encoding.decodeBase64UrlString(cursor), decodeCursor), {
    onLeft: bad,
    onRight: ([, createdAt, id]) => ({ createdAt, id })
  })
}

/** Options that are all known, some of which are texts; null and undefined are none. */
export const optionsOf = (
  options: unknown,
  known: ReadonlyArray<string>,
  texts: ReadonlyArray<string> = []
): Either.Either<Readonly<Record<string, unknown>>, FilterInvalid> => {
  if (options === undefined || options === null) return Either.right({})
  if (!isFields(options))
    return Either.left(invalid("options", options, "they must be an object: leave them out, or mend them"))
  for (const [name, value] of Object.entries(options)) {
    if (!known.includes(name) && !texts.includes(name)) {
      const all = [...known, ...texts].join(", ")
      return Either.left(
        invalid(name, value, `there is no such option, there are ${all}: leave it out, or mend its name`)
      )
    }
    if (texts.includes(name) && value !== undefined && typeof value !== "string") {
      return Either.left(invalid(name, value, "it must be a text: leave it out, or mend it"))
    }
  }
  return Either.right(options)
}

/** A count of runs: of a page, or of a batch. */
export const sizeOf = (field: string, given: unknown, standard: number): Either.Either<number, FilterInvalid> => {
  if (given === undefined) return Either.right(standard)
  return typeof given === "number" && Number.isInteger(given) && given >= 1 && given <= 1000
    ? Either.right(given)
    : Either.left(invalid(field, given, "it must be an integer from 1 to 1000"))
}
