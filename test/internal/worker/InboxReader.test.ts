/** Inboxes that arrive late: the run has continued, and got some of the messages by a claim. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import type { RunCommit } from "perdure/JournalDriver"
import * as Signal from "perdure/Signal"
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
