import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Calendar from "perdure/Calendar"
import * as Check from "perdure/Check"
import { ConfigurationInvalid, UnknownSchedule, ValueInvalid } from "perdure/Errors"
import * as RunQueue from "perdure/RunQueue"
import * as RunSchedule from "perdure/RunSchedule"
import * as Workflow from "perdure/Workflow"
import { misuseOf } from "./fixtures/misuse.js"
import { every10, hourly, info, makeJobs, midnight, slotsOf, until } from "./fixtures/schedules.js"
import { makeWorld } from "./fixtures/world.js"

describe("a definition", () => {
  it.scoped("begins with its next slot, and keeps an operator's changes until it changes", () =>
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
      // The definition before the last deploy: its calendar begins with its next slot again.
      yield* third.stop
      yield* world.launch(layers(hourly))
      yield* until("06:10")
      assert.deepStrictEqual(slotsOf(notes).slice(4), ["06:00"])
    }))

  it.scoped("with the same slots keeps those that wait and catches up with missed ones", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { Job, live, notes, schedule } = makeJobs("24 minutes")
      const world = yield* makeWorld()
      const options = { calendar: every10, overlap: "queueAll", catchUp: "all" } as const
      const process = yield* world.launch(Layer.merge(live, schedule(options).layer))
      yield* until("00:32")
      yield* process.use(RunSchedule.change("jobs", { tags: ["changed"] }))
      yield* until("00:36")
      assert.deepStrictEqual(notes, ["00:10@00:10", "00:20@00:34"])
      yield* process.stop
      yield* until("01:05")
      // The next version of the workflow and of the definition.
      const Next = Workflow.make("Job", { payload: { slot: Schema.String }, version: "2" })
      const next = RunSchedule.make("jobs", { workflow: Next, payload: { slot: "v2" }, ...options })
      const nextLive = Next.toLayer(({ slot }) => Effect.sync(() => void notes.push(slot)))
      yield* world.launch(Layer.mergeAll(live, nextLive, next.layer))
      yield* until("01:09")
      assert.deepStrictEqual(notes.slice(2), ["v2", "v2", "v2", "v2"])
      assert.strictEqual(Job.version, "1")
    }))

  it.scoped("that no process has is an orphan, which does not fire until a process has it again", () =>
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

  it.scoped("made at run time fires in any process with the workflow, whose schema checks the payload", () =>
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
      // The next version of the workflow requires another field.
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
      assert.include(Option.getOrThrow(bad.detail).reason ?? "", "more")
      assert.deepStrictEqual(others, ["ran"])
      const trigger = yield* Effect.either(next.use(RunSchedule.trigger("jobs")))
      assert.isTrue(trigger._tag === "Left" && trigger.left instanceof ValueInvalid)
      yield* next.stop
      // The old version is deployed again and catches up.
      const again = yield* world.launch(live)
      yield* again.use(RunSchedule.resume("jobs"))
      yield* until("03:20")
      assert.deepStrictEqual(notes.slice(2), ["second@03:10"])
    }))

  it.scoped("that cannot be read is shown as quarantined, while others fire", () =>
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
      yield* world.driver.writeSchedules({ schedules: [{ ...record, settings }], hint: false })
      const process = yield* world.launch(live)
      yield* until("01:10")
      assert.deepStrictEqual(notes, ["good@01:00"])
      const { items: shown } = yield* process.use(RunSchedule.list())
      assert.deepStrictEqual(shown.map(({ name, status }) => [name, status]), [
        ["a-bad", "quarantined"],
        ["good", "active"]
      ])
      assert.include(Option.getOrThrow(shown[0]?.detail ?? Option.none()).reason ?? "", "settings cannot be read")
      // It fires after it is stored again.
      yield* process.use(RunSchedule.put(made("a-bad")))
      yield* until("02:10")
      assert.deepStrictEqual(notes.slice(1).toSorted(), ["a-bad@02:00", "good@02:00"])
      // Its state cannot be read.
      const { value: [next] } = yield* world.driver.schedules({ names: ["a-bad"], after: null, limit: 1 })
      if (next === undefined) return
      yield* world.driver.writeSchedules({ schedules: [{ ...next, state: "{}", dueAt: 0 }], hint: true })
      yield* until("02:20")
      assert.strictEqual((yield* process.use(RunSchedule.get("a-bad"))).status, "quarantined")
      yield* process.use(RunSchedule.put(made("a-bad")))
      yield* until("03:10")
      assert.include(notes, "a-bad@03:00")
    }))
})

