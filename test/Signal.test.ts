import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { CurrentRun } from "perdure/CurrentRun"
import { Limits } from "perdure/Limits"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, shown, soon, within } from "./fixtures/world.js"

const Note = Signal.make("Note", { payload: Schema.Unknown })

const Approval = Signal.make("Approval", { payload: { by: Schema.String } })

const Job = Workflow.make("Job", { payload: {}, success: Schema.Unknown })

const take = (count: number) => Effect.replicateEffect(Note.receive, count)

describe("a signal", () => {
  it.scoped("is kept until it is received; signals of one name are received in order", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const live = Job.toLayer(() => Effect.zipRight(Effect.sleep("1 day"), take(3)))
      const run = yield* world.use(Job.start({}))
      const early = yield* world.use(Note.send(run.id, 1))
      assert.deepStrictEqual(early, "Buffered")
      const first = yield* world.launch(live)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* world.use(Note.send(run.id, 2)), "Buffered")
      yield* first.stop
      yield* world.launch(live)
      yield* TestClock.adjust("1 day")
      assert.strictEqual(yield* world.use(Note.send(run.id, 3)), "Delivered")
      assert.deepStrictEqual(yield* soon(run.result), [1, 2, 3])
      assert.deepStrictEqual(
        shown(yield* world.history(run.id)),
        ["timer sleep", "receive Note", "receive Note", "receive Note"]
      )
    }))

  it.scoped("wakes a run that has waited for it, suspended, for months", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() => Approval.receive))
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("90 days")
      assert.strictEqual((yield* world.record(run.id)).status, "suspended")
      assert.strictEqual((yield* world.record(run.id)).availableAt, Infinity)
      assert.strictEqual(yield* world.use(Approval.send(run.id, { by: "ann" })), "Delivered")
      assert.deepStrictEqual(yield* soon(run.result), { by: "ann" })
    }))

  it.scoped("reaches a run that a worker holds in memory", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() => Approval.receive), { lingerDuration: "1 hour" })
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* world.record(run.id)).status, "running")
      assert.strictEqual(yield* world.use(Approval.send(run.id, { by: "bo" })), "Buffered")
      assert.deepStrictEqual(yield* soon(run.result), { by: "bo" })
    }))

  it.scoped("with an id is received once, even if it is sent several times", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() => take(2)))
      const run = yield* world.use(Job.start({}))
      const send = (payload: number, id: string) => world.use(Note.send(run.id, payload, { id }))
      assert.strictEqual(yield* send(1, "a"), "Buffered")
      assert.strictEqual(yield* send(99, "a"), "Duplicate")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* send(99, "a"), "Duplicate", "also when it has been received")
      yield* send(2, "b")
      assert.deepStrictEqual(yield* soon(run.result), [1, 2])
    }))

  it.scoped("with an id that an earlier generation received is received again; one that is still unread is not", () =>
    Effect.gen(function*() {
      const Loop = Workflow.make("Loop", {
        payload: { seen: Schema.Array(Schema.Unknown) },
        success: Schema.Array(Schema.Unknown)
      })
      const world = yield* makeWorld()
      yield* world.launch(Loop.toLayer(({ seen }) =>
        Effect.gen(function*() {
          const next = [...seen, yield* Note.receive]
          yield* Effect.sleep("1 hour")
          return next.length < 3 ? yield* Loop.continueAsNew({ seen: next }) : next
        })
      ))
      const run = yield* world.use(Loop.start({ seen: [] }))
      const send = (id: string) => world.use(Note.send(run.id, id, { id }))
      assert.deepStrictEqual(yield* Effect.all([send("a"), send("b")]), ["Buffered", "Buffered"])
      yield* TestClock.adjust("30 minutes")
      assert.deepStrictEqual(yield* Effect.all([send("a"), send("b")]), ["Duplicate", "Duplicate"])
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* run.record).generation, 1)
      assert.deepStrictEqual(yield* Effect.all([send("b"), send("a")]), ["Duplicate", "Buffered"])
      assert.deepStrictEqual(yield* within("3 hours")(run.result), ["a", "b", "a"])
    }))

  it.scoped("of another name is kept until that name is received", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() => Effect.all([Approval.receive, Note.receive])))
      const run = yield* world.use(Job.start({}))
      yield* world.use(Note.send(run.id, "note"))
      yield* world.use(Approval.send(run.id, { by: "cy" }))
      assert.deepStrictEqual(yield* soon(run.result), [{ by: "cy" }, "note"])
    }))

  it.scoped("is received by the fiber that has waited longest", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Effect.all({ a: Note.receive, b: Effect.delay(Note.receive, "1 second") }, { concurrency: "unbounded" })
      ))
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 minute")
      yield* world.use(Note.send(run.id, 1))
      yield* world.use(Note.send(run.id, 2))
      assert.deepStrictEqual(yield* soon(run.result), { a: 1, b: 2 })
    }))
})

