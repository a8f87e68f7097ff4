/** Who works on a journal, and whether they answer. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { HostProcess, version } from "perdure/HostProcess"
import * as Signal from "perdure/Signal"
import * as Worker from "perdure/Worker"
import * as Workers from "perdure/Workers"
import * as Workflow from "perdure/Workflow"
import { readFileSync } from "node:fs"
import * as Schema from "effect/Schema"
import { makeWorld } from "./fixtures/world.js"

const Go = Signal.make("Go", { payload: {} })
const Waits = Workflow.make("Waits", { payload: {} })
const WaitsLive = Waits.toLayer(() => Effect.asVoid(Go.receive))

const lease = "9 seconds"

describe("Workers.list", () => {
  it.scoped("shows every worker with what it is made of and does, idle ones and dead ones too", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const busy = yield* world.launch(WaitsLive, { id: "busy", lease, queues: ["default", "mail"], concurrency: 7 })
      yield* world.launch(Layer.empty, { id: "idle", lease, queues: ["other"] })
      const dead = yield* world.launch(Layer.empty, { id: "dead", lease, queues: ["other"] })
      const stopped = yield* world.launch(Layer.empty, { id: "stopped", lease, queues: ["other"] })
      yield* busy.use(Waits.start({}))
      yield* TestClock.adjust("1 second")
      yield* dead.kill
      yield* stopped.stop
      yield* TestClock.adjust("10 seconds")
      const all = yield* world.use(Workers.list)
      assert.deepStrictEqual(all.map(({ id, live }) => [id, live]), [["busy", true], ["dead", false], ["idle", true]])
      const info = Option.getOrThrow(all[0]?.info ?? Option.none())
      assert.deepStrictEqual([info.queues, info.concurrency, info.draining], [["default", "mail"], 7, false])
      assert.deepStrictEqual(info.runs, { held: 0, active: 0, idle: 0, hot: 1 })
      assert.strictEqual(info.version, version)
      assert.strictEqual(info.pid, process.pid)
      assert.match(info.runtime ?? "", /^node v\d+/)
      assert.isAbove(info.memory?.rssBytes ?? 0, 1_000_000)
      assert.isAtLeast(info.load?.cpu ?? -1, 0)
    }))

  it.scoped("shows one that says nothing, or what nobody understands", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      for (const info of [null, "{\"strange\":1}"]) {
        yield* world.driver.heartbeat({ worker: { id: "w", incarnation: "1" }, leaseMillis: 1000, info })
        assert.deepStrictEqual((yield* world.use(Workers.list)).map((each) => each.info), [Option.none()])
      }
      assert.deepStrictEqual((yield* world.use(Workers.samples("w"))).map((each) => each.info), [Option.none()])
    }))
})

describe("Workers.samples", () => {
  it.scoped("are the history of a worker, of a host process that may be another", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      let calls = 0
      const host = Layer.succeed(HostProcess, { describe: () => ({ version: `v${++calls}` }) })
      const process = yield* world.launch(Layer.empty, { id: "w", lease: "30 seconds" }).pipe(Effect.provide(host))
      yield* TestClock.adjust("35 seconds")
      yield* process.stop
      const samples = yield* world.use(Workers.samples("w"))
      const versions = samples.map(({ info }) => Option.map(info, (each) => each.version))
      assert.deepStrictEqual(versions, ["v1", "v2", "v3", "v4"].map(Option.some))
      assert.strictEqual((yield* world.use(Workers.samples("w", { limit: 2 }))).length, 2)
      assert.deepStrictEqual(yield* world.use(Workers.samples("\u0000")), [])
    }))
})

describe("what cannot be asked of workers", () => {
  it.scoped("is refused with its name and cure, and storage is not asked", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld((driver) => ({
        ...driver,
        ping: () => Effect.dieMessage("asked"),
        samples: () => Effect.dieMessage("asked")
      }))
      const limits: ReadonlyArray<readonly [unknown, RegExp]> = [
        [{ limit: 1.5 }, /limit is 1.5, it must be an integer from 1/],
        [{ limit: 1e12 }, /limit is 1000000000000, it must be an integer/],
        [{ limit: null }, /limit is null/],
        [{ limits: 1 }, /limits is no option/]
      ]
      for (const [options, message] of limits) {
        const error = yield* Effect.flip(world.use(Workers.samples("w", options as { limit: number })))
        assert.strictEqual(error._tag, "ConfigurationInvalid")
        assert.match(error.message, message)
      }
      const timeouts: ReadonlyArray<readonly [unknown, RegExp]> = [
        [{ timeout: "x" }, /timeout is x, it must be a finite duration/],
        [{ timeout: -1 }, /timeout is -1/],
        [{ timout: 1 }, /timout is no option/],
        [null, /what is said is null/]
      ]
      for (const [options, message] of timeouts) {
        const error = yield* Effect.flip(world.use(Workers.ping("w", options as { timeout: number })))
        assert.strictEqual(error._tag, "ConfigurationInvalid")
        assert.match(error.message, message)
      }
    }))
})

describe("Workers.ping", () => {
  it.scoped("is answered at once", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Layer.empty, { id: "w", lease })
      const took = yield* Effect.fork(world.use(Workers.ping("w")))
      yield* TestClock.adjust("10 millis")
      assert.isAtMost(Duration.toMillis(yield* Fiber.join(took)), 10)
    }))

  it.scoped("is answered with the next heartbeat when the hint is lost", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.empty, { id: "w", lease })
      process.worker.core.hint = () => {}
      const took = yield* Effect.fork(world.use(Workers.ping("w")))
      yield* TestClock.adjust("2 seconds")
      assert.isNull(yield* Fiber.poll(took).pipe(Effect.map(Option.getOrNull)))
      yield* TestClock.adjust("2 seconds")
      assert.isAtMost(Duration.toMillis(yield* Fiber.join(took)), 4000)
    }))

  it.scoped("fails typed when the worker is dead, was never there, or stops meanwhile", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const dead = yield* world.launch(Layer.empty, { id: "dead", lease })
      yield* dead.kill
      const waits = yield* Effect.fork(Effect.flip(world.use(Workers.ping("dead", { timeout: "3 seconds" }))))
      yield* TestClock.adjust("3 seconds")
      const failed = yield* Fiber.join(waits)
      assert.deepInclude(failed, { _tag: "WorkerUnresponsive", workerId: "dead", millis: 3000 })
      for (const id of ["nobody", "no\u0000body"]) {
        assert.strictEqual((yield* Effect.flip(world.use(Workers.ping(id))))._tag, "NoSuchWorker")
      }
      const stops = yield* world.launch(Layer.empty, { id: "stops", lease })
      stops.worker.core.hint = () => {}
      const asked = yield* Effect.fork(Effect.flip(world.use(Workers.ping("stops"))))
      yield* TestClock.adjust("1 second")
      yield* stops.stop
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* Fiber.join(asked))._tag, "NoSuchWorker")
    }))

  it.scoped("of several at once are answered together", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Layer.empty, { id: "w", lease })
      const all = yield* Effect.fork(
        Effect.all(Array.from({ length: 20 }, () => world.use(Workers.ping("w"))), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* Fiber.join(all)).length, 20)
    }))
})

describe("the version that workers tell", () => {
  it("is the package's", () => {
    const manifest = Schema.decodeUnknownSync(Schema.parseJson(Schema.Struct({ version: Schema.String })))(
      readFileSync(new URL("../package.json", import.meta.url), "utf8")
    )
    assert.strictEqual(version, manifest.version)
    assert.isFunction(Worker.layer)
  })
})
