/** The preflight check: every problem at once, and nothing runs. */
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
  it.effect("reports no problem of a valid process, and lists the workflows that it checked", () =>
    Effect.gen(function*() {
      const report = yield* Check.run(Layer.mergeAll(GoodLive, AfterLive, Worker.layer()))
      assert.deepStrictEqual(report, {
        ok: true,
        problems: [],
        workflows: [{ name: "Good", version: "1" }, { name: "After", version: "1" }]
      })
    }))

  it.effect("reports every problem with its place and cure", () =>
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
      // A report is plain data.
      assert.deepStrictEqual(Schema.decodeUnknownSync(Check.Report)(JSON.parse(JSON.stringify(report))), report)
    }))

  it.effect("reports every wrong option of a worker, whatever the type of the value", () =>
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
          ["BadOption", `worker "a"`, `"concurrency"`],
          ["BadOption", `worker "a"`, `"pollInterval"`],
          ["BadOption", `worker "b"`, `"queues"`],
          ["BadOption", `worker "c"`, `"concurency"`]
        ]
      )
    }))

  it.effect("reports no queue as unserved in a process without workers", () =>
    Effect.gen(function*() {
      const Elsewhere = Workflow.make("Elsewhere", { payload: {}, queue: "elsewhere" })
      assert.isTrue((yield* Check.run(Elsewhere.toLayer(() => Effect.void))).ok)
    }))

  it.effect("accepts queues that are defined, and reports definitions that differ", () =>
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

  it.effect("reports a continuation on an unserved queue, and accepts queues that a workflow defines", () =>
    Effect.gen(function*() {
      const one = RunQueue.make("bulk", { concurrency: 1 })
      const Waits = Workflow.make("Waits", { payload: {}, queue: one })
      const Goes = Workflow.make("Goes", { payload: {} }).pipe(
        Continuation.onSuccess(After, () => ({}), { queue: "nowhere" }),
        Continuation.onFailure(After, () => ({}), { queue: "bulk" })
      )
      const workflows = Layer.mergeAll(Waits.toLayer(() => Effect.void), Goes.toLayer(() => Effect.void), AfterLive)
      const check = (...queues: ReadonlyArray<RunQueue.Reference>) =>
        Check.run(Layer.merge(workflows, Worker.layer({ queues: ["default", ...queues] })))
      const [nowhere, ...others] = (yield* check("bulk")).problems
      assert.deepInclude(nowhere, {
        code: "QueueNotServed",
        detail:
          `workflow "Goes" version "1" continues on success with "After" on queue "nowhere", which no worker of ` +
          "this process serves"
      })
      assert.deepStrictEqual(others, [])
      assert.isTrue((yield* check(one, "nowhere")).ok)
      // A queue that a workflow of this process waits on must be served here.
      assert.deepStrictEqual(codes(yield* check("nowhere")), ["QueueNotServed", "QueueNotServed"])
      const two = RunQueue.make("bulk", { concurrency: 2 })
      assert.deepStrictEqual(codes(yield* check(two, "nowhere")), ["TwoQueues"])
    }))

  it.effect("checks queues that only workflows name, once each", () =>
    Effect.gen(function*() {
      const bad = RunQueue.make("bulk", { concurrency: -1 })
      const One = Workflow.make("One", { payload: {}, queue: bad })
      const Other = Workflow.make("Other", { payload: {} }).pipe(
        Continuation.onSuccess(After, () => ({}), { queue: bad })
      )
      const report = yield* Check.run(Layer.mergeAll(
        One.toLayer(() => Effect.void),
        Other.toLayer(() => Effect.void),
        AfterLive,
        Worker.layer({ queues: ["default", "bulk"] })
      ))
      assert.deepStrictEqual(report.problems.map(({ code, place }) => [code, place]), [[
        "BadOption",
        `queue "bulk"`
      ]])
    }))

  const odd = (options: object) => {
    const Odd = Workflow.make("Odd", { payload: { n: Schema.Number }, ...options })
    return Effect.map(
      Check.run(Layer.merge(Odd.toLayer(() => Effect.void), Worker.layer())),
      ({ problems }) =>
        problems.filter(({ code }) => code === "BadDefinition").map(({ detail }) =>
          detail.replace(/^workflow "Odd": /, "")
        )
    )
  }

  for (
    const [options, ...details] of [
      [{ piority: 1, singelton: {} }, `did you mean "priority"?`, `did you mean "singleton"?`],
      [{ sucess: Schema.Number, eror: Schema.Never }, `did you mean "success"?`, `did you mean "error"?`],
      [
        { payload: undefined, paylod: {} },
        `did you mean "payload"?`,
        `"payload" must be a Schema, or an object of schemas`
      ],
      [{ payload: { n: "number" } }, `"payload" must be a Schema, or an object of schemas`],
      [
        { success: "number", error: {} },
        `"success" must be a Schema, got "number"`,
        `"error" must be a Schema, got {}`
      ],
      [{ timeout: -1 }, `"timeout" must be a duration, such as "1 minute", got -1`],
      [{ timeout: "zz" }, `"timeout" must be a duration, such as "1 minute", got "zz"`],
      [{ priority: "high" }, `"priority" must be an integer from -32768 to 32767, got "high"`],
      [
        { key: 5, idempotencyKey: "a", attributes: [] },
        `"idempotencyKey" must be a function, got "a"`,
        `"key" must be a function, got 5`,
        `"attributes" must be a function, got []`
      ],
      [{ signals: [{}] }, `"signals[0]" must be a Signal, got {}`],
      [{ signals: "Go" }, `"signals" must be an array, each a Signal, got "Go"`],
      [{ queue: 5 }, `"queue" must be a RunQueue or its name, got 5`],
      [{ queue: "naïve" }, `"queue" must be a string of 1 to 200 printable ASCII characters`],
      [{ tags: "a" }, `"tags" must be an array with at most 32 items`],
      [{ singleton: "account" }, `"singleton" must be an object { key, mode }, got "account"`],
      [
        { singleton: { keys: 1, mode: "no" } },
        `"singleton.keys" is not an option: did you mean "key"?`,
        `"singleton.key" must be a function, got undefined`,
        `"singleton.mode" must be "join" or "refuse", got "no"`
      ],
      [{ debounce: { key: () => "", quiet: -5 } }, `"debounce.quiet" must be a finite duration`],
      [{ debounce: 5 }, `"debounce" must be an object { key, quiet, maxWait }, got 5`],
      [
        { debounce: { key: () => "", quiet: "1 minute", maxWait: "1 second" } },
        `"debounce.maxWait" is shorter than "debounce.quiet"`
      ]
    ] as ReadonlyArray<readonly [object, ...ReadonlyArray<string>]>
  ) {
    it.effect(`names every problem of ${JSON.stringify(options)} of a workflow`, () =>
      Effect.gen(function*() {
        const found = yield* odd(options)
        assert.strictEqual(found.length, details.length, found.join("\n"))
        for (const [index, detail] of details.entries()) assert.include(found[index], detail)
      }))
  }

  it.effect("reports every wrong option of a continuation, which also stops the process from starting", () =>
    Effect.gen(function*() {
      const options: object = {
        delay: "zz",
        expiresIn: -1,
        startsAt: "noon",
        expiresAt: new Date(NaN),
        priority: 1.5,
        queue: null,
        tags: 5,
        attributes: 5,
        delays: 5
      }
      const layer = Workflow.make("Goes", { payload: {} }).pipe(Continuation.onSuccess(After, () => ({}), options))
        .toLayer(() => Effect.void)
      const { problems } = yield* Check.run(Layer.mergeAll(layer, AfterLive, Worker.layer()))
      assert.deepStrictEqual([...new Set(problems.map(({ code }) => code))], ["BadDefinition"])
      const place = `workflow "Goes" continues on success with "After": `
      const names = problems.map(({ detail }) => detail.slice(place.length).split(" ")[0]?.replaceAll("\"", ""))
      assert.deepStrictEqual(names, [
        "delays",
        "delay",
        "startsAt",
        "expiresIn",
        "expiresAt",
        "priority",
        "queue",
        "tags",
        "attributes"
      ])
      const refused = yield* Effect.flip(Effect.scoped(Layer.build(Layer.provide(layer, JournalMemory.layer))))
      assert.strictEqual(refused._tag, "ConfigurationInvalid")
      assert.include(refused.message, `${place}"delay" must be a duration`)
    }))

  it.effect("leaves no trace: a second check finds the same", () =>
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
    registrations: Context.get(context, Journal).process.registrations
  }))

  it.scoped("reports the problems of the layers that are built now", () =>
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

  it.scoped("asks other sources of problems while they are registered", () =>
    Effect.gen(function*() {
      const { context, registrations } = yield* journal
      const report = Effect.provide(Check.report, context)
      const scope = yield* Scope.make()
      const problem = { code: "BadOption", place: "here", detail: "it is wrong", cure: "fix it" } as const
      yield* Scope.extend(registrations.addSource(() => [problem]), scope)
      assert.deepStrictEqual((yield* report).problems, [problem])
      yield* Scope.close(scope, Exit.void)
      assert.isTrue((yield* report).ok)
      const Mail = Workflow.make("Mail", { payload: {}, queue: "mail" })
      yield* registrations.addWorker({ id: undefined, queues: ["default"] })
      yield* Effect.provide(Layer.build(Mail.toLayer(() => Effect.void)), context)
      assert.deepStrictEqual(codes(yield* report), ["QueueNotServed"])
      yield* registrations.addQueue({ name: "mail", definition: "{}", elsewhere: true })
      assert.isTrue((yield* report).ok)
    }))
})
