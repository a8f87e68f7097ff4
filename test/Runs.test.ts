import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import type { Journal } from "perdure/Journal"
import * as RunQueue from "perdure/RunQueue"
import * as Runs from "perdure/Runs"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, soon, type World } from "./fixtures/world.js"

class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

const Job = Workflow.make("Job", {
  payload: { n: Schema.Number },
  success: Schema.Number,
  error: Refused,
  tags: ["job"],
  attributes: ({ n }) => ({ n, even: n % 2 === 0 })
})

const jobs = Job.toLayer(({ n }) =>
  n < 0
    ? new Refused({ why: `${n} is 100% too low` })
    : n > 100
    ? Effect.as(Effect.sleep("1 day"), n)
    : Step.run("only", Effect.succeed(n), { success: Schema.Number })
)

const ids = (page: Runs.Page) => page.runs.map(({ id }) => id)

const last = (world: World, changes: Stream.Stream<Runs.Progress, unknown, Journal>) =>
  Effect.map(world.use(Stream.runCollect(changes)), (all) => Chunk.toReadonlyArray(all))

describe("finding runs", () => {
  it.scoped("by what they were started with, and by what became of them", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(jobs)
      const one = yield* world.use(Job.start({ n: 1 }, { tags: ["eu", "job"], attributes: { city: "Bern", n: 10 } }))
      yield* TestClock.adjust("1 minute")
      const two = yield* world.use(Job.start({ n: 2 }, { tags: ["us"] }))
      const bad = yield* world.use(Job.start({ n: -1 }))
      yield* TestClock.adjust("1 minute")
      const find = (filter: Runs.RunFilter | Runs.All) => Effect.map(world.use(Runs.find(filter)), ids)
      assert.sameMembers([...yield* find({ workflow: Job })], [one.id, two.id, bad.id])
      assert.deepStrictEqual(yield* find({ workflow: ["Job", "Other"], tags: ["eu"] }), [one.id])
      assert.deepStrictEqual(yield* find({ workflow: "Other" }), [])
      assert.deepStrictEqual(yield* find({ attributes: { n: 10, even: false } }), [one.id])
      assert.deepStrictEqual(yield* find({ attributes: { even: true } }), [two.id])
      assert.deepStrictEqual(yield* find({ status: "failed" }), [bad.id])
      assert.deepStrictEqual(yield* find({ errorCode: "Refused" }), [bad.id])
      assert.deepStrictEqual(yield* find({ errorCode: "Refused", status: ["completed"] }), [])
      assert.deepStrictEqual(yield* find({ text: "100% TOO" }), [bad.id])
      assert.deepStrictEqual(yield* find({ text: "1000_ too" }), [])
      assert.deepStrictEqual(yield* find({ createdBefore: DateTime.unsafeMake(60_000) }), [one.id])
      assert.deepStrictEqual(yield* find({ createdBefore: new Date(60_000), tags: ["us"] }), [])
      assert.deepStrictEqual((yield* find(Runs.all)).length, 3)
      assert.deepStrictEqual((yield* find({})).length, 3)
      const { runs: [found] } = yield* world.use(Runs.find({ tags: ["eu"] }))
      assert.deepStrictEqual([found?.tags, found?.attributes], [["job", "eu"], { n: 10, even: false, city: "Bern" }])
      assert.deepStrictEqual(found === undefined ? undefined : yield* soon(world.use(found.run.result)), 1)
      const counts = yield* world.use(Runs.count({ workflow: Job }))
      assert.deepInclude(counts, { completed: 2, failed: 1, pending: 0, running: 0 })
    }))

  it.scoped("children have tags and attributes, too", () =>
    Effect.gen(function*() {
      const Parent = Workflow.make("Parent", { payload: {} })
      const parents = Parent.toLayer(() =>
        Effect.asVoid(
          Effect.orDie(Job.execute({ n: 7 }, { tags: ["child"], attributes: { of: "Parent" } }))
        )
      )
      const world = yield* makeWorld()
      const worker = yield* world.launch(parents)
      yield* world.launch(jobs)
      const parent = yield* worker.use(Parent.start({}))
      yield* TestClock.adjust("1 minute")
      const { runs: [child, ...others] } = yield* world.use(Runs.find({ parent: parent.id }))
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual(child?.tags, ["job", "child"])
      assert.deepStrictEqual(child?.attributes, { n: 7, even: false, of: "Parent" })
      assert.deepStrictEqual((yield* world.use(Runs.find({ root: parent.id }))).runs.length, 2)
    }))

  it.scoped("page by page, each once, however many come meanwhile", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const started = yield* world.use(Job.startAll(Array.from({ length: 7 }, (_, n) => ({ n }))))
      const first = yield* world.use(Runs.find({ workflow: Job }, { limit: 3 }))
      yield* TestClock.adjust("1 minute")
      yield* world.use(Job.start({ n: 8 }))
      const second = yield* world.use(Runs.find({ workflow: Job }, { limit: 3, cursor: first.next }))
      const third = yield* world.use(Runs.find({ workflow: Job }, { limit: 3, cursor: second.next }))
      assert.isNull(third.next)
      assert.deepStrictEqual([first, second, third].flatMap(ids).toSorted(), started.map(({ id }) => id).toSorted())
      const all = yield* world.use(Stream.runCollect(Runs.stream(Runs.all)))
      assert.strictEqual(all.length, 8)
    }))

  it.scoped("by a queue's definition, and by a key that is empty", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const Mails = RunQueue.make("mails")
      const Keyed = Workflow.make("Keyed", {
        payload: { key: Schema.String },
        queue: Mails,
        key: ({ key }) => key,
        idempotencyKey: ({ key }) => key
      })
      yield* world.launch(Layer.empty, { queues: [Mails] })
      const [empty, full] = yield* world.use(Keyed.startAll([{ key: "" }, { key: "a" }]))
      const found = (filter: Runs.RunFilter) =>
        Effect.map(world.use(Runs.find(filter)), ({ runs }) => runs.map(({ id }) => id).toSorted())
      assert.deepStrictEqual(yield* found({ key: "" }), [empty?.id])
      assert.deepStrictEqual(yield* found({ idempotencyKey: "" }), [empty?.id])
      assert.deepStrictEqual(yield* found({ queue: Mails }), [empty?.id, full?.id].toSorted())
      assert.deepStrictEqual(yield* found({ queue: [Mails, "other"], key: "a" }), [full?.id])
    }))

  it.scoped("what is not valid is refused, with its name, value and cure, and storage is not asked", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld((driver) => ({
        ...driver,
        find: () => Effect.dieMessage("storage was asked"),
        count: () => Effect.dieMessage("storage was asked"),
        deliver: () => Effect.dieMessage("storage was written to")
      }))
      const wrong: ReadonlyArray<readonly [field: string, filter: unknown, cure: RegExp]> = [
        ["status", { status: "done" }, /must be pending, running/],
        ["status", { status: [] }, /leave it out/],
        ["workflow", { workflow: [] }, /name at least one/],
        ["workflow", { workflow: 7 }, /string/],
        ["statuses", { statuses: ["failed"] }, /expected/],
        ["tags", { tags: [] }, /leave it out/],
        ["tags", { tags: [""] }, /1 to 200/],
        ["attributes", { attributes: {} }, /leave it out/],
        ["attributes", { attributes: { n: NaN } }, /finite/],
        ["attributes", { attributes: { n: [] } }, /string/],
        ["createdFrom", { createdFrom: "yesterday" }, /DateTime or a Date/],
        ["finishedBefore", { finishedBefore: new Date(NaN) }, /valid/],
        ["createdFrom", { createdFrom: new Date(-8.64e15) }, /years -4000 to 9999/],
        ["createdBefore", { createdBefore: new Date(8.64e15) }, /years -4000 to 9999/],
        ["finishedFrom", { finishedFrom: DateTime.unsafeMake(253_402_300_800_000) }, /leave it out/],
        ["key", { key: "a\u0000b" }, /NUL/],
        ["queue", { queue: [{ name: "q" }] }, /string/],
        ["text", { text: "a\u0000b" }, /NUL/],
        ["parent", { parent: "x".repeat(2_000) }, /shorten/],
        ["all", null, /Runs\.all/],
        ["all", ["failed"], /Runs\.all/]
      ]
      for (const [field, filter, cure] of wrong) {
        const given = filter as Runs.RunFilter
        for (
          const attempt of [
            Effect.asVoid(Runs.find(given)),
            Effect.asVoid(Runs.count(given)),
            Stream.runDrain(Runs.cancel(given))
          ]
        ) {
          const error = yield* Effect.flip(world.use(attempt))
          assert.strictEqual(error._tag, "FilterInvalid", JSON.stringify(filter))
          if (error._tag === "FilterInvalid") assert.strictEqual(error.field, field)
          assert.match(error.message, cure)
        }
      }
      const pages: ReadonlyArray<readonly [field: string, options: unknown]> = [
        ["limit", { limit: 0 }],
        ["limit", { limit: 1.5 }],
        ["limit", { limit: 1_001 }],
        ["cursor", { cursor: "next please" }],
        ["cursor", { cursor: "" }],
        ["cursor", { cursor: btoa("[1,\"x\",\"y\"]") }],
        ["cursor", { cursor: btoa("[2,1,\"y\"]") }],
        ["cursor", { cursor: btoa("[1,9000000000000000,\"y\"]") }],
        ["cursor", { cursor: btoa("[1,-9000000000000000,\"y\"]") }],
        ["cursor", { cursor: 3 }],
        ["limits", { limits: 1 }],
        ["options", "10"]
      ]
      for (const [field, options] of pages) {
        const error = yield* Effect.flip(world.use(Runs.find({}, options as Runs.PageOptions)))
        assert.strictEqual(error._tag === "FilterInvalid" ? error.field : error, field, JSON.stringify(options))
      }
      const error = yield* Effect.flip(world.use(Stream.runDrain(Runs.cancel(Runs.all, { batch: 0 }))))
      assert.strictEqual(error._tag === "FilterInvalid" ? error.field : error, "batch")
      const bulk: ReadonlyArray<readonly [field: string, options: unknown]> = [
        ["batches", { batches: 5 }],
        ["by", { by: 5 }],
        ["reason", { reason: null }],
        ["options", "ann"]
      ]
      for (const [field, options] of bulk) {
        const attempt = Stream.runDrain(Runs.pause({ workflow: "Z" }, options as Runs.BulkOptions))
        const error = yield* Effect.flip(world.use(attempt))
        assert.strictEqual(error._tag === "FilterInvalid" ? error.field : error, field, JSON.stringify(options))
      }
    }))
})

