/** A run that its worker no longer holds is garbage collected, whatever timers it had. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { JournalError } from "perdure/Errors"
import type { JournalService } from "perdure/Journal"
import type { JournalDriver } from "perdure/JournalDriver"
import type { Run } from "perdure/Run"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import type { WorkerOptions } from "perdure/Worker"
import * as Workflow from "perdure/Workflow"
import { collectedAll } from "../../fixtures/garbage.js"
import { makeWorld, type Process, type World } from "../../fixtures/world.js"

const Job = Workflow.make("Job", { payload: { n: Schema.Number }, success: Schema.Unknown })

const Note = Signal.make("Note", { payload: Schema.Number })

const refused = new JournalError({ code: "Refused", operation: "commit", detail: "simulated", retryable: false })

/** Counts the machines that a process makes, and those that are garbage collected. */
const watchMachines = ({ process: { registrations } }: JournalService) => {
  const count = { made: 0, collected: 0 }
  const collected = new FinalizationRegistry<undefined>(() => void count.collected++)
  const find = registrations.find.bind(registrations)
  registrations.find = (name, version) => {
    const registered = find(name, version)
    return registered === undefined ? undefined : {
      ...registered,
      open: (run, onStray) => {
        const made = registered.open(run, onStray)
        if (made._tag === "Right") {
          count.made++
          collected.register(made.right.machine, undefined)
        }
        return made
      }
    }
  }
  return count
}

interface Scene {
  readonly world: World
  readonly process: Process
  readonly run: Run<unknown, never>
  /** Let the step of the run finish, so that the run has a commit to write. */
  readonly write: Effect.Effect<unknown>
  /** Storage refuses commits from now on. */
  readonly refuse: Effect.Effect<void>
}

/** A run waits for a step, a message and two times. These are the ways in which its worker stops to hold it. */
const ways: Record<string, {
  readonly options?: WorkerOptions
  readonly giveUp: (scene: Scene) => Effect.Effect<unknown, JournalError>
}> = {
  "lost to another worker": {
    giveUp: ({ process, run, world: { driver }, write }) =>
      Effect.gen(function*() {
        const worker = { id: "other", incarnation: "1" }
        yield* driver.heartbeat({ worker, leaseMillis: 1e9, info: null })
        yield* driver.reconcile({ worker: process.worker.core.ref, held: [], claimedBefore: Infinity })
        const workflows = [{ name: "Job", version: "1" }]
        const { value } = yield* driver.claim({ worker, workflows, queues: ["default"], limit: 1, hot: new Map() })
        assert.deepStrictEqual(value.runs.map(({ id }) => id), [run.id])
        yield* write
      })
  },
  "claimed again by its own worker": {
    giveUp: ({ process, world, write }) =>
      Effect.zipRight(
        world.driver.reconcile({ worker: process.worker.core.ref, held: [], claimedBefore: Infinity }),
        write
      )
  },
  "terminated": {
    giveUp: ({ run, world, write }) =>
      Effect.zipRight(world.driver.terminate({ runs: [run.id], by: null, reason: null }), write)
  },
  "whose commits storage refuses": { giveUp: ({ refuse, write }) => Effect.zipRight(refuse, write) },
  "that is suspended": {
    options: { lingerDuration: 0 },
    giveUp: ({ write }) => write
  },
  "of a worker whose lease had run out": {
    giveUp: ({ process, world }) => {
      const { lease, ref } = process.worker.core
      return Effect.all([
        world.driver.retire(ref),
        // Storage now has a lease that has run out.
        world.driver.heartbeat({ worker: ref, leaseMillis: 0, info: null }),
        lease.beat
      ])
    }
  },
  "of a worker that stops": { giveUp: ({ process, write }) => Effect.zipRight(write, process.stop) }
}

/** A worker that holds a run. */
const makeScene = (options: WorkerOptions = {}) =>
  Effect.gen(function*() {
    const gate = yield* Deferred.make<void>()
    let isRefused = false
    const world = yield* makeWorld((driver: JournalDriver) => ({
      ...driver,
      commit: (request) => Effect.suspend(() => isRefused ? refused : driver.commit(request))
    }))
    const process = yield* world.launch(
      Job.toLayer(() =>
        Effect.all([
          Step.run("work", Deferred.await(gate)),
          Effect.race(Note.receive, Effect.sleep("30 days")),
          Effect.sleep("1 hour")
        ], { concurrency: "unbounded" })
      ),
      { lingerDuration: "1 day", hot: { capacity: 0 }, ...options }
    )
    const machines = watchMachines(process.journal)
    const run = yield* world.use(Job.start({ n: 1 }))
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(machines, { made: 1, collected: 0 })
    assert.strictEqual(process.worker.core.timers.size, 1)
    const scene: Scene = {
      world,
      process,
      run,
      write: Effect.zipRight(Deferred.succeed(gate, undefined), TestClock.adjust("1 second")),
      refuse: Effect.sync(() => {
        isRefused = true
      })
    }
    return { ...scene, machines }
  })

