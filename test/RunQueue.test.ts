import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Check from "perdure/Check"
import { ConfigurationInvalid, UnknownQueue, ValueInvalid } from "perdure/Errors"
import * as Continuation from "perdure/Continuation"
import type { Journal } from "perdure/Journal"
import type { Attribution } from "perdure/Run"
import * as RunQueue from "perdure/RunQueue"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"
import { misuseOf } from "./fixtures/misuse.js"
import { makeWorld } from "./fixtures/world.js"

/** Jobs that record when they begin and end. Each takes a second. */
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

/** Lets seconds pass, one by one. */
const seconds = (count: number) => Effect.repeatN(TestClock.adjust("1 second"), count - 1)

describe("a queue", () => {
  it.scoped("with a concurrency runs at most that many runs, in all workers together", () =>
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

  it.scoped("with a key concurrency of 1 runs the runs of one key in order, and other keys beside them", () =>
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

  it.scoped("with a rate lets at most that many runs begin in a time", () =>
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

  it.scoped("is not paused by a call with a bad attribution, which is a misuse", () =>
    Effect.gen(function*() {
      const { use } = yield* makeWorld()
      yield* use(Effect.provide(Effect.void, RunQueue.make("q").layer))
      const wrong: ReadonlyArray<readonly [unknown, RegExp]> = [
        [{ by: 5 }, /"by" must be a string of at most 1000 characters, got 5/],
        [{ by: "ann", reason: ["why"] }, /"reason" must be a string/],
        [{ by: "ann", reason: "y".repeat(1_001) }, /"reason" must be .* \(1001 characters\): shorten it/],
        [{ who: "ann" }, /"who" is not an option: use by or reason/],
        ["ann", /the options must be an object \{ by, reason \}, got "ann"/]
      ]
      for (const [request, message] of wrong) {
        const attribution = request as Attribution
        assert.match(yield* use(misuseOf(RunQueue.pause("q", attribution))), message)
        assert.match(yield* use(misuseOf(RunQueue.resume("q", attribution))), message)
        assert.match(yield* use(misuseOf(RunQueue.pauseWorkflows("W", attribution))), message)
      }
      // Storage does not keep who changes settings, so a change takes no attribution.
      const signed: object = { by: "ann" }
      assert.match(yield* use(misuseOf(RunQueue.change("q", signed))), /"by" is not an option/)
      assert.deepInclude(yield* use(RunQueue.get("q")), { paused: false, pause: null })
      assert.deepStrictEqual(yield* use(RunQueue.pausedWorkflows), [])
    }))

  it.scoped("whose definition is rolled back does not exist, also for a caller that has seen it in that transaction", () =>
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
      // A queue that is committed exists, and later rollbacks do not change that.
      yield* driver.transaction(Effect.zipRight(define("a"), start("a")))
      yield* start("a")
      yield* undo(Effect.zipRight(define("a"), start("a")))
      yield* start("a")
    }))

  it.scoped("that exists is read once by a process, also for starts in transactions", () =>
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

  it.scoped("is stored with the workflow that waits on it, if workers only name it", () =>
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

  it.scoped("is not stored if the workflow that waits on it is invalid", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const refused = (queue: RunQueue.RunQueue, priority: number) => {
        const Bad = Workflow.make("Bad", { payload: {}, queue, priority })
        return Effect.flip(world.launch(Bad.toLayer(() => Effect.void)))
      }
      const both = yield* refused(RunQueue.make("never", { concurrency: -1 }), 0.5)
      assert.strictEqual(both._tag, "ConfigurationInvalid")
      assert.include(both.message, `queue "never": "concurrency" must be`)
      assert.match(both.message, /"priority" must be .*, got 0.5/)
      yield* refused(RunQueue.make("never"), 0.5)
      yield* refused(RunQueue.make("never", { concurrency: -1 }), 1)
      const names = (yield* world.use(RunQueue.list())).items.map(({ name }) => name)
      assert.notInclude(names, "never")
    }))

  it.scoped("is paused, resumed and changed while workers serve it, and so is a workflow", () =>
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
      // Characters that no database can hold are replaced.
      const resumed = yield* process.use(RunQueue.resume("busy", { by: "bob\u0000\ud800" }))
      assert.deepInclude(resumed.pause, { by: "bob\uFFFD\uFFFD", reason: null })
      yield* seconds(3)
      assert.deepStrictEqual(notes, [])
      const [held, ...others] = yield* process.use(RunQueue.pausedWorkflows)
      assert.deepInclude(held, { name: "Job", ...request })
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual(yield* process.use(RunQueue.resumeWorkflows("Job")), ["Job"])
      // The worker is notified, so it does not wait for its poll. The run takes a second.
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(notes, ["+a"])
      const changed = yield* process.use(RunQueue.change(queue, { concurrency: "unlimited" }))
      assert.isNull(changed.concurrency)
      assert.deepInclude(yield* process.use(RunQueue.counts(queue)), { ready: 3, running: 1 })
      yield* seconds(3)
      assert.deepStrictEqual(notes.toSorted(), ["+a", "+b", "+c", "+d", "-a", "-b", "-c", "-d"])
    }))

  it.scoped("keeps settings that were changed by hand until its definition changes", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const first = yield* world.launch(RunQueue.make("q", { concurrency: 1, priority: 3 }).layer)
      yield* first.use(RunQueue.change("q", { concurrency: 9 }))
      const second = yield* world.launch(RunQueue.make("q", { concurrency: 1, priority: 3 }).layer)
      assert.strictEqual((yield* second.use(RunQueue.get("q"))).concurrency, 9)
      const third = yield* world.launch(RunQueue.make("q", { concurrency: 2 }).layer)
      assert.deepInclude(yield* third.use(RunQueue.get("q")), { concurrency: 2, priority: 0 })
      assert.deepStrictEqual((yield* third.use(RunQueue.list())).items.map(({ name }) => name), ["default", "q"])
    }))

  it.scoped("that does not exist fails every operation with UnknownQueue, and nothing is written", () =>
    Effect.gen(function*() {
      const queue = RunQueue.make("here")
      const { Job, live } = makeJobs(queue)
      const world = yield* makeWorld()
      const { use } = yield* world.launch(live, { queues: [queue] })
      const operations = (queue: string): ReadonlyArray<Effect.Effect<unknown, unknown, Journal>> => [
        RunQueue.pause(queue),
        RunQueue.resume(queue),
        RunQueue.get(queue),
        RunQueue.counts(queue),
        RunQueue.change(queue, { concurrency: 1 })
      ]
      const cases = [
        Job.start({ name: "a" }, { queue: "nowhere" }),
        ...["nowhere", "nowhere, naïve", "nowhere\u0000"].flatMap(operations)
      ]
      for (const operation of cases) {
        const error = yield* use(Effect.flip(operation))
        assert(error instanceof UnknownQueue)
        assert.include(error.message, "\"nowhere")
      }
      assert.deepStrictEqual((yield* use(RunQueue.list())).items.map(({ name }) => name), ["here"])
    }))

  it.scoped("with invalid settings is refused with every problem at once, and nothing is written", () =>
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
      const before = yield* use(RunQueue.list())
      const error = yield* use(Effect.flip(Effect.scoped(Layer.build(RunQueue.make("good", bad).layer))))
      assert(error instanceof ConfigurationInvalid)
      assert.strictEqual(error.problems.length, 7)
      const detail = yield* use(misuseOf(RunQueue.change(good, bad)))
      assert.include(detail, "7 problems")
      for (const name of ["priority", "concurrency", "admission", "keyConcurrency", "limit", "burst", "per"]) {
        assert.include(error.message, name)
        assert.include(detail, name)
      }
      assert.deepStrictEqual(yield* use(RunQueue.list()), before)
      const failed = yield* Effect.flip(world.launch(Layer.empty, { queues: [RunQueue.make(" ", bad)] }))
      assert.include(`${failed}`, `"concurrency" must be`)
    }))

  it.scoped("checks its options against their types at run time", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const good = RunQueue.make("good", { concurrency: 3 })
      const { use } = yield* world.launch(good.layer)
      const before = yield* use(RunQueue.list())
      const wrong: ReadonlyArray<readonly [options: unknown, message: RegExp]> = [
        [{ rate: null }, /"rate" must be an object \{ limit, per, burst \} or "unlimited", got null/],
        [{ rate: 5 }, /"rate" must be .*, got 5/],
        [{ rate: { limit: 1, per: "garbage" } }, /"rate\.per" must be a finite duration .*, got "garbage"/],
        [{ rate: { limit: 1 } }, /"rate\.per" must be a finite duration .*, got undefined/],
        [{ rate: { limit: 1, per: NaN } }, /"rate\.per" must be .*, got NaN/],
        [{ rate: { limit: 1, per: "1 second", bursts: 2 } }, /"rate\.bursts" is not an option: did you mean "burst"\?/],
        [{ rate: { limit: 1, per: "1 second", burst: null } }, /"rate\.burst" must be .*, got null/],
        [{ concurency: 1 }, /"concurency" is not an option: did you mean "concurrency"\?/],
        [{ concurrency: null }, /"concurrency" must be an integer from 0 to 2147483647 or "unlimited", got null/],
        [{ admission: "7" }, /"admission" must be .*, got "7"/],
        [{ keyConcurrency: Symbol("one") }, /"keyConcurrency" must be .*, got Symbol\(one\)/],
        [{ priority: null }, /"priority" must be an integer from -32768 to 32767, got null/],
        [{ priority: 32_768 }, /"priority" must be .*, got 32768/],
        [null, /the options must be an object, got null/],
        [[], /the options must be an object, got \[\]/]
      ]
      for (const [given, message] of wrong) {
        const options = given as RunQueue.Options
        assert.match(yield* use(misuseOf(RunQueue.change(good, options))), message)
        const error = yield* use(Effect.flip(Effect.scoped(Layer.build(RunQueue.make("good", options).layer))))
        assert(error instanceof ConfigurationInvalid)
        assert.include(error.message, "queue \"good\"")
        assert.match(error.message, message)
        const served = yield* Effect.flip(world.launch(Layer.empty, { queues: [RunQueue.make("good", options)] }))
        assert.match(`${served}`, message)
        const { problems } = yield* Check.run(Worker.layer({ queues: [RunQueue.make("good", options)] }))
        assert.match(problems.map(({ detail }) => detail).join("\n"), message)
      }
      assert.deepStrictEqual(yield* use(RunQueue.list()), before)
    }))

  it.scoped("counts up to a limit, and pauses workflows by valid names; others are a misuse", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { use } = yield* world.launch(RunQueue.make("good").layer)
      for (const limit of [-1, 0, 1.5, 1e12, Number.NaN]) {
        assert.include(
          yield* use(misuseOf(RunQueue.counts("good", { limit }))),
          `RunQueue.counts: "limit" must be an integer from 1 to 2147483647, got ${limit}`
        )
      }
      const misspelled: object = { limt: 1 }
      assert.include(
        yield* use(misuseOf(RunQueue.counts("good", misspelled))),
        `"limt" is not an option: did you mean "limit"?`
      )
      assert.deepInclude(yield* use(RunQueue.counts("good", { limit: 2_147_483_647 })), { ready: 0 })
      for (const change of [RunQueue.pauseWorkflows, RunQueue.resumeWorkflows]) {
        for (const name of ["", " x", "a\u0000", "x".repeat(201)]) {
          assert.match(
            yield* use(misuseOf(change(["Job", name]))),
            /"workflows\[1\]" must be a string of 1 to 200 printable/
          )
        }
      }
      assert.deepStrictEqual(yield* use(RunQueue.pausedWorkflows), [])
      assert.deepStrictEqual(yield* use(RunQueue.pauseWorkflows("Unheard")), ["Unheard"])
    }))

  it.scoped("accepts no run whose key is not a storable string", () =>
    Effect.gen(function*() {
      // It returns values of other types than it declares.
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

  it.scoped("that is neither a queue nor a name is a misuse", () =>
    Effect.gen(function*() {
      const { use } = yield* makeWorld()
      for (const wrong of [undefined, null, 3, ["q"], () => "q"] as ReadonlyArray<unknown>) {
        const queue = wrong as RunQueue.Reference
        for (
          const operation of [
            RunQueue.get(queue),
            RunQueue.counts(queue),
            RunQueue.pause(queue),
            RunQueue.resume(queue),
            RunQueue.change(queue, {})
          ]
        ) {
          assert.match(
            yield* use(misuseOf<Journal>(operation)),
            /"queue" must be a RunQueue or its name, got /
          )
        }
      }
    }))
})

describe("two queues of one name whose definitions differ", () => {
  const problem = `queue "mail" has two definitions that differ: share one, or give the other another name`
  const three = RunQueue.make("mail", { concurrency: 3 })
  const four = RunQueue.make("mail", { concurrency: 4 })

  const failureOf = <A, E, R>(start: Effect.Effect<A, E, R>) =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.flip(start))
      yield* TestClock.adjust("1 second")
      return yield* Fiber.join(fiber)
    })

  it.scoped("keep a process from starting if layers that are built side by side have them", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const error = yield* Effect.flip(world.launch(three.layer, { queues: [four] }))
      assert.instanceOf(error, ConfigurationInvalid)
      assert.deepStrictEqual(error.problems, [problem])
    }))

  it.scoped("keep it from starting if one comes from a layer that does I/O before, with a worker or without", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const late = Layer.unwrapEffect(Effect.as(Effect.sleep("1 second"), four.layer))
      const error = yield* failureOf(world.launch(late, { queues: [three] }))
      assert.instanceOf(error, ConfigurationInvalid)
      assert.deepStrictEqual(error.problems, [problem])
      const client = Effect.scoped(Layer.build(Layer.merge(three.layer, late)))
      const second = yield* failureOf(world.use(client))
      assert.deepStrictEqual(second instanceof ConfigurationInvalid && second.problems, [problem])
    }))

  it.scoped("are no problem one after the other, or if they are equal", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      for (const queue of [three, four]) yield* world.use(Effect.scoped(Layer.build(queue.layer)))
      const equal = RunQueue.make("mail", { concurrency: 4 })
      yield* world.use(Effect.scoped(Layer.build(Layer.merge(four.layer, equal.layer))))
      assert.strictEqual((yield* world.use(RunQueue.get("mail"))).concurrency, 4)
    }))
})

