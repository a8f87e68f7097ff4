import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { CurrentRun } from "perdure/CurrentRun"
import { RunEnded, TimedOut } from "perdure/Errors"
import { Limits } from "perdure/Limits"
import * as Published from "perdure/Published"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, shown, soon, within } from "./fixtures/world.js"

const MINUTE = 60_000

class Flaky extends Schema.TaggedError<Flaky>()("Flaky", { attempt: Schema.Number }) {}

class Fatal extends Schema.TaggedError<Fatal>()("Fatal", {}) {}

const Job = Workflow.make("Job", { payload: {}, success: Schema.Unknown, error: Schema.Union(Flaky, Fatal) })

/** A body that fails `failures` times and records the test time of each attempt. */
const flaky = (failures: number) => {
  const at: Array<number> = []
  const body = Effect.gen(function*() {
    at.push(yield* Clock.currentTimeMillis)
    const { attempt } = yield* Step.Current
    if (at.length <= failures) return yield* new Flaky({ attempt })
    return attempt
  })
  return { at, body }
}

describe("a step", () => {
  it.scoped("runs once: every replay of its run gets the same exit", () =>
    Effect.gen(function*() {
      const counts = { success: 0, failure: 0 }
      const live = Job.toLayer(() =>
        Effect.gen(function*() {
          const at = yield* Step.run("when", Effect.sync(() => new Date(++counts.success)), { success: Schema.Date })
          const failed = yield* Step.run("fail", Effect.suspend(() => new Flaky({ attempt: ++counts.failure })), {
            error: Flaky
          }).pipe(Effect.as(undefined), Effect.catchAll(Effect.succeed))
          yield* Effect.sleep("1 day")
          return [at instanceof Date, at.getTime(), failed instanceof Flaky, failed?.attempt]
        })
      )
      const world = yield* makeWorld()
      const first = yield* world.launch(live)
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 hour")
      yield* first.stop
      yield* world.launch(live)
      assert.deepStrictEqual(yield* run.result.pipe(within("1 day")), [true, 1, true, 1])
      assert.deepStrictEqual(counts, { success: 1, failure: 1 })
      assert.deepStrictEqual(shown(yield* world.history(run.id)), ["step when", "step fail", "timer sleep"])
    }))

  it.scoped("returns void where no success is declared; one made by `make` takes arguments", () =>
    Effect.gen(function*() {
      const add = Step.make("add", { success: Schema.Number }, (a: number, b: number) => Effect.succeed(a + b))
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Effect.gen(function*() {
          const nothing = yield* Step.run("nothing", Effect.void)
          return [nothing === undefined, yield* add(1, 2), yield* add(3, 4)]
        })
      ))
      assert.deepStrictEqual(yield* soon(world.use(Job.execute({}))), [true, 3, 7])
    }))

  it.scoped("has the services of the handler, the real clock, and its own scope", () =>
    Effect.gen(function*() {
      class Prices extends Context.Tag("Prices")<Prices, { readonly of: (sku: string) => number }>() {}
      const closed: Array<string> = []
      const world = yield* makeWorld()
      yield* world.launch(
        Job.toLayer(() =>
          Effect.gen(function*() {
            yield* Effect.addFinalizer((exit) => Effect.sync(() => void closed.push(`run ${exit._tag}`)))
            const price = yield* Step.run(
              "price",
              Effect.gen(function*() {
                yield* Effect.addFinalizer((exit) => Effect.sync(() => void closed.push(`step ${exit._tag}`)))
                yield* Effect.sleep("10 seconds")
                return (yield* Prices).of("x")
              }),
              { success: Schema.Number }
            )
            yield* Effect.sleep("1 hour")
            return price
          })
        ).pipe(Layer.provide(Layer.succeed(Prices, { of: (sku) => sku.length * 7 })))
      )
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(closed, ["step Success"])
      assert.strictEqual(yield* run.result.pipe(within("1 hour")), 7)
      assert.deepStrictEqual(closed, ["step Success", "run Success"])
      assert.deepStrictEqual(shown(yield* world.history(run.id)), ["step price", "timer sleep"])
    }))

  it.scoped("that dies makes its run die with a description; the run may recover from it", () =>
    Effect.gen(function*() {
      const Dies = Step.run("die", Effect.die(new RangeError("beyond")))
      const world = yield* makeWorld()
      const Recover = Workflow.make("Recover", { payload: {}, success: Schema.String })
      yield* world.launch(Layer.mergeAll(
        Job.toLayer(() => Dies),
        Recover.toLayer(() => Effect.catchAllDefect(Effect.as(Dies, ""), (defect) => Effect.succeed(String(defect))))
      ))
      const error = yield* world.use(Effect.flip(Job.execute({}))).pipe(soon)
      assert.instanceOf(error, RunEnded)
      assert.include(error.message, "RangeError: beyond")
      assert.strictEqual(yield* soon(world.use(Recover.execute({}))), "RangeError: beyond")
    }))
})

