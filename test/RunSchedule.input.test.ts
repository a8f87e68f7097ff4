/** Schedules that are given what they cannot take: told in words, with nothing written, and never a defect. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { unsafeCoerce } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Calendar from "perdure/Calendar"
import * as Check from "perdure/Check"
import { ConfigurationInvalid, UnknownSchedule, ValueInvalid } from "perdure/Errors"
import * as RunSchedule from "perdure/RunSchedule"
import { makeWorld } from "./fixtures/world.js"

import { hourly, makeJobs, midnight } from "./fixtures/schedules.js"

const { Job, live } = makeJobs()

const made = (options: Partial<RunSchedule.Options> = {}, name = "jobs") =>
  RunSchedule.make(name, { workflow: Job, payload: { slot: "x" }, calendar: hourly, ...options })

/** A process with a schedule `jobs`, and what is stored. */
const start = Effect.gen(function*() {
  yield* TestClock.setTime(midnight)
  const world = yield* makeWorld()
  yield* world.use(RunSchedule.put(made()))
  const process = yield* world.launch(live)
  return { process, stored: world.driver.schedules({ names: null, after: null, limit: 9 }) }
})

/** Whatever types say: as configurations and requests are. */
const untyped: (value: unknown) => never = unsafeCoerce

const attributes = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${i}`, i]))

describe("how many of the next runs to show", () => {
  it.scoped.each([Infinity, NaN, -1, 1.5, 1_001, "5", null].map((upcoming) => ({ upcoming })))(
    "cannot be $upcoming",
    ({ upcoming }) =>
      Effect.gen(function*() {
        const { process } = yield* start
        const options = { upcoming: untyped(upcoming) }
        for (
          const shown of [
            process.use(Effect.asVoid(RunSchedule.get("jobs", options))),
            process.use(Stream.runDrain(RunSchedule.list(options)))
          ]
        ) {
          const error = yield* Effect.flip(shown)
          assert.instanceOf(error, ValueInvalid)
          assert.include(error.message, "upcoming is ")
          assert.include(error.message, "an integer from 0 to 1000")
        }
      })
  )

  it.scoped("is an integer up to 1,000, and no other option", () =>
    Effect.gen(function*() {
      const { process } = yield* start
      for (const upcoming of [0, 1_000]) {
        assert.strictEqual((yield* process.use(RunSchedule.get("jobs", { upcoming }))).upcoming.length, upcoming)
      }
      const error = yield* Effect.flip(process.use(RunSchedule.get("jobs", untyped({ nex: 3 }))))
      assert.include(error.message, "nex is no option")
      assert.instanceOf(yield* Effect.flip(process.use(RunSchedule.get("jobs", untyped(null)))), ValueInvalid)
    }))
})

describe("instants", () => {
  it.scoped("at the end of all calendars are shown, with jitter, too", () =>
    Effect.gen(function*() {
      const { process } = yield* start
      const end = 8.64e15
      yield* process.use(
        RunSchedule.put(made({ calendar: Calendar.at(new Date(end), new Date(end - 1)), jitter: "7 days" }, "end"))
      )
      const shown = [...yield* process.use(Stream.runCollect(RunSchedule.list({ upcoming: 3 })))]
      assert.deepStrictEqual(shown.map(({ name }) => name), ["end", "jobs"])
      assert.strictEqual(shown[0]?.upcoming.at(-1)?.epochMillis, end)
    }))
})

describe("options of a schedule that cannot be", () => {
  const cases: ReadonlyArray<readonly [title: string, options: unknown, told: string]> = [
    ["a priority beyond those that there are", { priority: 1e12 }, "priority 1000000000000"],
    ["a priority that is no number", { priority: NaN }, "priority NaN"],
    ["a priority that is text", { priority: "high" }, "priority"],
    ["an empty queue", { queue: "" }, "the queue \"\""],
    ["a queue that nobody has defined", { queue: "nowhere" }, "queue \"nowhere\" does not exist"],
    ["a queue that is a number", { queue: 5 }, "queue is 5"],
    ["more attributes than a run may have", { attributes: attributes(33) }, "33 attributes"],
    ["as many as leave no room for its own", { attributes: attributes(31) }, "31 attributes, at most 30"],
    ["attributes that are no object, but a map", { attributes: new Map([["a", 1]]) }, "attributes are"],
    ["attributes that are its own", { attributes: { "perdure.slot": "x" } }, "begins with \"perdure.\""],
    ["more jitter than a week", { jitter: "8 days" }, "at most 7 days"],
    ["a misspelled option", { overlapp: "skip" }, "overlapp is no option"]
  ]

  it.scoped.each(cases.map(([title, options, told]) => ({ title, options, told })))(
    "are told before anything is written: $title",
    ({ options, told }) =>
      Effect.gen(function*() {
        const { process, stored } = yield* start
        const before = yield* stored
        for (
          const write of [
            RunSchedule.change("jobs", untyped(options)),
            RunSchedule.put(made(untyped(options))),
            RunSchedule.put(made(untyped(options), "other"))
          ]
        ) {
          const error = yield* Effect.flip(process.use(write))
          assert.instanceOf(error, ConfigurationInvalid)
          assert.include(error.message, told)
        }
        assert.deepStrictEqual(yield* stored, before)
      })
  )

  it.scoped("are told all together", () =>
    Effect.gen(function*() {
      const { process } = yield* start
      const change = RunSchedule.change("jobs", {
        priority: 1e12,
        queue: "",
        attributes: attributes(33),
        jitter: "9 days"
      })
      const error = yield* Effect.flip(process.use(change))
      assert.instanceOf(error, ConfigurationInvalid)
      assert.strictEqual(error instanceof ConfigurationInvalid ? error.problems.length : 0, 4)
    }))

  it.scoped.each([null, [], "skip", 5].map((options) => ({ options })))(
    "are no object: $options",
    ({ options }) =>
      Effect.gen(function*() {
        const { process, stored } = yield* start
        const before = yield* stored
        const error = yield* Effect.flip(process.use(RunSchedule.change("jobs", untyped(options))))
        assert.instanceOf(error, ConfigurationInvalid)
        assert.include(error.message, "must be an object")
        assert.deepStrictEqual(yield* stored, before)
      })
  )

  it.scoped("are not those at the border", () =>
    Effect.gen(function*() {
      const { process } = yield* start
      const fine = { priority: -32_768, queue: "default", attributes: attributes(30), jitter: "7 days" } as const
      yield* process.use(RunSchedule.change("jobs", fine))
      yield* process.use(RunSchedule.put(made(fine, "other")))
      yield* TestClock.adjust("8 days")
      const shown = yield* process.use(RunSchedule.get("jobs"))
      assert.strictEqual(shown.status, "active")
      assert.isAbove(shown.started, 0)
    }))
})

describe("controls", () => {
  const range = { from: new Date(midnight - 7_200_000), to: new Date(midnight) }
  const refused = [
    {
      title: "trigger that skips",
      use: RunSchedule.trigger("jobs", untyped({ overlap: "skip" })),
      told: "overlap is skip"
    },
    {
      title: "trigger with a stranger",
      use: RunSchedule.trigger("jobs", untyped({ over: 1 })),
      told: "over is no option"
    },
    { title: "trigger with null", use: RunSchedule.trigger("jobs", untyped(null)), told: "must be an object" },
    {
      title: "backfill with a misspelled overlap",
      use: RunSchedule.backfill("jobs", untyped({ ...range, overlap: "queueal" })),
      told: "overlap is queueal"
    },
    {
      title: "backfill with a stranger",
      use: RunSchedule.backfill("jobs", untyped({ ...range, until: 1 })),
      told: "until is no option"
    },
    { title: "backfill of nothing", use: RunSchedule.backfill("jobs", untyped(undefined)), told: "must be an object" },
    { title: "backfill of null", use: RunSchedule.backfill("jobs", untyped(null)), told: "must be an object" },
    {
      title: "pause with a stranger",
      use: RunSchedule.pause("jobs", untyped({ nott: "x" })),
      told: "nott is no option"
    },
    { title: "pause with null", use: RunSchedule.pause("jobs", untyped(null)), told: "must be an object" },
    {
      title: "pause with a reason that is no text",
      use: RunSchedule.pause("jobs", untyped({ reason: 5 })),
      told: "reason is 5"
    },
    {
      title: "pause with a reason that is too long",
      use: RunSchedule.pause("jobs", { reason: "x".repeat(1_001) }),
      told: "reason has 1001 characters, at most 1000"
    }
  ]

  it.scoped.each(refused)("refuse what they do not know: $title", ({ told, use }) =>
    Effect.gen(function*() {
      const { process, stored } = yield* start
      const before = yield* stored
      const error = yield* Effect.flip(process.use(Effect.asVoid<unknown, unknown, never>(untyped(use))))
      assert.instanceOf(error, ValueInvalid)
      assert.include(error instanceof ValueInvalid ? error.message : "", told)
      assert.deepStrictEqual(yield* stored, before)
    }))

  it.scoped("take a reason of 1,000 characters", () =>
    Effect.gen(function*() {
      const { process } = yield* start
      yield* process.use(RunSchedule.pause("jobs", { reason: "x".repeat(1_000) }))
      assert.strictEqual((yield* process.use(RunSchedule.get("jobs"))).status, "paused")
    }))

  it.scoped.each([null, undefined, 5, {}, { name: 5 }, Job].map((ref) => ({ ref, title: String(ref) })))(
    "know no schedule $title",
    ({ ref }) =>
      Effect.gen(function*() {
        const { process } = yield* start
        const schedule = untyped(ref)
        for (
          const use of [
            RunSchedule.get(schedule),
            RunSchedule.pause(schedule),
            RunSchedule.resume(schedule),
            RunSchedule.trigger(schedule),
            RunSchedule.backfill(schedule, range),
            RunSchedule.change(schedule, {}),
            RunSchedule.remove(schedule)
          ]
        )
          assert.instanceOf(
            yield* Effect.flip(process.use(Effect.asVoid<unknown, unknown, never>(untyped(use)))),
            UnknownSchedule
          )
      })
  )
})

describe("what was not made as it should be", () => {
  it.scoped.each([
    { title: "no options", make: () => RunSchedule.make("x", untyped(undefined)), told: "workflow is not a workflow" },
    { title: "null for options", make: () => RunSchedule.make("x", untyped(null)), told: "workflow is not a workflow" },
    {
      title: "no workflow",
      make: () => RunSchedule.make("x", untyped({ calendar: hourly })),
      told: "workflow is not a workflow"
    },
    {
      title: "a name for a workflow",
      make: () => RunSchedule.make("x", untyped({ workflow: "Job", payload: {}, calendar: hourly })),
      told: "workflow is not a workflow"
    },
    {
      title: "no calendar",
      make: () => RunSchedule.make("x", untyped({ workflow: Job, payload: { slot: "x" } })),
      told: "calendar is undefined"
    }
  ])("is a definition that is told when it is stored: $title", ({ make, told }) =>
    Effect.gen(function*() {
      const { process, stored } = yield* start
      const before = yield* stored
      const schedule = make()
      for (const write of [RunSchedule.put(schedule), Effect.scoped(Layer.build(schedule.layer))]) {
        const error = yield* Effect.flip(process.use(write))
        assert.instanceOf(error, ConfigurationInvalid)
        assert.include(error.message, told)
      }
      assert.deepStrictEqual(yield* stored, before)
      const report = yield* Check.run(schedule.layer)
      assert.include(JSON.stringify(report.problems), told)
    }))

  it.scoped.each(["jobs", null, 5, { name: "jobs" }].map((given) => ({ given })))(
    "is no schedule: $given",
    ({ given }) =>
      Effect.gen(function*() {
        const { process } = yield* start
        const error = yield* Effect.flip(process.use(RunSchedule.put(untyped(given))))
        assert.instanceOf(error, ConfigurationInvalid)
        assert.include(error.message, "is not a schedule")
      })
  )

  it.scoped("is a calendar that no constructor has made", () =>
    Effect.gen(function*() {
      const { process, stored } = yield* start
      const before = yield* stored
      for (const calendar of [{ _tag: "Join" }, { _tag: "At" }, { _tag: "Except" }, { ...hourly, extra: 1 }]) {
        for (
          const write of [
            RunSchedule.put(made({ calendar: untyped(calendar) })),
            RunSchedule.change("jobs", { calendar: untyped(calendar) })
          ]
        ) {
          const error = yield* Effect.flip(process.use(write))
          assert.instanceOf(error, ConfigurationInvalid)
          assert.include(error.message, "calendar: ")
        }
      }
      assert.deepStrictEqual(yield* stored, before)
    }))
})