describe("operations on queues", () => {
  it.scoped("take the queue first or last", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const queue = RunQueue.make("q", { concurrency: 1 })
      const { use } = yield* world.launch(queue.layer)
      assert.strictEqual((yield* use(queue.pipe(RunQueue.change({ concurrency: 2 })))).concurrency, 2)
      assert.deepInclude((yield* use(queue.pipe(RunQueue.pause({ by: "ann" })))).pause, { by: "ann", reason: null })
      assert.isFalse((yield* use(queue.pipe(RunQueue.resume()))).paused)
      assert.isTrue((yield* use(RunQueue.pause(queue))).paused)
      assert.deepInclude(yield* use(queue.pipe(RunQueue.counts({ limit: 5 }))), { name: "q", ready: 0 })
    }))
})

describe("RunQueue.list", () => {
  const names = ["a", "b", "c", "d", "e"]

  it.scoped("returns queues page by page, in order of name, as the stream does at once", () =>
    Effect.gen(function*() {
      const { driver, use } = yield* makeWorld()
      yield* driver.ensureQueues(names)
      const pages: Array<ReadonlyArray<string>> = []
      for (let cursor: string | null | undefined = undefined; cursor !== null;) {
        const page: RunQueue.Page = yield* use(RunQueue.list({ limit: 2, ...(cursor === undefined ? {} : { cursor }) }))
        pages.push(page.items.map(({ name }) => name))
        cursor = page.next
      }
      assert.deepStrictEqual(pages, [["a", "b"], ["c", "d"], ["e"]])
      const all = yield* use(Stream.runCollect(RunQueue.stream))
      assert.deepStrictEqual([...all].map(({ name }) => name), names)
    }))

  it.scoped("fails with ValueInvalid of a cursor from elsewhere, and bad options are a misuse", () =>
    Effect.gen(function*() {
      const { use } = yield* makeWorld()
      for (const cursor of ["", "garbage", btoa(`["Workers.list","a"]`)]) {
        const error = yield* use(Effect.flip(RunQueue.list({ cursor })))
        assert.instanceOf(error, ValueInvalid)
        assert.include(error.message, "the cursor of RunQueue.list is not valid")
      }
      const wrong: ReadonlyArray<readonly [unknown, RegExp]> = [
        [{ limit: 0 }, /RunQueue\.list: "limit" must be an integer from 1 to 1000, got 0/],
        [{ cursor: 3 }, /"cursor" must be a string or null, got 3/],
        [{ most: 3 }, /"most" is not an option/]
      ]
      for (const [options, message] of wrong) {
        assert.match(yield* use(misuseOf(RunQueue.list(options as RunQueue.PageOptions))), message)
      }
    }))
})