describe("retry", () => {
  it.scoped("follows any schedule: each attempt is an entry, each delay a durable timer", () =>
    Effect.gen(function*() {
      const { at, body } = flaky(3)
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Step.run("flaky", body, { success: Schema.Number, error: Flaky, retry: Schedule.exponential("1 minute") })
      ))
      const run = yield* world.use(Job.start({}))
      assert.strictEqual(yield* run.result.pipe(within("7 minutes")), 4)
      assert.deepStrictEqual(
        at,
        [0, 1, 3, 7].map((n) =>
          n * MINUTE
        )
      )
      assert.deepStrictEqual(
        shown(yield* world.history(run.id)),
        ["step flaky", "timer sleep", "step flaky", "timer sleep", "step flaky", "timer sleep", "step flaky"]
      )
    }))

  it.scoped("stops at maxAttempts, caps the delay at maxDelay, and fails with the last error", () =>
    Effect.gen(function*() {
      const { at, body } = flaky(100)
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Step.run("flaky", body, {
          success: Schema.Number,
          error: Flaky,
          retry: { schedule: Schedule.exponential("1 minute"), maxAttempts: 5, maxDelay: "3 minutes" }
        })
      ))
      const run = yield* world.use(Job.start({}))
      const exit = yield* Effect.exit(run.result).pipe(within("1 hour"))
      assert.deepStrictEqual(exit, Exit.fail(new Flaky({ attempt: 5 })))
      assert.deepStrictEqual(at, [0, 1, 3, 6, 9].map((n) => n * MINUTE))
    }))

  it.scoped("with one attempt does not retry; without a schedule it waits about one second, then two", () =>
    Effect.gen(function*() {
      const once = flaky(100)
      const standard = flaky(2)
      const world = yield* makeWorld()
      const Standard = Workflow.make("Standard", { payload: {}, success: Schema.Number, error: Flaky })
      const options = { success: Schema.Number, error: Flaky }
      yield* world.launch(Layer.mergeAll(
        Job.toLayer(() => Step.run("once", once.body, { ...options, retry: { maxAttempts: 1 } })),
        Standard.toLayer(() => Step.run("standard", standard.body, { ...options, retry: {} }))
      ))
      yield* world.use(Effect.exit(Job.execute({}))).pipe(within("1 hour"))
      assert.strictEqual(once.at.length, 1)
      yield* world.use(Standard.execute({})).pipe(within("1 hour"))
      const [first = 0, second = 0, third = 0] = standard.at
      assert.closeTo(second - first, 1000, 200)
      assert.closeTo(third - second, 2000, 400)
    }))

  it.scoped("retries the failures that a typed predicate accepts", () =>
    Effect.gen(function*() {
      let attempts = 0
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Step.run(
          "two",
          Effect.suspend(() => Effect.fail(++attempts < 3 ? new Flaky({ attempt: attempts }) : new Fatal())),
          {
            error: Schema.Union(Flaky, Fatal),
            retry: {
              schedule: Schedule.spaced("1 second"),
              while: (error) => error._tag === "Flaky"
            }
          }
        )
      ))
      const exit = yield* world.use(Effect.exit(Job.execute({}))).pipe(within("1 minute"))
      assert.deepStrictEqual(exit, Exit.fail(new Fatal()))
      assert.strictEqual(attempts, 3)
    }))

  it.scoped("after a crash during a delay repeats neither the delay nor the attempts before it", () =>
    Effect.gen(function*() {
      const { at, body } = flaky(2)
      const live = Job.toLayer(() =>
        Step.run("flaky", body, { success: Schema.Number, error: Flaky, retry: Schedule.spaced("10 minutes") })
      )
      const world = yield* makeWorld()
      const options = { leaseDuration: "1 minute" } as const
      const first = yield* world.launch(live, options)
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("6 minutes")
      yield* first.kill
      const second = yield* world.launch(live, options)
      yield* TestClock.adjust("9 minutes")
      yield* second.kill
      yield* world.launch(live, options)
      assert.strictEqual(yield* run.result.pipe(within("10 minutes")), 3)
      assert.deepStrictEqual(at, [0, 10, 20].map((n) => n * MINUTE), "as without any crash")
    }))

  it.scoped("does not apply to defects", () =>
    Effect.gen(function*() {
      let attempts = 0
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Step.run("die", Effect.suspend(() => Effect.die(`attempt ${++attempts}`)), { retry: Schedule.forever })
      ))
      yield* world.use(Effect.exit(Job.execute({}))).pipe(within("1 minute"))
      assert.strictEqual(attempts, 1)
    }))
})

