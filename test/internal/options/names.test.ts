/** Names and ids that no storage can hold are refused above it, by every storage alike. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Callback from "perdure/Callback"
import { CurrentRun } from "perdure/CurrentRun"
import { ConfigurationInvalid, JournalError, Misuse, NoSuchRun, RunEnded, ValueInvalid } from "perdure/Errors"
import type { Journal } from "perdure/Journal"
import type { JournalDriver } from "perdure/JournalDriver"
import * as Published from "perdure/Published"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, shown, soon } from "../../fixtures/world.js"

const Job = Workflow.make("Job", { payload: {}, success: Schema.Unknown })

const Note = Signal.make("Note", { payload: Schema.Number })

const Payment = Callback.make("Payment")

const Progress = Published.make("progress", Schema.Number)

/** Bad names, how a message shows them, and the problem that it states. */
const bad: ReadonlyArray<readonly [name: string, shown: string, says: string]> = [
  ["a\u0000b", String.raw`"a\u0000b"`, "contains the character NUL"],
  ["a\uD800b", String.raw`"a\ud800b"`, "contains a lone surrogate"],
  ["é".repeat(501), "ééé…", "has 1002 bytes, the limit is 1000"]
]

const longest = "é".repeat(500)

const isBad = (value: unknown): boolean =>
  typeof value === "string"
    ? value.includes("\u0000") || /\p{Surrogate}/u.test(value)
    : typeof value === "object" && value !== null && Object.values(value).some(isBad)

/** Fails whatever it is asked about a run that Postgres could not be asked about. */
const strict = (driver: JournalDriver): JournalDriver => {
  const check = <Request, A>(ask: (request: Request) => Effect.Effect<A, JournalError>) => (request: Request) =>
    isBad(request)
      ? new JournalError({ code: "Refused", operation: "check", detail: "invalid byte sequence", retryable: false })
      : ask(request)
  return {
    ...driver,
    commit: check(driver.commit),
    deliver: check(driver.deliver),
    get: check(driver.get),
    await: check(driver.await),
    history: check(driver.history),
    published: check(driver.published),
    resume: check(driver.resume),
    terminate: check(driver.terminate)
  }
}

describe("inside a run, a name or id that cannot be stored", () => {
  type Use = (name: string, self: string) => Effect.Effect<unknown, unknown, CurrentRun | Journal>

  const uses: Readonly<Record<string, Use>> = {
    "name of step": (name) => Step.run(name, Effect.void),
    "name of step (transaction)": (name) => Step.transaction(name, Effect.void),
    "name of step (make)": (name) => Step.make(name, {}, () => Effect.void)(),
    "id of patch": Workflow.patched,
    "key of published value": (name) => Published.make(name, Schema.Number).publish(1),
    "id of a signal Note": (id, self) => Note.send(self, 1, { id }),
    "name of signal": (name, self) => Signal.make(name, { payload: Schema.Number }).send(self, 1)
  }

  for (const [place, use] of Object.entries(uses)) {
    it.scoped(`as ${place} is a misuse, and nothing is written`, () =>
      Effect.gen(function*() {
        const world = yield* makeWorld(strict)
        for (const [name, looks, says] of bad) {
          const process = yield* world.launch(
            Job.toLayer(() => Effect.flatMap(CurrentRun, ({ id }) => Effect.orDie(use(name, id))))
          )
          const run = yield* process.use(Job.start({}))
          const error = yield* soon(Effect.flip(run.result))
          assert.instanceOf(error, RunEnded)
          assert.strictEqual(error.status, "failed")
          for (const part of [run.id, place.replace(/ \(.*/, ""), looks, says]) assert.include(error.detail, part)
          assert.deepStrictEqual(yield* world.history(run.id), [])
          assert.deepStrictEqual((yield* world.driver.published(run.id)).value, [])
          yield* process.stop
        }
        // The longest one is stored.
        yield* world.launch(
          Job.toLayer(() => Effect.flatMap(CurrentRun, ({ id }) => Effect.as(Effect.orDie(use(longest, id)), "done")))
        )
        assert.strictEqual(yield* soon(world.use(Job.execute({}))), "done")
      }))
  }

  it.scoped("as the id of another run is no run, and nothing is sent", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld(strict)
      yield* world.launch(Job.toLayer(() =>
        Effect.gen(function*() {
          const found: Array<string> = []
          for (const id of ["a\u0000b", "\uDC00"]) {
            found.push(yield* Note.send(id, 1))
            const run = yield* Job.attach(id)
            found.push(yield* Effect.match(run.cancel(), { onFailure: ({ _tag }) => _tag, onSuccess: String }))
          }
          return found
        })
      ))
      const run = yield* world.use(Job.start({}))
      assert.deepStrictEqual(yield* soon(run.result), ["NoSuchRun", "NoSuchRun", "NoSuchRun", "NoSuchRun"])
      assert.deepStrictEqual(shown(yield* world.history(run.id)), [])
    }))
})

