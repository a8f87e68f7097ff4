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
import { misuseOf } from "./fixtures/misuse.js"
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

const ids = (page: Runs.Page) => page.items.map(({ id }) => id)

const progress = (world: World, changes: Stream.Stream<Runs.Progress, unknown, Journal>) =>
  Effect.map(world.use(Stream.runCollect(changes)), (all) => Chunk.toReadonlyArray(all))

describe("a list of runs", () => {
  it.scoped("has the runs that match all conditions, on their start and on their end", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(jobs)
      const one = yield* world.use(Job.start({ n: 1 }, { tags: ["eu", "job"], attributes: { city: "Bern", n: 10 } }))
      yield* TestClock.adjust("1 minute")
      const two = yield* world.use(Job.start({ n: 2 }, { tags: ["us"] }))
      const bad = yield* world.use(Job.start({ n: -1 }))
      yield* TestClock.adjust("1 minute")
      const list = (filter: Runs.RunFilter | Runs.All) => Effect.map(world.use(Runs.list(filter)), ids)
      assert.sameMembers([...yield* list({ workflow: Job })], [one.id, two.id, bad.id])
      assert.deepStrictEqual(yield* list({ workflow: ["Job", "Other"], tags: ["eu"] }), [one.id])
      assert.deepStrictEqual(yield* list({ workflow: "Other" }), [])
      assert.deepStrictEqual(yield* list({ attributes: { n: 10, even: false } }), [one.id])
      assert.deepStrictEqual(yield* list({ attributes: { even: true } }), [two.id])
      assert.deepStrictEqual(yield* list({ status: "failed" }), [bad.id])
      assert.deepStrictEqual(yield* list({ errorCode: "Refused" }), [bad.id])
      assert.deepStrictEqual(yield* list({ errorCode: "Refused", status: ["completed"] }), [])
      assert.deepStrictEqual(yield* list({ text: "100% TOO" }), [bad.id])
      assert.deepStrictEqual(yield* list({ text: "1000_ too" }), [])
      assert.deepStrictEqual(yield* list({ createdBefore: DateTime.unsafeMake(60_000) }), [one.id])
      assert.deepStrictEqual(yield* list({ createdBefore: new Date(60_000), tags: ["us"] }), [])
      assert.deepStrictEqual((yield* list(Runs.all)).length, 3)
      assert.deepStrictEqual((yield* list({})).length, 3)
      const { items: [found] } = yield* world.use(Runs.list({ tags: ["eu"] }))
      assert.deepStrictEqual([found?.tags, found?.attributes], [["job", "eu"], { n: 10, even: false, city: "Bern" }])
      assert.deepStrictEqual(found === undefined ? undefined : yield* soon(world.use(found.run.result)), 1)
      const counts = yield* world.use(Runs.count({ workflow: Job }))
      assert.deepInclude(counts, { completed: 2, failed: 1, pending: 0, running: 0 })
    }))

  it.scoped("has children by their own tags and attributes", () =>
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
      const { items: [child, ...others] } = yield* world.use(Runs.list({ parent: parent.id }))
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual(child?.tags, ["job", "child"])
      assert.deepStrictEqual(child?.attributes, { n: 7, even: false, of: "Parent" })
      assert.deepStrictEqual((yield* world.use(Runs.list({ root: parent.id }))).items.length, 2)
    }))

  it.scoped("has each run once on its pages, while more runs are started", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const started = yield* world.use(Job.startAll(Array.from({ length: 7 }, (_, n) => ({ n }))))
      const first = yield* world.use(Runs.list({ workflow: Job }, { limit: 3 }))
      yield* TestClock.adjust("1 minute")
      yield* world.use(Job.start({ n: 8 }))
      const second = yield* world.use(Runs.list({ workflow: Job }, { limit: 3, cursor: first.next }))
      const third = yield* world.use(Runs.list({ workflow: Job }, { limit: 3, cursor: second.next }))
      assert.isNull(third.next)
      assert.deepStrictEqual([first, second, third].flatMap(ids).toSorted(), started.map(({ id }) => id).toSorted())
      const all = yield* world.use(Stream.runCollect(Runs.stream(Runs.all)))
      assert.strictEqual(all.length, 8)
    }))

  it.scoped("has runs by the definition of a queue, and by a key", () =>
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
      const [space, full] = yield* world.use(Keyed.startAll([{ key: " " }, { key: "a" }]))
      const found = (filter: Runs.RunFilter) =>
        Effect.map(world.use(Runs.list(filter)), ({ items }) => items.map(({ id }) => id).toSorted())
      assert.deepStrictEqual(yield* found({ key: " " }), [space?.id])
      assert.deepStrictEqual(yield* found({ idempotencyKey: " " }), [space?.id])
      assert.deepStrictEqual(yield* found({ queue: Mails }), [space?.id, full?.id].toSorted())
      assert.deepStrictEqual(yield* found({ queue: [Mails, "other"], key: "a" }), [full?.id])
    }))

  it.scoped("dies of an invalid filter or option with its place, value and cure, and storage is not asked", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld((driver) => ({
        ...driver,
        find: () => Effect.dieMessage("storage was asked"),
        count: () => Effect.dieMessage("storage was asked"),
        deliver: () => Effect.dieMessage("storage was written to")
      }))
      const wrong: ReadonlyArray<readonly [place: string, filter: unknown, cure: RegExp]> = [
        [
          "filter.status",
          { status: "done" },
          /must be ("\w+", )+"\w+" or "\w+", or an array of one or more, got "done"/
        ],
        ["filter.status", { status: [] }, /an array of one or more, got \[\]/],
        ["filter.status[1]", { status: ["failed", 3] }, /must be "\w+", .*, got 3/],
        ["filter.workflow", { workflow: [] }, /an array of one or more, got \[\]/],
        ["filter.workflow", { workflow: 7 }, /a string that is not empty or a Workflow/],
        ["filter.workflow", { workflow: "" }, /a string that is not empty/],
        ["filter.statuses", { statuses: ["failed"] }, /did you mean "status"\?/],
        ["filter.tags", { tags: [] }, /at least 1 item/],
        ["filter.tags[0]", { tags: [""] }, /1 to 200/],
        ["filter.attributes", { attributes: {} }, /at least 1 key/],
        ["filter.attributes.n", { attributes: { n: NaN } }, /finite/],
        ["filter.attributes.n", { attributes: { n: [] } }, /string/],
        ["filter.createdFrom", { createdFrom: "yesterday" }, /DateTime or Date/],
        ["filter.finishedBefore", { finishedBefore: new Date(NaN) }, /a valid .*, got Invalid Date/],
        ["filter.createdFrom", { createdFrom: new Date(-8.64e15) }, /from the year -4000 to 9999/],
        ["filter.createdBefore", { createdBefore: new Date(8.64e15) }, /from the year -4000 to 9999/],
        ["filter.finishedFrom", { finishedFrom: DateTime.unsafeMake(253_402_300_800_000) }, /to 9999/],
        ["filter.key", { key: "a\u0000b" }, /NUL/],
        ["filter.queue[0]", { queue: [{ name: "q" }] }, /string/],
        ["filter.text", { text: "a\u0000b" }, /NUL/],
        ["filter.parent", { parent: "x".repeat(2_000) }, /shorten/],
        ["filter", null, /must be an object/],
        ["filter", ["failed"], /must be an object/]
      ]
      for (const [place, filter, cure] of wrong) {
        const given = filter as Runs.RunFilter
        for (
          const attempt of [
            Effect.asVoid(Runs.list(given)),
            Effect.asVoid(Runs.count(given)),
            Stream.runDrain(Runs.stream(given)),
            Effect.asVoid(Runs.cancel(given)),
            Stream.runDrain(Runs.cancelStream(given))
          ]
        ) {
          const message = yield* world.use(misuseOf(attempt))
          assert.include(message, `"${place}"`)
          assert.match(message, cure)
        }
      }
      const pages: ReadonlyArray<readonly [place: string, options: unknown]> = [
        [`"limit"`, { limit: 0 }],
        [`"limit"`, { limit: 1.5 }],
        [`"limit"`, { limit: 1_001 }],
        [`"cursor"`, { cursor: 3 }],
        [`"limits"`, { limits: 1 }],
        ["the options", "10"]
      ]
      for (const [place, options] of pages) {
        const message = yield* world.use(misuseOf(Runs.list({}, options as Runs.PageOptions)))
        assert.include(message, `Runs.list: ${place}`)
      }
      const bulk: ReadonlyArray<readonly [place: string, options: unknown]> = [
        [`"batchSize"`, { batchSize: 0 }],
        [`"batches"`, { batches: 5 }],
        [`"by"`, { by: 5 }],
        [`"reason"`, { reason: null }],
        ["the options", "ann"]
      ]
      for (const [place, options] of bulk) {
        const message = yield* world.use(misuseOf(Runs.pause({ workflow: "Z" }, options as Runs.BulkOptions)))
        assert.include(message, `Runs.pause: ${place}`)
      }
    }))

  it.scoped("fails with ValueInvalid of a cursor that is not from one of its pages, and storage is not asked", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld((driver) => ({
        ...driver,
        find: () => Effect.dieMessage("storage was asked")
      }))
      const cursor = (position: unknown) => btoa(JSON.stringify(["Runs.list", position]))
      const wrong = [
        "next please",
        "",
        btoa(JSON.stringify(["Workers.list", { createdAt: 1, id: "y" }])),
        cursor({ createdAt: "x", id: "y" }),
        cursor({ createdAt: 9_000_000_000_000_000, id: "y" }),
        cursor({ createdAt: -9_000_000_000_000_000, id: "y" }),
        cursor({ createdAt: 1, id: "a\u0000" })
      ]
      for (const given of wrong) {
        const error = yield* Effect.flip(world.use(Runs.list({}, { cursor: given })))
        assert.strictEqual(error._tag, "ValueInvalid", given)
        assert.include(
          error.message,
          `the cursor of Runs.list is not valid: it must be the "next" of a page of this list`
        )
      }
    }))
})

