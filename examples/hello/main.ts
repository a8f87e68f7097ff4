/**
 * The smallest durable program: `npx tsx examples/hello/main.ts Ann`.
 *
 * Kill it while it sleeps and run it again: it greets once, and the five seconds count from the first start.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"

const Hello = Workflow.make("Hello", {
  payload: { name: Schema.String },
  success: Schema.String,
  idempotencyKey: ({ name }) => name
})

const HelloLive = Hello.toLayer(({ name }) =>
  Effect.gen(function*() {
    yield* Step.run("greet", Effect.log(`Hello, ${name}!`))
    yield* Effect.sleep("5 seconds")
    return yield* Step.run("part", Effect.succeed(`Goodbye, ${name}!`), { success: Schema.String })
  })
)

const Main = Layer.mergeAll(HelloLive, Worker.layer()).pipe(
  Layer.provideMerge(PgliteJournal.layer({ dataDir: process.env["HELLO_FOLDER"] ?? ".perdure/hello" }))
)

Hello.execute({ name: process.argv[2] ?? "world" }).pipe(
  Effect.tap((goodbye) => Effect.log(goodbye)),
  Effect.provide(Main),
  NodeRuntime.runMain
)
