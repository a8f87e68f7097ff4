/** Inboxes that arrive late: the run has continued, and got some of the messages by a claim. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { JournalError } from "perdure/Errors"
import type { RunCommit } from "perdure/JournalDriver"
import { Limits } from "perdure/Limits"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, soon } from "../../fixtures/world.js"

const Note = Signal.make("Note", { payload: Schema.Number })

/** Receives a note in each of `more + 1` generations. */
const Loop = Workflow.make("Loop", {
  payload: { more: Schema.Number, received: Schema.Array(Schema.Number) },
  success: Schema.Array(Schema.Number)
})

const live = Loop.toLayer(({ more, received }) =>
  Effect.gen(function*() {
    const all = [...received, yield* Note.receive]
    return more === 0 ? all : yield* Loop.continueAsNew({ more: more - 1, received: all })
  })
)

/** A barrier for calls, before or after storage. */
const makeBarrier = () => {
  const opened: Array<Deferred.Deferred<void>> = []
  let isShut = false
  return {
    shut: () => {
      isShut = true
    },
    /** Resume the calls that wait; later calls pass. */
    open: Effect.suspend(() => {
      isShut = false
      return Effect.forEach(opened.splice(0), (each) => Deferred.succeed(each, undefined), { discard: true })
    }),
    get waiting() {
      return opened.length
    },
    pass: Effect.suspend(() => {
      if (!isShut) return Effect.void
      return Effect.flatMap(Deferred.make<void>(), (each) => {
        opened.push(each)
        return Deferred.await(each)
      })
    })
  }
}

describe("an inbox that was read for an earlier generation", () => {
  const cases = [
    { name: "one note that it has received", before: [10], after: [20, 30] },
    { name: "one note that it has received and one that it has not", before: [10, 20], after: [30] },
    { name: "more notes than it receives", before: [10, 20, 30, 40], after: [] }
  ]
  it.scoped.each(cases)(
    "arrives late with $name: each note is received once",
    ({ after, before }) =>
      Effect.gen(function*() {
        const [reading, answering, continuing] = [makeBarrier(), makeBarrier(), makeBarrier()]
        const commits: Array<RunCommit> = []
        const world = yield* makeWorld((driver) => ({
          ...driver,
          inbox: (requests) => Effect.zipLeft(Effect.zipRight(reading.pass, driver.inbox(requests)), answering.pass),
          commit: (request) => {
            commits.push(...request.commits)
            return request.commits.some(({ transition }) => transition?._tag === "Continue")
              ? Effect.zipRight(continuing.pass, driver.commit(request))
              : driver.commit(request)
          }
        }))
        const { worker } = yield* world.launch(live, { lingerDuration: "1 second" })
        const run = yield* world.use(Loop.start({ more: 2, received: [] }))
        yield* TestClock.adjust("500 millis")
        for (const barrier of [reading, answering, continuing]) barrier.shut()
        // The read of its inbox takes longer than the run is held …
        yield* worker.core.upkeep.runOnce
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* run.record).status, "suspended")
        assert.strictEqual(reading.waiting, 1)
        // … so that both the next claim and the read return the messages …
        yield* Effect.forEach(before, (note) => world.use(Note.send(run.id, note)))
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(continuing.waiting, 1)
        yield* reading.open
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(answering.waiting, 1)
        // … and the read returns after the run has continued as new.
        yield* continuing.open
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* run.record).generation, 1)
        yield* answering.open
        yield* TestClock.adjust("1 millis")
        yield* Effect.forEach(after, (note) => world.use(Note.send(run.id, note)))
        assert.deepStrictEqual(yield* soon(run.result), [10, 20, 30])
        const consumed = commits.flatMap((commit) => commit.consumed)
        assert.strictEqual(new Set(consumed).size, consumed.length)
      })
  )
})

