/**
 * Lists in one shape: `list` is an Effect of a page, `stream` a Stream of all items. A cursor is opaque: it says where
 * the next page of one kind of list begins.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { ValueInvalid } from "../../Errors.js"
import { quote, storable } from "../util/show.js"
import { requireArguments } from "./policy.js"
import type { Rule, Table } from "./Rule.js"
import { count, fields, nullable, optional, string } from "./Rule.js"

/** Public as `Runs.Page` and so on. */
export interface Page<A> {
  readonly items: ReadonlyArray<A>
  /** The `cursor` of the page after this one; null if this is the last. */
  readonly next: string | null
}

export interface PageOptions {
  /** Most items of the page, 1 to 1,000. Default 100. */
  readonly limit?: number
  /** The `next` of the page before. Default: the first page. */
  readonly cursor?: string | null
}

const DEFAULT_PAGE_SIZE = 100

/** The largest page, and the largest batch of a change in bulk. */
export const MAX_PAGE_SIZE = 1_000

/** For options that extend `PageOptions`. */
export const pageTable: Table<PageOptions> = {
  limit: optional(count({ min: 1, max: MAX_PAGE_SIZE })),
  cursor: optional(nullable(string()))
}

const pageOptions: Rule<PageOptions | undefined> = optional(fields(pageTable))

/** Items, and the position of the last one if more follow. */
export interface Slice<A, Position> {
  readonly items: ReadonlyArray<A>
  readonly next: Position | null
}

/** The slice of rows that were read with `limit + 1`, so that it is known whether more follow. */
export const sliceOf = <A, Position>(
  rows: ReadonlyArray<A>,
  limit: number,
  positionOf: (row: A) => Position
): Slice<A, Position> => {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  return { items, next: last === undefined || rows.length <= limit ? null : positionOf(last) }
}

type Read<A, Position, E, R> = (after: Position | null, limit: number) => Effect.Effect<Slice<A, Position>, E, R>

/** A kind of list, for example `Runs.list`, whose cursors hold positions by a schema. */
export const makeList = <Position, Encoded>(name: string, schema: Schema.Schema<Position, Encoded>) => {
  const position = Schema.parseJson(Schema.Tuple(Schema.Literal(name), schema))
  const encode = Schema.encodeSync(position)
  const decode = Schema.decodeEither(position)

  const positionOf = (cursor: string | null | undefined): Either.Either<Position | null, ValueInvalid> =>
    cursor === undefined || cursor === null
      ? Either.right(null)
      : Either.mapBoth(Either.flatMap(Encoding.decodeBase64UrlString(cursor), decode), {
        onLeft: () =>
          new ValueInvalid({
            what: `the cursor of ${name}`,
            detail: `it must be the "next" of a page of this list, got ${quote(storable(cursor))}: ` +
              "leave it out to begin with the first page"
          }),
        onRight: ([, found]) => found
      })

  return {
    /** One page. Dies with `Misuse` of other options, fails with `ValueInvalid` of another cursor. */
    page: <A, E, R>(
      options: PageOptions | undefined,
      read: Read<A, Position, E, R>
    ): Effect.Effect<Page<A>, E | ValueInvalid, R> =>
      Effect.gen(function*() {
        yield* requireArguments(name, pageOptions.problems(options, ""))
        const after = yield* positionOf(options?.cursor)
        const { items, next } = yield* read(after, options?.limit ?? DEFAULT_PAGE_SIZE)
        return { items, next: next === null ? null : Encoding.encodeBase64Url(encode([name, next])) }
      }),
    /** All items, read page by page. */
    stream: <A, E, R>(read: Read<A, Position, E, R>): Stream.Stream<A, E, R> =>
      Stream.paginateChunkEffect<Position | null, A, E, R>(
        null,
        (after) =>
          Effect.map(read(after, DEFAULT_PAGE_SIZE), ({ items, next }) => [
            Chunk.fromIterable(items),
            Option.fromNullable(next)
          ])
      )
  }
}
