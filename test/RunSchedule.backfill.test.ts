/** Backfills and triggers beside live runs, and backfills of slots that had their runs before. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as RunSchedule from "perdure/RunSchedule"
import { every10, makeJobs, midnight, timeOf, until } from "./fixtures/schedules.js"
import { makeWorld } from "./fixtures/world.js"

const at = (minutes: number) => new Date(midnight + minutes * 60_000)

describe("a manual run in parallel", () => {
  for (const overlap of ["skip", "queueAll", "cancelPrevious"] as const) {
    it.scoped(`does not replace the live run of a slot: ${overlap}`, () =>
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
          // Only the run of the previous slot is cancelled.
          ...(overlap === "cancelPrevious" ? ["00:20@00:20"] : [])
        ])
        const { value } = yield* world.driver.find({ filter: { statuses: ["cancelled"] }, after: null, limit: 10 })
        assert.strictEqual(value.runs.length, overlap === "cancelPrevious" ? 1 : 0)
      }))
  }
})

describe("a manual run that cannot be made", () => {
  const makePicky = (isBad: (slot: number) => boolean) => {
    const { Job, live, notes } = makeJobs("8 minutes")
    const schedule = RunSchedule.make("jobs", {
      workflow: Job,
      calendar: every10,
      payload: ({ epochMillis }) => {
        if (isBad(epochMillis)) throw new Error("there were no jobs")
        return { slot: timeOf(epochMillis) }
      }
    })
    return { layers: Layer.merge(live, schedule.layer), notes }
  }

  it.scoped("fails the whole backfill with its slot", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { layers, notes } = makePicky((slot) => slot < midnight)
      const world = yield* makeWorld()
      const process = yield* world.launch(layers)
      yield* until("00:09")
      const error = yield* Effect.flip(process.use(RunSchedule.backfill("jobs", { from: at(-15), to: at(5) })))
      assert.include(error.message, "slot 2025-12-31T23:50:00.000Z: there were no jobs")
      assert.deepInclude(yield* process.use(RunSchedule.get("jobs")), {
        status: "active",
        backlog: 0,
        detail: Option.none()
      })
      yield* until("00:20")
      assert.deepStrictEqual(notes, ["00:10@00:10", "00:20@00:20"])
    }))

  it.scoped("later is dropped from the backlog, while the schedule and other manual runs start", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      let fails = false
      const { layers, notes } = makePicky((slot) => fails && slot < midnight)
      const world = yield* makeWorld()
      const process = yield* world.launch(layers)
      yield* until("00:12")
      yield* process.use(RunSchedule.backfill("jobs", { from: at(-15), to: at(5), overlap: "queueAll" }))
      fails = true
      yield* until("00:13")
      const triggered = yield* process.use(RunSchedule.trigger("jobs"))
      assert.strictEqual((yield* world.record(triggered)).workflow, "Job")
      yield* until("00:19")
      const { backlog, detail, status } = yield* process.use(RunSchedule.get("jobs"))
      assert.deepStrictEqual([status, backlog], ["active", 0])
      assert.include(
        Option.getOrThrow(detail).reason,
        "manual runs were not started: slot 2025-12-31T23:50:00.000Z: there were no jobs"
      )
      assert.deepStrictEqual(notes, ["00:10@00:10", "00:13@00:13", "00:00@00:18"])
    }))

  it.scoped("fails only its own request: the run of a due slot that cannot be made does not stop a trigger", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      let fails = false
      const { layers } = makePicky((slot) => fails && slot === midnight + 600_000)
      const world = yield* makeWorld()
      // A process without a worker: the slot is not evaluated yet.
      const id = yield* world.use(
        Effect.gen(function*() {
          yield* until("00:11")
          fails = true
          return yield* RunSchedule.trigger("jobs")
        }).pipe(Effect.provide(layers))
      )
      assert.strictEqual((yield* world.record(id)).workflow, "Job")
    }))
})

describe("a parallel manual run", () => {
  it.scoped("starts at once though serial ones wait", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs("8 minutes")
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(live, schedule({ calendar: every10 }).layer))
      yield* process.use(RunSchedule.pause("jobs"))
      yield* process.use(RunSchedule.backfill("jobs", { from: at(-30), to: at(0), overlap: "queueAll" }))
      yield* until("00:02")
      yield* process.use(RunSchedule.trigger("jobs"))
      yield* process.use(RunSchedule.backfill("jobs", { from: at(-50), to: at(-30) }))
      yield* until("00:20")
      assert.deepStrictEqual(notes.toSorted((a, b) => a.slice(6).localeCompare(b.slice(6))), [
        "23:30@00:00",
        "00:02@00:02",
        "23:10@00:02",
        "23:20@00:02",
        "23:40@00:08",
        "23:50@00:16"
      ])
    }))
})

describe("a waiting slot whose run a backfill starts", () => {
  it.scoped("has no second run, and the next slot waits for that one", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs("25 minutes")
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(live, schedule({ calendar: every10, overlap: "queueAll" }).layer))
      yield* until("00:32")
      yield* process.use(RunSchedule.backfill("jobs", { from: at(15), to: at(25) }))
      yield* until("00:56")
      assert.deepStrictEqual(notes, ["00:10@00:10", "00:20@00:32"])
      assert.isTrue((yield* process.use(RunSchedule.get("jobs"))).running)
      yield* until("01:00")
      assert.deepStrictEqual(notes.slice(2), ["00:30@00:57"])
    }))
})

describe("a backfill of slots that had their runs", () => {
  for (const overlap of ["skip", "queueOne", "queueAll"] as const) {
    it.scoped(`keeps the live run as the previous run: ${overlap}`, () =>
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
        // The first run has ended, the second one is live.
        yield* process.use(RunSchedule.backfill("jobs", { from: at(5), to: at(15) }))
        yield* until("00:55")
        assert.deepStrictEqual(notes.slice(2), [])
        const { running } = yield* process.use(RunSchedule.get("jobs"))
        assert.isTrue(running)
      }))
  }
})
