import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Check from "perdure/Check"
import { ConfigurationInvalid, UnknownQueue, ValueInvalid } from "perdure/Errors"
import * as Continuation from "perdure/Continuation"
import type { Journal } from "perdure/Journal"
import type { Attribution as Request } from "perdure/Run"
import * as RunQueue from "perdure/RunQueue"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"
import { makeWorld } from "./fixtures/world.js"

/** Jobs that note when they begin and end, and take a second. */
const makeJobs = (queue: RunQueue.RunQueue, key?: (payload: { readonly name: string }) => string) => {
  const notes: Array<string> = []
  const begun: Array<number> = []
  const Job = Workflow.make("Job", {
    payload: { name: Schema.String },
    queue,
    ...(key === undefined ? {} : { key })
  })
  const live = Job.toLayer(({ name }) =>
    Step.run(
      "work",
      Effect.gen(function*() {
        notes.push(`+${name}`)
        begun.push(yield* Clock.currentTimeMillis)
        yield* Effect.sleep("1 second")
        notes.push(`-${name}`)
      })
    )
  )
  return { Job, live, notes, begun }
}

const start = (Job: ReturnType<typeof makeJobs>["Job"], names: ReadonlyArray<string>) =>
  Job.startAll(names.map((name) => ({ name })))

/** Let a number of seconds pass, one by one. */
const seconds = (count: number) => Effect.repeatN(TestClock.adjust("1 second"), count - 1)

