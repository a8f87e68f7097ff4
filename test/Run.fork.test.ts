/** Forks and retries: new runs that start with the journal of another run. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Callback from "perdure/Callback"
import { CurrentRun } from "perdure/CurrentRun"
import type { HistoryEntry } from "perdure/JournalDriver"
import * as Published from "perdure/Published"
import type * as Run from "perdure/Run"
import * as RunQueue from "perdure/RunQueue"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { misuseOf } from "./fixtures/misuse.js"
import { makeWorld, shown, soon, type World } from "./fixtures/world.js"

const Note = Signal.make("Note", { payload: Schema.Number })
const Late = Signal.make("Late", { payload: Schema.Number })
const Payment = Callback.make("Payment", { success: Schema.Number })
const Progress = Published.make("progress", Schema.String)

const number = { success: Schema.Number }

const Child = Workflow.make("Child", { payload: { n: Schema.Number }, success: Schema.Number })
const Everything = Workflow.make("Everything", { payload: {}, success: Schema.Array(Schema.Unknown) })

const child = Child.toLayer(({ n }) =>
  Effect.gen(function*() {
    yield* Effect.sleep("1 minute")
    return yield* Step.run("double", Effect.succeed(n * 2), number)
  })
)

/** A program that uses every kind of durable operation. */
const everything = Everything.toLayer(() =>
  Effect.gen(function*() {
    const dice = yield* Random.nextIntBetween(0, 1_000_000)
    const first = yield* Step.run("first", Effect.succeed(dice), number)
    yield* Progress.publish("begun")
    const started = yield* Child.start({ n: 1 })
    yield* Child.start({ n: 100 }, { detached: true })
    yield* Effect.sleep("10 seconds")
    const payment = yield* Payment.create
    const [a, b] = yield* Effect.all([Note.receive, Child.execute({ n: 2 })], { concurrency: "unbounded" })
    const late = yield* Late.receiveWithin("1 hour")
    const patched = yield* Workflow.patched("later")
    const { uuid } = yield* CurrentRun
    const id = yield* uuid
    const again = yield* Note.receive
    const raced = yield* Effect.race(
      Effect.as(Effect.sleep("5 seconds"), "time"),
      Effect.as(Child.execute({ n: 3 }), "child")
    )
    const paid = yield* payment.result
    yield* Progress.publish("paid")
    const others = yield* Effect.forEach([4, 5, 6], (n) => Child.execute({ n }), { concurrency: 2 })
    const second = yield* Step.run("second", Random.nextIntBetween(0, 1_000_000), number)
    return [first, a, b, late._tag, patched, id, again, raced, paid, others, yield* started.result, second >= 0]
  })
)

const tokenOf = (run: string) => `cb_${run}_0:1`

/** An entry without its writer. */
const plain = ({ epoch: _1, worker: _2, ...entry }: HistoryEntry) => entry

/** Delivers everything that a run waits for, until it ends. */
const carry = (world: World, run: Run.Run<ReadonlyArray<unknown>, never>, notes: ReadonlyArray<number>) =>
  Effect.gen(function*() {
    const result = yield* Effect.fork(run.result)
    yield* Effect.forEach(notes, (n) => world.use(Note.send(run.id, n)))
    yield* world.use(Payment.succeed(tokenOf(run.id), 9))
    yield* TestClock.adjust("4 hours")
    const ended = result.unsafePoll()
    if (ended === null) {
      assert.fail(
        `${run.id} has not ended: ${JSON.stringify(yield* run.record)} ${
          shown(yield* world.history(run.id)).join(", ")
        }`
      )
    }
    return yield* Fiber.join(result)
  })

