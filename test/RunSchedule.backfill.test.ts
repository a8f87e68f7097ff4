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
  const picky = (isBad: (slot: number) => boolean) => {
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

  it.scoped("is told, with the slot, and none of it is", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { layers, notes } = picky((slot) => slot < midnight)
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

  it.scoped("when its turn comes is dropped, and the schedule goes on; nobody else's request fails for it", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      let fails = false
      const { layers, notes } = picky((slot) => fails && slot < midnight)
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

  it.scoped("is only what was asked for: a slot that is due and cannot be made does not keep a trigger back", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      let fails = false
      const { layers } = picky((slot) => fails && slot === midnight + 600_000)
      const world = yield* makeWorld()
      // A process without a worker, so that nobody has looked at the slot yet.
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

describe("what need not wait", () => {
  it.scoped("starts at once, whatever else was asked for that has to", () =>
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

describe("a slot that waits and has its run by a backfill meanwhile", () => {
  it.scoped("has no other; the next one waits for that run", () =>
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