describe("a run that is no longer held", () => {
  it.scoped.each(Object.entries(ways))(
    "is kept in memory by no timer: %s",
    ([_, { giveUp, options }]) =>
      Effect.gen(function*() {
        const scene = yield* makeScene(options)
        const { machines, process, run } = scene
        yield* giveUp(scene)
        // The test ignores later claims.
        yield* process.kill
        const { core } = process.worker
        assert.isFalse(core.holds(run.id))
        assert.strictEqual(core.timers.size, 0)
        yield* Effect.promise(() => collectedAll(() => machines.collected, machines.made))
      })
  )
})

describe("a timer without a waiter", () => {
  const step = (n: number) => Effect.timeoutOption(Step.run(`step ${n}`, Effect.void), "1 day")

  it.scoped("is removed when its run has ended", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const process = yield* world.launch(Job.toLayer(({ n }) => Effect.asVoid(step(n))))
      const runs = yield* world.use(Job.startAll(Array.from({ length: 300 }, (_, n) => ({ n }))))
      yield* TestClock.adjust("1 second")
      for (const { record } of runs) assert.strictEqual((yield* record).status, "completed")
      assert.strictEqual(process.worker.core.timers.size, 0)
    }))

  it.scoped("is removed while its run is held", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const process = yield* world.launch(
        Job.toLayer(() =>
          Effect.zipRight(Effect.forEach(Array.from({ length: 100 }, (_, n) => n), step), Note.receive)
        ),
        { lingerDuration: "1 hour" }
      )
      const run = yield* world.use(Job.start({ n: 1 }))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* world.history(run.id)).length, 100)
      assert.isTrue(process.worker.core.holds(run.id))
      assert.strictEqual(process.worker.core.timers.size, 1, "the timer of the linger")
    }))

  it.scoped("is removed when its run is suspended, except the timer for the age of hot machines", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const process = yield* world.launch(Job.toLayer(() => Effect.sleep("1 day")), {
        hot: { capacity: 10, timeToLive: "1 hour" }
      })
      const machines = watchMachines(process.journal)
      yield* world.use(Job.startAll(Array.from({ length: 300 }, (_, n) => ({ n }))))
      yield* TestClock.adjust("1 second")
      const { hot, timers } = process.worker.core
      assert.strictEqual(hot.sequences.size, 10)
      assert.strictEqual(timers.size, 1)
      yield* Effect.promise(() => collectedAll(() => machines.collected, 290))
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([hot.sequences.size, timers.size], [0, 0])
      yield* Effect.promise(() => collectedAll(() => machines.collected, 300))
    }))
})

describe("a timer with a waiter", () => {
  it.scoped("fires in order, with many timers and other events", () =>
    Effect.gen(function*() {
      const woke: Array<number> = []
      const world = yield* makeWorld()
      const process = yield* world.launch(
        Job.toLayer(() =>
          Effect.forEach([40, 10, 30, 20], (minutes) =>
            Effect.sleep(`${minutes} minutes`).pipe(
              Effect.zipRight(Step.run(`after ${minutes}`, Effect.sync(() => void woke.push(minutes)))),
              Effect.zipRight(Effect.timeoutOption(Note.receive, `${minutes / 2} minutes`))
            ), { concurrency: "unbounded", discard: true })
        ),
        { lingerDuration: "1 day" }
      )
      const run = yield* world.use(Job.start({ n: 1 }))
      for (const expected of [[], [10], [10, 20], [10, 20, 30], [10, 20, 30, 40]]) {
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(woke, expected)
        assert.strictEqual(process.worker.core.timers.size, 1)
        yield* TestClock.adjust("9 minutes")
      }
      yield* TestClock.adjust("15 minutes")
      assert.strictEqual((yield* run.record).status, "completed")
      assert.strictEqual(process.worker.core.timers.size, 0)
    }))

  it.scoped("does not delay the suspension of its run", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() => Effect.asVoid(Note.receiveWithin("1 day"))), { lingerDuration: "1 minute" })
      const run = yield* world.use(Job.start({ n: 1 }))
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual((yield* run.record).status, "running")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* run.record).status, "suspended")
      yield* TestClock.adjust("1 day")
      assert.strictEqual((yield* run.record).status, "completed")
    }))
})
