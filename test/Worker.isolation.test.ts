/** A program that throws harms only its own run: other runs and the worker continue. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Tracer from "effect/Tracer"
import type { CurrentRun } from "perdure/CurrentRun"
import { JournalError } from "perdure/Errors"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, soon, within, type World } from "./fixtures/world.js"

/** A schema that throws instead of refusing a value. */
const Throws = Schema.transform(Schema.String, Schema.String, {
  strict: true,
  decode: (text) => {
    if (text === "decode") throw new Error("cannot read")
    return text
  },
  encode: (text) => {
    if (text === "encode") throw new Error("cannot write")
    return text
  }
})

const Note = Signal.make("Note", { payload: Schema.Number })
const Good = Workflow.make("Good", { payload: {}, success: Schema.Number })
const GoodLive = Good.toLayer(() => Effect.zipRight(Step.run("a", Effect.void), Note.receive))

/** An existing run and a new run complete. */
const assertOthersComplete = (world: World, before: { readonly id: string }) =>
  Effect.gen(function*() {
    const later = yield* world.use(Good.start({}))
    for (const { id } of [before, later]) {
      yield* world.use(Note.send(id, 7))
      assert.strictEqual(yield* soon(world.use(Effect.flatMap(Good.attach(id), ({ result }) => result))), 7)
    }
  })

const Bad = Workflow.make("Bad", { payload: {}, success: Schema.Unknown })

const nested = (depth: number): unknown => {
  let value: unknown = 1
  for (let i = 0; i < depth; i++) value = [value]
  return value
}

const dies = (error: unknown) => Step.run("s", Effect.zipRight(Effect.yieldNow(), Effect.die(error)))

const unprintable = {
  get message() {
    throw new Error("no")
  },
  toString: 5
}

/** Programs, each with a part of its exit. */
const programs: Record<string, readonly [program: () => Effect.Effect<unknown, never, CurrentRun>, says: string]> = {
  "a step whose result cannot be written": [
    () => Step.run("s", Effect.succeed("encode"), { success: Throws }),
    "cannot write"
  ],
  "a step that dies with an error whose message is an object": [
    () => dies(Object.assign(new Error(), { message: { code: "E5" } })),
    "E5"
  ],
  "a step that dies with an error without a name": [
    () => dies(Object.assign(new Error("strange"), { name: undefined })),
    "strange"
  ],
  "a step that dies with a value that cannot be printed": [() => dies(unprintable), "Defect"],
  "a step whose result is nested too deep": [
    () => Step.run("s", Effect.succeed(nested(20_000)), { success: Schema.Unknown }),
    "nested more than 1000 deep"
  ],
  "a result that is nested too deep": [() => Effect.succeed(nested(20_000)), "nested more than 1000 deep"]
}

