import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { JournalError } from "perdure/Errors"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, shown, soon, within } from "./fixtures/world.js"

class Flaky extends Schema.TaggedError<Flaky>()("Flaky", { attempt: Schema.Number }) {}

describe("a transaction step", () => {
  /** Storage whose transactions also cover a user's table. */
  const Pay = Workflow.make("Pay", { payload: {}, success: Schema.Number, error: Flaky })

  it.scoped("commits its body and its entry together", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const open: Array<boolean> = []
      yield* world.launch(Pay.toLayer(() =>
        Effect.gen(function*() {
          const paid = yield* Step.transaction(
            "pay",
            Effect.sync(() => {
              open.push(world.writes.at(-1) === "enqueue")
              return 7
            }),
            { success: Schema.Number }
          )
          yield* Step.run("after", Effect.void)
          return paid
        })
      ))
      const run = yield* world.use(Pay.start({}))
      assert.strictEqual(yield* soon(run.result), 7)
      assert.deepStrictEqual(open, [true])
      assert.deepStrictEqual(shown(yield* world.history(run.id)), ["step pay", "step after"])
    }))

  it.scoped("that fails is rolled back, its failure is journaled, and it is retried like any step", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      let attempts = 0
      const Note = Workflow.make("Note", { payload: { n: Schema.Number } })
      yield* world.launch(Pay.toLayer(() =>
        Step.transaction(
          "pay",
          Effect.suspend(() => {
            attempts++
            const attempt = attempts
            // The body's write to the journal stands for a write to a user's table.
            return world.driver.enqueue({
              claim: null,
              runs: [{
                id: `note-${attempt}`,
                workflow: Note.name,
                version: "1",
                queue: "nowhere",
                priority: 0,
                payload: "{}",
                idempotencyKey: null,
                availableAt: null,
                parent: null,
                root: `note-${attempt}`,
                depth: 0,
                key: null,
                expiresAt: null,
                tags: [],
                attributes: {},
                singleton: null
              }]
            }).pipe(
              Effect.orDie,
              Effect.zipRight(attempt < 3 ? new Flaky({ attempt }) : Effect.succeed(attempt))
            )
          }),
          { success: Schema.Number, error: Flaky, retry: Schedule.spaced("1 minute") }
        )
      ))
      const run = yield* world.use(Pay.start({}))
      assert.strictEqual(yield* run.result.pipe(within("2 minutes")), 3)
      const { value: notes } = yield* world.driver.get(["note-1", "note-2", "note-3"])
      assert.deepStrictEqual(notes.map(({ id }) => id), ["note-3"])
      assert.deepStrictEqual(
        (yield* world.history(run.id)).map(({ exit, kind }) => `${kind} ${exit.kind}`),
        ["step failure", "timer success", "step failure", "timer success", "step success"]
      )
    }))

  it.scoped("that a crash interrupts leaves no write behind, and runs again", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      let attempts = 0
      const live = Pay.toLayer(() =>
        Step.transaction("pay", Effect.suspend(() => ++attempts === 1 ? Effect.never : Effect.succeed(attempts)), {
          success: Schema.Number
        })
      )
      const first = yield* world.launch(live, { leaseDuration: "1 minute", drainTimeout: "10 seconds" })
      const run = yield* world.use(Pay.start({}))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(attempts, 1)
      yield* first.stop.pipe(within("1 minute"))
      assert.strictEqual((yield* world.record(run.id)).status, "pending")
      assert.deepStrictEqual(yield* world.history(run.id), [])
      yield* world.launch(live)
      assert.strictEqual(yield* soon(run.result), 2)
    }))

  it.scoped("whose transaction wrote nothing, because a message came or storage failed, runs again without waiting for a lease", () =>
    Effect.gen(function*() {
      const Late = Signal.make("Late", { payload: {} })
      const attempts = { unseen: 0, away: 0 }
      const away = new JournalError({ code: "Unavailable", operation: "transaction", detail: "away", retryable: true })
      let isAway = true
      let unseen = 0
      const world = yield* makeWorld((driver) => ({
        ...driver,
        commit: (request) =>
          attempts.unseen === 1 && unseen++ === 0
            ? Effect.map(driver.get([]), ({ now }) => ({ now, value: request.commits.map(() => ({ _tag: "Unseen" })) }))
            : driver.commit(request),
        transaction: (self) =>
          Effect.suspend(() => {
            const fails = isAway
            isAway = false
            return fails ? Effect.fail(away) : driver.transaction(self)
          })
      }))
      const Two = Workflow.make("Two", { payload: { name: Schema.Literal("unseen", "away") }, success: Schema.Number })
      yield* world.launch(Two.toLayer(({ name }) => {
        const body = Effect.suspend(() => {
          attempts[name]++
          return Effect.as(Effect.sleep("1 hour"), attempts[name])
        })
        return Effect.all([Step.transaction(name, body, { success: Schema.Number }), Late.receiveWithin("1 minute")], {
          concurrency: "unbounded"
        }).pipe(Effect.map(([attempt]) => attempt))
      }))
      assert.strictEqual(yield* world.use(Two.execute({ name: "away" })).pipe(within("2 hours")), 1)
      // The message came before a decision that followed the step: the step's entry was committed without it.
      assert.strictEqual(yield* world.use(Two.execute({ name: "unseen" })).pipe(within("3 hours")), 1)
      assert.isFalse(isAway)
    }))

  it.scoped("whose body terminates its own run fails once, and the termination is rolled back", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      let bodies = 0
      const Own = Workflow.make("Own", { payload: {} })
      yield* world.launch(Own.toLayer(() =>
        Step.transaction(
          "own",
          Effect.gen(function*() {
            bodies++
            const { runId } = yield* Step.Current
            const run = yield* world.use(Own.attach(runId))
            yield* Effect.orDie(run.terminate())
          })
        )
      ))
      const run = yield* world.use(Own.start({}))
      const ended = yield* Effect.flip(soon(run.result))
      assert.include(JSON.stringify(ended), "ended or released its own run")
      assert.strictEqual(bodies, 1)
      assert.strictEqual((yield* world.record(run.id)).status, "failed")
      assert.deepStrictEqual(shown(yield* world.history(run.id)), ["step own"])
    }))

  it.scoped("that storage will never commit fails its step once, and the program can continue", () =>
    Effect.gen(function*() {
      const never = new JournalError({
        code: "Refused",
        operation: "transaction",
        detail: "a deferred constraint (SQLSTATE 23505)",
        retryable: false
      })
      const world = yield* makeWorld((driver) => ({
        ...driver,
        transaction: (self) => driver.transaction(Effect.zipRight(self, never))
      }))
      let bodies = 0
      const Hopeless = Workflow.make("Hopeless", { payload: {}, success: Schema.String })
      yield* world.launch(Hopeless.toLayer(() =>
        Step.transaction(
          "hopeless",
          Effect.sync(() => {
            bodies++
          })
        ).pipe(
          Effect.catchAllDefect((defect) => Effect.succeed(String(defect))),
          Effect.as("continued"),
          Effect.zipLeft(Step.run("after", Effect.void))
        )
      ))
      const run = yield* world.use(Hopeless.start({}))
      assert.strictEqual(yield* soon(run.result), "continued")
      assert.strictEqual(bodies, 1)
      assert.deepStrictEqual(
        (yield* world.history(run.id)).map(({ exit, name }) => `${name} ${exit.kind}`),
        ["hopeless defect", "after success"]
      )
    }))
})
