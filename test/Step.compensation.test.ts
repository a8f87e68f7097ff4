/** Compensations, and what of them can be interrupted. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import type { CurrentRun } from "perdure/CurrentRun"
import { RunEnded } from "perdure/Errors"
import type { Journal } from "perdure/Journal"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, shown, soon, within } from "./fixtures/world.js"

class Flaky extends Schema.TaggedError<Flaky>()("Flaky", { attempt: Schema.Number }) {}

class Fatal extends Schema.TaggedError<Fatal>()("Fatal", {}) {}

const Job = Workflow.make("Job", { payload: {}, success: Schema.Unknown, error: Schema.Union(Flaky, Fatal) })

/** A body that fails in its first attempts. */
const flaky = (failures: number) =>
  Effect.flatMap(Step.Current, ({ attempt }) => attempt <= failures ? new Flaky({ attempt }) : Effect.succeed(attempt))

describe("a step with a compensation", () => {
  /** A workflow whose charge is refunded, with what happened. */
  const makePaying = (
    charge: Effect.Effect<string, Flaky, Step.Current>,
    after: Effect.Effect<void, Fatal> = Effect.never
  ) => {
    const happened: Array<string> = []
    const note = (what: string) => Effect.sync(() => void happened.push(what))
    const step = Step.run("charge", Effect.tap(charge, note), {
      success: Schema.String,
      error: Flaky,
      retry: { schedule: Schedule.spaced("1 hour"), maxAttempts: 48 }
    })
    const live = Job.toLayer(() =>
      step.pipe(
        Step.withCompensation((id) => Step.run("refund", note(`refund ${id}`))),
        Effect.zipRight(after)
      )
    )
    return { live, happened }
  }

  it.scoped("can be cancelled between attempts: none follows, and nothing is compensated", () =>
    Effect.gen(function*() {
      const { happened, live } = makePaying(Effect.map(flaky(1000), String))
      const world = yield* makeWorld()
      yield* world.launch(live)
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("90 minutes")
      yield* world.use(run.cancel())
      const ended = yield* soon(Effect.flip(run.result))
      assert.isTrue(ended instanceof RunEnded && ended.status === "cancelled")
      assert.deepStrictEqual(shown(yield* world.history(run.id)), [
        "step charge",
        "timer sleep",
        "step charge",
        "cancel cancel"
      ])
      assert.deepStrictEqual(happened, [])
    }))

  it.scoped("that is cancelled while its attempt executes finishes the attempt, and is compensated", () =>
    Effect.gen(function*() {
      const started = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<string>()
      const { happened, live } = makePaying(Effect.zipRight(Deferred.succeed(started, undefined), Deferred.await(gate)))
      const world = yield* makeWorld()
      yield* world.launch(live)
      const run = yield* world.use(Job.start({}))
      yield* Deferred.await(started)
      yield* world.use(run.cancel())
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(happened, [])
      yield* Deferred.succeed(gate, "p-1")
      const ended = yield* soon(Effect.flip(run.result))
      assert.isTrue(ended instanceof RunEnded && ended.status === "cancelled")
      assert.deepStrictEqual(happened, ["p-1", "refund p-1"])
    }))

  it.scoped("is compensated once when the run fails later, also after a replay, and never when it succeeds", () =>
    Effect.gen(function*() {
      const later = Effect.zipRight(Effect.sleep("1 day"), new Fatal())
      const failing = makePaying(Effect.succeed("p-2"), later)
      const world = yield* makeWorld()
      const first = yield* world.launch(failing.live)
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 hour")
      yield* first.stop
      const second = yield* world.launch(failing.live)
      const error = yield* run.result.pipe(Effect.flip, within("1 day"))
      assert.strictEqual(error._tag, "Fatal")
      assert.deepStrictEqual(failing.happened, ["p-2", "refund p-2"])
      yield* second.stop
      const completing = makePaying(Effect.succeed("p-3"), Effect.void)
      yield* world.launch(completing.live)
      yield* soon(world.use(Job.execute({})))
      assert.deepStrictEqual(completing.happened, ["p-3"])
    }))

  it.scoped("does not delay the timeout of its workflow by its retries", () =>
    Effect.gen(function*() {
      const Timed = Workflow.make("Timed", { payload: {}, timeout: "90 minutes", error: Flaky })
      const world = yield* makeWorld()
      yield* world.launch(Timed.toLayer(() =>
        Step.run("charge", Effect.asVoid(flaky(1000)), { error: Flaky, retry: Schedule.spaced("1 hour") }).pipe(
          Step.withCompensation(() => Effect.void)
        )
      ))
      const error = yield* world.use(Timed.execute({})).pipe(Effect.flip, within("91 minutes"))
      assert.strictEqual(error._tag, "TimedOut")
    }))

  it.scoped("lets a child and a signal inside of it be cancelled while it waits for them", () =>
    Effect.gen(function*() {
      const Note = Signal.make("Note", { payload: {} })
      const Child = Workflow.make("Child", { payload: {} })
      const waits: ReadonlyArray<Effect.Effect<void, never, CurrentRun | Journal>> = [
        Effect.orDie(Child.execute({})),
        Effect.asVoid(Note.receive),
        Effect.sleep("100 days")
      ]
      const world = yield* makeWorld()
      for (const wait of waits) {
        const process = yield* world.launch(Layer.mergeAll(
          Child.toLayer(() => Effect.sleep("100 days")),
          Job.toLayer(() => Step.withCompensation(wait, () => Effect.die("nothing is to be compensated")))
        ))
        const run = yield* world.use(Job.start({}))
        yield* TestClock.adjust("1 hour")
        yield* world.use(run.cancel())
        const ended = yield* soon(Effect.flip(run.result))
        assert.isTrue(ended instanceof RunEnded && ended.status === "cancelled")
        yield* process.stop
      }
    }))
})
