/** The command line of the demo. */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { parseArgs } from "node:util"

export const help = `Fulfils 1,000 orders while its worker processes are killed, and counts what came of it.

usage: npm run demo -- [options]

  --orders <n>           how many orders of orders.csv, 1 to 1000 (default 1000)
  --kills <n>            how often a worker process is killed, 0 to 100 (default 5)
  --database-url <url>   use PostgreSQL (15 or newer) and two worker processes, instead of the
                         embedded database and one; works in schemas of its own, dropped at the end
  --json                 end with one JSON object instead of the table
  --help                 show this

Exits with 0 if nothing was lost, 1 if something was, 2 if it could not be tried.
`

const count = (least: number, most: number) =>
  Schema.NumberFromString.pipe(
    Schema.int(),
    Schema.between(least, most),
    Schema.annotations({ message: () => ({ message: `must be an integer from ${least} to ${most}`, override: true }) })
  )

const Options = Schema.Struct({
  orders: Schema.optionalWith(count(1, 1000), { default: () => 1000 }),
  kills: Schema.optionalWith(count(0, 100), { default: () => 5 }),
  "database-url": Schema.optionalWith(
    Schema.Redacted(Schema.String.pipe(
      Schema.pattern(/^postgres(ql)?:\/\/./),
      Schema.annotations({
        message: () => ({ message: "must begin with postgres:// or postgresql://", override: true })
      })
    )),
    { as: "Option", exact: true }
  ),
  json: Schema.optionalWith(Schema.Boolean, { default: () => false }),
  help: Schema.optionalWith(Schema.Boolean, { default: () => false })
})
export type Options = typeof Options.Type

/** The command line is wrong. */
export class Usage extends Data.TaggedError("Usage")<{ readonly detail: string }> {
  override get message() {
    return `${this.detail}\nSee npm run demo -- --help`
  }
}

export const parse = (args: ReadonlyArray<string>): Effect.Effect<Options, Usage> =>
  Either.try({
    try: () =>
      parseArgs({
        args: [...args],
        options: {
          orders: { type: "string" },
          kills: { type: "string" },
          "database-url": { type: "string" },
          json: { type: "boolean" },
          help: { type: "boolean", short: "h" }
        }
      }).values,
    catch: (error) => new Usage({ detail: error instanceof Error ? error.message : String(error) })
  }).pipe(
    Either.flatMap((values) =>
      Either.mapLeft(Schema.decodeUnknownEither(Options, { errors: "all" })({ ...values }), (error) =>
        new Usage({
          detail: ParseResult.ArrayFormatter.formatErrorSync(error)
            .map(({ message, path }) => `--${path.join(".")} ${message}`)
            .join("\n")
        }))
    )
  )
