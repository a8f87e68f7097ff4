import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { inspect } from "node:util"
import { CurrentRun } from "perdure/CurrentRun"
import { IdempotencyConflict, RunEnded, TimedOut, ValueInvalid } from "perdure/Errors"
import * as RunQueue from "perdure/RunQueue"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { misuseOf } from "./fixtures/misuse.js"
import { makeWorld, shown, soon, within } from "./fixtures/world.js"

const DAY = 86_400_000

const Greet = Workflow.make("Greet", {
  payload: { name: Schema.String, times: Schema.optional(Schema.Number) },
  success: Schema.String,
  idempotencyKey: ({ name }) => name
})

const GreetLive = Greet.toLayer(({ name }) =>
  Effect.gen(function*() {
    yield* Effect.sleep("30 days")
    return yield* Step.run("greet", Effect.succeed(`Hello, ${name}`), { success: Schema.String })
  })
)

/** Records the order and the times at which its runs start. */
const makeNotes = () => {
  const begun: Array<readonly [name: string, at: number]> = []
  const Note = Workflow.make("Note", { payload: { name: Schema.String }, priority: 5 })
  const live = Note.toLayer(({ name }) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => Step.run("note", Effect.sync(() => void begun.push([name, now]))))
  )
  return { begun, Note, live, names: () => begun.map(([name]) => name) }
}

describe("a run", () => {
  it.scoped("sleeps for thirty days of test time and returns its typed result", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const process = yield* world.launch(GreetLive)
      const run = yield* world.use(Greet.start({ name: "Ann" }))
      const result = yield* run.result.pipe(within("30 days"))
      assert.strictEqual(result, "Hello, Ann")
      assert.deepStrictEqual(shown(yield* world.history(run.id)), ["timer sleep", "step greet"])
      assert.strictEqual(yield* Clock.currentTimeMillis, 30 * DAY)
      yield* process.stop
    }))

  it.scoped("sleeps while no process runs, and continues in the next one", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const first = yield* world.launch(GreetLive)
      const run = yield* world.use(Greet.start({ name: "Ann" }))
      yield* TestClock.adjust("1 day")
      yield* first.stop
      assert.strictEqual((yield* world.record(run.id)).status, "suspended")
      assert.strictEqual((yield* world.record(run.id)).availableAt, 30 * DAY)
      yield* TestClock.adjust("40 days")
      yield* world.launch(GreetLive)
      assert.strictEqual(yield* soon(run.result), "Hello, Ann")
    }))

  it.scoped("executed from outside returns its result to the caller", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const process = yield* world.launch(GreetLive)
      assert.strictEqual(yield* process.use(Greet.execute({ name: "Bo" })).pipe(within("31 days")), "Hello, Bo")
    }))

  it.scoped("fails with its own typed error", () =>
    Effect.gen(function*() {
      class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}
      const Ask = Workflow.make("Ask", { payload: {}, error: Refused })
      const world = yield* makeWorld()
      yield* world.launch(Ask.toLayer(() => new Refused({ why: "no" })))
      const run = yield* world.use(Ask.start({}))
      const exit = yield* soon(Effect.exit(run.result))
      assert.deepStrictEqual(exit, Exit.fail(new Refused({ why: "no" })))
      assert.strictEqual((yield* world.record(run.id)).status, "failed")
      yield* world.use(Ask.execute({})).pipe(
        Effect.catchTag("Refused", (error) => Effect.succeed(error.why)),
        soon,
        Effect.tap((why) => Effect.sync(() => assert.strictEqual(why, "no")))
      )
    }))

  it.scoped("that dies fails with a description of the defect", () =>
    Effect.gen(function*() {
      const Die = Workflow.make("Die", { payload: {} })
      const world = yield* makeWorld()
      yield* world.launch(Die.toLayer(() => Effect.die(new RangeError("off the map"))))
      const run = yield* world.use(Die.start({}))
      const error = yield* soon(Effect.flip(run.result))
      assert.instanceOf(error, RunEnded)
      assert.include(error.message, "RangeError: off the map")
      assert.include(error.message, run.id)
    }))

  it.scoped("with a timeout fails with TimedOut, and its finalizers run", () =>
    Effect.gen(function*() {
      const Slow = Workflow.make("Slow", { payload: {}, timeout: "2 hours" })
      const compensated: Array<string> = []
      const world = yield* makeWorld()
      yield* world.launch(Slow.toLayer(() =>
        Effect.ensuring(
          Effect.sleep("3 hours"),
          Effect.orDie(Step.run("undo", Effect.sync(() => void compensated.push("undo"))))
        )
      ))
      const run = yield* world.use(Slow.start({}))
      const error = yield* run.result.pipe(Effect.flip, within("2 hours"))
      assert.deepStrictEqual(error, new TimedOut({ what: "workflow Slow", millis: 7_200_000 }))
      assert.deepStrictEqual(compensated, ["undo"])
      assert.deepStrictEqual(shown(yield* world.history(run.id)), ["timer sleep", "step undo"])
    }))
})

