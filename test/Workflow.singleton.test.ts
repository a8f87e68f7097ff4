/**
 * Singleton workflows, of which one run is live for each key, and debounced workflows, whose starts wait for a quiet
 * time.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as RunQueue from "perdure/RunQueue"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { misuseOf } from "./fixtures/misuse.js"
import { makeWorld, soon } from "./fixtures/world.js"

const Go = Signal.make("Go", { payload: {} })
const fields = { account: Schema.String, n: Schema.Number }
const key = ({ account }: { readonly account: string }) => account

const Sync = Workflow.make("Sync", { payload: fields, success: Schema.Number, singleton: { key, mode: "join" } })
const SyncLive = Sync.toLayer(({ n }) => Effect.as(Go.receive, n))

const Move = Workflow.make("Move", { payload: fields, success: Schema.Number, singleton: { key, mode: "refuse" } })
const MoveLive = Move.toLayer(({ n }) => Effect.as(Go.receive, n))

const Index = Workflow.make("Index", {
  payload: fields,
  success: Schema.Number,
  debounce: { key, quiet: "10 seconds", maxWait: "25 seconds" }
})
const IndexLive = Index.toLayer(({ n }) => Effect.succeed(n))

describe("a singleton in mode join", () => {
  it.scoped("returns the live run to every start, and starts a new run after its end", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(SyncLive)
      const first = yield* world.use(Sync.start({ account: "a", n: 1 }))
      const other = yield* world.use(Sync.start({ account: "b", n: 2 }))
      const again = yield* world.use(Effect.all(
        [3, 4, 5].map((n) => Sync.start({ account: "a", n })),
        { concurrency: "unbounded" }
      ))
      assert.deepStrictEqual(again.map(({ id }) => id), [first.id, first.id, first.id])
      assert.notStrictEqual(other.id, first.id)
      yield* world.use(Go.send(first.id, {}))
      assert.strictEqual(yield* soon(first.result), 1)
      const next = yield* world.use(Sync.start({ account: "a", n: 6 }))
      assert.notStrictEqual(next.id, first.id)
      const all = yield* world.use(Sync.startAll([{ account: "c", n: 7 }, { account: "c", n: 8 }]))
      assert.strictEqual(all[0]?.id, all[1]?.id)
    }))
})

describe("a singleton in mode refuse", () => {
  it.scoped("fails with the id of the live run", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(MoveLive)
      const first = yield* world.use(Move.start({ account: "a", n: 1 }))
      const busy = yield* Effect.flip(world.use(Move.start({ account: "a", n: 2 })))
      assert.deepInclude(busy, { _tag: "SingletonBusy", workflow: "Move", key: "a", runId: first.id })
      // All or none.
      const some = yield* Effect.either(world.use(Move.startAll([{ account: "b", n: 3 }, { account: "a", n: 4 }])))
      assert.isTrue(Either.isLeft(some))
      const b = yield* world.use(Move.start({ account: "b", n: 5 }))
      yield* world.use(Go.send(b.id, {}))
      assert.strictEqual(yield* soon(b.result), 5)
    }))
})

describe("retries and forks of a singleton", () => {
  it.scoped("neither check nor take the key, but obey the queue's keyConcurrency", () =>
    Effect.gen(function*() {
      const serial = RunQueue.make("serial", { keyConcurrency: 1 })
      const fails = {
        payload: fields,
        success: Schema.Number,
        error: Schema.String,
        singleton: { key, mode: "refuse" }
      } as const
      const First = Workflow.make("First", fails)
      const Serial = Workflow.make("Serial", { ...fails, queue: serial, key })
      let bad = true
      const handler = ({ n }: { readonly n: number }) =>
        Effect.flatMap(
          Effect.suspend(() => bad ? Effect.fail("bad") : Effect.void),
          () => Effect.as(Go.receive, n)
        )
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(First.toLayer(handler), Serial.toLayer(handler)), {
        queues: ["default", serial]
      })
      const statuses = (...runs: ReadonlyArray<{ readonly id: string }>) =>
        Effect.forEach(runs, ({ id }) => Effect.map(world.record(id), ({ status }) => status))
      for (const [workflow, beside] of [[First, "suspended"], [Serial, "pending"]] as const) {
        bad = true
        const failed = yield* process.use(workflow.start({ account: "a", n: 1 }))
        assert.strictEqual(yield* soon(Effect.flip(failed.result)), "bad")
        bad = false
        const next = yield* process.use(workflow.start({ account: "a", n: 2 }))
        yield* TestClock.adjust("1 minute")
        const again = yield* failed.retry()
        const fork = yield* failed.fork({ from: 0, id: `${failed.id}-fork` })
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* statuses(next, again, fork), ["suspended", beside, beside])
        // A start sees runs of starts only.
        const busy = yield* Effect.flip(process.use(workflow.start({ account: "a", n: 3 })))
        assert.deepInclude(busy, { _tag: "SingletonBusy", runId: next.id })
        yield* process.use(Go.send(next.id, {}))
        assert.strictEqual(yield* soon(next.result), 2)
        const last = yield* process.use(workflow.start({ account: "a", n: 4 }))
        assert.notInclude([next.id, again.id, fork.id], last.id)
      }
    }))
})

describe("a singleton whose deadline has passed", () => {
  it.scoped("keeps its key until a worker of any queue expires the run, within half a lease", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.use(Effect.provide(Effect.void, RunQueue.make("unserved").layer))
      const place = { queue: "unserved", expiresIn: "1 second" } as const
      const first = yield* world.use(Move.start({ account: "a", n: 1 }, place))
      const busy = (n: number) =>
        Effect.map(Effect.flip(world.use(Move.start({ account: "a", n }, place))), ({ _tag }) => _tag)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* world.record(first.id)).status, "pending")
      assert.strictEqual(yield* busy(2), "SingletonBusy")
      yield* world.launch(SyncLive, { leaseDuration: "30 seconds" })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* world.record(first.id)).status, "expired")
      const second = yield* world.use(Move.start({ account: "a", n: 3 }, place))
      yield* TestClock.adjust("13 seconds")
      assert.strictEqual((yield* world.record(second.id)).status, "pending")
      assert.strictEqual(yield* busy(4), "SingletonBusy")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* world.record(second.id)).status, "expired")
      assert.notStrictEqual((yield* world.use(Move.start({ account: "a", n: 5 }, place))).id, second.id)
    }))
})

describe("a debounced start", () => {
  it.scoped("starts one run after the quiet time, with the last payload", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(IndexLive)
      const run = yield* world.use(Index.start({ account: "a", n: 1 }))
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual((yield* world.use(Index.start({ account: "a", n: 2 }))).id, run.id)
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual((yield* world.record(run.id)).status, "pending")
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(yield* soon(run.result), 2)
      assert.notStrictEqual((yield* world.use(Index.start({ account: "a", n: 3 }))).id, run.id)
    }))

  it.scoped("starts at the latest after maxWait", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(IndexLive)
      const run = yield* world.use(Index.start({ account: "a", n: 0 }))
      for (const n of [1, 2, 3, 4]) {
        yield* TestClock.adjust("6 seconds")
        yield* world.use(Index.start({ account: "a", n }))
      }
      assert.strictEqual((yield* world.record(run.id)).status, "pending")
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(yield* soon(run.result), 4)
    }))
})

describe("options that exclude each other", () => {
  it.scoped("are all reported when the layer is built", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const Bad = Workflow.make("Bad", {
        payload: fields,
        idempotencyKey: key,
        singleton: { key, mode: "join" },
        debounce: { key, quiet: Infinity }
      })
      const refused = yield* Effect.flip(world.launch(Bad.toLayer(() => Effect.void)))
      assert.strictEqual(refused._tag, "ConfigurationInvalid")
      for (const text of [`"singleton" and "debounce"`, `"debounce" and "idempotencyKey"`, `"debounce.quiet"`]) {
        assert.include(refused.message, text)
      }
      assert.include(yield* misuseOf(world.use(Bad.start({ account: "a", n: 1 }))), `"singleton" and "debounce"`)
    }))

  it.scoped("a singleton as a child fails with the cure and starts nothing; a step can start it", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const Parent = Workflow.make("Parent", { payload: {}, success: Schema.String })
      const Starter = Workflow.make("Starter", { payload: {}, success: Schema.String })
      const ParentLive = Parent.toLayer(() =>
        Sync.start({ account: "a", n: 1 }).pipe(
          Effect.as("started"),
          Effect.catchTag("ValueInvalid", (error) => Effect.succeed(error.message))
        )
      )
      const StarterLive = Starter.toLayer(() =>
        Step.run("start", Effect.map(Effect.orDie(Sync.start({ account: "a", n: 1 })), ({ id }) => id), {
          success: Schema.String
        })
      )
      const process = yield* world.launch(ParentLive)
      const run = yield* process.use(Parent.start({}))
      assert.include(yield* soon(run.result), "start it inside a Step")
      const other = yield* world.launch(StarterLive, { id: "other" })
      const starter = yield* other.use(Starter.start({}))
      assert.strictEqual((yield* world.record(yield* soon(starter.result))).workflow, "Sync")
    }))

  it.scoped("a key that is not a string fails before anything is written", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const Odd = Workflow.make("Odd", {
        payload: fields,
        singleton: { key: ({ n }) => JSON.parse(String(n)), mode: "join" }
      })
      const refused = yield* Effect.flip(world.use(Odd.start({ account: "a", n: 1 })))
      assert.include(
        refused.message,
        `singleton key of workflow Odd is not valid: "key" must be a string that is not empty, got 1`
      )
      assert.deepStrictEqual(world.writes, [])
    }))
})
