/** New code with runs of old code: versions, patches, generations, divergence. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { CurrentRun } from "perdure/CurrentRun"
import { NotDurable } from "perdure/Errors"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, shown, soon, within } from "./fixtures/world.js"

const Job = Workflow.make("Job", { payload: {}, success: Schema.Unknown })

const Note = Signal.make("Note", { payload: Schema.Number })

const text = (name: string) => Step.run(name, Effect.succeed(name), { success: Schema.String })

describe("registration", () => {
  it.scoped("a run of an unregistered workflow or version waits until a process registers it", () =>
    Effect.gen(function*() {
      const Job2 = Workflow.make("Job", { payload: {}, success: Schema.Unknown, version: "2" })
      const world = yield* makeWorld()
      const old = yield* world.launch(Job.toLayer(() => text("one")))
      const second = yield* world.use(Job2.start({}))
      const first = yield* world.use(Job.start({}))
      assert.strictEqual(yield* soon(first.result), "one")
      yield* TestClock.adjust("10 days")
      assert.strictEqual((yield* second.record).status, "pending")
      yield* old.stop
      yield* world.launch(Layer.mergeAll(Job.toLayer(() => text("one")), Job2.toLayer(() => text("two"))))
      assert.strictEqual(yield* soon(second.result), "two", "versions live side by side")
    }))

  it.scoped("two handlers and two signals of one name are reported together at start-up", () =>
    Effect.gen(function*() {
      const A = Workflow.make("A", { payload: {}, signals: [Note] })
      const B = Workflow.make("B", { payload: {}, signals: [Signal.make("Note", { payload: Schema.String })] })
      const Bad = Workflow.make("", { payload: {}, priority: 0.5 })
      const world = yield* makeWorld()
      const error = yield* world.launch(Layer.mergeAll(
        A.toLayer(() => Effect.void),
        A.toLayer(() => Effect.void),
        B.toLayer(() => Effect.void),
        Bad.toLayer(() => Effect.void)
      )).pipe(Effect.flip)
      assert.strictEqual(error._tag, "ConfigurationInvalid")
      for (const part of [`workflow "A" version "1" has two handlers`, `signal "Note" of workflow "B"`, `""`, "0.5"]) {
        assert.include(error.message, part)
      }
    }))
})

describe("patched", () => {
  const old = Job.toLayer(() =>
    Effect.gen(function*() {
      const first = yield* text("first")
      yield* Effect.sleep("1 day")
      return [first, yield* text("fax")]
    })
  )
  const patched = Job.toLayer(() =>
    Effect.gen(function*() {
      const first = yield* text("first")
      const mails = yield* Workflow.patched("mail")
      if (mails) yield* text("address")
      yield* Effect.sleep("1 day")
      return [first, yield* text(mails ? "mail" : "fax"), yield* Workflow.patched("mail")]
    })
  )

  it.scoped("is false for runs that passed before the change, true for new ones, and the same on each replay", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const before = yield* world.launch(old)
      const first = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 hour")
      yield* before.stop
      const between = yield* world.launch(patched)
      const second = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 hour")
      yield* between.stop
      yield* world.launch(patched)
      assert.deepStrictEqual(yield* within("1 day")(first.result), ["first", "fax", false])
      assert.deepStrictEqual(yield* within("1 day")(second.result), ["first", "mail", true])
      assert.deepStrictEqual(
        shown(yield* world.history(second.id)),
        ["step first", "patch mail", "step address", "timer sleep", "step mail"]
      )
    }))
})

describe("continueAsNew", () => {
  const Loop = Workflow.make("Loop", {
    payload: { n: Schema.Number, seen: Schema.Array(Schema.Number) },
    success: Schema.Array(Schema.Number)
  })

  it.scoped("starts a new generation of the same run with an empty journal; unread signals stay", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Loop.toLayer((before) =>
        Effect.gen(function*() {
          const { generation } = yield* CurrentRun
          assert.strictEqual(generation, before.n)
          const seen = [...before.seen, yield* Note.receive]
          yield* Effect.sleep("1 day")
          return seen.length < 5 ? yield* Loop.continueAsNew({ n: before.n + 1, seen }) : seen
        })
      ))
      const run = yield* world.use(Loop.start({ n: 0, seen: [] }))
      for (const n of [10, 11, 12, 13, 14]) yield* world.use(Note.send(run.id, n))
      yield* TestClock.adjust("60 hours")
      assert.strictEqual((yield* run.record).generation, 2)
      assert.deepStrictEqual(shown(yield* world.history(run.id)), ["receive Note"])
      assert.deepStrictEqual(yield* within("60 hours")(run.result), [10, 11, 12, 13, 14])
      const entries = yield* world.history(run.id)
      assert.deepStrictEqual(entries.map(({ seq }) => seq), [8, 9], "numbers continue")
    }))

  it.scoped("does not apply to a run that was cancelled before", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const Again = Workflow.make("Again", { payload: { how: Schema.Literal("whole", "tail", "finalizer") } })
      yield* world.launch(Again.toLayer(({ how }) => {
        const tail = Effect.zipRight(Effect.sleep("1 day"), Again.continueAsNew({ how }))
        switch (how) {
          case "whole":
            return Effect.uninterruptible(tail)
          case "tail":
            return Effect.zipRight(Effect.sleep("1 hour"), Effect.uninterruptible(tail))
          case "finalizer":
            return Effect.zipRight(
              Effect.addFinalizer(() => Effect.sleep("1 day")),
              Again.continueAsNew({ how })
            )
        }
      }))
      for (const how of ["whole", "tail", "finalizer"] as const) {
        const run = yield* world.use(Again.start({ how }))
        yield* TestClock.adjust("2 hours")
        assert.isTrue(yield* run.cancel(), how)
        assert.include((yield* within("3 days")(Effect.flip(run.result))).message, "cancelled", how)
        assert.strictEqual((yield* run.record).generation, 0, how)
      }
    }))

  it.scoped("must be returned from the handler, and must be of the same workflow", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const Forgets = Workflow.make("Forgets", { payload: {} })
      yield* world.launch(Layer.mergeAll(
        Forgets.toLayer(() =>
          Effect.gen(function*() {
            const next = Forgets.continueAsNew({})
            yield* next.pipe(Effect.asVoid)
            yield* text("more")
          })
        ),
        Job.toLayer(() => Loop.continueAsNew({ n: 1, seen: [] }))
      ))
      const forgot = yield* soon(Effect.flip(world.use(Forgets.execute({}))))
      assert.include(forgot.message, "the handler of workflow Forgets must return the result of continueAsNew")
      const other = yield* soon(Effect.flip(world.use(Job.execute({}))))
      assert.strictEqual(other._tag, "Misuse")
      assert.include(other.message, "cannot continue as workflow Loop: start that workflow as a child")
    }))
})

describe("a run whose code does not fit its journal", () => {
  it.scoped("is parked with both sides shown, loses nothing, and continues with code that fits", () =>
    Effect.gen(function*() {
      let first = 0
      const code = (name: string) =>
        Job.toLayer(() =>
          Effect.gen(function*() {
            const a = yield* Step.run(name, Effect.sync(() => ++first), { success: Schema.Number })
            yield* Effect.sleep("1 day")
            return [a, yield* Note.receive]
          })
        )
      const world = yield* makeWorld()
      const before = yield* world.launch(code("reserve"))
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 hour")
      yield* before.stop
      const wrong = yield* world.launch(code("renamed"))
      yield* TestClock.adjust("2 days")
      const record = yield* run.record
      assert.strictEqual(record.status, "diverged")
      const detail = JSON.parse(record.detail ?? "")
      assert.deepInclude(detail, { reason: "mismatch", delivered: 0 })
      assert.deepInclude(detail.journal, { kind: "step", name: "reserve" })
      assert.deepInclude(detail.program, { kind: "step", name: "renamed" })
      assert.deepStrictEqual(shown(yield* world.history(run.id)), ["step reserve"])
      yield* world.use(Note.send(run.id, 7))
      yield* wrong.stop
      yield* world.launch(code("reserve"))
      yield* TestClock.adjust("1 day")
      assert.strictEqual((yield* run.record).status, "diverged", "it waits until it is resumed")
      assert.isTrue(yield* run.resume())
      assert.isFalse(yield* run.resume())
      assert.deepStrictEqual(yield* within("2 days")(run.result), [1, 7])
      assert.strictEqual(first, 1)
    }))

  it.scoped("is parked if it waits for another child than the one that it started", () =>
    Effect.gen(function*() {
      const A = Workflow.make("A", { payload: {}, success: Schema.String })
      const B = Workflow.make("B", { payload: {}, success: Schema.String })
      const code = (child: typeof A) =>
        Layer.mergeAll(
          A.toLayer(() => text("A gave this")),
          B.toLayer(() => text("B gave this")),
          Job.toLayer(() =>
            Effect.gen(function*() {
              const run = yield* child.start({})
              yield* Effect.sleep("1 day")
              return yield* run.result
            })
          )
        )
      const world = yield* makeWorld()
      const before = yield* world.launch(code(A))
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 hour")
      yield* before.stop
      yield* world.launch(code(B))
      yield* TestClock.adjust("2 days")
      const record = yield* run.record
      assert.strictEqual(record.status, "diverged")
      assert.include(record.detail, "the child that it starts at this place has changed")
    }))

  it.scoped("is parked if it ends before its journal does, and can be cancelled then", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const before = yield* world.launch(Job.toLayer(() => Effect.zipRight(text("a"), Note.receive)))
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 hour")
      yield* before.stop
      yield* world.launch(Job.toLayer(() => Effect.succeed("short")))
      yield* world.use(Note.send(run.id, 1))
      yield* TestClock.adjust("1 second")
      const record = yield* run.record
      assert.strictEqual(record.status, "diverged")
      assert.include(record.detail, "the program has ended: success")
      assert.isTrue(yield* run.cancel())
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* run.record).status, "diverged")
      assert.isTrue(yield* run.terminate(), "only terminate ends it without fitting code")
    }))
})

describe("a wait that is not durable", () => {
  it.scoped("for a bare promise is detected and named, and finalizers run", () =>
    Effect.gen(function*() {
      const released: Array<string> = []
      const Ends = Workflow.make("Ends", { payload: {}, error: NotDurable })
      const world = yield* makeWorld()
      let release = () => {}
      yield* world.launch(Ends.toLayer(() =>
        Effect.gen(function*() {
          yield* Effect.addFinalizer(() => Effect.sync(() => void released.push("released")))
          yield* text("before")
          yield* Effect.fork(Effect.withSpan(
            Effect.async<void>((resume) => {
              release = () => resume(Effect.void)
            }),
            "asks the database"
          ))
          yield* Effect.sleep("1 day")
        })
      ))
      const run = yield* world.use(Ends.start({}))
      yield* TestClock.adjust("1 minute")
      release()
      const error = yield* soon(Effect.flip(run.result))
      assert.include(error.message, "a fiber was woken by something that is not in the journal")
      assert.include(error.message, `in span "asks the database"`)
      assert.include(error.message, `after step "before"`)
      assert.include(error.message, "move the awaited operation into a Step")
      assert.deepStrictEqual(released, ["released"])
    }))

  it.scoped("of a program for itself is a defect that names it, not a run that sleeps for ever", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() => Effect.zipRight(text("before"), Effect.never)))
      const run = yield* world.use(Job.start({}))
      const error = yield* soon(Effect.flip(run.result))
      assert.include(error.message, "the workflow waits for something that no journal entry can deliver")
      assert.include(error.message, run.id)
      assert.include(error.message, `after step "before"`)
    }))
})
