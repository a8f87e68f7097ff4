/** The journal between programs and storage: values that cannot be decoded, failing storage, jumping clocks. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Record from "effect/Record"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { JournalError, ValueUnreadable } from "perdure/Errors"
import { Journal } from "perdure/Journal"
import { JournalDriver, verbs } from "perdure/JournalDriver"
import * as JournalMemory from "perdure/JournalMemory"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, shown, soon, within } from "./fixtures/world.js"

const Job = Workflow.make("Job", { payload: { n: Schema.Number }, success: Schema.Unknown })

/** The same workflow in a later deploy, with a payload that old runs do not have. */
const Renamed = Workflow.make("Job", { payload: { count: Schema.Number }, success: Schema.Unknown })

const Note = Signal.make("Note", { payload: Schema.Number })

const NoteText = Signal.make("Note", { payload: Schema.String })

describe("a stored value that its schema cannot decode", () => {
  it.scoped("parks the run if it is the payload, and nothing is lost", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const run = yield* world.use(Job.start({ n: 3 }))
      const wrong = yield* world.launch(Renamed.toLayer(({ count }) => Effect.succeed(count)))
      yield* TestClock.adjust("1 second")
      const record = yield* run.record
      assert.strictEqual(record.status, "diverged")
      assert.include(record.detail, `payload of run ${run.id} cannot be read by its schema`)
      assert.include(record.detail, "count")
      yield* wrong.stop
      yield* world.launch(Job.toLayer(({ n }) => Effect.succeed(n * 2)))
      assert.isTrue(yield* run.resume())
      assert.strictEqual(yield* soon(run.result), 6)
    }))

  it.scoped("parks the run if it is an entry, with the step's name, and the step does not run again", () =>
    Effect.gen(function*() {
      let ran = 0
      const code = (success: Schema.Schema<string, string> | Schema.Schema<number, number>) =>
        Job.toLayer(() =>
          Effect.gen(function*() {
            const given = yield* success.ast._tag === "NumberKeyword"
              ? Step.run("price", Effect.sync(() => ++ran), { success: Schema.Number })
              : Step.run("price", Effect.sync(() => `${++ran}`), { success: Schema.String })
            yield* Effect.sleep("1 day")
            return given
          })
        )
      const world = yield* makeWorld()
      const before = yield* world.launch(code(Schema.Number))
      const run = yield* world.use(Job.start({ n: 1 }))
      yield* TestClock.adjust("1 hour")
      yield* before.stop
      const wrong = yield* world.launch(code(Schema.String))
      yield* TestClock.adjust("1 day")
      const detail = JSON.parse((yield* run.record).detail ?? "")
      assert.deepInclude(detail, { reason: "undecodable", delivered: 0 })
      assert.include(detail.detail, "result of step price")
      yield* wrong.stop
      yield* world.launch(code(Schema.Number))
      yield* run.resume()
      assert.strictEqual(yield* within("1 day")(run.result), 1)
      assert.strictEqual(ran, 1)
    }))

  it.scoped("parks the run if it is a signal, which stays in the inbox", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const wrong = yield* world.launch(Job.toLayer(() => NoteText.receive))
      const run = yield* world.use(Job.start({ n: 1 }))
      yield* TestClock.adjust("1 minute")
      yield* world.use(Note.send(run.id, 42))
      yield* TestClock.adjust("1 second")
      const record = yield* run.record
      assert.strictEqual(record.status, "diverged")
      assert.include(record.detail, "payload of signal Note")
      assert.deepStrictEqual(yield* world.history(run.id), [])
      yield* wrong.stop
      yield* world.launch(Job.toLayer(() => Note.receive))
      yield* run.resume()
      assert.strictEqual(yield* soon(run.result), 42)
    }))

  it.scoped("is a typed error for a caller that waits for the result", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() => Effect.succeed("text")))
      const run = yield* world.use(Job.start({ n: 1 }))
      yield* soon(run.result)
      const Reader = Workflow.make("Job", { payload: { n: Schema.Number }, success: Schema.Number })
      const read = yield* world.use(Reader.attach(run.id))
      assert.instanceOf(yield* soon(Effect.flip(read.result)), ValueUnreadable)
    }))
})

const fault = (code: JournalError["code"], operation: string) =>
  new JournalError({
    code,
    operation,
    detail: "simulated",
    retryable: code === "Unavailable" || code === "OutcomeUnknown" || code === "Conflict"
  })