describe("the timeout of a step", () => {
  it.scoped("aborts the attempt's signal, runs its finalizers and fails with TimedOut", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const world = yield* makeWorld()
      const Limited = Workflow.make("Limited", { payload: {}, error: TimedOut })
      yield* world.launch(Limited.toLayer(() =>
        Step.run(
          "slow",
          Effect.async<void>((_resume, signal) => {
            signal.addEventListener("abort", () => seen.push("aborted"))
          }).pipe(Effect.ensuring(Effect.sync(() => seen.push("finalized")))),
          { timeout: "90 seconds" }
        )
      ))
      const run = yield* world.use(Limited.start({}))
      yield* TestClock.adjust("89 seconds")
      assert.deepStrictEqual(seen, [])
      const exit = yield* Effect.exit(run.result).pipe(within("1 second"))
      assert.deepStrictEqual(exit, Exit.fail(new TimedOut({ what: "step slow", millis: 90_000 })))
      assert.deepStrictEqual(seen.sort(), ["aborted", "finalized"])
    }))

  it.scoped("applies to each attempt, and a retry can tell TimedOut from other failures", () =>
    Effect.gen(function*() {
      let attempts = 0
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Step.run("slow", Effect.suspend(() => ++attempts < 3 ? Effect.never : Effect.succeed(attempts)), {
          success: Schema.Number,
          timeout: "1 minute",
          retry: { schedule: Schedule.spaced("1 minute"), while: (error) => error._tag === "TimedOut" }
        })
      ))
      assert.strictEqual(yield* world.use(Job.execute({})).pipe(within("4 minutes")), 3)
    }))
})

describe("the idempotency key", () => {
  it.scoped("is the same for every attempt and replay of a step, and differs between steps and runs", () =>
    Effect.gen(function*() {
      const keys: Array<string> = []
      const note = Effect.flatMap(Step.Current, ({ attempt, idempotencyKey, name }) => {
        keys.push(`${name} ${idempotencyKey}`)
        return attempt < 3 ? new Flaky({ attempt }) : Effect.void
      })
      const options = { error: Flaky, retry: Schedule.spaced("10 minutes") }
      const live = Job.toLayer(() =>
        Effect.all([Step.run("a", note, options), Step.run("b", note, { ...options, idempotencyKey: "own" })], {
          discard: true
        })
      )
      const world = yield* makeWorld()
      const process = yield* world.launch(live, { leaseDuration: "15 minutes" })
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("12 minutes")
      yield* process.kill
      yield* world.launch(live)
      yield* world.driver.retire(process.worker.core.ref)
      yield* run.result.pipe(within("1 hour"))
      assert.deepStrictEqual(keys.map((key) => key.slice(0, 1)), ["a", "a", "a", "b", "b", "b"])
      const distinct = [...new Set(keys)]
      assert.strictEqual(distinct.length, 2)
      assert.strictEqual(distinct[1], `b ${run.id}/0/key/own`)
      yield* world.use(Job.execute({})).pipe(within("1 hour"))
      assert.strictEqual(new Set(keys).size, 4)
    }))
})

