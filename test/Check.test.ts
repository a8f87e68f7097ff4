/** The preflight: every problem at once, and nothing runs. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Check from "perdure/Check"
import * as Continuation from "perdure/Continuation"
import { Journal } from "perdure/Journal"
import * as JournalMemory from "perdure/JournalMemory"
import * as RunQueue from "perdure/RunQueue"
import * as Signal from "perdure/Signal"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"

const Note = Signal.make("Note", { payload: {} })
const OtherNote = Signal.make("Note", { payload: { n: Schema.Number } })

const After = Workflow.make("After", { payload: {} })
const Good = Workflow.make("Good", { payload: {}, signals: [Note] }).pipe(Continuation.onSuccess(After, () => ({})))
const GoodLive = Good.toLayer(() => Effect.void)
const AfterLive = After.toLayer(() => Effect.void)

const codes = ({ problems }: Check.Report) => problems.map(({ code }) => code).toSorted()

describe("Check.run", () => {
  it.effect("finds nothing wrong with what is right, and says what it looked at", () =>
    Effect.gen(function*() {
      const report = yield* Check.run(Layer.mergeAll(GoodLive, AfterLive, Worker.layer()))
      assert.deepStrictEqual(report, {
        ok: true,
        problems: [],
        workflows: [{ name: "Good", version: "1" }, { name: "After", version: "1" }]
      })
    }))

  it.effect("finds everything that is wrong, each with its place and cure", () =>
    Effect.gen(function*() {
      const Bad = Workflow.make("Bad", { payload: {}, priority: 0.5, queue: "mails" })
      const Twin = Workflow.make("Twin", { payload: {}, signals: [OtherNote] })
      const report = yield* Check.run(Layer.mergeAll(
        GoodLive,
        Good.toLayer(() => Effect.succeed(undefined)),
        Bad.toLayer(() => Effect.void),
        Twin.toLayer(() => Effect.void),
        Worker.layer({ id: "w", concurrency: 0, pollInterval: 1 }),
        Worker.layer({ id: "w", queues: ["default", "mail"] }),
        Layer.effectDiscard(Effect.fail("no configuration"))
      ))
      assert.isFalse(report.ok)
      assert.deepStrictEqual(codes(report), [
        "BadDefinition",
        "BadOption",
        "BadOption",
        "LayerFailed",
        "NoSuchWorkflow",
        "QueueNotServed",
        "TwoHandlers",
        "TwoSignals",
        "TwoWorkers"
      ])
      const found = (code: string) => report.problems.find((problem) => problem.code === code)
      assert.deepInclude(found("QueueNotServed"), {
        place: `workflow "Bad" version "1"`,
        detail: `workflow "Bad" version "1" waits on queue "mails", which no worker of this process serves`
      })
      assert.include(found("NoSuchWorkflow")?.detail, `continues on success with workflow "After" version "1"`)
      assert.include(found("LayerFailed")?.detail, "no configuration")
      for (const { cure, detail, place } of report.problems) {
        assert.isNotEmpty(cure)
        assert.isNotEmpty(detail)
        assert.isNotEmpty(place)
      }
      // It is data.
      assert.deepStrictEqual(Schema.decodeUnknownSync(Check.Report)(JSON.parse(JSON.stringify(report))), report)
    }))

  it.effect("tells every bad option of a worker, whatever its type is", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<unknown> = [
        { id: "a", pollInterval: "zz", concurrency: 0 },
        { id: "b", queues: "default" },
        { id: "c", concurency: 3 }
      ]
      const report = yield* Check.run(
        Layer.mergeAll(Layer.empty, ...wrong.map((options) => Worker.layer(options as Worker.WorkerOptions)))
      )
      assert.deepStrictEqual(
        report.problems.map(({ code, detail, place }) => [code, place, detail.split(" ")[0]]).toSorted(),
        [
          ["BadOption", `worker "a"`, "concurrency"],
          ["BadOption", `worker "a"`, "pollInterval"],
          ["BadOption", `worker "b"`, "queues"],
          ["BadOption", `worker "c"`, "concurency"]
        ]
      )
    }))

  it.effect("says nothing of queues where there is no worker", () =>
    Effect.gen(function*() {
      const Elsewhere = Workflow.make("Elsewhere", { payload: {}, queue: "elsewhere" })
      assert.isTrue((yield* Check.run(Elsewhere.toLayer(() => Effect.void))).ok)
    }))

  it.effect("knows queues that are defined, and looks at their definitions", () =>
    Effect.gen(function*() {
      const Mail = RunQueue.make("mail", { concurrency: 3 })
      const Sends = Workflow.make("Sends", { payload: {}, queue: "mail" })
      const SendsLive = Sends.toLayer(() => Effect.void)
      assert.isTrue((yield* Check.run(Layer.mergeAll(SendsLive, Mail.layer, Worker.layer()))).ok)
      assert.isTrue((yield* Check.run(Layer.mergeAll(SendsLive, Mail.layer, Worker.layer({ queues: [Mail] })))).ok)
      const report = yield* Check.run(Layer.mergeAll(
        SendsLive,
        Mail.layer,
        RunQueue.make("bad", { concurrency: -1 }).layer,
        Worker.layer({ queues: [RunQueue.make("mail", { concurrency: 4 })] })
      ))
      assert.deepStrictEqual(codes(report), ["BadOption", "TwoQueues"])
    }))

  it.effect("leaves no trace: a second check is a first one", () =>
    Effect.gen(function*() {
      const check = Check.run(Layer.merge(GoodLive, Worker.layer()))
      assert.deepStrictEqual(codes(yield* check), ["NoSuchWorkflow"])
      assert.deepStrictEqual(codes(yield* check), ["NoSuchWorkflow"])
    }))
})

describe("Check.orFail", () => {
  it.effect("lists every problem in its error", () =>
    Effect.gen(function*() {
      const failed = yield* Effect.flip(Check.orFail(Layer.merge(GoodLive, Worker.layer({ queues: ["other"] }))))
      assert.strictEqual(failed._tag, "ConfigurationInvalid")
      assert.strictEqual(failed.problems.length, 2)
      assert.include(failed.message, "which no worker of this process serves: add the queue")
      assert.isTrue((yield* Check.orFail(AfterLive)).ok)
    }))
})

describe("Check.report", () => {
  const journal = Effect.map(Layer.build(Layer.fresh(JournalMemory.layer)), (context) => ({
    context,
    registry: Context.get(context, Journal).registry
  }))

  it.scoped("says what is wrong with what runs now", () =>
    Effect.gen(function*() {
      const { context } = yield* journal
      const report = Effect.provide(Check.report, context)
      yield* Effect.provide(Layer.build(GoodLive), context)
      assert.deepStrictEqual(codes(yield* report), ["NoSuchWorkflow"])
      yield* Effect.provide(Layer.build(AfterLive), context)
      assert.isTrue((yield* report).ok)
    }))

  it.scoped("forgets the problems of a layer that was refused", () =>
    Effect.gen(function*() {
      const { context } = yield* journal
      const report = Effect.provide(Check.report, context)
      yield* Effect.provide(Layer.build(AfterLive), context)
      const refused = yield* Effect.exit(Effect.scoped(Effect.provide(
        Layer.build(After.toLayer(() => Effect.succeed(undefined))),
        context
      )))
      assert.isTrue(Exit.isFailure(refused))
      assert.isTrue((yield* report).ok)
    }))

  it.scoped("asks other sources of problems, as long as they are there", () =>
    Effect.gen(function*() {
      const { context, registry } = yield* journal
      const report = Effect.provide(Check.report, context)
      const scope = yield* Scope.make()
      const problem = { code: "BadOption", place: "here", detail: "it is wrong", cure: "mend it" } as const
      yield* Scope.extend(registry.addSource(() => [problem]), scope)
      assert.deepStrictEqual((yield* report).problems, [problem])
      yield* Scope.close(scope, Exit.void)
      assert.isTrue((yield* report).ok)
      const Mail = Workflow.make("Mail", { payload: {}, queue: "mail" })
      yield* registry.addWorker({ id: undefined, queues: ["default"] })
      yield* Effect.provide(Layer.build(Mail.toLayer(() => Effect.void)), context)
      assert.deepStrictEqual(codes(yield* report), ["QueueNotServed"])
      yield* registry.defineQueue("mail", "{}")
      assert.isTrue((yield* report).ok)
    }))
})
