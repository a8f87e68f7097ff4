import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Callback from "perdure/Callback"
import { ValueInvalid } from "perdure/Errors"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, soon, within } from "./fixtures/world.js"

class Declined extends Schema.TaggedError<Declined>()("Declined", { code: Schema.Number }) {}

const Payment = Callback.make("Payment", { success: Schema.Struct({ cents: Schema.Number }), error: Declined })

const Pay = Workflow.make("Pay", { payload: {}, success: Schema.Unknown, error: Declined })

/** Publishes its token, then waits. */
const makePay = () => {
  const tokens: Array<string> = []
  const live = Pay.toLayer(() =>
    Effect.gen(function*() {
      const payment = yield* Payment.create
      yield* Step.run("hand out", Effect.sync(() => void tokens.push(payment.token)))
      const paid = yield* payment.result
      yield* Effect.sleep("1 day")
      return paid
    })
  )
  return { tokens, live, token: () => tokens[0] ?? assert.fail("no token was handed out") }
}

describe("a callback", () => {
  it.scoped("is completed from outside, once, even if the run is suspended for months", () =>
    Effect.gen(function*() {
      const { live, token, tokens } = makePay()
      const world = yield* makeWorld()
      const first = yield* world.launch(live)
      const run = yield* world.use(Pay.start({}))
      yield* TestClock.adjust("1 hour")
      yield* first.stop
      yield* TestClock.adjust("100 days")
      yield* world.launch(live)
      assert.strictEqual(yield* world.use(Payment.succeed(token(), { cents: 5 })), "Accepted")
      assert.strictEqual(yield* world.use(Payment.succeed(token(), { cents: 6 })), "Duplicate")
      assert.strictEqual(yield* world.use(Payment.fail(token(), new Declined({ code: 1 }))), "Duplicate")
      assert.deepStrictEqual(yield* within("1 day")(run.result), { cents: 5 })
      assert.deepStrictEqual(tokens, [token()], "the token is the same in every life")
      assert.strictEqual(yield* world.use(Payment.succeed(token(), { cents: 7 })), "Duplicate")
    }))

  it.scoped("fails with its typed error", () =>
    Effect.gen(function*() {
      const { live, token } = makePay()
      const world = yield* makeWorld()
      yield* world.launch(live)
      const run = yield* world.use(Pay.start({}))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* world.use(Payment.fail(token(), new Declined({ code: 3 }))), "Accepted")
      assert.deepStrictEqual(yield* soon(Effect.exit(run.result)), Exit.fail(new Declined({ code: 3 })))
    }))

  it.scoped("can be completed before the run waits for it", () =>
    Effect.gen(function*() {
      const tokens: Array<string> = []
      const world = yield* makeWorld()
      yield* world.launch(Pay.toLayer(() =>
        Effect.gen(function*() {
          const payment = yield* Payment.create
          const other = yield* Payment.create
          yield* Step.run("hand out", Effect.sync(() => void tokens.push(payment.token, other.token)))
          yield* Effect.sleep("1 hour")
          return yield* Effect.all([payment.result, other.result])
        })
      ))
      const run = yield* world.use(Pay.start({}))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(new Set(tokens).size, 2)
      yield* world.use(Effect.forEach(tokens, (token, cents) => Payment.succeed(token, { cents })))
      assert.deepStrictEqual(yield* within("1 hour")(run.result), [{ cents: 0 }, { cents: 1 }])
    }))

  it.scoped("returns its completion to repeated and concurrent waits", () =>
    Effect.gen(function*() {
      const tokens: Array<string> = []
      const world = yield* makeWorld()
      yield* world.launch(Pay.toLayer(() =>
        Effect.gen(function*() {
          const { result, token } = yield* Payment.create
          yield* Step.run("hand out", Effect.sync(() => void tokens.push(token)))
          const both = yield* Effect.all([result, result], { concurrency: 2 })
          return [...both, yield* result]
        })
      ))
      const run = yield* world.use(Pay.start({}))
      yield* TestClock.adjust("1 hour")
      yield* world.use(Payment.succeed(tokens[0] ?? "", { cents: 5 }))
      assert.deepStrictEqual(yield* soon(run.result), [{ cents: 5 }, { cents: 5 }, { cents: 5 }])
    }))

  it.scoped("of a run that has ended is Expired; an invalid token is NoSuchRun", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const tokens: Array<string> = []
      yield* world.launch(Pay.toLayer(() =>
        Effect.flatMap(Payment.create, ({ token }) => Step.run("note", Effect.sync(() => void tokens.push(token))))
      ))
      yield* soon(world.use(Pay.execute({})))
      assert.strictEqual(yield* world.use(Payment.succeed(tokens[0] ?? "", { cents: 1 })), "Expired")
      for (const token of ["", "x", "cb_", "cb_nobody_0:0", "cb_nobody_0:", "0:0"]) {
        assert.strictEqual(yield* world.use(Payment.succeed(token, { cents: 1 })), "NoSuchRun", token)
      }
    }))

  it.scoped("with a value that cannot be encoded fails before anything is written", () =>
    Effect.gen(function*() {
      const { live, token } = makePay()
      const world = yield* makeWorld()
      yield* world.launch(live)
      yield* world.use(Pay.start({}))
      yield* TestClock.adjust("1 second")
      world.writes.length = 0
      const error = yield* Effect.flip(world.use(Payment.succeed(token(), { cents: Number.NaN })))
      assert.instanceOf(error, ValueInvalid)
      assert.include(error.message, "completion of callback Payment")
      assert.include(error.message, "NaN")
      assert.deepStrictEqual(world.writes, [])
      const Big = Callback.make("Big", { success: Schema.String })
      const large = yield* Effect.flip(world.use(Big.succeed(token(), "x".repeat(2_000_000))))
      assert.strictEqual(large._tag, "ValueTooLarge")
      assert.include(large.message, "the limit is 1048576")
      assert.deepStrictEqual(world.writes, [])
    }))
})