describe("the queue of a schedule", () => {
  it.scoped("is stored with the schedule", () =>
    Effect.gen(function*() {
      const { live, schedule } = makeJobs()
      const world = yield* makeWorld()
      const queue = RunQueue.make("reports", { concurrency: 3 })
      const process = yield* world.launch(Layer.merge(live, schedule({ calendar: hourly, queue }).layer))
      assert.strictEqual((yield* process.use(RunQueue.get("reports"))).concurrency, 3)
    }))
})

describe("invalid input", () => {
  const { Job, live, schedule } = makeJobs()

  it.scoped("is reported before anything is written, with all problems", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const invalid = RunSchedule.make("jobs", {
        workflow: Job,
        payload: { slot: "x" },
        calendar: Calendar.daily({ at: "25:00", zone: "Mars/Olympus" }),
        jitter: NaN,
        maxRuns: 0,
        startsAt: new Date(2),
        endsAt: new Date(1),
        ...{ overlapp: "skip" }
      })
      const error = yield* Effect.flip(world.use(RunSchedule.put(invalid)))
      assert.instanceOf(error, ConfigurationInvalid)
      const problems = error instanceof ConfigurationInvalid ? error.problems.join("\n") : ""
      for (const word of ["25:00", "Mars/Olympus", "overlapp", "jitter", "maxRuns", "endsAt"])
        assert.include(problems, word)
      const unstarted = yield* Effect.exit(world.launch(Layer.merge(live, invalid.layer)))
      assert.isTrue(Exit.isFailure(unstarted))
      const computed = yield* Effect.flip(world.use(RunSchedule.put(schedule({ calendar: hourly }))))
      assert.include(computed.message, "function")
      const other = yield* makeWorld()
      yield* other.launch(Layer.merge(live, schedule({ calendar: hourly }).layer))
      const Else = Workflow.make("Else", { payload: {} })
      const conflict = yield* Effect.flip(
        other.use(RunSchedule.put(RunSchedule.make("jobs", { workflow: Else, payload: {}, calendar: hourly })))
      )
      assert.include(conflict.message, "its definition in code starts Job")
      const mistyped = yield* Effect.flip(world.use(RunSchedule.put(
        // @ts-expect-error: slot is a string.
        RunSchedule.make("jobs", { workflow: Job, payload: { slot: 1 }, calendar: hourly })
      )))
      assert.include(mistyped.message, "slot")
      assert.deepStrictEqual((yield* world.driver.schedules({ names: null, after: null, limit: 9 })).value, [])
    }))

  it.scoped("of a control changes nothing", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(live, schedule({ calendar: Calendar.every("1 second") }).layer))
      yield* process.use(RunSchedule.pause("jobs"))
      const before = yield* world.driver.schedules({ names: null, after: null, limit: 9 })
      const backfill = (from: number, to: number) =>
        process.use(RunSchedule.backfill("jobs", { from: new Date(from), to: new Date(to) }))
      const refused = (from: number, to: number) =>
        Effect.map(Effect.flip(backfill(from, to)), ({ message }) => message)
      assert.include(yield* refused(midnight - 1_000_000_000, midnight), "more than 1000 slots")
      assert.include(yield* refused(midnight, midnight + 1), "\"to\" must not be ahead")
      assert.include(yield* misuseOf(backfill(NaN, midnight)), "\"from\" must be a valid DateTime or Date")
      assert.include(yield* misuseOf(backfill(midnight, midnight)), "\"from\" must be before \"to\"")
      for (const name of ["unknown", "\u0000", "\ud800"]) {
        for (
          const control of [
            Effect.asVoid(RunSchedule.get(name)),
            RunSchedule.pause(name),
            RunSchedule.resume(name),
            Effect.asVoid(RunSchedule.trigger(name)),
            RunSchedule.remove(name)
          ]
        ) {
          assert.instanceOf(yield* Effect.flip(process.use<void, unknown>(control)), UnknownSchedule)
        }
      }
      const misuse = misuseOf(process.use(RunSchedule.change("jobs", { maxRuns: -1 })))
      assert.include(yield* misuse, "\"maxRuns\" must be an integer from 1 to 2147483647 or null, got -1")
      assert.deepStrictEqual(yield* world.driver.schedules({ names: null, after: null, limit: 9 }), before)
    }))

  it.effect("of several schedules is reported together by the check", () =>
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