describe("receiveWithin", () => {
  const Limited = Workflow.make("Limited", { payload: {}, success: Schema.Unknown })
  const live = Limited.toLayer(() =>
    Effect.gen(function*() {
      const received = yield* Approval.receiveWithin("2 days")
      yield* Effect.sleep("1 day")
      return Option.match(received, { onNone: () => "none came", onSome: ({ by }) => by })
    })
  )

  it.scoped("returns a signal that comes in time, and leaves the window open", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(live)
      const run = yield* world.use(Limited.start({}))
      yield* TestClock.adjust("47 hours")
      assert.strictEqual(yield* world.use(Approval.send(run.id, { by: "ann" })), "Delivered")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* world.use(Approval.send(run.id, { by: "late" })), "Buffered")
      assert.strictEqual(yield* within("1 day")(run.result), "ann")
    }))

  it.scoped("returns None after its duration, and later senders get Expired", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(live)
      const run = yield* world.use(Limited.start({}))
      yield* TestClock.adjust("48 hours")
      assert.strictEqual(yield* world.use(Approval.send(run.id, { by: "late" })), "Expired")
      assert.strictEqual(yield* world.use(Note.send(run.id, "other")), "Buffered")
      assert.strictEqual(yield* within("1 day")(run.result), "none came")
    }))

  it.scoped("returns a signal that came in time while no worker ran", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const first = yield* world.launch(live)
      const run = yield* world.use(Limited.start({}))
      yield* TestClock.adjust("1 hour")
      yield* first.stop
      yield* world.use(Approval.send(run.id, { by: "ann" }))
      yield* TestClock.adjust("10 days")
      yield* world.launch(live)
      assert.strictEqual(yield* within("1 day")(run.result), "ann")
    }))

  it.scoped("replaced by a plain timeout of receive leaves the window open", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Effect.gen(function*() {
          const early = yield* Effect.timeoutOption(Note.receive, "1 hour")
          return [Option.isNone(early), yield* Note.receive]
        })
      ))
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(yield* world.use(Note.send(run.id, "late")), "Delivered")
      assert.deepStrictEqual(yield* soon(run.result), [true, "late"])
    }))

  it.scoped("that returned None makes later receives of the signal die with Misuse and the cure", () =>
    Effect.gen(function*() {
      const Poll = Workflow.make("Poll", { payload: { how: Schema.String } })
      const world = yield* makeWorld()
      yield* world.launch(Poll.toLayer(({ how }) =>
        Effect.zipRight(
          Note.receiveWithin("1 hour"),
          Effect.asVoid(how === "receive" ? Note.receive : Note.receiveWithin("1 hour"))
        )
      ))
      for (const how of ["receive", "receiveWithin"]) {
        const run = yield* world.use(Poll.start({ how }))
        yield* TestClock.adjust("1 hour")
        const error = yield* soon(Effect.flip(run.result))
        assert.include(
          error.message,
          `run ${run.id} of workflow Poll waits for signal Note, whose window a receiveWithin has`
        )
        assert.include(error.message, "Use Effect.timeoutOption of receive")
      }
    }))

  it.scoped("that returns None ends concurrent receives: plain ones die, limited ones end at their own time", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const live = Job.toLayer(() =>
        Effect.gen(function*() {
          const plain = yield* Effect.fork(Effect.sandbox(Note.receive))
          const limited = yield* Effect.fork(Note.receiveWithin("3 hours"))
          const other = yield* Effect.fork(Approval.receive)
          const first = yield* Note.receiveWithin("1 hour")
          const second = yield* Effect.orDie(Effect.flip(Fiber.join(plain)))
          const third = yield* Fiber.join(limited)
          return [first._tag, Cause.pretty(second).includes("closed"), third._tag, yield* Fiber.join(other)]
        })
      )
      const first = yield* world.launch(live)
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(yield* world.use(Note.send(run.id, 1)), "Expired")
      yield* first.stop
      yield* world.launch(live)
      yield* TestClock.adjust("2 hours")
      yield* world.use(Approval.send(run.id, { by: "ann" }))
      assert.deepStrictEqual(yield* soon(run.result), ["None", true, "None", { by: "ann" }])
    }))

  it.scoped("can be used again in the next generation, and for other signals", () =>
    Effect.gen(function*() {
      const Loop = Workflow.make("Loop", { payload: { turn: Schema.Number }, success: Schema.Unknown })
      const world = yield* makeWorld()
      yield* world.launch(Loop.toLayer(({ turn }) =>
        Effect.gen(function*() {
          const note = yield* Note.receiveWithin("1 hour")
          const approval = yield* Approval.receiveWithin("1 hour")
          return turn < 3 ? yield* Loop.continueAsNew({ turn: turn + 1 }) : [Option.getOrNull(note), approval._tag]
        })
      ))
      const run = yield* world.use(Loop.start({ turn: 1 }))
      yield* TestClock.adjust("4 hours")
      yield* world.use(Note.send(run.id, "late"))
      assert.deepStrictEqual(yield* within("2 hours")(run.result), ["late", "None"])
    }))
})

