import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { HostProcess, version } from "perdure/HostProcess"
import * as Signal from "perdure/Signal"
import * as Worker from "perdure/Worker"
import * as Workers from "perdure/Workers"
import * as Workflow from "perdure/Workflow"
import { readFileSync } from "node:fs"
import * as Schema from "effect/Schema"
import { misuseOf } from "./fixtures/misuse.js"
import { makeWorld } from "./fixtures/world.js"

const Go = Signal.make("Go", { payload: {} })
const Waits = Workflow.make("Waits", { payload: {} })
const WaitsLive = Waits.toLayer(() => Effect.asVoid(Go.receive))

const lease = "9 seconds"

describe("Workers.list", () => {
  it.scoped("shows every worker with its description, idle and dead ones, too", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const busy = yield* world.launch(WaitsLive, {
        id: "busy",
        leaseDuration: lease,
        queues: ["default", "mail"],
        concurrency: 7
      })
      yield* world.launch(Layer.empty, { id: "idle", leaseDuration: lease, queues: ["other"] })
      const dead = yield* world.launch(Layer.empty, { id: "dead", leaseDuration: lease, queues: ["other"] })
      const stopped = yield* world.launch(Layer.empty, { id: "stopped", leaseDuration: lease, queues: ["other"] })
      yield* busy.use(Waits.start({}))
      yield* TestClock.adjust("1 second")
      yield* dead.kill
      yield* stopped.stop
      yield* TestClock.adjust("10 seconds")
      const { items: all } = yield* world.use(Workers.list())
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

  it.scoped("shows a worker whose description is missing or unreadable", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      for (const info of [null, "{\"strange\":1}"]) {
        yield* world.driver.heartbeat({ worker: { id: "w", incarnation: "1" }, leaseMillis: 1000, info })
        assert.deepStrictEqual((yield* world.use(Workers.list())).items.map((each) => each.info), [Option.none()])
      }
      assert.deepStrictEqual((yield* world.use(Workers.samples("w"))).map((each) => each.info), [Option.none()])
    }))
})

describe("a list of workers", () => {
  it.scoped("has them page by page, in order of id, as the stream does at once", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      for (const id of ["c", "a", "b"]) {
        yield* world.driver.heartbeat({ worker: { id, incarnation: "1" }, leaseMillis: 1000, info: null })
      }
      const first = yield* world.use(Workers.list({ limit: 2 }))
      const second = yield* world.use(Workers.list({ limit: 2, cursor: first.next }))
      assert.deepStrictEqual([first, second].map(({ items }) => items.map(({ id }) => id)), [["a", "b"], ["c"]])
      assert.isNull(second.next)
      assert.deepStrictEqual([...yield* world.use(Stream.runCollect(Workers.stream))].map(({ id }) => id), [
        "a",
        "b",
        "c"
      ])
      const error = yield* Effect.flip(world.use(Workers.list({ cursor: btoa(`["RunQueue.list","a"]`) })))
      assert.strictEqual(error._tag, "ValueInvalid")
    }))
})

describe("Workers.samples", () => {
  it.scoped("are the history of all processes that had the id", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      let calls = 0
      const host = Layer.succeed(HostProcess, { describe: () => ({ version: `v${++calls}` }) })
      const process = yield* world.launch(Layer.empty, { id: "w", leaseDuration: "30 seconds" }).pipe(
        Effect.provide(host)
      )
      yield* TestClock.adjust("35 seconds")
      yield* process.stop
      const samples = yield* world.use(Workers.samples("w"))
      const versions = samples.map(({ info }) => Option.map(info, (each) => each.version))
      assert.deepStrictEqual(versions, ["v1", "v2", "v3", "v4"].map(Option.some))
      assert.strictEqual((yield* world.use(Workers.samples("w", { limit: 2 }))).length, 2)
      assert.deepStrictEqual(yield* world.use(Workers.samples("\u0000")), [])
    }))
})

