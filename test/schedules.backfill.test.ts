/** Backfills of slots that have had their runs, beside runs that go on. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as RunSchedule from "perdure/RunSchedule"
import { every10, makeJobs, midnight, timeOf, until } from "./fixtures/schedules.js"
import { makeWorld } from "./fixtures/world.js"

const at = (minutes: number) => new Date(midnight + minutes * 60_000)

describe("a run by hand, beside the others", () => {
  for (const overlap of ["skip", "queueAll", "cancelPrevious"] as const) {
    it.scoped(`hides no run that goes on: ${overlap}`, () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(midnight)
        const { Job, live, notes, schedule } = makeJobs("25 minutes")
        const world = yield* makeWorld()
        const process = yield* world.launch(Layer.merge(live, schedule({ calendar: every10, overlap }).layer))
        yield* until("00:12")
        const triggered = yield* process.use(RunSchedule.trigger("jobs"))
        yield* until("00:13")
        yield* process.use(Effect.flatMap(Job.attach(triggered), (run) => run.terminate()))
        yield* until("00:22")
        assert.deepStrictEqual(notes, [
          "00:10@00:10",
          "00:12@00:12",
          // The run of the slot before is cancelled, and nothing else.
          ...(overlap === "cancelPrevious" ? ["00:20@00:20"] : [])
        ])
        const { value } = yield* world.driver.find({ filter: { statuses: ["cancelled"] }, after: null, limit: 10 })
        assert.strictEqual(value.runs.length, overlap === "cancelPrevious" ? 1 : 0)
      }))
  }
})

describe("what is asked for by hand and cannot be started", () => {
  it.scoped("is told and dropped, and the schedule goes on", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { Job, live, notes } = makeJobs()
      const picky = RunSchedule.make("jobs", {
        workflow: Job,
        calendar: every10,
        payload: (slot) => {
          if (slot.epochMillis < midnight) throw new Error("there were no jobs last year")
          return { slot: timeOf(slot.epochMillis) }
        }
      })
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(live, picky.layer))
      yield* until("00:15")
      const error = yield* Effect.flip(process.use(RunSchedule.backfill("jobs", { from: at(-15), to: at(5) })))
      assert.include(error.message, "there were no jobs last year")
      const { backlog, note, status } = yield* process.use(RunSchedule.get("jobs"))
      assert.deepStrictEqual([status, backlog], ["active", 0])
      assert.include(Option.getOrThrow(note).text, "asked for by hand")
      yield* until("00:20")
      assert.deepStrictEqual(notes, ["00:10@00:10", "00:00@00:15", "00:20@00:20"])
    }))
})

describe("a backfill of slots that have had their runs", () => {
  for (const overlap of ["skip", "queueOne", "queueAll"] as const) {
    it.scoped(`does not let the next run overlap the one that goes on: ${overlap}`, () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(midnight)
        const { live, notes, schedule } = makeJobs("25 minutes")
        const world = yield* makeWorld()
        const process = yield* world.launch(
          Layer.merge(live, schedule({ calendar: every10, overlap: "queueAll" }).layer)
        )
        yield* until("00:36")
        assert.deepStrictEqual(notes, ["00:10@00:10", "00:20@00:35"])
        yield* process.use(RunSchedule.change("jobs", { overlap }))
        // The first of these has ended, and the second goes on.
        yield* process.use(RunSchedule.backfill("jobs", { from: at(5), to: at(15) }))
        yield* until("00:55")
        assert.deepStrictEqual(notes.slice(2), [])
        const { running } = yield* process.use(RunSchedule.get("jobs"))
        assert.isTrue(running)
      }))
  }
})