describe("a start", () => {
  it.scoped("repeated with one idempotency key is one run; with another payload it fails and says what differs", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const first = yield* world.use(Greet.start({ name: "Ann" }))
      const again = yield* world.use(Greet.start({ name: "Ann" }))
      assert.strictEqual(again.id, first.id)
      const error = yield* Effect.flip(world.use(Greet.start({ name: "Ann", times: 2 })))
      assert.instanceOf(error, IdempotencyConflict)
      assert.deepInclude(error, {
        workflow: "Greet",
        key: "Ann",
        runId: first.id,
        existing: `{"name":"Ann"}`,
        payload: `{"name":"Ann","times":2}`
      })
      for (const part of [`"times"`, `"Ann"`, first.id]) assert.include(error.message, part)
    }))

  it.scoped("that is refused shows no value of its payload: not in messages, and not where the error is printed", () =>
    Effect.gen(function*() {
      const Login = Workflow.make("Login", {
        payload: { user: Schema.String, password: Schema.Redacted(Schema.String.pipe(Schema.minLength(8))) },
        idempotencyKey: ({ user }) => user
      })
      const world = yield* makeWorld()
      const login = (password: string) => world.use(Login.start({ user: "ann", password: Redacted.make(password) }))
      yield* login("hunter2-hunter2")
      const conflict = yield* Effect.flip(login("correct-horse"))
      assert.instanceOf(conflict, IdempotencyConflict)
      assert.include(conflict.message, `different: "password"`)
      assert.include(conflict.payload, "correct-horse")
      const short = yield* Effect.flip(login("tiny"))
      assert.instanceOf(short, ValueInvalid)
      assert.include(short.message, `$["password"]`)
      // @ts-expect-error: untyped code passes the plain string
      const plain = yield* Effect.flip(world.use(Login.start({ user: "bob", password: "plain-secret" })))
      const lines: Array<string> = []
      const logger = Logger.make((options) => {
        for (const made of [Logger.stringLogger, Logger.logfmtLogger]) lines.push(made.log(options))
        lines.push(JSON.stringify(Logger.structuredLogger.log(options)))
      })
      for (const error of [conflict, short, plain]) {
        lines.push(error.message, inspect(error), JSON.stringify(error), String(error), Cause.pretty(Cause.fail(error)))
        yield* Effect.logError("refused", error, Cause.die(error)).pipe(
          Effect.provide(Logger.replace(Logger.defaultLogger, logger))
        )
      }
      assert.isAbove(lines.length, 15)
      for (const line of lines) assert.notMatch(line, /hunter2|correct-horse|tiny|plain-secret/)
    }))

  it.scoped("with a used key returns the run even when it has ended; keys belong to one workflow", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { Note, live } = makeNotes()
      const Other = Workflow.make("Other", { payload: { name: Schema.String }, idempotencyKey: ({ name }) => name })
      yield* world.launch(Layer.mergeAll(GreetLive, live, Other.toLayer(() => Effect.void)))
      const greet = yield* world.use(Greet.start({ name: "Ann" }))
      yield* within("30 days")(greet.result)
      const again = yield* world.use(Greet.start({ name: "Ann" }))
      assert.strictEqual(yield* soon(again.result), "Hello, Ann")
      const other = yield* world.use(Other.start({ name: "Ann" }))
      assert.notStrictEqual(other.id, greet.id)
      const unkeyed = yield* world.use(Effect.all([Note.start({ name: "x" }), Note.start({ name: "x" })]))
      assert.notStrictEqual(unkeyed[0].id, unkeyed[1].id)
    }))

  it.scoped("of many runs is one statement in order; a key with two payloads writes nothing", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const names = Array.from({ length: 1000 }, (_, index) => ({ name: `n${index}` }))
      const runs = yield* world.use(Greet.startAll(names))
      assert.deepStrictEqual(world.writes, ["enqueue"])
      assert.strictEqual(new Set(runs.map(({ id }) => id)).size, 1000)
      const payloads = yield* Effect.forEach([0, 500, 999], (index) => world.record(runs[index]?.id ?? ""))
      assert.deepStrictEqual(payloads.map(({ payload }) => payload), [0, 500, 999].map((i) => `{"name":"n${i}"}`))
      const again = yield* world.use(Greet.startAll([{ name: "n3" }, { name: "new" }, { name: "new" }]))
      assert.deepStrictEqual([again[0]?.id, again[1]?.id], [runs[3]?.id, again[2]?.id])
      world.writes.length = 0
      const error = yield* Effect.flip(world.use(Greet.startAll([{ name: "q" }, { name: "q", times: 1 }])))
      assert.strictEqual(error._tag, "IdempotencyConflict")
      assert.deepStrictEqual(world.writes, [])
      const stored = yield* Effect.flip(world.use(Greet.startAll([{ name: "fresh" }, { name: "n3", times: 1 }])))
      assert.isTrue(stored._tag === "IdempotencyConflict" && stored.key === "n3" && stored.runId === runs[3]?.id)
      const fresh = { workflows: ["Greet"], idempotencyKey: "fresh" }
      const { value: found } = yield* world.driver.find({ filter: fresh, after: null, limit: 1 })
      assert.deepStrictEqual(found.runs, [], "all or none")
      world.writes.length = 0
      assert.deepStrictEqual(yield* world.use(Greet.startAll([])), [])
      assert.deepStrictEqual(world.writes, [])
    }))

  it.scoped("with a delay or an instant (Date or DateTime) waits until then", () =>
    Effect.gen(function*() {
      const { Note, begun, live } = makeNotes()
      const world = yield* makeWorld()
      const process = yield* world.launch(live)
      yield* TestClock.adjust("1 minute")
      yield* process.use(Effect.all([
        Note.start({ name: "delay" }, { delay: "1 hour" }),
        Note.start({ name: "date" }, { startsAt: new Date(2 * 3_600_000) }),
        Note.start({ name: "datetime" }, { startsAt: DateTime.unsafeMake(3 * 3_600_000) }),
        Note.start({ name: "past" }, { startsAt: new Date(1000) })
      ]))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(begun, [["past", 60_000]])
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(begun.slice(1), [
        ["delay", 3_660_000],
        ["date", 2 * 3_600_000],
        ["datetime", 3 * 3_600_000]
      ])
    }))

  it.scoped("of a lower priority number is claimed first; equal priorities in order of their starts", () =>
    Effect.gen(function*() {
      const { Note, live, names } = makeNotes()
      const world = yield* makeWorld()
      yield* world.use(Effect.gen(function*() {
        yield* Note.start({ name: "standard 1" })
        yield* TestClock.adjust("1 second")
        yield* Note.start({ name: "standard 2" })
        yield* Note.start({ name: "late" }, { priority: 6 })
        yield* Note.start({ name: "first" }, { priority: -32768 })
        yield* Note.start({ name: "second" }, { priority: 4 })
      }))
      yield* world.launch(live, { concurrency: 1 })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(names(), ["first", "second", "standard 1", "standard 2", "late"])
    }))

  it.scoped("on a queue that no worker serves waits until one does", () =>
    Effect.gen(function*() {
      const { Note, live, names } = makeNotes()
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(live, RunQueue.make("night").layer))
      yield* process.use(Note.start({ name: "elsewhere" }, { queue: "night" }))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(names(), [])
      yield* world.launch(live, { queues: ["night"] })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(names(), ["elsewhere"])
    }))

  it.scoped("with wrong options dies with Misuse before anything is written", () =>
    Effect.gen(function*() {
      const { Note } = makeNotes()
      const world = yield* makeWorld()
      const refused = [
        { priority: 1.5 },
        { priority: 40_000 },
        { queue: "" },
        { queue: "naïve" },
        { startsAt: new Date(Number.NaN) }
      ]
      for (const options of refused) yield* misuseOf(world.use(Note.start({ name: "x" }, options)))
      const wrong: ReadonlyArray<readonly [options: unknown, problem: RegExp]> = [
        [{ delay: "garbage" }, /"delay" must be a duration, such as "1 minute", got "garbage"/],
        [{ delay: null }, /"delay" .* got null/],
        [{ delay: Number.NaN }, /"delay" .* got NaN/],
        [{ expiresIn: "soon" }, /"expiresIn" must be a duration of at least 1 ms, such as "1 minute", got "soon"/],
        [{ expiresIn: 0 }, /"expiresIn" must be a duration of at least 1 ms, .* got 0/],
        [{ expiresIn: {} }, /"expiresIn" .* got \{\}/],
        [{ startsAt: "tomorrow" }, /"startsAt" must be a valid DateTime or Date after the year -4000, got "tomorrow"/],
        [{ startsAt: new Date(-8.64e15) }, /"startsAt" must be a valid DateTime or Date/],
        [{ expiresAt: 7 }, /"expiresAt" must be a valid DateTime or Date .* got 7/],
        [{ delay: -5 }, /"delay" must be a duration, .* got -5/],
        [{ expiresIn: "-1 seconds" }, /"expiresIn" .* got "-1 seconds"/],
        [{ delays: "1 hour" }, /"delays" is not an option: did you mean "delay"\?/],
        [{ queue: null }, /"queue" must be a RunQueue or its name, got null/],
        [{ queue: 42 }, /"queue" must be a RunQueue or its name, got 42/],
        [{ priority: null }, /"priority" must be an integer from -32768 to 32767, got null/],
        [{ detached: "no" }, /"detached" must be true or false, got "no"/],
        [{ tags: null }, /"tags" must be an array, each a string, got null/],
        [null, /the options must be an object, got null/],
        ["1 hour", /the options must be an object, got "1 hour"/]
      ]
      for (const [options, problem] of wrong) {
        assert.match(yield* misuseOf(world.use(Note.start({ name: "x" }, options as Workflow.StartOptions))), problem)
      }
      for (const key of ["a\u0000b", "\uD800"]) {
        const Keyed = Workflow.make("Keyed", { payload: {}, idempotencyKey: () => key })
        assert.instanceOf(yield* Effect.flip(world.use(Keyed.start({}))), ValueInvalid)
      }
      assert.deepStrictEqual(world.writes, [])
    }))
})