describe("the result of sending a signal", () => {
  it.scoped("is Expired for a run that has ended, and NoSuchRun for one that does not exist", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() => Effect.void))
      const run = yield* world.use(Job.start({}))
      yield* soon(run.result)
      assert.deepStrictEqual(yield* world.use(Note.send(run.id, 1)), "Expired")
      assert.deepStrictEqual(yield* world.use(Note.send("no-such-run", 1)), "NoSuchRun")
    }))

  it.scoped("is a typed failure if the payload cannot be encoded or is too large, and nothing is written", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const run = yield* world.use(Job.start({}))
      world.writes.length = 0
      const bad: ReadonlyArray<readonly [payload: unknown, says: string]> = [
        [Number.NaN, "NaN"],
        [{ a: undefined }, "undefined"],
        ["\uD83D", "lone surrogate"],
        ["a\u0000", "NUL"],
        [new Set(), "instance of Set"],
        ["x".repeat(65_535), "has 65537 bytes, the limit is 65536"]
      ]
      for (const [payload, says] of bad) {
        const error = yield* Effect.flip(world.use(Note.send(run.id, payload)))
        assert.match(error._tag, /^Value(Invalid|TooLarge)$/)
        assert.include(error.message, says)
        assert.include(error.message, "payload of signal Note")
      }
      const excess: { readonly by: string } = Object.assign({ by: "ann" }, { role: "boss" })
      assert.strictEqual((yield* Effect.flip(world.use(Approval.send(run.id, excess))))._tag, "ValueInvalid")
      assert.deepStrictEqual(world.writes, [])
      assert.strictEqual(yield* world.use(Note.send(run.id, "x".repeat(65_534))), "Buffered")
      const tight = Effect.provide(Note.send(run.id, "12345"), Limits.layer({ signalBytes: 6 }))
      assert.strictEqual((yield* Effect.flip(world.use(tight)))._tag, "ValueTooLarge")
    }))
})

