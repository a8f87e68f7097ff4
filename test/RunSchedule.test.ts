import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Calendar from "perdure/Calendar"
import * as Check from "perdure/Check"
import { ConfigurationInvalid, UnknownSchedule, ValueInvalid } from "perdure/Errors"
import * as RunSchedule from "perdure/RunSchedule"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, type Process } from "./fixtures/world.js"

const midnight = Date.UTC(2026, 0, 1)

const timeOf = (millis: number): string => new Date(millis).toISOString().slice(11, 16)

/** Runs that note their slot and when they begin, `00:10@00:34`, and take some time. */
const makeJobs = (takes: Duration.DurationInput = 0) => {
  const notes: Array<string> = []
  const Job = Workflow.make("Job", { payload: { slot: Schema.String } })
  const live = Job.toLayer(({ slot }) =>
    Effect.gen(function*() {
      yield* Step.run(
        "note",
        Effect.map(Clock.currentTimeMillis, (now) => void notes.push(`${slot}@${timeOf(now)}`))
      )
      yield* Effect.sleep(takes)
    })
  )
  const schedule = (options: RunSchedule.Options) =>
    RunSchedule.make("jobs", {
      workflow: Job,
      payload: (slot) => ({ slot: timeOf(DateTime.toEpochMillis(slot)) }),
      ...options
    })
  return { Job, live, notes, schedule }
}

const every10 = Calendar.every("10 minutes")
const hourly = Calendar.every("1 hour")

/** Let time pass until a time of that day. */
const until = (time: string) =>
  Effect.gen(function*() {
    const end = Date.parse(`2026-01-01T${time}:00Z`)
    for (let now = yield* Clock.currentTimeMillis; now < end; now = yield* Clock.currentTimeMillis) {
      yield* TestClock.setTime(Math.min(end, now + 10 * 60_000))
    }
  })

const info = (process: Process, options?: { readonly next?: number }) => process.use(RunSchedule.get("jobs", options))

const slotsOf = (notes: ReadonlyArray<string>) => notes.map((note) => note.slice(0, 5))