describe("starting runs with tags and attributes", () => {
  const refusals: ReadonlyArray<readonly [Workflow.StartOptions, RegExp]> = [
    [{ tags: [""] }, /"tags\[0\]" must be a string of 1 to 200 printable/],
    [{ tags: ["a\nb"] }, /printable/],
    [{ tags: ["x".repeat(201)] }, /1 to 200/],
    [{ tags: Array.from({ length: 33 }, (_, n) => `${n}`) }, /at most 32/],
    [{ attributes: { "": 1 } }, /"a key of attributes" must be a string of 1 to 200/],
    [{ attributes: { n: Infinity } }, /finite/],
    [{ attributes: { s: "\uD800" } }, /lone surrogate/],
    [{ attributes: { s: "x".repeat(1_001) } }, /1001 bytes/],
    [{ attributes: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`${n}`, n])) }, /at most 32/]
  ]
  it.scoped("fails with ValueInvalid of labels that cannot be stored, before anything is written", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      for (const [options, cure] of refusals) {
        const error = yield* Effect.flip(world.use(Job.start({ n: 1 }, options)))
        assert.strictEqual(error._tag, "ValueInvalid")
        assert.match(error.message, cure)
      }
      assert.deepStrictEqual(world.writes, [])
    }))

  it.scoped("checks the labels of a workflow at its registration", () =>
    Effect.gen(function*() {
      const Bad = Workflow.make("Bad", { payload: {}, tags: ["a\tb"] })
      const world = yield* makeWorld()
      const error = yield* Effect.flip(world.launch(Bad.toLayer(() => Effect.void)))
      assert.match(error.message, /workflow "?Bad"?.*: "tags\[0\]" must be .* printable/)
    }))
})