describe("a delayed start", () => {
  it.scoped("beyond the last representable date waits for ever", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const dueIn = Effect.fnUntraced(function*(options: Workflow.StartOptions) {
        const run = yield* world.use(Greet.start({ name: JSON.stringify(options) }, options))
        return (yield* world.record(run.id)).availableAt
      })
      assert.strictEqual(yield* dueIn({ delay: "400000000 days" }), Infinity)
      assert.strictEqual(yield* dueIn({ delay: "10000000 days" }), 10_000_000 * DAY)
      assert.strictEqual(yield* dueIn({ startsAt: new Date(8.64e15) }), 8.64e15)
    }))
})

describe("inside a run", () => {
  it.scoped("time, random numbers and ids are the same on every replay", () =>
    Effect.gen(function*() {
      const lives: Array<ReadonlyArray<unknown>> = []
      const Dice = Workflow.make("Dice", { payload: {}, success: Schema.Array(Schema.Unknown) })
      const live = Dice.toLayer(() =>
        Effect.gen(function*() {
          const { uuid } = yield* CurrentRun
          const seen: Array<unknown> = [yield* Clock.currentTimeMillis, yield* Random.next, yield* uuid]
          yield* Effect.sleep("1 hour")
          seen.push(yield* Clock.currentTimeMillis, yield* Random.nextIntBetween(0, 1000), yield* uuid)
          yield* Effect.forEach(
            [1, 2, 3],
            (n) =>
              Effect.delay(Effect.flatMap(Random.next, (x) => Effect.sync(() => seen.push(n, x))), `${4 - n} minutes`),
            {
              concurrency: "unbounded"
            }
          )
          lives.push([...seen])
          yield* Step.run("mark", Effect.void)
          return seen
        })
      )
      const world = yield* makeWorld()
      const options = { leaseDuration: "2 hours" } as const
      const first = yield* world.launch(live, options)
      const run = yield* first.use(Dice.start({}))
      yield* TestClock.adjust("61 minutes")
      yield* first.kill
      yield* world.launch(live, options)
      const result = yield* world.use(Effect.flatMap(Dice.attach(run.id), (same) => same.result)).pipe(
        within("5 hours")
      )
      assert.deepStrictEqual(lives.at(-1), result)
      const again = yield* world.use(Dice.start({}))
      const other = yield* again.result.pipe(within("5 hours"))
      assert.notStrictEqual(other[1], result[1], "each run has its own")
      assert.match(String(result[2]), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      assert.notStrictEqual(result[2], result[5])
    }))

  it.scoped("sleepUntil waits for the instant, and returns at once if it has passed", () =>
    Effect.gen(function*() {
      const Wait = Workflow.make("Wait", { payload: {}, success: Schema.Array(Schema.Number) })
      const world = yield* makeWorld()
      yield* world.launch(Wait.toLayer(() =>
        Effect.gen(function*() {
          yield* Workflow.sleepUntil(new Date(10 * DAY))
          const first = yield* Clock.currentTimeMillis
          yield* Workflow.sleepUntil(DateTime.unsafeMake(DAY))
          const second = yield* Clock.currentTimeMillis
          yield* Workflow.sleepUntil(DateTime.unsafeMake(20 * DAY))
          return [first, second, yield* Clock.currentTimeMillis]
        })
      ))
      const run = yield* world.use(Wait.start({}))
      assert.deepStrictEqual(yield* run.result.pipe(within("20 days")), [10 * DAY, 10 * DAY, 20 * DAY])
      assert.strictEqual((yield* world.history(run.id)).length, 2)
    }))

  it.scoped("sleepUntil with an invalid instant dies with Misuse", () =>
    Effect.gen(function*() {
      const Wait = Workflow.make("Wait", { payload: {} })
      const world = yield* makeWorld()
      yield* world.launch(Wait.toLayer(() => Workflow.sleepUntil(new Date("garbage"))))
      const run = yield* world.use(Wait.start({}))
      const error = yield* soon(Effect.flip(run.result))
      assert.include(
        error.message,
        `run ${run.id} of workflow Wait: sleepUntil needs a valid instant, got Invalid Date`
      )
    }))

  it.scoped("a log message is written once, also after replays", () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      const Chatty = Workflow.make("Chatty", { payload: {} })
      const live = Chatty.toLayer(() =>
        Effect.gen(function*() {
          yield* Step.run("begin", Effect.void)
          yield* Effect.log("begun")
          yield* Effect.sleep("1 hour")
          yield* Effect.log("half")
          yield* Effect.sleep("1 hour")
          yield* Effect.log("done")
        })
      )
      const world = yield* makeWorld()
      const ear = Logger.make(({ message }) => void said.push(String(message)))
      const listening = Layer.provideMerge(live, Logger.replace(Logger.defaultLogger, ear))
      for (const hours of [0, 1, 2]) {
        const process = yield* world.launch(listening, { hot: { capacity: 0 } })
        if (hours === 0) yield* process.use(Chatty.start({}))
        yield* TestClock.adjust("59 minutes")
        yield* process.stop
        yield* TestClock.adjust("1 minute")
      }
      // The worker says what it serves.
      assert.deepStrictEqual(said.filter((message) => !message.startsWith("worker ")), ["begun", "half", "done"])
    }))

  it.scoped("Effect.repeat with any schedule is durable", () =>
    Effect.gen(function*() {
      const at: Array<number> = []
      const Cron = Workflow.make("Cron", { payload: {} })
      const world = yield* makeWorld()
      yield* world.launch(Cron.toLayer(() =>
        Effect.asVoid(Effect.repeat(
          Effect.flatMap(Clock.currentTimeMillis, (now) => Step.run("tick", Effect.sync(() => void at.push(now)))),
          Schedule.intersect(Schedule.cron("0 6 * * *", "UTC"), Schedule.recurs(3))
        ))
      ))
      const run = yield* world.use(Cron.start({}))
      yield* run.result.pipe(within("4 days"))
      assert.deepStrictEqual(at.map((each) => each / 3_600_000), [0, 6, 30, 54])
    }))
})