describe("a run with", () => {
  it.scoped.each(Object.entries(programs))("%s ends alone", ([, [program, says]]) =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Layer.mergeAll(GoodLive, Bad.toLayer(program)))
      const good = yield* world.use(Good.start({}))
      for (const { id } of yield* world.use(Bad.startAll([{}, {}, {}, {}]))) {
        // Bodies take more iterations of the event loop than one adjustment waits for.
        const { exit, status } = yield* Effect.repeat(
          Effect.zipRight(TestClock.adjust("1 second"), world.record(id)),
          { until: (record) => record.finishedAt !== null, times: 100 }
        ).pipe(Effect.zipRight(world.record(id)))
        assert.strictEqual(status, "failed")
        assert.include(exit?.value ?? "", says)
      }
      yield* assertOthersComplete(world, good)
    }))

  it.scoped("stored values on which its schema throws is parked alone: a payload, a result, a signal", () =>
    Effect.gen(function*() {
      const Word = Signal.make("Word", { payload: Throws })
      const Reads = Workflow.make("Reads", { payload: { text: Throws } })
      const world = yield* makeWorld()
      const code = (result: string) =>
        Layer.mergeAll(
          GoodLive,
          Bad.toLayer(() => Effect.zipRight(Step.run("s", Effect.succeed(result), { success: Throws }), Word.receive)),
          Reads.toLayer(() => Effect.void)
        )
      const first = yield* world.launch(code("decode"), { lingerDuration: 0, hot: { capacity: 0 } })
      const good = yield* world.use(Good.start({}))
      const [replayed, signalled] = yield* world.use(Bad.startAll([{}, {}]))
      yield* TestClock.adjust("1 second")
      yield* first.stop
      yield* world.launch(code("fine"))
      const signal = { kind: "signal", name: "Word", payload: "\"decode\"" } as const
      yield* world.driver.deliver([
        { ...signal, id: "1", to: replayed?.id ?? "" },
        { ...signal, id: "2", to: signalled?.id ?? "" }
      ])
      const unread = yield* world.use(Reads.start({ text: "decode" }))
      yield* TestClock.adjust("1 second")
      for (const run of [replayed, signalled, unread]) {
        const { detail, status } = yield* world.record(run?.id ?? "")
        assert.strictEqual(status, "diverged")
        assert.include(detail ?? "", "cannot read")
      }
      yield* assertOthersComplete(world, good)
    }))

  it.scoped("a logger, a metric and a tracer that throw continues: each culprit is reported once, by the others", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const lines: Array<string> = []
      const hostile = Layer.mergeAll(
        Logger.minimumLogLevel(LogLevel.Debug),
        Logger.add(Logger.make(() => {
          throw new Error("the logger is broken")
        })),
        Logger.add(Logger.make(({ message }) => void lines.push(String(message)))),
        Layer.setTracer(
          Tracer.make({
            span: () => {
              throw new Error("the tracer is broken")
            },
            context: (run) => run()
          })
        )
      )
      // A counter of numbers refuses a bigint, if it is updated with one.
      const counter = Metric.counter("isolation.hostile")
      const broken = Metric.map(Metric.counter("isolation.hostile", { bigint: true }), () => 0)
      const noisy = Bad.toLayer(() =>
        Effect.gen(function*() {
          yield* Effect.log("first")
          yield* Effect.fork(Effect.zipRight(Step.run("s", Effect.log("in a step")), Effect.fail("unhandled")))
          yield* Metric.increment(counter)
          yield* Metric.update(broken, 1n)
          yield* Effect.withSpan(Effect.sleep("1 day"), "span")
          yield* Effect.log("last")
          return "done"
        })
      )
      yield* world.launch(Layer.mergeAll(GoodLive, Layer.provide(noisy, hostile)))
      const good = yield* world.use(Good.start({}))
      const run = yield* world.use(Bad.start({}))
      assert.strictEqual(yield* run.result.pipe(within("2 days")), "done")
      assert.include(lines, "first")
      assert.include(lines, "in a step")
      assert.include(lines, "last")
      assert.strictEqual(lines.filter((line) => line.includes("the logger is broken")).length, 1)
      yield* assertOthersComplete(world, good)
    }))
})

describe("a worker", () => {
  it.scoped("whose logger throws keeps its loops", () =>
    Effect.gen(function*() {
      const failures = new Set(["claim"])
      const down = new JournalError({ code: "Unavailable", operation: "any", detail: "away", retryable: true })
      const world = yield* makeWorld((driver) => ({
        ...driver,
        claim: (request) => failures.delete("claim") ? Effect.fail(down) : driver.claim(request)
      }))
      const hostile = Logger.replace(
        Logger.defaultLogger,
        Logger.make(() => {
          throw new Error("the logger is broken")
        })
      )
      yield* Effect.provide(world.launch(GoodLive), hostile)
      const good = yield* world.use(Good.start({}))
      yield* TestClock.adjust("10 seconds")
      assert.isFalse(failures.has("claim"))
      yield* assertOthersComplete(world, good)
    }))

  it.scoped("restarts its loops when they die", () =>
    Effect.gen(function*() {
      const deaths = new Set(["claim", "inbox"])
      const world = yield* makeWorld((driver) => ({
        ...driver,
        claim: (request) => deaths.delete("claim") ? Effect.die("claim") : driver.claim(request),
        inbox: (request) => deaths.delete("inbox") ? Effect.die("inbox") : driver.inbox(request)
      }))
      yield* world.launch(GoodLive)
      const good = yield* world.use(Good.start({}))
      yield* TestClock.adjust("1100 millis")
      assert.deepStrictEqual([...deaths], ["inbox"])
      // The worker holds the run, so the message is read from its inbox.
      yield* world.use(Note.send(good.id, 7))
      assert.strictEqual(yield* good.result.pipe(within("5 seconds")), 7)
      assert.deepStrictEqual([...deaths], [])
    }))
})