describe("a schedule", () => {
  it.scoped.each([
    { title: "night by night", missed: false },
    { title: "that are caught up with at once", missed: true }
  ])("starts a run for each slot of a year of nights, $title", ({ missed }) =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const days: Array<string> = []
      const Nightly = Workflow.make("Nightly", { payload: { day: Schema.String } })
      const schedule = RunSchedule.make("nightly", {
        workflow: Nightly,
        payload: (slot) => ({ day: DateTime.formatIso(slot) }),
        calendar: Calendar.daily({ at: "02:30", zone: "Europe/Berlin" })
      })
      const world = yield* makeWorld()
      yield* world.launch(
        Layer.merge(Nightly.toLayer(({ day }) => Effect.sync(() => void days.push(day))), schedule.layer)
      )
      yield* TestClock.adjust("365 days")
      const expected = Calendar.slots(schedule.given.options["calendar"] as Calendar.Calendar, {
        from: new Date(midnight),
        to: new Date(midnight + 365 * 86_400_000),
        most: 1_000
      })
      assert.strictEqual(days.length, 365)
      assert.deepStrictEqual(days, expected.map(DateTime.formatIso))
      // The night when clocks are set forward over 02:30, and the one when they show it twice.
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
    "whose runs take longer than its slots are apart: $overlap",
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
      title: "within two hours",
      catchUp: { within: "2 hours" },
      notes: ["04:00@05:30", "05:00@05:30", "06:00@06:00"]
    }
  ]

  it.scoped.each(catchUps)(
    "that nobody could fire for some hours catches up: $title",
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

  it.scoped("is caught up with in order, one after the other, if its runs may not overlap", () =>
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

  it.scoped("keeps to its bounds and to its number of runs", () =>
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
        (yield* info(process)).next.map((at) => timeOf(DateTime.toEpochMillis(at))),
        ["02:00", "03:00", "04:00"]
      )
      yield* until("06:00")
      assert.deepStrictEqual(slotsOf(notes), ["02:00", "03:00", "04:00"])
      assert.strictEqual((yield* info(process)).status, "ended")
      // Another definition, and it goes on.
      yield* process.use(RunSchedule.change("jobs", { endsAt: new Date(midnight + 86_400_000), maxRuns: 5 }))
      assert.strictEqual((yield* info(process, { next: 9 })).next.length, 2)
      yield* until("12:00")
      assert.deepStrictEqual(slotsOf(notes).slice(3), ["07:00", "08:00"])
      assert.strictEqual((yield* info(process)).status, "ended")
    }))

  it.scoped("spreads its runs after their slots, for whoever fires them alike, and in order", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs()
      const jittered = schedule({ calendar: hourly, jitter: "40 minutes" })
      const [one, other] = [yield* makeWorld(), yield* makeWorld()]
      const process = yield* one.launch(Layer.merge(live, jittered.layer))
      const { next } = yield* info(process, { next: 20 })
      const twin = yield* other.launch(Layer.merge(live, jittered.layer))
      assert.deepStrictEqual((yield* info(twin, { next: 20 })).next, next)
      const late = next.map((at) => DateTime.toEpochMillis(at) % 3_600_000)
      assert.isTrue(late.every((millis) => millis >= 0 && millis < 40 * 60_000))
      assert.isAbove(new Set(late).size, 15)
      yield* twin.kill
      yield* until("20:50")
      assert.deepStrictEqual(notes, notes.toSorted())
      assert.strictEqual(notes.length, 20)
    }))

  it.scoped("is paused with a note, and goes on with its next slot", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs()
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(live, schedule({ calendar: hourly, catchUp: "all" }).layer))
      yield* process.use(RunSchedule.pause("jobs", { by: "ann", note: "month's end" }))
      yield* until("02:30")
      const paused = yield* info(process)
      assert.deepStrictEqual([paused.status, paused.next], ["paused", []])
      assert.deepInclude(Option.getOrThrow(paused.note), { text: "month's end", by: "ann" })
      yield* process.use(RunSchedule.resume("jobs"))
      yield* until("03:10")
      assert.deepStrictEqual(notes, ["03:00@03:00"])
    }))

  it.scoped("is triggered by hand, paused or not, beside the runs of its slots or after them", () =>
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
      assert.deepStrictEqual(notes.slice(2), ["01:05@01:35"])
      assert.deepInclude(yield* info(process), { status: "paused", started: 1, backlog: 0 })
    }))

  it.scoped("is asked for the slots of a time that has passed: each has one run at most", () =>
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

describe("definitions", () => {
  it.scoped("are stored without a burst; what was changed by hand stays until they change", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight + 1_800_000)
      const { live, notes, schedule } = makeJobs()
      const world = yield* makeWorld()
      const layers = (calendar: Calendar.Calendar) =>
        Layer.merge(live, schedule({ calendar, catchUp: "all", overlap: "allow" }).layer)
      const first = yield* world.launch(layers(hourly))
      yield* first.use(RunSchedule.change("jobs", { calendar: Calendar.every("2 hours") }))
      yield* until("02:10")
      assert.deepStrictEqual(slotsOf(notes), ["02:00"])
      yield* first.stop
      const second = yield* world.launch(layers(hourly))
      yield* until("04:10")
      assert.deepStrictEqual(slotsOf(notes), ["02:00", "04:00"])
      yield* second.stop
      yield* until("05:05")
      const third = yield* world.launch(layers(every10))
      yield* until("05:25")
      assert.deepStrictEqual(slotsOf(notes), ["02:00", "04:00", "05:10", "05:20"])
      // As before this deploy: its calendar counts from its next slot on.
      yield* third.stop
      yield* world.launch(layers(hourly))
      yield* until("06:10")
      assert.deepStrictEqual(slotsOf(notes).slice(4), ["06:00"])
    }))

  it.scoped("that no process has any more are orphans: they are shown and do not fire, until one has them again", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs()
      const world = yield* makeWorld()
      const layers = Layer.merge(live, schedule({ calendar: hourly }).layer)
      const first = yield* world.launch(layers)
      assert.isFalse((yield* info(first)).orphaned)
      yield* first.stop
      const without = yield* world.launch(live)
      assert.isFalse((yield* info(without)).orphaned)
      yield* until("02:10")
      assert.deepStrictEqual(notes, [])
      assert.deepInclude(yield* info(without), { orphaned: true, defined: true, status: "active" })
      yield* world.launch(layers, { pollInterval: "1 minute" })
      yield* until("02:20")
      assert.deepStrictEqual(notes, ["02:00@02:10"])
      assert.isFalse((yield* info(without)).orphaned)
      yield* without.use(RunSchedule.remove("jobs"))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(info(without))))
    }))

  it.scoped("made at run time are fired by whoever has the workflow; payloads are checked by what it is now", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { Job, live, notes } = makeJobs()
      const world = yield* makeWorld()
      const made = (slot: string) =>
        RunSchedule.make("jobs", {
          workflow: Job,
          payload: { slot },
          calendar: hourly,
          catchUp: "all",
          overlap: "allow"
        })
      yield* world.use(RunSchedule.put(made("first")))
      const process = yield* world.launch(live)
      assert.deepInclude(yield* info(process), { defined: false, orphaned: false, workflow: "Job" })
      yield* until("01:10")
      assert.deepStrictEqual(notes, ["first@01:00"])
      yield* world.use(RunSchedule.put(made("second")))
      yield* until("02:10")
      assert.deepStrictEqual(notes.slice(1), ["second@02:00"])
      yield* process.stop
      // The next version of the code wants more.
      const Next = Workflow.make("Job", { payload: { slot: Schema.String, more: Schema.Number }, version: "2" })
      const Other = Workflow.make("Other", { payload: {} })
      yield* world.use(
        RunSchedule.put(RunSchedule.make("other", { workflow: Other, payload: {}, calendar: hourly }))
      )
      const others: Array<string> = []
      const next = yield* world.launch(Layer.merge(
        Next.toLayer(() => Effect.void),
        Other.toLayer(() => Effect.sync(() => void others.push("ran")))
      ))
      yield* until("03:10")
      const bad = yield* info(next)
      assert.strictEqual(bad.status, "quarantined")
      assert.include(Option.getOrThrow(bad.note).text ?? "", "more")
      assert.deepStrictEqual(others, ["ran"])
      const trigger = yield* Effect.either(next.use(RunSchedule.trigger("jobs")))
      assert.isTrue(trigger._tag === "Left" && trigger.left instanceof ValueInvalid)
      yield* next.stop
      // With the old code back, what was missed is caught up with.
      const again = yield* world.launch(live)
      yield* again.use(RunSchedule.resume("jobs"))
      yield* until("03:20")
      assert.deepStrictEqual(notes.slice(2), ["second@03:10"])
    }))

  it.scoped("cannot be fired any more if what is stored cannot be read: it is shown, and the others go on", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { Job, live, notes } = makeJobs()
      const world = yield* makeWorld()
      const made = (name: string) =>
        RunSchedule.make(name, { workflow: Job, payload: { slot: name }, calendar: hourly })
      yield* world.use(Effect.zipRight(RunSchedule.put(made("a-bad")), RunSchedule.put(made("good"))))
      const { value: [record] } = yield* world.driver.schedules({ names: ["a-bad"], after: null, limit: 1 })
      assert.isDefined(record)
      if (record === undefined) return
      const settings = record.settings.replace("\"_tag\":\"Every\"", "\"_tag\":\"Never\"")
      assert.notStrictEqual(settings, record.settings)
      yield* world.driver.writeSchedules({ schedules: [{ ...record, settings }], tell: false })
      const process = yield* world.launch(live)
      yield* until("01:10")
      assert.deepStrictEqual(notes, ["good@01:00"])
      const shown = yield* process.use(Stream.runCollect(RunSchedule.list()))
      assert.deepStrictEqual([...shown].map(({ name, status }) => [name, status]), [
        ["a-bad", "quarantined"],
        ["good", "active"]
      ])
      assert.include(Option.getOrThrow([...shown][0]?.note ?? Option.none()).text ?? "", "settings cannot be read")
      // Stored anew, it goes on.
      yield* process.use(RunSchedule.put(made("a-bad")))
      yield* until("02:10")
      assert.deepStrictEqual(notes.slice(1).toSorted(), ["a-bad@02:00", "good@02:00"])
    }))
})