describe("starting runs with tags and attributes", () => {
  const refusals: ReadonlyArray<readonly [Workflow.StartOptions, RegExp]> = [
    [{ tags: [""] }, /the tag .* 1 to 200 printable/],
    [{ tags: ["a\nb"] }, /printable/],
    [{ tags: ["x".repeat(201)] }, /1 to 200/],
    [{ tags: Array.from({ length: 33 }, (_, n) => `${n}`) }, /at most 32/],
    [{ attributes: { "": 1 } }, /the name of attribute/],
    [{ attributes: { n: Infinity } }, /finite/],
    [{ attributes: { s: "\uD800" } }, /lone surrogate/],
    [{ attributes: { s: "x".repeat(1_001) } }, /1001 bytes/],
    [{ attributes: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`${n}`, n])) }, /at most 32/]
  ]
  it.scoped("what cannot be kept is refused before anything is written", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      for (const [options, cure] of refusals) {
        const error = yield* Effect.flip(world.use(Job.start({ n: 1 }, options)))
        assert.strictEqual(error._tag, "ValueInvalid")
        assert.match(error.message, cure)
      }
      assert.deepStrictEqual(world.writes, [])
    }))

  it.scoped("a workflow's own are checked at registration", () =>
    Effect.gen(function*() {
      const Bad = Workflow.make("Bad", { payload: {}, tags: ["a\tb"] })
      const world = yield* makeWorld()
      const error = yield* Effect.flip(world.launch(Bad.toLayer(() => Effect.void)))
      assert.match(error.message, /workflow Bad: the tag .* printable/)
    }))
})