describe("a signal whose payload may be undefined", () => {
  it.scoped("is received as undefined", () =>
    Effect.gen(function*() {
      const Maybe = Signal.make("Maybe", { payload: Schema.UndefinedOr(Schema.String) })
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Effect.map(
          Effect.all([Maybe.receive, Maybe.receive]),
          (received) => received.map((each) => each ?? "undefined")
        )
      ))
      const run = yield* world.use(Job.start({}))
      yield* world.use(Maybe.send(run.id, undefined))
      yield* world.use(Maybe.send(run.id, "text"))
      assert.deepStrictEqual(yield* soon(run.result), ["undefined", "text"])
    }))
})

describe("a signal from inside a run", () => {
  const Sender = Workflow.make("Sender", { payload: { to: Schema.String }, success: Schema.Array(Schema.String) })

  it.scoped("is sent once and its result journaled, even if its worker dies and the run is replayed", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const live = Layer.mergeAll(
        Job.toLayer(() => take(2)),
        Sender.toLayer(({ to }) =>
          Effect.gen(function*() {
            const results = [yield* Note.send(to, "one"), yield* Note.send("no-such-run", "x")]
            yield* Effect.sleep("1 day")
            results.push(yield* Note.send(to, "two", { id: "2" }), yield* Note.send(to, "two", { id: "2" }))
            return results
          })
        )
      )
      const first = yield* world.launch(live)
      const job = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 hour")
      const sender = yield* world.use(Sender.start({ to: job.id }))
      yield* TestClock.adjust("1 hour")
      yield* first.kill
      yield* world.driver.retire(first.worker.core.ref)
      yield* world.launch(live)
      assert.deepStrictEqual(
        yield* sender.result.pipe(within("1 day")),
        ["Delivered", "NoSuchRun", "Delivered", "Duplicate"]
      )
      assert.deepStrictEqual(yield* soon(job.result), ["one", "two"])
    }))

  it.scoped("that a crash makes the run send again is not its own duplicate", () =>
    Effect.gen(function*() {
      const Sender = Workflow.make("Sender", { payload: { to: Schema.String }, success: Schema.String })
      // The message is stored, and the process dies before it reads the answer.
      let dies = true
      const world = yield* makeWorld((driver) => ({
        ...driver,
        commit: (request) =>
          Effect.flatMap(
            driver.commit(request),
            (answer) =>
              dies && request.commits.some(({ messages }) => messages.length > 0)
                ? Effect.never
                : Effect.succeed(answer)
          )
      }))
      const live = Layer.mergeAll(
        Job.toLayer(() => Effect.map(Effect.zip(Note.receive, Effect.sleep("1 day")), ([note]) => [note])),
        Sender.toLayer(({ to }) => Note.send(to, "once"))
      )
      const job = yield* world.use(Job.start({}))
      const first = yield* world.launch(live)
      const sender = yield* world.use(Sender.start({ to: job.id }))
      yield* TestClock.adjust("1 hour")
      yield* first.kill
      dies = false
      yield* world.driver.retire(first.worker.core.ref)
      yield* world.launch(live)
      assert.strictEqual(yield* soon(sender.result), "Buffered")
      assert.deepStrictEqual(yield* job.result.pipe(within("2 days")), ["once"])
    }))

  it.scoped("to itself is received", () =>
    Effect.gen(function*() {
      const Self = Workflow.make("Self", { payload: {}, success: Schema.Unknown })
      const world = yield* makeWorld()
      yield* world.launch(Self.toLayer(() =>
        Effect.gen(function*() {
          const { id } = yield* CurrentRun
          const results = yield* Effect.all([
            Note.send(id, "later"),
            Effect.map(Note.receive, (note) => ({ note }))
          ], { concurrency: 2 })
          yield* Step.run("after", Effect.void)
          return results[1]
        })
      ))
      assert.deepStrictEqual(yield* soon(world.use(Self.execute({}))), { note: "later" })
    }))
})