describe("an operation on workers", () => {
  it.scoped("with invalid arguments is a misuse, and storage is not asked", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld((driver) => ({
        ...driver,
        ping: () => Effect.dieMessage("asked"),
        samples: () => Effect.dieMessage("asked"),
        workers: () => Effect.dieMessage("asked")
      }))
      const limits: ReadonlyArray<readonly [unknown, RegExp]> = [
        [{ limit: 1.5 }, /"limit" must be an integer from 1 to 2147483647, got 1\.5/],
        [{ limit: 1e12 }, /"limit" must be .*, got 1000000000000/],
        [{ limit: null }, /"limit" must be .*, got null/],
        [{ limits: 1 }, /"limits" is not an option: did you mean "limit"\?/]
      ]
      for (const [options, message] of limits) {
        assert.match(yield* world.use(misuseOf(Workers.samples("w", options as Workers.SampleOptions))), message)
      }
      const timeouts: ReadonlyArray<readonly [unknown, RegExp]> = [
        [{ timeout: "x" }, /"timeout" must be a finite duration, .*, got "x"/],
        [{ timeout: -1 }, /"timeout" must be .*, got -1/],
        [{ timout: 1 }, /"timout" is not an option: did you mean "timeout"\?/],
        [null, /the options must be an object \{ timeout \}, got null/]
      ]
      for (const [options, message] of timeouts) {
        assert.match(yield* world.use(misuseOf(Workers.ping("w", options as Workers.PingOptions))), message)
      }
      const wrong: unknown = 3
      const id = wrong as string
      assert.match(yield* world.use(misuseOf(Workers.ping(id))), /Workers\.ping: "id" must be a string, got 3/)
      assert.match(yield* world.use(misuseOf(Workers.samples(id))), /Workers\.samples: "id" must be a string, got 3/)
      assert.match(yield* world.use(misuseOf(Workers.list({ limit: 0 }))), /Workers\.list: "limit" must be/)
    }))
})

describe("Workers.ping", () => {
  it.scoped("returns at once after the answer of a worker that is notified", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Layer.empty, { id: "w", leaseDuration: lease })
      const took = yield* Effect.fork(world.use(Workers.ping("w")))
      yield* TestClock.adjust("10 millis")
      assert.isAtMost(Duration.toMillis(yield* Fiber.join(took)), 10)
    }))

  it.scoped("returns after the next heartbeat of a worker whose notification is lost", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.empty, { id: "w", leaseDuration: lease })
      process.worker.core.hint = () => {}
      const took = yield* Effect.fork(world.use(Workers.ping("w")))
      yield* TestClock.adjust("2 seconds")
      assert.isNull(yield* Fiber.poll(took).pipe(Effect.map(Option.getOrNull)))
      yield* TestClock.adjust("2 seconds")
      assert.isAtMost(Duration.toMillis(yield* Fiber.join(took)), 4000)
    }))

  it.scoped("fails typed of a worker that is dead, never existed, or stops meanwhile", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const dead = yield* world.launch(Layer.empty, { id: "dead", leaseDuration: lease })
      yield* dead.kill
      const waits = yield* Effect.fork(Effect.flip(world.use(Workers.ping("dead", { timeout: "3 seconds" }))))
      yield* TestClock.adjust("3 seconds")
      const failed = yield* Fiber.join(waits)
      assert.deepInclude(failed, { _tag: "WorkerUnresponsive", workerId: "dead", millis: 3000 })
      for (const id of ["unknown", "un\u0000known"]) {
        assert.strictEqual((yield* Effect.flip(world.use(Workers.ping(id))))._tag, "NoSuchWorker")
      }
      const stops = yield* world.launch(Layer.empty, { id: "stops", leaseDuration: lease })
      stops.worker.core.hint = () => {}
      const asked = yield* Effect.fork(Effect.flip(world.use(Workers.ping("stops"))))
      yield* TestClock.adjust("1 second")
      yield* stops.stop
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* Fiber.join(asked))._tag, "NoSuchWorker")
    }))

  it.scoped("is answered together with other pings of the worker", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Layer.empty, { id: "w", leaseDuration: lease })
      const all = yield* Effect.fork(
        Effect.all(Array.from({ length: 20 }, () => world.use(Workers.ping("w"))), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* Fiber.join(all)).length, 20)
    }))
})

describe("the version in a worker's description", () => {
  it("is the version of the package", () => {
    const manifest = Schema.decodeUnknownSync(Schema.parseJson(Schema.Struct({ version: Schema.String })))(
      readFileSync(new URL("../package.json", import.meta.url), "utf8")
    )
    assert.strictEqual(version, manifest.version)
    assert.isFunction(Worker.layer)
  })
})