describe("a queue", () => {
  it.scoped("lets no more runs be running than it says, for all workers together", () =>
    Effect.gen(function*() {
      const queue = RunQueue.make("capped", { concurrency: 2 })
      const { Job, begun, live } = makeJobs(queue)
      const world = yield* makeWorld()
      const process = yield* world.launch(live, { queues: [queue] })
      yield* world.launch(live, { queues: ["capped"] })
      const t0 = yield* Clock.currentTimeMillis
      yield* process.use(start(Job, ["a", "b", "c", "d", "e"]))
      yield* seconds(5)
      assert.deepStrictEqual(begun.map((at) => at - t0), [0, 0, 1_000, 1_000, 2_000])
    }))

  it.scoped("runs those of one key one after the other, in order, and those of others beside them", () =>
    Effect.gen(function*() {
      const queue = RunQueue.make("serial", { keyConcurrency: 1 })
      const { Job, live, notes } = makeJobs(queue, ({ name }) => name.slice(0, 1))
      const world = yield* makeWorld()
      const process = yield* world.launch(live, { queues: [queue] })
      yield* process.use(start(Job, ["a1", "a2", "b1", "a3"]))
      yield* seconds(5)
      const of = (key: string) => notes.filter((note) => note.slice(1, 2) === key)
      assert.deepStrictEqual(of("a"), ["+a1", "-a1", "+a2", "-a2", "+a3", "-a3"])
      assert.deepStrictEqual(of("b"), ["+b1", "-b1"])
      assert.deepStrictEqual(notes.slice(0, 2), ["+a1", "+b1"])
    }))

  it.scoped("lets so many runs begin in a time", () =>
    Effect.gen(function*() {
      const queue = RunQueue.make("rated", { rate: { limit: 1, per: "10 seconds", burst: 2 } })
      const { Job, begun, live } = makeJobs(queue)
      const world = yield* makeWorld()
      const process = yield* world.launch(live, { queues: [queue] })
      const t0 = yield* Clock.currentTimeMillis
      yield* process.use(start(Job, ["a", "b", "c", "d"]))
      yield* seconds(25)
      assert.deepStrictEqual(begun.map((at) => at - t0), [0, 0, 10_000, 20_000])
    }))

  it.scoped("is told by whom and why it is paused, or refuses, and nothing is written", () =>
    Effect.gen(function*() {
      const { use } = yield* makeWorld()
      yield* use(Effect.provide(Effect.void, RunQueue.make("q").layer))
      const wrong: ReadonlyArray<readonly [unknown, RegExp]> = [
        [{ by: 5 }, /by is 5, it must be a text/],
        [{ by: "ann", reason: ["why"] }, /reason is/],
        [{ who: "ann" }, /who is no option, there are by, reason/],
        ["ann", /the options are ann/]
      ]
      for (const [request, message] of wrong) {
        for (const pause of [RunQueue.pause, RunQueue.resume]) {
          const error = yield* use(Effect.flip(pause("q", request as Request)))
          assert(error instanceof ValueInvalid)
          assert.match(error.message, message)
        }
        const error = yield* use(Effect.flip(RunQueue.pauseWorkflows("W", request as Request)))
        assert(error instanceof ConfigurationInvalid)
        assert.match(error.message, message)
      }
      // Of a change nobody keeps by whom it was, so it cannot be said.
      const signed: object = { by: "ann" }
      const unheard = yield* use(Effect.flip(RunQueue.change("q", signed)))
      assert.match(unheard.message, /by is no option/)
      assert.deepInclude(yield* use(RunQueue.get("q")), { paused: false, pause: null })
      assert.deepStrictEqual(yield* use(RunQueue.pausedWorkflows), [])
    }))

  it.scoped("whose definition is rolled back is unknown again, also to who has seen it in that transaction", () =>
    Effect.gen(function*() {
      const { driver, use } = yield* makeWorld()
      const Job = Workflow.make("Job", { payload: {} })
      const start = (queue: string) => use(Job.start({}, { queue }))
      const define = (name: string) => use(Effect.provide(Effect.void, RunQueue.make(name).layer))
      const undo = <A, E>(effect: Effect.Effect<A, E>) =>
        Effect.exit(driver.transaction(Effect.zipRight(effect, Effect.fail("undone"))))
      yield* undo(define("a"))
      yield* undo(Effect.zipRight(define("b"), start("b")))
      for (const queue of ["a", "b"]) {
        const error = yield* Effect.flip(start(queue))
        assert(error instanceof UnknownQueue)
      }
      // One that is kept is there; and what was there before, stays known whatever happens to a transaction.
      yield* driver.transaction(Effect.zipRight(define("a"), start("a")))
      yield* start("a")
      yield* undo(Effect.zipRight(define("a"), start("a")))
      yield* start("a")
    }))

  it.scoped("that is there is asked for once, also by starts in transactions", () =>
    Effect.gen(function*() {
      let asked = 0
      const { driver, use } = yield* makeWorld((made) => ({
        ...made,
        queues: (names) => Effect.zipRight(Effect.sync(() => asked++), made.queues(names))
      }))
      yield* driver.ensureQueues(["there"])
      const Job = Workflow.make("Job", { payload: {} })
      for (let n = 0; n < 3; n++) yield* driver.transaction(use(Job.start({}, { queue: "there" })))
      assert.strictEqual(asked, 1)
    }))

  it.scoped("is stored with the workflow that waits on it, though workers name it only", () =>
    Effect.gen(function*() {
      const queue = RunQueue.make("named", { concurrency: 1 })
      const later = RunQueue.make("later", { concurrency: 7 })
      const { Job, begun, live } = makeJobs(queue)
      const After = Workflow.make("After", { payload: {} })
      const Goes = Workflow.make("Goes", { payload: {} }).pipe(
        Continuation.onSuccess(After, () => ({}), { queue: later })
      )
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(live, Goes.toLayer(() => Effect.void)), { queues: ["named"] })
      assert.deepInclude(yield* process.use(RunQueue.get("named")), { concurrency: 1 })
      assert.deepInclude(yield* process.use(RunQueue.get("later")), { concurrency: 7 })
      const t0 = yield* Clock.currentTimeMillis
      yield* process.use(start(Job, ["a", "b"]))
      yield* seconds(3)
      assert.deepStrictEqual(begun.map((at) => at - t0), [0, 1_000])
    }))

  it.scoped("is not stored if the workflow that waits on it is refused", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const refused = (queue: RunQueue.RunQueue, priority: number) => {
        const Bad = Workflow.make("Bad", { payload: {}, queue, priority })
        return Effect.flip(world.launch(Bad.toLayer(() => Effect.void)))
      }
      const both = yield* refused(RunQueue.make("never", { concurrency: -1 }), 0.5)
      assert.strictEqual(both._tag, "ConfigurationInvalid")
      assert.include(both.message, `queue "never": concurrency is -1`)
      assert.include(both.message, "priority 0.5")
      yield* refused(RunQueue.make("never"), 0.5)
      yield* refused(RunQueue.make("never", { concurrency: -1 }), 1)
      const names = (yield* world.use(RunQueue.list)).map(({ name }) => name)
      assert.notInclude(names, "never")
    }))

  it.scoped("is paused and goes on, as a workflow is; and its limits are changed while it is served", () =>
    Effect.gen(function*() {
      const queue = RunQueue.make("busy", { concurrency: 1 })
      const { Job, live, notes } = makeJobs(queue)
      const world = yield* makeWorld()
      const process = yield* world.launch(live, { queues: [queue], pollInterval: "1 second" })
      const request = { by: "ann", reason: "stock-taking" }
      const { pause } = yield* process.use(RunQueue.pause(queue, request))
      assert.deepInclude(pause, request)
      assert.deepStrictEqual((yield* process.use(RunQueue.get(queue))).pause, pause)
      yield* process.use(start(Job, ["a", "b", "c", "d"]))
      yield* seconds(3)
      assert.deepStrictEqual(notes, [])
      assert.deepStrictEqual(yield* process.use(RunQueue.pauseWorkflows(Job, request)), ["Job"])
      // What no database holds is shown as such.
      const resumed = yield* process.use(RunQueue.resume("busy", { by: "bob\u0000\ud800" }))
      assert.deepInclude(resumed.pause, { by: "bob\uFFFD\uFFFD", reason: null })
      yield* seconds(3)
      assert.deepStrictEqual(notes, [])
      const [held, ...others] = yield* process.use(RunQueue.pausedWorkflows)
      assert.deepInclude(held, { name: "Job", ...request })
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual(yield* process.use(RunQueue.resumeWorkflows("Job")), ["Job"])
      // It is told, and need not look; the run takes a second.
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(notes, ["+a"])
      const changed = yield* process.use(RunQueue.change(queue, { concurrency: "unlimited" }))
      assert.isNull(changed.concurrency)
      assert.deepInclude(yield* process.use(RunQueue.counts(queue)), { ready: 3, running: 1 })
      yield* seconds(3)
      assert.deepStrictEqual(notes.toSorted(), ["+a", "+b", "+c", "+d", "-a", "-b", "-c", "-d"])
    }))

  it.scoped("keeps what was changed by hand until its definition changes", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const first = yield* world.launch(RunQueue.make("q", { concurrency: 1, priority: 3 }).layer)
      yield* first.use(RunQueue.change("q", { concurrency: 9 }))
      const second = yield* world.launch(RunQueue.make("q", { concurrency: 1, priority: 3 }).layer)
      assert.strictEqual((yield* second.use(RunQueue.get("q"))).concurrency, 9)
      const third = yield* world.launch(RunQueue.make("q", { concurrency: 2 }).layer)
      assert.deepInclude(yield* third.use(RunQueue.get("q")), { concurrency: 2, priority: 0 })
      assert.deepStrictEqual((yield* third.use(RunQueue.list)).map(({ name }) => name), ["default", "q"])
    }))

  it.scoped("that is not there is told as such, before anything is written", () =>
    Effect.gen(function*() {
      const queue = RunQueue.make("here")
      const { Job, live } = makeJobs(queue)
      const world = yield* makeWorld()
      const { use } = yield* world.launch(live, { queues: [queue] })
      const refused: ReadonlyArray<Effect.Effect<unknown, unknown, Journal>> = [
        Job.start({ name: "a" }, { queue: "nowhere" }),
        RunQueue.pause("nowhere"),
        RunQueue.resume("nowhere"),
        RunQueue.get("nowhere"),
        RunQueue.counts("nowhere"),
        RunQueue.change("nowhere", { concurrency: 1 })
      ]
      for (const operation of refused) {
        const error = yield* use(Effect.flip(operation))
        assert(error instanceof UnknownQueue)
        assert.include(error.message, "\"nowhere\"")
      }
      assert.deepStrictEqual((yield* use(RunQueue.list)).map(({ name }) => name), ["here"])
    }))

  it.scoped("with settings that cannot be is refused, every problem at once, and nothing is written", () =>
    Effect.gen(function*() {
      const bad = {
        priority: 1.5,
        concurrency: -1,
        admission: 0,
        keyConcurrency: Number.NaN,
        rate: { limit: 0, per: "0 seconds", burst: -2 }
      } as const
      const world = yield* makeWorld()
      const good = RunQueue.make("good")
      const { use } = yield* world.launch(good.layer)
      const before = yield* use(RunQueue.list)
      const told = [
        yield* use(Effect.flip(RunQueue.change(good, bad))),
        yield* use(Effect.flip(Effect.scoped(Layer.build(RunQueue.make("good", bad).layer))))
      ]
      for (const error of told) {
        assert(error instanceof ConfigurationInvalid)
        assert.strictEqual(error.problems.length, 7)
        for (const name of ["priority", "concurrency", "admission", "keyConcurrency", "limit", "burst", "per"]) {
          assert.include(error.message, name)
        }
      }
      assert.deepStrictEqual(yield* use(RunQueue.list), before)
      const failed = yield* Effect.flip(world.launch(Layer.empty, { queues: [RunQueue.make(" ", bad)] }))
      assert.include(`${failed}`, "concurrency is -1")
    }))

  it.scoped("takes what comes from outside of its types for what it is, and dies of none of it", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const good = RunQueue.make("good", { concurrency: 3 })
      const { use } = yield* world.launch(good.layer)
      const before = yield* use(RunQueue.list)
      const wrong: ReadonlyArray<readonly [options: unknown, told: RegExp]> = [
        [{ rate: null }, /rate is null, it must be \{ limit, per \}/],
        [{ rate: 5 }, /rate is 5, it must be/],
        [{ rate: { limit: 1, per: "garbage" } }, /rate\.per is garbage, it must be a duration/],
        [{ rate: { limit: 1 } }, /rate\.per is undefined, it must be a duration/],
        [{ rate: { limit: 1, per: NaN } }, /rate\.per is NaN/],
        [{ rate: { limit: 1, per: "1 second", bursts: 2 } }, /rate\.bursts is no option, there are limit, per, burst/],
        [{ rate: { limit: 1, per: "1 second", burst: null } }, /rate\.burst is null/],
        [{ concurency: 1 }, /concurency is no option, there are priority, concurrency/],
        [{ concurrency: null }, /concurrency is null, it must be an integer of at least 0, or "unlimited"/],
        [{ admission: "7" }, /admission is 7, it must be/],
        [{ keyConcurrency: Symbol("one") }, /keyConcurrency is/],
        [{ priority: null }, /priority is null, it must be an integer/],
        [{ priority: 32_768 }, /priority is 32768/],
        [null, /the options are null, they must be an object/],
        [[], /they must be an object/]
      ]
      for (const [given, told] of wrong) {
        const options = given as RunQueue.Options
        const attempts = [
          RunQueue.change(good, options),
          Effect.scoped(Layer.build(RunQueue.make("good", options).layer))
        ]
        for (const attempt of attempts) {
          const error = yield* use(Effect.flip<unknown, unknown, Journal>(attempt))
          assert(error instanceof ConfigurationInvalid)
          assert.include(error.message, "queue \"good\"")
          assert.match(error.message, told)
        }
        const served = yield* Effect.flip(world.launch(Layer.empty, { queues: [RunQueue.make("good", options)] }))
        assert.match(`${served}`, told)
        const { problems } = yield* Check.run(Worker.layer({ queues: [RunQueue.make("good", options)] }))
        assert.match(problems.map(({ detail }) => detail).join("\n"), told)
      }
      assert.deepStrictEqual(yield* use(RunQueue.list), before)
    }))

  it.scoped("counts up to a positive integer, and pauses what has a name", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { use } = yield* world.launch(RunQueue.make("good").layer)
      for (const most of [-1, 0, 1.5, 1e12, Number.NaN]) {
        const error = yield* use(Effect.flip(RunQueue.counts("good", { most })))
        assert(error instanceof ConfigurationInvalid)
        assert.include(error.message, `most is ${most}, it must be an integer from 1 to 2147483647`)
      }
      const misspelled: unknown = { mst: 1 }
      const unheard = yield* use(Effect.flip(RunQueue.counts("good", misspelled as { most: number })))
      assert.include(unheard.message, "mst is no option, there are most")
      assert.deepInclude(yield* use(RunQueue.counts("good", { most: 2_147_483_647 })), { ready: 0 })
      for (const change of [RunQueue.pauseWorkflows, RunQueue.resumeWorkflows]) {
        for (const name of ["", " x", "a\u0000", "x".repeat(201)]) {
          const error = yield* use(Effect.flip(change(["Job", name])))
          assert(error instanceof ConfigurationInvalid)
          assert.include(error.message, `the workflow "${name}" must be 1 to 200`)
        }
      }
      assert.deepStrictEqual(yield* use(RunQueue.pausedWorkflows), [])
      assert.deepStrictEqual(yield* use(RunQueue.pauseWorkflows("Unheard")), ["Unheard"])
    }))

  it.scoped("takes no key that is no text", () =>
    Effect.gen(function*() {
      // What it gives is no text, whatever its type says.
      const unchecked: (json: string) => string = JSON.parse
      const { Job, live } = makeJobs(RunQueue.make("default"), ({ name }) => unchecked(name))
      const world = yield* makeWorld()
      const { use } = yield* world.launch(live)
      for (const name of ["7", "\"a\\u0000\""]) {
        const error = yield* use(Effect.flip(Job.start({ name })))
        assert.instanceOf(error, ValueInvalid)
        assert.include(error.message, "key of workflow Job")
      }
      assert.deepInclude(yield* use(RunQueue.counts("default")), { ready: 0, running: 0 })
    }))
})