describe("a fork", () => {
  it.scoped("at any entry of any program has the same history up to there, and completes", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Layer.merge(child, everything))
      const source = yield* world.use(Everything.start({}))
      yield* world.use(Note.send(source.id, 1))
      const result = yield* carry(world, source, [2])
      const entries = yield* world.history(source.id)
      assert.isAtLeast(entries.length, 14)
      assert.includeMembers(entries.map(({ kind }) => kind), ["step", "timer", "receive", "child", "callback", "patch"])
      for (let seq = 0; seq <= entries.length; seq++) {
        const fork = yield* source.fork({ from: seq, by: "ann" })
        yield* TestClock.adjust("1 second")
        const answer = yield* carry(world, fork, [])
        assert.deepStrictEqual(answer.slice(0, 3), result.slice(0, 3), `the fork at ${seq}`)
        assert.deepStrictEqual(answer, result, `the fork at ${seq}`)
        const history = yield* world.history(fork.id)
        assert.deepStrictEqual(history.slice(0, seq), entries.slice(0, seq))
        assert.strictEqual(history.length, entries.length)
        assert.deepStrictEqual((yield* fork.record).source, { run: source.id, seq })
        assert.strictEqual((yield* world.use(Progress.get(fork.id)))._tag, "Some")
      }
      assert.deepStrictEqual(yield* world.history(source.id), entries)
    }))

  it.scoped("starts its own copies of the children that it awaits, and no others", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Layer.merge(child, everything))
      const source = yield* world.use(Everything.start({}))
      yield* carry(world, source, [1, 2])
      const entries = yield* world.history(source.id)
      const children = (run: string) =>
        Effect.map(
          world.driver.find({ filter: { parent: run }, after: null, limit: 100 }),
          ({ value }) => value.runs.map(({ payload, status }) => `${payload} ${status}`).toSorted()
        )
      const at = entries.findIndex(({ kind }) => kind === "child")
      const fork = yield* source.fork({ from: at })
      yield* carry(world, fork, [])
      // All but the detached one: the first one is awaited at the end.
      assert.deepStrictEqual(
        yield* children(fork.id),
        [1, 2, 3, 4, 5, 6].map((n) => `{"n":${n}} completed`).map((each) =>
          each.replace("3} completed", "3} cancelled")
        )
      )
      const later = yield* source.fork({ from: entries.length - 1 })
      yield* carry(world, later, [])
      assert.deepStrictEqual(yield* children(later.id), ["{\"n\":1} completed"])
      const whole = yield* source.fork({ from: entries.length })
      yield* carry(world, whole, [])
      assert.deepStrictEqual(yield* children(whole.id), [])
    }))

  it.scoped("survives kills of its worker at any time", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const live = Layer.merge(child, everything)
      const first = yield* world.launch(live, { leaseDuration: "10 minutes" })
      const source = yield* world.use(Everything.start({}))
      const result = yield* carry(world, source, [1, 2])
      const entries = yield* world.history(source.id)
      yield* first.stop
      for (const seq of [6]) {
        const fork = yield* source.fork({ from: seq })
        for (const time of ["1 second", "15 minutes", "12 minutes"] as const) {
          const process = yield* world.launch(live, { leaseDuration: "10 minutes", hot: { capacity: 0 } })
          yield* TestClock.adjust(time)
          yield* process.kill
        }
        const last = yield* world.launch(live, { leaseDuration: "10 minutes", hot: { capacity: 0 } })
        yield* TestClock.adjust("15 minutes")
        assert.deepStrictEqual(yield* carry(world, fork, []), result, `the fork at ${seq}`)
        assert.deepStrictEqual(
          (yield* world.history(fork.id)).slice(0, seq).map(plain),
          entries.slice(0, seq).map(plain)
        )
        yield* last.stop
      }
    }))

  it.scoped("takes the new branch of a patch that its source did not pass, and the old branch of one that it passed", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const Patched = Workflow.make("Patched", { payload: {}, success: Schema.Boolean })
      const step = (name: string) => Step.run(name, Effect.void)
      const old = yield* world.launch(Patched.toLayer(() => Effect.as(Effect.zipRight(step("a"), step("b")), false)))
      const source = yield* world.use(Patched.start({}))
      yield* soon(source.result)
      yield* old.stop
      yield* world.launch(Patched.toLayer(() =>
        Effect.gen(function*() {
          yield* step("a")
          const patched = yield* Workflow.patched("c instead of b")
          yield* step(patched ? "c" : "b")
          return patched
        })
      ))
      const results = yield* Effect.forEach(
        [0, 1, 2],
        (from) => Effect.flatMap(source.fork({ from }), (run) => soon(run.result))
      )
      assert.deepStrictEqual(results, [true, true, false])
    }))

  it.scoped("may have its own queue and id", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(RunQueue.make("other").layer)
      const source = yield* world.use(Child.start({ n: 1 }))
      const fork = yield* source.fork({ from: 0, id: "mine", queue: "other", priority: 7 })
      const again = yield* source.fork({ from: 0, id: "mine" })
      assert.deepStrictEqual([fork.id, again.id], ["mine", "mine"])
      const record = yield* fork.record
      assert.deepStrictEqual([record.queue, record.priority, record.status], ["other", 7, "pending"])
      assert.strictEqual((yield* source.controls)[0]?.related, "mine")
    }))

  it.scoped("at a wrong entry, or with wrong options, makes nothing", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(child)
      const source = yield* world.use(Child.start({ n: 1 }))
      yield* TestClock.adjust("2 minutes")
      const refused = (options: Run.ForkOptions) => Effect.flip(source.fork(options))
      for (const from of [3, -1, 0.5, Number.NaN, 1e12]) {
        const error = yield* refused({ from })
        assert.deepInclude(error, { _tag: "ForkInvalid", first: 0, next: 2 })
        assert.match(error.message, /must be an integer from 0 .* to 2/)
      }
      assert.match((yield* refused({ from: 0, id: source.id })).message, /exists and is not this fork: give another id/)
      const wrong: ReadonlyArray<readonly [unknown, RegExp]> = [
        [{ from: 0, id: "" }, /"id" is empty: give an id, or leave it out/],
        ...["mine~1", `${source.id}~1`, "a\nb~12"].map((id) => [{ from: 0, id }, /"id" must not end in "~"/] as const),
        [{ from: 0, queue: "" }, /"queue" must be a string of 1 to 200/],
        [{ from: 0, priority: 0.5 }, /"priority" must be an integer from -32768 to 32767, got 0.5/],
        [undefined, /the options must be an object, got undefined/],
        [{}, /"from" must be the seq of an entry, got undefined/],
        [{ from: "0" }, /"from" must be the seq of an entry, got "0"/],
        [null, /the options must be an object, got null/],
        [{ from: 0, que: "other" }, /"que" is not an option/],
        [{ from: 0, queue: null }, /"queue" must be a RunQueue or its name, got null/],
        [{ from: 0, id: 5 }, /"id" must be a string, got 5/],
        [{ from: 0, by: 5 }, /"by" must be a string/]
      ]
      for (const [options, message] of wrong) {
        assert.match(yield* misuseOf(source.fork(options as Run.ForkOptions)), message)
      }
      const missing = yield* world.use(Child.attach("no-such-run"))
      assert.strictEqual((yield* Effect.flip(missing.fork({ from: 0 })))._tag, "NoSuchRun")
      assert.deepStrictEqual(yield* source.controls, [])
    }))
})