/** Storage with planned failures: before an operation, or after it. */
const makeFaults = () => {
  const faults = new Map<string, Array<{ readonly when: "before" | "after"; readonly error: JournalError }>>()
  const met: Array<string> = []
  const around = <A, E>(name: string, operation: Effect.Effect<A, E>): Effect.Effect<A, E | JournalError> =>
    Effect.suspend(() => {
      const next = faults.get(name)?.shift()
      if (next === undefined) return operation
      met.push(`${name} ${next.when}`)
      return next.when === "before" ? next.error : Effect.zipRight(operation, next.error)
    })
  return {
    met,
    fail: (name: string, count: number, error: JournalError, when: "before" | "after" = "before") =>
      faults.set(name, Array.from({ length: count }, () => ({ when, error }))),
    bend: (driver: JournalDriver): JournalDriver => ({
      ...driver,
      enqueue: (request) => around("enqueue", driver.enqueue(request)),
      claim: (request) => around("claim", driver.claim(request)),
      commit: (request) => around("commit", driver.commit(request)),
      deliver: (messages) => around("deliver", driver.deliver(messages)),
      heartbeat: (request) => around("heartbeat", driver.heartbeat(request)),
      get: (runs) => around("get", driver.get(runs)),
      await: (runs) => around("await", driver.await(runs))
    })
  }
}

const adding = Job.toLayer(({ n }) =>
  Effect.gen(function*() {
    const one = yield* Step.run("one", Effect.succeed(n + 1), { success: Schema.Number })
    yield* Effect.sleep("1 hour")
    return yield* Step.run("two", Effect.succeed(one + 1), { success: Schema.Number })
  })
)

describe("storage that is unavailable", () => {
  for (const when of ["before", "after"] as const) {
    it.scoped(`${when} commits, claims and waits is retried until it is back; nothing is lost or done twice`, () =>
      Effect.gen(function*() {
        const faults = makeFaults()
        const world = yield* makeWorld(faults.bend)
        yield* world.launch(adding, { leaseDuration: "15 minutes" })
        const code = when === "before" ? "Unavailable" : "OutcomeUnknown"
        for (const operation of ["commit", "claim", "get", "await"])
          faults.fail(operation, 3, fault(code, operation), when)
        const run = yield* world.use(Job.start({ n: 1 }))
        const waiting = yield* Effect.fork(run.result)
        yield* TestClock.adjust("6 hours")
        const { status } = yield* world.record(run.id).pipe(Effect.retry({ times: 5 }))
        assert.strictEqual(status, "completed")
        assert.deepStrictEqual(shown(yield* world.history(run.id)), ["step one", "timer sleep", "step two"])
        assert.isAbove(faults.met.filter((each) => each === `commit ${when}`).length, 2)
        yield* waiting.interruptAsFork(waiting.id())
      }))
  }

  it.scoped("is a typed, retryable error for callers of start and send", () =>
    Effect.gen(function*() {
      const faults = makeFaults()
      const world = yield* makeWorld(faults.bend)
      const down = fault("Unavailable", "enqueue")
      faults.fail("enqueue", 1, down)
      assert.deepStrictEqual(yield* Effect.exit(world.use(Job.start({ n: 1 }))), Exit.fail(down))
      assert.isTrue(down.retryable)
      faults.fail("enqueue", 2, down)
      const retried = Effect.retry(Job.start({ n: 1 }), { times: 2 })
      const run = yield* world.use(retried)
      faults.fail("deliver", 1, fault("Unavailable", "deliver"))
      const refused = yield* Effect.flip(world.use(Note.send(run.id, 1)))
      assert.strictEqual(refused._tag === "JournalError" && refused.code, "Unavailable")
    }))

  it.scoped("at the start of a worker is a typed error of its layer", () =>
    Effect.gen(function*() {
      const faults = makeFaults()
      const world = yield* makeWorld(faults.bend)
      faults.fail("heartbeat", 1000, fault("Unavailable", "heartbeat"))
      const error = yield* soon(Effect.flip(world.launch(Layer.empty)))
      assert.strictEqual(error._tag, "JournalError")
    }))

  it.scoped("for longer than a lease stops the worker from starting steps; it continues afterwards", () =>
    Effect.gen(function*() {
      const faults = makeFaults()
      const world = yield* makeWorld(faults.bend)
      yield* world.launch(adding, { leaseDuration: "30 minutes", lingerDuration: "1 day" })
      const run = yield* world.use(Job.start({ n: 1 }))
      yield* TestClock.adjust("1 minute")
      faults.fail("heartbeat", 9, fault("Unavailable", "heartbeat"))
      yield* TestClock.adjust("65 minutes")
      assert.notInclude(shown(yield* world.history(run.id)), "step two")
      assert.strictEqual(yield* within("3 hours")(run.result), 3)
    }))
})

describe("storage that is full", () => {
  it.scoped("parks no run: commits are retried until space is free, and starts fail as retryable", () =>
    Effect.gen(function*() {
      const faults = makeFaults()
      const world = yield* makeWorld(faults.bend)
      yield* world.launch(adding)
      const full = new JournalError({ code: "Refused", operation: "commit", detail: "disk full", retryable: true })
      faults.fail("commit", 20, full)
      const run = yield* world.use(Job.start({ n: 1 }))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* run.record).status, "running")
      assert.deepStrictEqual(yield* world.history(run.id), [])
      faults.fail("enqueue", 1, full)
      assert.deepStrictEqual(yield* Effect.exit(world.use(Job.start({ n: 2 }))), Exit.fail(full))
      assert.strictEqual(yield* within("3 hours")(run.result), 3)
      assert.strictEqual(faults.met.filter((each) => each === "commit before").length, 20)
    }))
})