describe("outside of runs, a name or id that cannot be stored", () => {
  it.scoped("is a misuse as the id of a signal, and as the key of a published value", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld(strict)
      const run = yield* world.use(Job.start({}))
      for (const [name, looks, says] of bad) {
        const uses: ReadonlyArray<Effect.Effect<void, unknown, Journal>> = [
          Effect.asVoid(Note.send(run.id, 1, { id: name })),
          Effect.asVoid(Signal.make(name, { payload: Schema.Number }).send(run.id, 1)),
          Effect.asVoid(Published.make(name, Schema.Number).get(run.id))
        ]
        for (const use of uses) {
          const exit = yield* Effect.exit(world.use(use))
          const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
          assert.instanceOf(defect, Misuse)
          for (const part of [looks, says]) assert.include(defect.detail, part)
        }
      }
      assert.notInclude(world.writes, "deliver")
      assert.strictEqual(yield* world.use(Note.send(run.id, 1, { id: longest })), "Buffered")
    }))

  it.scoped("is no run as the id of one: storage is not asked, and who waits for other runs hears nothing of it", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld(strict)
      const good = yield* world.use(Job.start({}))
      const waiting = yield* Effect.fork(good.result)
      for (const id of ["a\u0000b", "\uDC00"]) {
        const run = yield* world.use(Job.attach(id))
        for (
          const use of [run.result, run.record, run.poll, run.cancel(), Stream.runHead(Progress.changes(id))]
        ) {
          assert.instanceOf(yield* soon(Effect.flip(world.use(Effect.asVoid(use)))), NoSuchRun)
        }
        assert.strictEqual(yield* world.use(Note.send(id, 1)), "NoSuchRun")
        assert.strictEqual(yield* world.use(Payment.succeed(`cb_${id}_0:0`, undefined)), "NoSuchRun")
        assert.isFalse(yield* run.terminate())
        assert.isFalse(yield* run.resume())
        assert.strictEqual((yield* Stream.runCollect(run.history)).length, 0)
        assert.isTrue(Option.isNone(yield* world.use(Progress.get(id))))
      }
      for (const write of ["deliver", "terminate", "resume"]) assert.notInclude(world.writes, write)
      yield* world.launch(Job.toLayer(() => Effect.succeed("done")))
      assert.strictEqual(yield* soon(waiting), "done")
    }))

  it.scoped("is a problem of the definition as the name of a signal that is declared", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld(strict)
      const signals = bad.map(([name]) => Signal.make(name, { payload: Schema.Number }))
      const Declaring = Workflow.make("Declaring", { payload: {}, signals: [Note, ...signals] })
      const error = yield* soon(Effect.flip(world.launch(Declaring.toLayer(() => Effect.void))))
      assert.instanceOf(error, ConfigurationInvalid)
      assert.strictEqual(error.problems.length, bad.length)
      for (const [index, [, looks, says]] of bad.entries()) {
        // A problem of a definition shows a longer excerpt.
        for (const part of [`workflow "Declaring"`, looks.replace("…\"", ""), says]) {
          assert.include(error.problems[index], part)
        }
      }
    }))

  it.scoped("is refused as an idempotency key, where a run is started", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld(strict)
      const Keyed = Workflow.make("Keyed", { payload: { key: Schema.String }, idempotencyKey: ({ key }) => key })
      const error = yield* Effect.flip(world.use(Keyed.start({ key: `${longest}x` })))
      assert.instanceOf(error, ValueInvalid)
      assert.include(error.detail, "has 1001 bytes, the limit is 1000")
      assert.deepStrictEqual(world.writes, [])
      yield* world.use(Keyed.start({ key: longest }))
    }))
})