describe("an inbox that cannot be read", () => {
  const One = Workflow.make("One", { payload: {}, success: Schema.Number })

  const failing = (code: JournalError["code"]) =>
    new JournalError({ code, operation: "inbox", detail: "simulated", retryable: false })

  const oneLive = One.toLayer(() => Note.receive)

  it.scoped("is read again after a pause: the loop does not spin", () =>
    Effect.gen(function*() {
      let reads = 0
      const world = yield* makeWorld((driver) => ({
        ...driver,
        // Ends the test even if the loop spins.
        inbox: () => Effect.suspend(() => ++reads > 1_000 ? Effect.never : failing("Refused"))
      }))
      yield* world.launch(oneLive, { lingerDuration: "1 hour" })
      const run = yield* world.use(One.start({}))
      yield* TestClock.adjust("1 second")
      yield* world.use(Note.send(run.id, 7))
      yield* TestClock.adjust("1 minute")
      assert.isAtLeast(reads, 10)
      assert.isAtMost(reads, 100)
    }))

  it.scoped("parks its run with the reason, and the others get their messages", () =>
    Effect.gen(function*() {
      let culprit = ""
      const world = yield* makeWorld((driver) => ({
        ...driver,
        inbox: (requests) =>
          Effect.suspend(() =>
            requests.some(({ run }) => run === culprit) ? failing("Corrupt") : driver.inbox(requests)
          )
      }))
      const { worker } = yield* world.launch(oneLive, { lingerDuration: "1 hour" })
      const runs = yield* Effect.forEach([0, 1, 2, 3, 4], () => world.use(One.start({})))
      yield* TestClock.adjust("1 second")
      culprit = runs[3]?.id ?? ""
      yield* Effect.forEach(runs, ({ id }) => world.use(Note.send(id, 7)))
      worker.core.inboxReader.addAll()
      yield* TestClock.adjust("5 seconds")
      const records = yield* Effect.forEach(runs, ({ record }) => record)
      assert.deepStrictEqual(
        records.map(({ status }) => status),
        ["completed", "completed", "completed", "diverged", "completed"]
      )
      assert.include(records[3]?.detail ?? "", "unreadable")
      assert.include(records[3]?.detail ?? "", "simulated")
    }))

  it.scoped("is read again after a defect of the driver", () =>
    Effect.gen(function*() {
      let deaths = 2
      const world = yield* makeWorld((driver) => ({
        ...driver,
        inbox: (requests) => Effect.suspend(() => deaths-- > 0 ? Effect.die("simulated") : driver.inbox(requests))
      }))
      yield* world.launch(oneLive, { lingerDuration: "1 hour" })
      const run = yield* world.use(One.start({}))
      yield* TestClock.adjust("1 second")
      yield* world.use(Note.send(run.id, 7))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* run.record).status, "completed")
    }))
})

describe("an inbox that exceeds the bound of an answer", () => {
  it.scoped("is read on until it is complete, without waiting for a hint", () =>
    Effect.gen(function*() {
      const Big = Signal.make("Big", { payload: Schema.String })
      const Sum = Workflow.make("Sum", { payload: {}, success: Schema.Number })
      const reads: Array<number> = []
      const world = yield* makeWorld((driver) => ({
        ...driver,
        inbox: (requests) =>
          Effect.tap(driver.inbox(requests), ({ value }) =>
            Effect.sync(() => void reads.push(...value.map(({ messages }) => messages.length))))
      }))
      const live = Sum.toLayer(
        Effect.fnUntraced(function*() {
          yield* Step.run("wait", Effect.sleep("10 seconds"))
          let length = 0
          for (let n = 0; n < 5; n++)
            length += (yield* Big.receive).length
          return length
        })
      )
      yield* world.launch(live)
      const run = yield* world.use(Sum.start({}))
      yield* TestClock.adjust("1 second")
      const size = 3 * 1024 * 1024
      const limits = Limits.layer({ signalBytes: 2 * size })
      for (let n = 0; n < 5; n++)
        yield* world.use(Effect.provide(Big.send(run.id, "x".repeat(size)), limits))
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* run.record).status, "completed")
      assert.isAtMost(Math.max(...reads), 3)
      assert.strictEqual(yield* soon(run.result), 5 * size)
    }))
})
