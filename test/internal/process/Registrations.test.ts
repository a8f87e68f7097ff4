/** The workflows of a process: found by name and version, each registered once, for as long as its layer lives. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { ConfigurationInvalid } from "perdure/Errors"
import * as Clock from "effect/Clock"
import { DriverTime } from "perdure/internal/process/DriverTime"
import { KnownQueues } from "perdure/internal/process/KnownQueues"
import * as Process from "perdure/internal/process/Process"
import type { WorkflowRegistration } from "perdure/internal/process/Registration"
import { RunWatch } from "perdure/internal/process/RunWatch"

const workflow = (name: string, version = "1", change: Partial<WorkflowRegistration> = {}): WorkflowRegistration => ({
  name,
  version,
  queue: "default",
  stepMillis: Infinity,
  shape: {
    name,
    version,
    payloadSchema: Schema.Void,
    problems: [],
    construct: (input) => input,
    options: { queue: "default", priority: 0 }
  },
  signals: [],
  continuations: [],
  problems: [],
  open: () => Either.left("not opened here"),
  ...change
})

/** A process whose storage is not asked. */
const makeProcess = (): Process.Process => {
  const time = new DriverTime(Clock.make())
  const storage = { get: () => Effect.succeed([]), await: () => Effect.succeed([]) }
  return Process.make({
    time,
    watch: new RunWatch(storage, time, Duration.seconds(1)),
    queues: new KnownQueues({ queues: () => Effect.succeed([]), inTransaction: Effect.succeed(false) })
  })
}

/** Register in a scope of its own. */
const register = ({ admit, registrations }: Process.Process, registration: WorkflowRegistration) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const declare = Effect.zipRight(
      Effect.suspend(() => admit(registrations.problemsOf(registration))),
      registrations.addWorkflow(registration)
    )
    const exit = yield* Effect.exit(Scope.extend(declare, scope))
    return { exit, close: Scope.close(scope, Exit.void) }
  })

const problemsOf = (exit: Exit.Exit<void, ConfigurationInvalid>): ReadonlyArray<string> =>
  Exit.match(exit, {
    onSuccess: () => [],
    onFailure: (cause) =>
      cause._tag === "Fail" && cause.error instanceof ConfigurationInvalid ? cause.error.problems : assert.fail("died")
  })

describe("the registry", () => {
  it.effect("finds a workflow by its name and version, as long as its layer lives", () =>
    Effect.gen(function*() {
      const process = makeProcess()
      const { registrations } = process
      const changes: Array<number> = []
      const stop = registrations.onChange(() => changes.push(registrations.list().length))
      const one = workflow("Job")
      const two = workflow("Job", "2")
      const first = yield* register(process, one)
      const second = yield* register(process, two)
      assert.strictEqual(registrations.find("Job", "1"), one)
      assert.strictEqual(registrations.find("Job", "2"), two)
      assert.deepStrictEqual(registrations.list(), [{ name: "Job", version: "1" }, { name: "Job", version: "2" }])
      yield* first.close
      assert.isUndefined(registrations.find("Job", "1"))
      assert.strictEqual(registrations.find("Job", "2"), two)
      stop()
      yield* second.close
      assert.deepStrictEqual(registrations.list(), [])
      assert.deepStrictEqual(changes, [1, 2, 1])
    }))

  const strangers = [
    { name: "Other", version: "1" },
    { name: "Job", version: "2" },
    { name: "job", version: "1" },
    { name: "Job 1", version: "" },
    { name: "", version: "" }
  ]
  it.effect.each(strangers)("does not know $name, version $version", ({ name, version }) =>
    Effect.gen(function*() {
      const process = makeProcess()
      const { registrations } = process
      yield* register(process, workflow("Job"))
      assert.isUndefined(registrations.find(name, version))
    }))

  it.effect("tells names and versions apart wherever the one ends and the other begins", () =>
    Effect.gen(function*() {
      const process = makeProcess()
      const { registrations } = process
      const pairs = [["ab", "c"], ["a", "bc"], ["a", "b,c"], ["a,b", "c"], [`a","b`, "c"], ["a", `b","c`]] as const
      for (const [name, version] of pairs) yield* register(process, workflow(name, version))
      assert.deepStrictEqual(
        pairs.map(([name, version]) => registrations.find(name, version)?.version),
        pairs.map(([, v]) => v)
      )
      assert.strictEqual(registrations.list().length, pairs.length)
    }))

  it.effect("refuses a second handler of one name and version, and keeps the first", () =>
    Effect.gen(function*() {
      const process = makeProcess()
      const { registrations } = process
      const one = workflow("Job")
      yield* register(process, one)
      const second = yield* register(process, workflow("Job"))
      assert.deepStrictEqual(
        problemsOf(second.exit),
        [`workflow "Job" version "1" has two handlers: give one another name or version`]
      )
      assert.strictEqual(registrations.find("Job", "1"), one)
      yield* second.close
      assert.strictEqual(registrations.find("Job", "1"), one, "the end of a layer that was refused removes nothing")
      const other = yield* register(process, workflow("Job", "2"))
      assert.isTrue(Exit.isSuccess(other.exit))
    }))

  it.effect("takes a handler again when the first one's layer has ended", () =>
    Effect.gen(function*() {
      const process = makeProcess()
      const { registrations } = process
      const first = yield* register(process, workflow("Job"))
      yield* first.close
      const again = workflow("Job")
      assert.isTrue(Exit.isSuccess((yield* register(process, again)).exit))
      assert.strictEqual(registrations.find("Job", "1"), again)
    }))

  it.effect("reports the problems of layers that are built side by side together, each once", () =>
    Effect.gen(function*() {
      const process = makeProcess()
      const { registrations } = process
      const signal = { name: "Go" }
      yield* register(process, workflow("Job", "1", { signals: [signal] }))
      const refused = yield* Effect.forEach(
        [
          workflow("Job"),
          workflow("Bad", "1", { problems: ["its queue has no name"] }),
          workflow("Twin", "1", { signals: [{ name: "Go" }] }),
          workflow("Good", "1", { signals: [signal] })
        ],
        (each) => register(process, each),
        { concurrency: "unbounded" }
      )
      const reports = refused.map(({ exit }) => problemsOf(exit))
      assert.deepStrictEqual(reports.map(({ length }) => length), [3, 3, 3, 0])
      const [report = []] = reports
      for (const part of [`"Job" version "1"`, "its queue has no name", `signal "Go" of workflow "Twin"`]) {
        assert.strictEqual(report.filter((problem) => problem.includes(part)).length, 1, part)
      }
      assert.deepStrictEqual(registrations.list().map(({ name }) => name), ["Job", "Good"])
    }))

  it.effect("lets go of a signal with the last workflow that declares it", () =>
    Effect.gen(function*() {
      const process = makeProcess()
      const go = { name: "Go" }
      const a = yield* register(process, workflow("A", "1", { signals: [go] }))
      const b = yield* register(process, workflow("B", "1", { signals: [go] }))
      yield* a.close
      const early = yield* register(process, workflow("C", "1", { signals: [{ name: "Go" }] }))
      assert.strictEqual(problemsOf(early.exit).length, 1)
      yield* b.close
      const late = yield* register(process, workflow("C", "1", { signals: [{ name: "Go" }] }))
      assert.isTrue(Exit.isSuccess(late.exit))
    }))
})
