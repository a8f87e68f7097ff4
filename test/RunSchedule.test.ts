import { assert, describe, it } from "@effect/vitest"
import * as EagerTimers from "@perdure/testing/EagerTimers"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Calendar from "perdure/Calendar"
import * as RunSchedule from "perdure/RunSchedule"
import * as Workflow from "perdure/Workflow"
import { misuseOf } from "./fixtures/misuse.js"
import { makeWorld } from "./fixtures/world.js"

import { every10, hourly, info, makeJobs, midnight, slotsOf, timeOf, until } from "./fixtures/schedules.js"

describe("a schedule", () => {
  it.scoped.each([
    { title: "all at once after a downtime", missed: true },
    { title: "night by night", missed: false }
  ])("starts one run for each night of a year, $title", ({ missed }) =>
    Effect.gen(function*() {
      yield* Layer.build(EagerTimers.layer)
      yield* TestClock.setTime(midnight)
      const days: Array<string> = []
      const Nightly = Workflow.make("Nightly", { payload: { day: Schema.String } })
      const calendar = Calendar.daily({ at: "02:30", zone: "Europe/Berlin" })
      const schedule = RunSchedule.make("nightly", {
        workflow: Nightly,
        payload: (slot) => ({ day: DateTime.formatIso(slot) }),
        calendar,
        catchUp: "all",
        overlap: "allow"
      })
      const layers = Layer.merge(Nightly.toLayer(({ day }) => Effect.sync(() => void days.push(day))), schedule.layer)
      const world = yield* makeWorld()
      const process = yield* world.launch(layers)
      if (missed) yield* process.stop
      yield* TestClock.adjust("365 days")
      if (missed) {
        yield* world.launch(layers)
        yield* TestClock.adjust("1 second")
      }
      const expected = Calendar.slots(calendar, {
        from: new Date(midnight),
        to: new Date(midnight + 365 * 86_400_000),
        limit: 1_000
      })
      assert.strictEqual(days.length, 365)
      assert.deepStrictEqual(days, expected.map(DateTime.formatIso))
      // Clocks skip 02:30 in the first of these nights, and show it twice in the second.
      assert.include(days, "2026-03-29T01:00:00.000Z")
      assert.deepStrictEqual(days.filter((day) => day.startsWith("2026-10-25")), ["2026-10-25T00:30:00.000Z"])
    }))

  const overlaps: ReadonlyArray<{
    readonly overlap: RunSchedule.Overlap
    readonly notes: ReadonlyArray<string>
    readonly skipped: number
    readonly statuses: ReadonlyArray<string>
  }> = [
    { overlap: "skip", notes: ["00:10@00:10", "00:40@00:40"], skipped: 4, statuses: ["completed", "running"] },
    {
      overlap: "queueOne",
      notes: ["00:10@00:10", "00:20@00:34", "00:40@00:58"],
      skipped: 2,
      statuses: ["completed", "completed", "running"]
    },
    {
      overlap: "queueAll",
      notes: ["00:10@00:10", "00:20@00:34", "00:30@00:58"],
      skipped: 0,
      statuses: ["completed", "completed", "running"]
    },
    {
      overlap: "cancelPrevious",
      notes: ["00:10@00:10", "00:20@00:20", "00:30@00:30", "00:40@00:40", "00:50@00:50", "01:00@01:00"],
      skipped: 0,
      statuses: ["cancelled", "cancelled", "cancelled", "cancelled", "cancelled", "running"]
    },
    {
      overlap: "allow",
      notes: ["00:10@00:10", "00:20@00:20", "00:30@00:30", "00:40@00:40", "00:50@00:50", "01:00@01:00"],
      skipped: 0,
      statuses: ["completed", "completed", "completed", "running", "running", "running"]
    }
  ]

  it.scoped.each(overlaps)(
    "with runs longer than its interval applies its overlap policy: $overlap",
    ({ overlap, ...expected }) =>
      Effect.gen(function*() {
        yield* TestClock.setTime(midnight)
        const { live, notes, schedule } = makeJobs("24 minutes")
        const world = yield* makeWorld()
        const process = yield* world.launch(Layer.merge(live, schedule({ calendar: every10, overlap }).layer))
        yield* until("01:00")
        assert.deepStrictEqual(notes, expected.notes)
        const { skipped, started } = yield* info(process)
        assert.deepStrictEqual({ skipped, started }, { skipped: expected.skipped, started: expected.notes.length })
        const found = yield* world.driver.find({ filter: {}, after: null, limit: 100 })
        assert.deepStrictEqual(
          found.value.runs.map(({ status }) => status === "suspended" ? "running" : status).toReversed(),
          expected.statuses
        )
      })
  )

  const catchUps: ReadonlyArray<{
    readonly title: string
    readonly catchUp: RunSchedule.CatchUp
    readonly notes: ReadonlyArray<string>
  }> = [
    { title: "none", catchUp: "none", notes: ["06:00@06:00"] },
    { title: "latest", catchUp: "latest", notes: ["05:00@05:30", "06:00@06:00"] },
    {
      title: "all",
      catchUp: "all",
      notes: ["01:00@05:30", "02:00@05:30", "03:00@05:30", "04:00@05:30", "05:00@05:30", "06:00@06:00"]
    },
    {
      title: "within 90 minutes",
      catchUp: { within: "90 minutes" },
      notes: ["04:00@05:30", "05:00@05:30", "06:00@06:00"]
    },
    {
      title: "within two hours",
      catchUp: { within: "2 hours" },
      notes: ["04:00@05:30", "05:00@05:30", "06:00@06:00"]
    }
  ]

  it.scoped.each(catchUps)(
    "catches up after a downtime of some hours: $title",
    ({ catchUp, notes: expected }) =>
      Effect.gen(function*() {
        yield* TestClock.setTime(midnight)
        const { live, notes, schedule } = makeJobs()
        const layers = Layer.merge(live, schedule({ calendar: hourly, catchUp, overlap: "allow" }).layer)
        const world = yield* makeWorld()
        yield* (yield* world.launch(layers)).kill
        yield* until("05:30")
        assert.deepStrictEqual(notes, [])
        yield* world.launch(layers)
        yield* until("06:10")
        assert.deepStrictEqual(notes, expected)
      })
  )

  it.scoped("catches up in order, one run after the other, under queueAll", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs("10 minutes")
      const layers = Layer.merge(live, schedule({ calendar: hourly, catchUp: "all", overlap: "queueAll" }).layer)
      const world = yield* makeWorld()
      yield* (yield* world.launch(layers)).kill
      yield* until("03:30")
      yield* world.launch(layers)
      yield* until("04:30")
      assert.deepStrictEqual(notes, ["01:00@03:30", "02:00@03:40", "03:00@03:50", "04:00@04:00"])
    }))

  it.scoped("keeps its bounds and its number of runs", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs()
      const bounded = schedule({
        calendar: hourly,
        startsAt: new Date(midnight + 2 * 3_600_000),
        endsAt: new Date(midnight + 5 * 3_600_000)
      })
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(live, bounded.layer))
      assert.deepStrictEqual(
        (yield* info(process)).upcoming.map((at) => timeOf(DateTime.toEpochMillis(at))),
        ["02:00", "03:00", "04:00"]
      )
      yield* until("06:00")
      assert.deepStrictEqual(slotsOf(notes), ["02:00", "03:00", "04:00"])
      assert.strictEqual((yield* info(process)).status, "ended")
      // Later bounds make it active again.
      yield* process.use(RunSchedule.change("jobs", { endsAt: new Date(midnight + 86_400_000), maxRuns: 5 }))
      assert.strictEqual((yield* info(process, { upcoming: 9 })).upcoming.length, 2)
      yield* until("12:00")
      assert.deepStrictEqual(slotsOf(notes).slice(3), ["07:00", "08:00"])
      assert.strictEqual((yield* info(process)).status, "ended")
    }))

  it.scoped("delays its runs by the same jitter in every process, in the order of their slots", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs()
      const jittered = schedule({ calendar: hourly, jitter: "40 minutes" })
      const [one, other] = [yield* makeWorld(), yield* makeWorld()]
      const process = yield* one.launch(Layer.merge(live, jittered.layer))
      const { upcoming } = yield* info(process, { upcoming: 20 })
      const twin = yield* other.launch(Layer.merge(live, jittered.layer))
      assert.deepStrictEqual((yield* info(twin, { upcoming: 20 })).upcoming, upcoming)
      const late = upcoming.map((at) => DateTime.toEpochMillis(at) % 3_600_000)
      assert.isTrue(late.every((millis) => millis >= 0 && millis < 40 * 60_000))
      assert.isAbove(new Set(late).size, 15)
      yield* twin.kill
      yield* until("20:50")
      assert.deepStrictEqual(notes, notes.toSorted())
      assert.strictEqual(notes.length, 20)
    }))

  it.scoped("keeps the reason of a pause, and resumes with its next slot", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs()
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(live, schedule({ calendar: hourly, catchUp: "all" }).layer))
      for (const request of [{ by: 5 }, { reason: {} }, { note: "?" }]) {
        yield* misuseOf(process.use(RunSchedule.pause("jobs", request as { readonly by: string })))
      }
      assert.strictEqual((yield* info(process)).status, "active")
      yield* process.use(RunSchedule.pause("jobs", { by: "ann", reason: "month's end" }))
      yield* until("02:30")
      const paused = yield* info(process)
      assert.deepStrictEqual([paused.status, paused.upcoming], ["paused", []])
      assert.deepInclude(Option.getOrThrow(paused.detail), { reason: "month's end", by: "ann" })
      yield* process.use(RunSchedule.resume("jobs"))
      yield* until("03:10")
      assert.deepStrictEqual(notes, ["03:00@03:00"])
    }))

  it.scoped("starts triggered runs in parallel or after the previous run, also while it is paused", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs("30 minutes")
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(live, schedule({ calendar: hourly }).layer))
      yield* until("01:05")
      const first = yield* process.use(RunSchedule.trigger("jobs"))
      assert.strictEqual((yield* world.record(first)).workflow, "Job")
      yield* process.use(RunSchedule.trigger("jobs", { overlap: "queueAll" }))
      yield* until("01:10")
      assert.deepStrictEqual(notes, ["01:00@01:00", "01:05@01:05"])
      yield* process.use(RunSchedule.pause("jobs"))
      yield* until("01:40")
      assert.deepStrictEqual(notes.slice(2), ["01:05@01:30"])
      assert.deepInclude(yield* info(process), { status: "paused", started: 1, backlog: 0 })
    }))

  it.scoped("starts at most one run for each slot of a backfill", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs("5 minutes")
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(live, schedule({ calendar: hourly }).layer))
      yield* until("02:30")
      const range = {
        from: new Date(midnight - 7_200_000),
        to: new Date(midnight + 7_200_001),
        overlap: "queueAll"
      } as const
      const slots = yield* process.use(RunSchedule.backfill("jobs", range))
      assert.deepStrictEqual(slots.map((slot) => timeOf(DateTime.toEpochMillis(slot))), [
        "22:00",
        "23:00",
        "00:00",
        "01:00",
        "02:00"
      ])
      yield* until("02:59")
      assert.deepStrictEqual(notes, [
        "01:00@01:00",
        "02:00@02:00",
        "22:00@02:30",
        "23:00@02:35",
        "00:00@02:40"
      ])
      yield* process.use(RunSchedule.backfill("jobs", { ...range, overlap: "allow" }))
      yield* until("03:30")
      assert.deepStrictEqual(notes.slice(5), ["03:00@03:00"])
    }))
})
