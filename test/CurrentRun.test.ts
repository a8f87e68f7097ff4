/** Operations that read or write storage directly die inside workflows, before they call storage. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Callback from "perdure/Callback"
import type { CurrentRun } from "perdure/CurrentRun"
import type { Journal } from "perdure/Journal"
import type { JournalDriver } from "perdure/JournalDriver"
import * as Published from "perdure/Published"
import type * as Run from "perdure/Run"
import * as Step from "perdure/Step"
import * as Workers from "perdure/Workers"
import * as Workflow from "perdure/Workflow"
import { makeWorld, soon } from "./fixtures/world.js"

const Job = Workflow.make("Job", { payload: { id: Schema.String } })

const Target = Workflow.make("Target", { payload: {} })

const Payment = Callback.make("Payment", { error: Schema.String })

const Progress = Published.make("progress", Schema.Number)

type Operation = Effect.Effect<unknown, unknown, Journal>

const operations: Readonly<Record<string, (target: Run.Run<void, never>) => Operation>> = {
  "Run.poll": (target) => target.poll,
  "Run.record": (target) => target.record,
  "Run.history": (target) => Stream.runDrain(target.history),
  "Run.terminate": (target) => target.terminate(),
  "Run.pause": (target) => target.pause(),
  "Run.resume": (target) => target.resume(),
  "Run.retry": (target) => Effect.catchTag(target.retry(), "NotRetryable", () => Effect.void),
  "Run.fork": (target) => target.fork({ from: 0 }),
  "Run.controls": (target) => target.controls,
  "Workflow.startAll": () => Target.startAll([{}]),
  "Callback.succeed": ({ id }) => Payment.succeed(`cb_${id}_0:0`, undefined),
  "Callback.fail": ({ id }) => Payment.fail(`cb_${id}_0:0`, "declined"),
  "Published.get": ({ id }) => Progress.get(id),
  "Published.changes": ({ id }) => Stream.runHead(Progress.changes(id)),
  "Workers.list": () => Workers.list(),
  "Workers.stream": () => Stream.runDrain(Workers.stream),
  "Workers.samples": () => Workers.samples("w"),
  "Workers.ping": () => Effect.catchTag(Workers.ping("w"), "NoSuchWorker", () => Effect.void)
}

/** Records the calls of the driver, except those of the loops of workers and of waiters. */
const recordCalls = (calls: Array<string>) => (driver: JournalDriver): JournalDriver => {
  const note = <Args extends ReadonlyArray<unknown>, A>(name: string, ask: (...args: Args) => A) => (...args: Args) => {
    calls.push(name)
    return ask(...args)
  }
  return {
    ...driver,
    enqueue: note("enqueue", driver.enqueue),
    deliver: note("deliver", driver.deliver),
    terminate: note("terminate", driver.terminate),
    pause: note("pause", driver.pause),
    resume: note("resume", driver.resume),
    fork: note("fork", driver.fork),
    controls: note("controls", driver.controls),
    get: note("get", driver.get),
    history: note("history", driver.history),
    published: note("published", driver.published),
    workers: note("workers", driver.workers),
    samples: note("samples", driver.samples),
    ping: note("ping", driver.ping)
  }
}

/** A run that sleeps, and a run that uses its handle, with the driver calls since the second one started. */
const use = Effect.fnUntraced(
  function*(program: (target: Run.Run<void, never>) => Effect.Effect<void, never, CurrentRun | Journal>) {
    const calls: Array<string> = []
    const world = yield* makeWorld(recordCalls(calls))
    yield* world.launch(Layer.mergeAll(
      Target.toLayer(() => Effect.zipRight(Effect.orDie(Progress.publish(0.5)), Effect.sleep("1 day"))),
      Job.toLayer(({ id }) => Effect.flatMap(Target.attach(id), program))
    ))
    const target = yield* world.use(Target.start({}))
    yield* TestClock.adjust("1 minute")
    const job = yield* world.use(Job.start({ id: target.id }))
    calls.length = 0
    yield* TestClock.adjust("1 second")
    return { job, target, calls: [...calls] }
  }
)

describe("an operation inside a workflow", () => {
  for (const [name, operation] of Object.entries(operations)) {
    it.scoped(`dies with the cure, without a call of the driver: ${name}`, () =>
      Effect.gen(function*() {
        const { calls, job, target } = yield* use((run) => Effect.asVoid(Effect.orDie(operation(run))))
        assert.deepStrictEqual(calls, [])
        const { message } = yield* soon(Effect.flip(job.result))
        assert.include(message, `${name} must be called outside of workflows`)
        assert.include(message, `run ${job.id} of workflow Job`)
        assert.include(message, "call it inside a Step")
        assert.strictEqual((yield* target.record).status, "suspended")
      }))

    it.scoped(`works in a step: ${name}`, () =>
      Effect.gen(function*() {
        const { calls, job } = yield* use((run) => Step.run("ask", Effect.asVoid(Effect.orDie(operation(run)))))
        assert.isNotEmpty(calls)
        yield* soon(job.result)
      }))
  }
})