describe("bad input", () => {
  const { Job, live, schedule } = makeJobs()

  it.scoped("is told before anything is written, all of it", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const bad = RunSchedule.make("jobs", {
        workflow: Job,
        payload: { slot: "x" },
        calendar: Calendar.daily({ at: "25:00", zone: "Mars/Olympus" }),
        jitter: NaN,
        maxRuns: 0,
        startsAt: new Date(2),
        endsAt: new Date(1),
        ...{ overlapp: "skip" }
      })
      const error = yield* Effect.flip(world.use(RunSchedule.put(bad)))
      assert.instanceOf(error, ConfigurationInvalid)
      const told = error instanceof ConfigurationInvalid ? error.problems.join("\n") : ""
      for (const word of ["25:00", "overlapp", "jitter", "maxRuns", "endsAt"]) assert.include(told, word)
      const unstarted = yield* Effect.exit(world.launch(Layer.merge(live, bad.layer)))
      assert.isTrue(Exit.isFailure(unstarted))
      const computed = yield* Effect.flip(world.use(RunSchedule.put(schedule({ calendar: hourly }))))
      assert.include(computed.message, "function")
      const wrong = yield* Effect.flip(world.use(RunSchedule.put(
        // @ts-expect-error: not what the workflow takes.
        RunSchedule.make("jobs", { workflow: Job, payload: { slot: 1 }, calendar: hourly })
      )))
      assert.include(wrong.message, "slot")
      assert.deepStrictEqual((yield* world.driver.schedules({ names: null, after: null, limit: 9 })).value, [])
    }))

  it.scoped("of controls is refused, and changes nothing", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(live, schedule({ calendar: Calendar.every("1 second") }).layer))
      yield* process.use(RunSchedule.pause("jobs"))
      const before = yield* world.driver.schedules({ names: null, after: null, limit: 9 })
      const backfill = (from: number, to: number) =>
        Effect.flip(process.use(RunSchedule.backfill("jobs", { from: new Date(from), to: new Date(to) })))
      assert.include((yield* backfill(midnight - 1_000_000_000, midnight)).message, "more than 1000 slots")
      assert.include((yield* backfill(midnight, midnight + 1)).message, "ahead")
      assert.include((yield* backfill(NaN, midnight)).message, "from is")
      assert.include((yield* backfill(midnight, midnight)).message, "before")
      for (const control of [RunSchedule.pause, RunSchedule.resume, RunSchedule.trigger, RunSchedule.remove]) {
        const error = yield* Effect.flip(Effect.asVoid(process.use<unknown, unknown>(control("unknown"))))
        assert.instanceOf(error, UnknownSchedule)
      }
      const changed = yield* Effect.flip(process.use(RunSchedule.change("jobs", { maxRuns: -1 })))
      assert.include(changed.message, "maxRuns is -1")
      assert.deepStrictEqual(yield* world.driver.schedules({ names: null, after: null, limit: 9 }), before)
    }))

  it.effect("is found by the check, all together", () =>
    Effect.gen(function*() {
      const twin = RunSchedule.make("jobs", { workflow: Job, payload: { slot: "x" }, calendar: hourly })
      const never = RunSchedule.make("never", {
        workflow: Job,
        payload: () => {
          throw new Error("no payload")
        },
        calendar: hourly
      })
      const report = yield* Check.run(Layer.mergeAll(
        live,
        twin.layer,
        schedule({ calendar: hourly }).layer,
        never.layer,
        RunSchedule.make("zone", {
          workflow: Job,
          payload: { slot: "x" },
          calendar: Calendar.daily({ at: "02:00", zone: "Europe/Berln" })
        }).layer
      ))
      assert.deepStrictEqual(report.problems.map(({ code, place }) => [code, place]).toSorted(), [
        ["BadOption", "schedule \"never\""],
        ["BadOption", "schedule \"zone\""],
        ["TwoSchedules", "schedule \"jobs\""]
      ])
      assert.include(JSON.stringify(report.problems), "no payload")
      assert.include(JSON.stringify(report.problems), "Europe/Berln")
    }))
})
