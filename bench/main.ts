/**
 * `npm run bench [-- options]`: this machine's ceilings and Perdure's figures, in one run. Each database is measured in
 * a process of its own, started with a larger young generation, as `docs/architecture.md` advises for busy workers.
 */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { NodeRuntime } from "@effect/platform-node"
import * as Cluster from "@perdure/testing/Cluster"
import type { Figure } from "./measure.js"

const help = `npm run bench -- [options]

  --json                   one JSON object a line: name, database, value, unit
  --database-url <url>     measure this Postgres instead of a throw-away one (schema perdure_bench)
  --only <database>        postgres or pglite
  --queues <runs>          only claims from queues with this number of runs, and throughput with every limit set, on
                           Postgres (1000000)
  --schedules <schedules>  only a year of nights under the test clock, then ticks among this number of schedules, and a
                           thousand that are due at once, on Postgres (100000)
  --retention <runs>       instead of all else: finished runs to delete while others start, on Postgres (1000000)
  --help                   this text`

const FigureLine = Schema.parseJson(
  Schema.Struct({ name: Schema.String, database: Schema.String, value: Schema.Number, unit: Schema.String })
)

/** What to measure, and with how many runs. */
interface Part {
  readonly name: "all" | "retention" | "queues" | "schedules"
  readonly runs: string
}

/** Measure in a child process, telling each figure as it comes. */
const measure = (
  database: string,
  url: string,
  part: Part,
  tell: (figure: Figure) => Effect.Effect<void>
) =>
  Effect.async<ReadonlyArray<string>, Error>((resume) => {
    const script = fileURLToPath(new URL("run.ts", import.meta.url))
    const child = spawn(
      process.execPath,
      ["--max-semi-space-size=64", "--import", "tsx", script, database, url, part.name, part.runs],
      { stdio: ["ignore", "pipe", "inherit"] }
    )
    const lines: Array<string> = []
    createInterface({ input: child.stdout }).on("line", (line) => {
      lines.push(line)
      // What is no figure says why there are no more.
      Effect.runFork(Effect.matchEffect(Schema.decode(FigureLine)(line), {
        onFailure: () => Console.error(line),
        onSuccess: tell
      }))
    })
    child.once("error", (error) => resume(Effect.fail(error)))
    child.once(
      "close",
      (code) =>
        resume(
          code === 0 ? Effect.succeed(lines) : Effect.fail(new Error(`measuring ${database} ended with code ${code}`))
        )
    )
    return Effect.sync(() => child.kill())
  })

const row = ({ name, unit, value }: Figure): string =>
  `  ${name.padEnd(48)} ${value.toLocaleString("en", { maximumSignificantDigits: 4 }).padStart(12)} ${unit}`

const main = Effect.gen(function*() {
  const { values } = yield* Effect.try({
    try: () =>
      parseArgs({
        options: {
          json: { type: "boolean" },
          help: { type: "boolean" },
          only: { type: "string" },
          retention: { type: "string" },
          queues: { type: "string" },
          schedules: { type: "string" },
          "database-url": { type: "string" }
        }
      }),
    catch: (cause) => new Error(`${String(cause)}\n\n${help}`)
  })
  if (values.help === true) return yield* Console.log(help)
  const { only } = values
  if (only !== undefined && only !== "postgres" && only !== "pglite") {
    return yield* Effect.fail(new Error(`--only is "${only}", it must be postgres or pglite`))
  }
  const part: Part = values.retention !== undefined
    ? { name: "retention", runs: values.retention }
    : values.queues !== undefined
    ? { name: "queues", runs: values.queues }
    : values.schedules !== undefined
    ? { name: "schedules", runs: values.schedules }
    : { name: "all", runs: "" }
  if (part.name !== "all" && !/^[1-9][0-9]{3,7}$/.test(part.runs)) {
    return yield* Effect.fail(new Error(`--${part.name} is "${part.runs}", it must be a number, at least 1000`))
  }
  const tell = (figure: Figure) => Console.log(values.json === true ? JSON.stringify(figure) : row(figure))
  const title = (text: string) => values.json === true ? Effect.void : Console.log(`\n${text}`)
  if (only !== "pglite" || part.name !== "all") {
    const given = values["database-url"]
    const server = given === undefined
      ? yield* Cluster.start()
      : { name: "postgres", url: given }
    yield* title(`${server.name}, one worker process`)
    yield* measure(server.name, server.url, part, tell)
  }
  if (only !== "postgres" && part.name === "all") {
    yield* title("PGlite, in the worker's process (a quarter of the runs)")
    yield* measure("pglite", "", part, tell)
  }
})

NodeRuntime.runMain(Effect.scoped(main))
