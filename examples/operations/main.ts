/**
 * An operator's hand on many runs: `npx tsx examples/operations/main.ts`.
 *
 * Newsletters are sent to two regions, each a run with tags and attributes. They are found, counted and waited for;
 * those of one region are cancelled in bulk; and those that are over are deleted.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Retention from "perdure/Retention"
import * as Run from "perdure/Run"
import * as Runs from "perdure/Runs"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"

class Bounced extends Schema.TaggedError<Bounced>()("Bounced", { address: Schema.String }) {}

const Newsletter = Workflow.make("Newsletter", {
  payload: { reader: Schema.Number, issue: Schema.Number },
  error: Bounced,
  tags: ["mail"],
  attributes: ({ issue }) => ({ issue })
})

const NewsletterLive = Newsletter.toLayer(({ reader }) =>
  Effect.gen(function*() {
    const address = `reader-${reader}@example.com`
    yield* Step.run("send", reader % 10 === 9 ? new Bounced({ address }) : Effect.void, { error: Bounced })
    // A reader who has not read it within a month is reminded.
    yield* Effect.sleep("30 days")
    yield* Step.run("remind", Effect.void)
  })
)

const operate = Effect.gen(function*() {
  const readers = Array.from({ length: 20 }, (_, reader) => ({ reader, issue: 7 }))
  const [first] = yield* Newsletter.startAll(readers, { tags: ["eu"] })
  yield* Newsletter.startAll(readers, { tags: ["us"] })

  // Until something has happened in a run.
  if (first !== undefined) yield* Run.waitFor(first, { step: "send" })
  yield* Effect.repeat(Runs.count({ tags: ["mail"], status: "suspended" }), {
    until: ({ suspended }) => suspended === 36,
    schedule: Schedule.spaced("50 millis")
  })

  // What happened to the seventh issue, and to whom it could not be sent.
  const { failed, suspended } = yield* Runs.count({ workflow: Newsletter, attributes: { issue: 7 } })
  yield* Console.log(`${suspended} wait for their reminder, ${failed} failed`)
  const { items } = yield* Runs.list({ tags: ["eu"], errorCode: "Bounced" }, { limit: 10 })
  for (const { id, status } of items) {
    const error = yield* Effect.flatMap(Newsletter.attach(id), ({ result }) => Effect.flip(result))
    const shown = error._tag === "Bounced" ? JSON.stringify(yield* Schema.encode(Bounced)(error)) : error.message
    yield* Console.log(`  ${status}: ${shown}`)
  }

  // No reminders for America: a batch at a time, each with its progress.
  yield* Runs.cancelStream({ tags: ["us"] }, { by: "ann", reason: "wrong edition", batchSize: 10 }).pipe(
    Stream.runForEach(({ changed, matched }) => Console.log(`${changed} of ${matched} cancelled`))
  )
  yield* Effect.repeat(Runs.count({ tags: ["us"] }), {
    until: ({ cancelled }) => cancelled === 18,
    schedule: Schedule.spaced("50 millis")
  })

  // What is over is kept for a while; here for no time at all.
  yield* Retention.sweepStream({ default: { cancelled: 0, failed: 0 }, batchSize: 10 }).pipe(
    Stream.runForEach(({ deleted }) => Console.log(`${deleted} runs deleted`))
  )
  const left = yield* Runs.count(Runs.all)
  yield* Console.log(`left: ${left.suspended} suspended, ${left.failed} failed, ${left.cancelled} cancelled`)
})

const Main = Layer.mergeAll(NewsletterLive, Worker.layer()).pipe(Layer.provideMerge(PgliteJournal.layer()))

/** Standard output is for results. */
const logger = Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.stringLogger))

operate.pipe(
  Effect.provide(Main),
  Effect.provide(logger),
  NodeRuntime.runMain({ disablePrettyLogger: true })
)