describe("an idempotency key given by the user", () => {
  it.scoped("never equals the automatic key of another step", () =>
    Effect.gen(function*() {
      const note = Effect.map(Step.Current, ({ idempotencyKey }) => idempotencyKey)
      const options = { success: Schema.String }
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Effect.all([
          Step.run("place", note, options),
          ...["0", "1", "key/0"].map((idempotencyKey) => Step.run("own", note, { ...options, idempotencyKey })),
          Step.run("place", note, options)
        ])
      ))
      const keys = yield* soon(world.use(Job.execute({})))
      assert.strictEqual(Array.isArray(keys) ? new Set<unknown>(keys).size : 0, 5, String(keys))
    }))
})

describe("a step's body", () => {
  /** For code without types, which gets no error from the compiler. */
  const unchecked = <A, E>(effect: Effect.Effect<A, E, CurrentRun>): Effect.Effect<A, E> =>
    Effect.mapInputContext(effect, (found: Context.Context<never>) => Context.unsafeMake<CurrentRun>(found.unsafeMap))

  it.scoped("that uses a durable operation dies with Misuse and the cure", () =>
    Effect.gen(function*() {
      const Note = Signal.make("Note", { payload: {} })
      const operations = [
        Step.run("inner", Effect.void),
        Note.receive,
        Workflow.patched("patch"),
        Published.make("key", Schema.Number).publish(1),
        Effect.asVoid(CurrentRun)
      ]
      const world = yield* makeWorld()
      for (const operation of operations) {
        const body = unchecked(Effect.asVoid(Effect.orDie(operation)))
        const process = yield* world.launch(Job.toLayer(() => Step.run("outer", body)))
        const run = yield* process.use(Job.start({}))
        const error = yield* soon(Effect.flip(run.result))
        assert.include(error.message, "uses a durable operation, which a step body cannot")
        assert.include(error.message, `step outer of run ${run.id}`)
        yield* process.stop
      }
    }))
})