describe("changing runs in bulk", () => {
  it.scoped("cancels what matches, in batches, with progress, and may be begun again", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(jobs)
      yield* world.use(Job.startAll(Array.from({ length: 5 }, (_, n) => ({ n: n + 200 })), { tags: ["old"] }))
      yield* world.use(Job.start({ n: 1 }, { tags: ["old"] }))
      const other = yield* world.use(Job.start({ n: 300 }))
      yield* TestClock.adjust("1 minute")
      const cancel = Runs.cancel({ tags: ["old"] }, { by: "ann", reason: "prices", batch: 2 })
      assert.deepStrictEqual(yield* last(world, cancel), [
        { matched: 2, changed: 2, done: false },
        { matched: 4, changed: 4, done: false },
        { matched: 5, changed: 5, done: true }
      ])
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* world.use(Runs.count({ tags: ["old"] })), { cancelled: 5, completed: 1 })
      assert.strictEqual((yield* world.record(other.id)).status, "suspended")
      assert.deepStrictEqual(yield* last(world, cancel), [{ matched: 0, changed: 0, done: true }])
      const [first] = (yield* world.use(Runs.find({ status: "cancelled" }))).runs
      const controls = yield* world.driver.controls(first?.id ?? "")
      assert.deepStrictEqual(controls.value.map(({ action, by, reason }) => [action, by, reason]), [[
        "cancel",
        "ann",
        "prices"
      ]])
    }))

  it.scoped("what is cancelled twice is changed once", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.use(Job.startAll([{ n: 1 }, { n: 2 }]))
      assert.deepStrictEqual(yield* last(world, Runs.cancel({ workflow: Job })), [{
        matched: 2,
        changed: 2,
        done: true
      }])
      assert.deepStrictEqual(yield* last(world, Runs.cancel({ workflow: Job })), [{
        matched: 2,
        changed: 0,
        done: true
      }])
    }))

  it.scoped("stopped between two batches, what was done stays, and the rest is done when it is begun again", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.use(Job.startAll(Array.from({ length: 6 }, (_, n) => ({ n }))))
      const terminate = Runs.terminate({ workflow: Job }, { by: "ann", batch: 2 })
      yield* world.use(Stream.runDrain(Stream.take(terminate, 1)))
      assert.deepInclude(yield* world.use(Runs.count(Runs.all)), { pending: 4, terminated: 2 })
      assert.deepStrictEqual((yield* last(world, terminate)).at(-1), { matched: 4, changed: 4, done: true })
      assert.deepInclude(yield* world.use(Runs.count(Runs.all)), { pending: 0, terminated: 6 })
    }))

  it.scoped("pauses what matches, and lets it go on", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.use(Job.startAll([{ n: 1 }, { n: 2 }, { n: 3 }], { tags: ["old"] }))
      yield* world.use(Job.start({ n: 4 }))
      const pause = Runs.pause({ tags: ["old"] }, { by: "ann", batch: 2 })
      assert.deepStrictEqual((yield* last(world, pause)).at(-1), { matched: 3, changed: 3, done: true })
      assert.deepStrictEqual(yield* last(world, pause), [{ matched: 0, changed: 0, done: true }])
      assert.deepInclude(yield* world.use(Runs.count({ workflow: Job })), { paused: 3, pending: 1 })
      yield* world.launch(jobs)
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* world.use(Runs.count({ workflow: Job })), { paused: 3, completed: 1 })
      assert.deepStrictEqual(yield* last(world, Runs.resume({ tags: ["old"] }, { by: "ann" })), [
        { matched: 3, changed: 3, done: true }
      ])
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* world.use(Runs.count({ workflow: Job })), { completed: 4 })
    }))

  it.scoped("retries what failed, once, and not what has another end", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(jobs)
      yield* world.use(Job.startAll([{ n: -1 }, { n: -2 }, { n: -3 }, { n: 1 }]))
      yield* TestClock.adjust("1 minute")
      const retry = Runs.retry({ workflow: Job, createdBefore: new Date(1) }, { by: "ann", batch: 2 })
      assert.deepStrictEqual((yield* last(world, retry)).at(-1), { matched: 3, changed: 3, done: true })
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* world.use(Runs.count({ workflow: Job })), { failed: 6, completed: 1 })
      assert.deepStrictEqual((yield* last(world, retry)).at(-1), { matched: 3, changed: 0, done: true })
      const { runs } = yield* world.use(Runs.find({ workflow: Job, createdFrom: new Date(1) }))
      assert.deepStrictEqual(runs.map(({ id, source }) => id === `${source?.run}~1`), [true, true, true])
      const [first] = runs
      assert.deepStrictEqual((yield* world.use(Runs.find({ source: first?.source?.run ?? "" }))).runs.length, 1)
      // A run that has the id of a retry and is none, of another run.
      const [one, two] = yield* world.use(Job.startAll([{ n: -4 }, { n: -5 }]))
      yield* TestClock.adjust("1 minute")
      const taken = {
        source: two?.id ?? "",
        seq: 0,
        id: `${one?.id}~1`,
        action: "fork",
        queue: null,
        priority: null
      } as const
      yield* world.driver.fork({ ...taken, by: null, reason: null })
      const both = Runs.retry({ workflow: Job, createdFrom: new Date(120_000), status: "failed" })
      assert.deepStrictEqual((yield* last(world, both)).at(-1), { matched: 2, changed: 1, done: true })
      assert.deepStrictEqual((yield* last(world, Runs.retry({ source: "nobody" }))).at(-1)?.changed, 0)
      assert.strictEqual((yield* world.record(`${two?.id}~1`)).source?.run, two?.id)
      const completed = Runs.retry({ workflow: Job, status: "completed" })
      assert.deepStrictEqual(yield* last(world, completed), [{ matched: 1, changed: 0, done: true }])
    }))

  it.scoped("nothing is done to all runs unless all are said to be meant", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.use(Job.startAll([{ n: 1 }, { n: 2 }]))
      world.writes.length = 0
      for (const change of [Runs.cancel, Runs.terminate, Runs.pause, Runs.resume, Runs.retry]) {
        for (const filter of [{}, { workflow: undefined }]) {
          const error = yield* Effect.flip(world.use(Stream.runDrain(change(filter as Runs.RunFilter))))
          assert.strictEqual(error._tag, "FilterTooWide")
          assert.match(error.message, /Runs\.all/)
        }
      }
      assert.deepStrictEqual(world.writes, [])
      assert.deepStrictEqual((yield* last(world, Runs.cancel(Runs.all))).at(-1), { matched: 2, changed: 2, done: true })
    }))

  it.scoped("inside a workflow it is a misuse, and nothing is asked", () =>
    Effect.gen(function*() {
      const Inside = Workflow.make("Inside", { payload: {} })
      const world = yield* makeWorld()
      const worker = yield* world.launch(
        Inside.toLayer(() => Effect.asVoid(Effect.orDie(Stream.runDrain(Runs.cancel(Runs.all)))))
      )
      const run = yield* worker.use(Inside.start({}))
      const exit = yield* soon(Effect.exit(worker.use(run.result)))
      assert.isTrue(Exit.isFailure(exit))
      assert.match((yield* world.record(run.id)).exit?.value ?? "", /Runs\.cancel is for outside of workflows/)
    }))
})