describe("a commit that is permanently refused", () => {
  it.scoped("parks its run with its durable entries, and no other run", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld((driver) => ({
        ...driver,
        commit: (request) =>
          request.commits.some(({ entries }) => entries.some(({ exit }) => exit.value === "13"))
            ? fault("Refused", "commit")
            : driver.commit(request)
      }))
      yield* world.launch(adding)
      const runs = yield* world.use(Job.startAll([{ n: 1 }, { n: 12 }, { n: 2 }]))
      yield* TestClock.adjust("2 hours")
      const statuses = yield* Effect.forEach(runs, ({ id }) => Effect.map(world.record(id), ({ status }) => status))
      assert.deepStrictEqual(statuses, ["completed", "diverged", "completed"])
      const [, refused] = runs
      assert.include((yield* world.record(refused?.id ?? "")).detail, "simulated")
    }))
})

describe("a clock that jumps", () => {
  it.scoped("back and forth changes neither the order of entries nor time inside the run", () =>
    Effect.gen(function*() {
      let skew = 0
      const jumping = (driver: JournalDriver): JournalDriver => {
        const skewed = <A extends { readonly now: number }, E>(operation: Effect.Effect<A, E>) =>
          Effect.map(operation, (answer) => ({ ...answer, now: answer.now + skew }))
        return {
          ...driver,
          enqueue: (request) => skewed(driver.enqueue(request)),
          claim: (request) => skewed(driver.claim(request)),
          commit: (request) => skewed(driver.commit(request)),
          heartbeat: (request) => skewed(driver.heartbeat(request))
        }
      }
      const times: Array<number> = []
      const Ticks = Workflow.make("Ticks", { payload: {} })
      const world = yield* makeWorld(jumping)
      yield* world.launch(
        Ticks.toLayer(() =>
          Effect.forEach([0, 1, 2, 3, 4, 5, 6, 7], (n) =>
            Effect.gen(function*() {
              yield* Step.run(
                `s${n}`,
                Effect.sync(() => {
                  skew = [0, 3_600_000, -3_600_000, 50_000, -50_000, 0, 7_200_000, 0][n] ?? 0
                })
              )
              times.push(yield* Effect.clockWith((clock) => clock.currentTimeMillis))
              yield* Effect.sleep("1 minute")
            }), { discard: true })
        ),
        { lingerDuration: "1 day" }
      )
      const run = yield* world.use(Ticks.start({}))
      yield* within("10 hours")(run.result)
      const at = (yield* world.history(run.id)).map((entry) => entry.at)
      assert.deepStrictEqual(at, [...at].sort((a, b) => a - b))
      assert.deepStrictEqual(times, [...times].sort((a, b) => a - b))
      assert.strictEqual(at.length, 16)
    }))
})

/** The same driver with its verbs on a prototype, where they use `this`: like an instance of a class. */
const asInstance = (driver: JournalDriver): JournalDriver => {
  const prototype = {}
  for (const name of [...Record.keys(verbs), "transaction"] as const) {
    Object.defineProperty(prototype, name, {
      value(this: { readonly inner: JournalDriver }, ...request: ReadonlyArray<unknown>) {
        return Reflect.apply(this.inner[name], this.inner, request)
      }
    })
  }
  for (const name of ["inTransaction", "hints"] as const) {
    Object.defineProperty(prototype, name, {
      get(this: { readonly inner: JournalDriver }) {
        return this.inner[name]
      }
    })
  }
  return Object.create(prototype, { inner: { value: driver } })
}

describe("a driver that is an instance of a class", () => {
  it.scoped("executes runs: its methods are found on its prototype and keep their this", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld(asInstance)
      assert.deepStrictEqual(Object.keys(world.driver), [])
      const journal = yield* Effect.map(
        Layer.build(
          Layer.provide(Journal.layer({ pollInterval: "40000 days" }), Layer.succeed(JournalDriver, world.driver))
        ),
        Context.get(Journal)
      )
      for (const verb of Record.keys(verbs))
        assert.isFunction(Object.entries(journal).find(([name]) => name === verb)?.[1])
      yield* world.launch(adding)
      const run = yield* world.use(Job.start({ n: 1 }))
      assert.strictEqual(yield* within("2 hours")(run.result), 3)
      assert.isTrue(yield* journal.transaction(journal.inTransaction))
      assert.deepStrictEqual(
        (yield* journal.get([run.id])).map(({ status }) => status),
        ["completed"]
      )
    }))
})

describe("Journal.layer", () => {
  it.effect("fails with every problem of its options", () =>
    Effect.gen(function*() {
      const wrong: object = { pollInterval: "0 millis", pollIntervall: 1 }
      const layer = Layer.provide(Journal.layer(wrong), JournalMemory.layerDriver)
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.strictEqual(error._tag, "ConfigurationInvalid")
      assert.match(error.message, /the options of Journal\.layer: 2 problem/)
      assert.match(error.message, /"pollIntervall" is not an option: did you mean "pollInterval"\?/)
    }))
})
