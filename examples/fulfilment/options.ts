/** The command line of the demo. */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { parseArgs } from "node:util"

const usage = `usage: npm run demo -- [options]

  --orders <n>           the number of orders, from 1 to 1000 (default 1000)
  --kills <n>            how often a worker process is killed, from 0 to 100 (default 5)
  --database-url <url>   use PostgreSQL (15 or newer) and two worker processes, instead of the
                         embedded database and one; creates its own schemas, and drops them
  --json                 print the result as one JSON object
  --help                 print this help
`

export const help = `Fulfils 1,000 orders while its worker processes are killed, then audits the result.

${usage}
Exit codes: 0 if no order is lost and the audit finds no problem, 1 if not, 2 if the demo could not run.
`

const count = (minimum: number, maximum: number) =>
  Schema.NumberFromString.pipe(
    Schema.int(),
    Schema.between(minimum, maximum),
    Schema.annotations({
      message: ({ actual }) => ({
        message: `must be an integer from ${minimum} to ${maximum}, got ${JSON.stringify(actual)}`,
        override: true
      })
    })
  )

const Options = Schema.Struct({
  orders: Schema.optionalWith(count(1, 1000), { exact: true, default: () => 1000 }),
  kills: Schema.optionalWith(count(0, 100), { exact: true, default: () => 5 }),
  "database-url": Schema.optionalWith(
    Schema.Redacted(Schema.String.pipe(
      Schema.pattern(/^postgres(ql)?:\/\/./),
      Schema.annotations({
        message: () => ({ message: "must begin with postgres:// or postgresql://", override: true })
      })
    )),
    { as: "Option", exact: true }
  ),
  json: Schema.optionalWith(Schema.Boolean, { exact: true, default: () => false }),
  help: Schema.optionalWith(Schema.Boolean, { exact: true, default: () => false })
})
export type Options = typeof Options.Type

/** The command line is invalid. */
export class OptionsInvalid extends Data.TaggedError("OptionsInvalid")<{ readonly problems: ReadonlyArray<string> }> {
  override get message() {
    return `${this.problems.join("\n")}\n\n${usage}`
  }
}

export const parse = (args: ReadonlyArray<string>): Effect.Effect<Options, OptionsInvalid> =>
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
    // The first sentence: the others explain how to pass an argument that begins with "-".
    catch: (error) => new OptionsInvalid({ problems: [String(error).replace(/^.*?: /, "").split(". ")[0] ?? ""] })
  }).pipe(
    Either.flatMap((values) =>
      Either.mapLeft(
        Schema.decodeUnknownEither(Options, { errors: "all" })({ ...values }),
        (error) =>
          new OptionsInvalid({
            problems: ParseResult.ArrayFormatter.formatErrorSync(error)
              .map(({ message, path }) => `--${path.join(".")} ${message}`)
          })
      )
    )
  )