describe("a step's result", () => {
  const cycle: { self?: unknown } = {}
  cycle.self = cycle

  it.scoped("that cannot be encoded is a defect that names the place, and is not journaled as a value", () =>
    Effect.gen(function*() {
      const bad: ReadonlyArray<readonly [value: unknown, says: string]> = [
        [Number.NaN, "$ is NaN"],
        [{ a: [1, Number.POSITIVE_INFINITY] }, "$.a[1] is Infinity"],
        [{ a: undefined }, "$.a is undefined"],
        ["\uDC00", "lone surrogate"],
        [{ "a\u0000": 1 }, "NUL"],
        [new Map(), "instance of Map"],
        [new Date(0), "instance of Date"],
        [cycle, "refers back"],
        [10n, "a bigint"],
        [() => 1, "a function"],
        [Array(2), "is a hole"],
        ["x".repeat(1025), "has 1027 bytes, the limit is 1024"]
      ]
      const world = yield* makeWorld()
      yield* world.launch(
        Layer.mergeAll(
          Job.toLayer(() =>
            Effect.forEach(
              bad,
              ([value], index) =>
                Step.run(`bad ${index}`, Effect.succeed(value), { success: Schema.Unknown }).pipe(
                  Effect.catchAllDefect((defect) => Effect.succeed(defect instanceof Error ? defect.message : "?"))
                )
            )
          ),
          Layer.empty
        ).pipe(Layer.provide(Limits.layer({ stepResultBytes: 1024 })))
      )
      const messages = yield* world.use(Job.execute({})).pipe(soon)
      assert.isArray(messages)
      bad.forEach(([, says], index) => assert.include(Object(messages)[index], says))
    }))

  it.scoped("is checked by its schema: wrong types fail, instances of the schema's class do not", () =>
    Effect.gen(function*() {
      class Point extends Schema.Class<Point>("Point")({ x: Schema.Number }) {}
      const wrong: { readonly x: number } = Object.assign({ x: 1 }, { x: "secret" })
      const refusals: Array<string> = []
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Effect.gen(function*() {
          yield* Step.run("wrong", Effect.succeed(wrong), { success: Schema.Struct({ x: Schema.Number }) }).pipe(
            Effect.catchAllDefect((defect) => Effect.sync(() => void refusals.push(String(defect))))
          )
          const point = yield* Step.run("point", Effect.succeed(new Point({ x: 2 })), { success: Point })
          return point instanceof Point && point.x
        })
      ))
      assert.strictEqual(yield* soon(world.use(Job.execute({}))), 2)
      assert.strictEqual(refusals.length, 1)
      assert.include(refusals[0], "Expected number")
    }))

  it.scoped("loses only what its type allows: undeclared keys, and keys whose value is undefined", () =>
    Effect.gen(function*() {
      const User = Schema.Struct({ id: Schema.Number, nick: Schema.optional(Schema.String) })
      const row: typeof User.Type = Object.assign({ id: 1, nick: undefined }, { created_at: new Date(0) })
      const Contact = Schema.Union(
        Schema.Struct({ email: Schema.String }),
        Schema.Struct({ email: Schema.String, phone: Schema.String })
      )
      const wide: typeof Contact.Type = Object.assign({ email: "e", phone: "p" }, { fax: "f" })
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Effect.all([
          Step.run("select", Effect.succeed(row), { success: User }),
          Step.run("contact", Effect.succeed({ email: "e", phone: "p" }), { success: Contact }),
          Step.run("wide contact", Effect.succeed(wide), { success: Contact })
        ])
      ))
      assert.deepStrictEqual(yield* soon(world.use(Job.execute({}))), [
        { id: 1 },
        { email: "e", phone: "p" },
        { email: "e", phone: "p" }
      ])
    }))

  it.scoped("is the stored value at first execution, as on replay: not the body's object, and no -0", () =>
    Effect.gen(function*() {
      const seen: Array<ReadonlyArray<unknown>> = []
      const shared: Array<string> = []
      const live = Job.toLayer(() =>
        Effect.gen(function*() {
          const first = yield* Step.run("first", Effect.sync(() => (shared.push("a"), shared)), {
            success: Schema.Unknown
          })
          yield* Step.run("second", Effect.sync(() => void shared.push("b")))
          const zero = yield* Step.run("zero", Effect.succeed({ at: -0 }), {
            success: Schema.Struct({ at: Schema.Number })
          })
          seen.push([JSON.stringify(first), 1 / zero.at])
          yield* Effect.sleep("1 day")
          return first
        })
      )
      const world = yield* makeWorld()
      const process = yield* world.launch(live)
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 hour")
      yield* process.stop
      yield* world.launch(live)
      assert.deepStrictEqual(yield* run.result.pipe(within("1 day")), ["a"])
      assert.deepStrictEqual(seen, [[`["a"]`, Infinity], [`["a"]`, Infinity]])
    }))

  it.scoped("has a size limit, which failures have, too", () =>
    Effect.gen(function*() {
      class Big extends Schema.TaggedError<Big>()("Big", { text: Schema.String }) {}
      const world = yield* makeWorld()
      yield* world.launch(
        Job.toLayer(() => Effect.orDie(Step.run("big", new Big({ text: "x".repeat(2_000_000) }), { error: Big })))
      )
      const error = yield* soon(Effect.flip(world.use(Job.execute({}))))
      assert.include(error.message, "ValueTooLarge")
      assert.include(error.message, "the limit is 1048576")
    }))
})