describe("a change of runs in bulk", () => {
  it.scoped("cancels the runs that match in batches, reports progress, and may be repeated", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(jobs)
      yield* world.use(Job.startAll(Array.from({ length: 5 }, (_, n) => ({ n: n + 200 })), { tags: ["old"] }))
      yield* world.use(Job.start({ n: 1 }, { tags: ["old"] }))
      const other = yield* world.use(Job.start({ n: 300 }))
      yield* TestClock.adjust("1 minute")
      const cancel = Runs.cancelStream({ tags: ["old"] }, { by: "ann", reason: "prices", batchSize: 2 })
      assert.deepStrictEqual(yield* progress(world, cancel), [
        { matched: 2, changed: 2, unchanged: {}, done: false },
        { matched: 4, changed: 4, unchanged: {}, done: false },
        { matched: 5, changed: 5, unchanged: {}, done: true }
      ])
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* world.use(Runs.count({ tags: ["old"] })), { cancelled: 5, completed: 1 })
      assert.strictEqual((yield* world.record(other.id)).status, "suspended")
      assert.deepStrictEqual(yield* progress(world, cancel), [{ matched: 0, changed: 0, unchanged: {}, done: true }])
      const [first] = (yield* world.use(Runs.list({ status: "cancelled" }))).items
      const controls = yield* world.driver.controls(first?.id ?? "")
      assert.deepStrictEqual(controls.value.map(({ action, by, reason }) => [action, by, reason]), [[
        "cancel",
        "ann",
        "prices"
      ]])
    }))

  it.scoped("counts a run that was cancelled before as matched, not as changed", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.use(Job.startAll([{ n: 1 }, { n: 2 }]))
      assert.deepStrictEqual(yield* world.use(Runs.cancel({ workflow: Job })), {
        matched: 2,
        changed: 2,
        unchanged: {}
      })
      assert.deepStrictEqual(yield* world.use(Runs.cancel({ workflow: Job })), {
        matched: 2,
        changed: 0,
        unchanged: { AlreadyCancelled: 2 }
      })
    }))

  it.scoped("that is stopped between two batches keeps what was done, and the next one does the rest", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.use(Job.startAll(Array.from({ length: 6 }, (_, n) => ({ n }))))
      const terminate = Runs.terminateStream({ workflow: Job }, { by: "ann", batchSize: 2 })
      yield* world.use(Stream.runDrain(Stream.take(terminate, 1)))
      assert.deepInclude(yield* world.use(Runs.count(Runs.all)), { pending: 4, terminated: 2 })
      assert.deepStrictEqual((yield* progress(world, terminate)).at(-1), {
        matched: 4,
        changed: 4,
        unchanged: {},
        done: true
      })
      assert.deepInclude(yield* world.use(Runs.count(Runs.all)), { pending: 0, terminated: 6 })
    }))

  it.scoped("pauses and resumes the runs that match", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.use(Job.startAll([{ n: 1 }, { n: 2 }, { n: 3 }], { tags: ["old"] }))
      yield* world.use(Job.start({ n: 4 }))
      const pause = Runs.pause({ tags: ["old"] }, { by: "ann", batchSize: 2 })
      assert.deepStrictEqual(yield* world.use(pause), { matched: 3, changed: 3, unchanged: {} })
      assert.deepStrictEqual(yield* world.use(pause), { matched: 0, changed: 0, unchanged: {} })
      assert.deepInclude(yield* world.use(Runs.count({ workflow: Job })), { paused: 3, pending: 1 })
      yield* world.launch(jobs)
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* world.use(Runs.count({ workflow: Job })), { paused: 3, completed: 1 })
      const resume = Runs.resume({ tags: ["old"] }, { by: "ann" })
      assert.deepStrictEqual(yield* world.use(resume), { matched: 3, changed: 3, unchanged: {} })
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* world.use(Runs.count({ workflow: Job })), { completed: 4 })
    }))

  it.scoped("retries each failed run once, and no run that succeeded", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(jobs)
      yield* world.use(Job.startAll([{ n: -1 }, { n: -2 }, { n: -3 }, { n: 1 }]))
      yield* TestClock.adjust("1 minute")
      const retry = Runs.retry({ workflow: Job, createdBefore: new Date(1) }, { by: "ann", batchSize: 2 })
      assert.deepStrictEqual(yield* world.use(retry), { matched: 3, changed: 3, unchanged: {} })
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* world.use(Runs.count({ workflow: Job })), { failed: 6, completed: 1 })
      assert.deepStrictEqual(yield* world.use(retry), { matched: 3, changed: 0, unchanged: { AlreadyRetried: 3 } })
      const { items } = yield* world.use(Runs.list({ workflow: Job, createdFrom: new Date(1) }))
      assert.deepStrictEqual(items.map(({ id, source }) => id === `${source?.run}~1`), [true, true, true])
      const [first] = items
      assert.deepStrictEqual((yield* world.use(Runs.list({ source: first?.source?.run ?? "" }))).items.length, 1)
      // A fork of another run that has the id of a retry.
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
      assert.deepStrictEqual(yield* world.use(both), { matched: 2, changed: 2, unchanged: {} })
      assert.deepStrictEqual(yield* world.use(Runs.retry({ source: "unknown" })), {
        matched: 0,
        changed: 0,
        unchanged: {}
      })
      assert.strictEqual((yield* world.record(`${two?.id}~1`)).source?.run, two?.id)
      const completed = Runs.retry({ workflow: Job, status: "completed" })
      assert.deepStrictEqual(yield* world.use(completed), { matched: 1, changed: 0, unchanged: { OtherStatus: 1 } })
    }))

  it.scoped("of all runs needs Runs.all; a filter without conditions is a misuse, and nothing is written", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.use(Job.startAll([{ n: 1 }, { n: 2 }]))
      world.writes.length = 0
      for (const change of [Runs.cancel, Runs.terminate, Runs.pause, Runs.resume, Runs.retry]) {
        for (const filter of [{}, { workflow: undefined }]) {
          const message = yield* world.use(misuseOf<Journal>(change(filter as Runs.RunFilter)))
          assert.match(message, /"filter" has no conditions, .* Runs\.all/)
        }
      }
      assert.deepStrictEqual(world.writes, [])
      assert.deepStrictEqual(yield* world.use(Runs.cancel(Runs.all)), { matched: 2, changed: 2, unchanged: {} })
    }))

  it.scoped("inside a workflow is a misuse, and storage is not asked", () =>
    Effect.gen(function*() {
      const Inside = Workflow.make("Inside", { payload: {} })
      const world = yield* makeWorld()
      const worker = yield* world.launch(
        Inside.toLayer(() => Effect.asVoid(Effect.orDie(Runs.cancel(Runs.all))))
      )
      const run = yield* worker.use(Inside.start({}))
      const exit = yield* soon(Effect.exit(worker.use(run.result)))
      assert.isTrue(Exit.isFailure(exit))
      assert.match((yield* world.record(run.id)).exit?.value ?? "", /Runs\.cancel must be called outside of workflows/)
    }))
})