class Declined extends Schema.TaggedError<Declined>()("Declined", {}) {}

describe("a retry", () => {
  const Pay = Workflow.make("Pay", { payload: {}, success: Schema.Number, error: Declined })

  /** A step that succeeds, one that fails until it is fixed, and the compensation. */
  const paying = (after: Effect.Effect<void, never, CurrentRun> = Effect.void) => {
    const bodies: Array<string> = []
    const state = { mended: false }
    const live = Pay.toLayer(() =>
      Effect.gen(function*() {
        yield* Step.run("reserve", Effect.asVoid(Effect.sync(() => bodies.push("reserve"))))
        const pay = Effect.suspend(() => {
          bodies.push("pay")
          return state.mended ? Effect.succeed(5) : new Declined()
        })
        return yield* Effect.onError(
          Step.run("pay", pay, { success: Schema.Number, error: Declined }),
          () => after
        ) as Effect.Effect<number, Declined, CurrentRun>
      })
    )
    return { bodies, live, state }
  }

  it.scoped("continues from the failed step as a new run of the same type; two retries are one", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { bodies, live, state } = paying()
      yield* world.launch(live)
      const run = yield* world.use(Pay.start({}))
      assert.strictEqual((yield* soon(Effect.flip(run.result)))._tag, "Declined")
      const once = yield* run.retry({ by: "ann", reason: "again" })
      assert.strictEqual((yield* run.retry()).id, once.id)
      assert.strictEqual((yield* soon(Effect.flip(once.result)))._tag, "Declined")
      state.mended = true
      const twice = yield* once.retry()
      assert.deepStrictEqual([once.id, twice.id], [`${run.id}~1`, `${run.id}~2`])
      assert.strictEqual(yield* soon(twice.result), 5)
      assert.deepStrictEqual(bodies, ["reserve", "pay", "pay", "pay"])
      assert.strictEqual((yield* run.record).status, "failed")
      assert.deepInclude((yield* run.controls)[0], { action: "retry", by: "ann", reason: "again", related: once.id })
      assert.deepInclude(yield* Effect.flip(twice.retry()), { _tag: "NotRetryable", status: "completed" })
      assert.strictEqual((yield* once.retry()).id, twice.id, "it has been retried already")
    }))

  it.scoped("from the start runs everything again; from an entry, everything after it", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { bodies, live, state } = paying()
      yield* world.launch(live)
      const runs = yield* world.use(Pay.startAll([{}, {}]))
      yield* TestClock.adjust("1 second")
      bodies.length = 0
      state.mended = true
      const [first, second] = runs
      if (first === undefined || second === undefined) return assert.fail("two runs")
      assert.strictEqual(yield* Effect.flatMap(first.retry({ from: "start" }), (run) => soon(run.result)), 5)
      assert.deepStrictEqual(bodies, ["reserve", "pay"])
      assert.deepInclude(yield* Effect.flip(second.retry({ from: 7 })), { _tag: "ForkInvalid", next: 2 })
      assert.strictEqual(yield* Effect.flatMap(second.retry({ from: 1 }), (run) => soon(run.result)), 5)
      assert.deepStrictEqual(bodies, ["reserve", "pay", "pay"])
    }))

  it.scoped("fails with NotRetryable and the cure if compensation has run", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { live, state } = paying(Step.run("release", Effect.void))
      yield* world.launch(live)
      const run = yield* world.use(Pay.start({}))
      yield* TestClock.adjust("1 second")
      const error = yield* Effect.flip(run.retry())
      assert.strictEqual(error._tag, "NotRetryable")
      assert.match(error.message, /step "release" has succeeded.*"start", or from the seq/)
      assert.deepStrictEqual(yield* run.controls, [])
      state.mended = true
      assert.strictEqual(yield* Effect.flatMap(run.retry({ from: "start" }), (made) => soon(made.result)), 5)
    }))

  it.scoped("of a run whose child failed starts the child again", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { live, state } = paying()
      const Parent = Workflow.make("Parent", { payload: {}, success: Schema.Number, error: Declined })
      yield* world.launch(Layer.merge(live, Parent.toLayer(() => Pay.execute({}))))
      const run = yield* world.use(Parent.start({}))
      assert.strictEqual((yield* soon(Effect.flip(run.result)))._tag, "Declined")
      state.mended = true
      const retry = yield* run.retry()
      assert.strictEqual(yield* soon(retry.result), 5)
    }))

  it.scoped("of a terminated run continues from the end of its journal", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(child)
      const run = yield* world.use(Child.start({ n: 4 }))
      yield* TestClock.adjust("10 seconds")
      yield* run.terminate()
      const retry = yield* run.retry({ queue: "default", priority: 3 })
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual(yield* soon(retry.result), 8)
      assert.strictEqual((yield* run.record).status, "terminated")
    }))

  it.scoped("of a run that has not ended, or was cancelled, fails with NotRetryable", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const run = yield* world.use(Child.start({ n: 4 }))
      const live = yield* Effect.flip(run.retry())
      assert.match(live.message, /is pending and cannot be retried: it has not ended/)
      yield* world.launch(child)
      yield* run.cancel()
      yield* TestClock.adjust("1 second")
      assert.match((yield* Effect.flip(run.retry())).message, /is cancelled and cannot be retried: .*Run\.fork/)
      const missing = yield* world.use(Child.attach("no-such-run"))
      assert.strictEqual((yield* Effect.flip(missing.retry()))._tag, "NoSuchRun")
    }))
})
