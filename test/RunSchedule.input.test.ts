/**
 * Bad input of schedules. A wrong definition or a wrong value is a typed error, a wrong argument is the defect
 * `Misuse`; nothing is written in any case.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { unsafeCoerce } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Calendar from "perdure/Calendar"
import * as Check from "perdure/Check"
import { ConfigurationInvalid } from "perdure/Errors"
import * as RunSchedule from "perdure/RunSchedule"
import { misuseOf } from "./fixtures/misuse.js"
import { hourly, makeJobs, midnight } from "./fixtures/schedules.js"
import { makeWorld } from "./fixtures/world.js"

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

/** A value as JavaScript or a configuration file may pass it. */
const untyped: (value: unknown) => never = unsafeCoerce

const attributes = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${i}`, i]))

describe("the number of upcoming runs to show", () => {
  it.scoped.each([Infinity, NaN, -1, 1.5, 1_001, "5", null].map((upcoming) => ({ upcoming })))(
    "cannot be $upcoming",
    ({ upcoming }) =>
      Effect.gen(function*() {
        const { process } = yield* start
        const options = { upcoming: untyped(upcoming) }
        for (
          const show of [
            process.use(Effect.asVoid(RunSchedule.get("jobs", options))),
            process.use(Effect.asVoid(RunSchedule.list(options))),
            process.use(Stream.runDrain(RunSchedule.stream(options)))
          ]
        ) {
          assert.include(yield* misuseOf(show), "\"upcoming\" must be an integer from 0 to 1000, got ")
        }
      })
  )

  it.scoped("is an integer up to 1,000", () =>
    Effect.gen(function*() {
      const { process } = yield* start
      for (const upcoming of [0, 1_000]) {
        assert.strictEqual((yield* process.use(RunSchedule.get("jobs", { upcoming }))).upcoming.length, upcoming)
      }
    }))

  it.scoped("is the only option of get", () =>
    Effect.gen(function*() {
      const { process } = yield* start
      const misuse = misuseOf(process.use(RunSchedule.get("jobs", untyped({ upcomming: 3 }))))
      assert.include(yield* misuse, "\"upcomming\" is not an option: did you mean \"upcoming\"?")
      yield* misuseOf(process.use(RunSchedule.get("jobs", untyped(null))))
    }))
})

describe("the last instants of all calendars", () => {
  it.scoped("are shown, also with jitter", () =>
    Effect.gen(function*() {
      const { process } = yield* start
      const end = 8.64e15
      yield* process.use(
        RunSchedule.put(made({ calendar: Calendar.at(new Date(end), new Date(end - 1)), jitter: "7 days" }, "end"))
      )
      const { items: shown } = yield* process.use(RunSchedule.list({ upcoming: 3 }))
      assert.deepStrictEqual(shown.map(({ name }) => name), ["end", "jobs"])
      assert.strictEqual(shown[0]?.upcoming.at(-1)?.epochMillis, end)
    }))
})

describe("invalid options of a schedule", () => {
  interface Case {
    readonly title: string
    readonly options: unknown
    readonly problem: string
    /** It depends on what is stored, or on the content of labels: `change` fails instead of dying. */
    readonly isValue?: boolean
  }

  const cases: ReadonlyArray<Case> = [
    { title: "a priority out of range", options: { priority: 1e12 }, problem: "\"priority\" must be an integer" },
    { title: "NaN as priority", options: { priority: NaN }, problem: "\"priority\" must be an integer" },
    { title: "a priority that is a string", options: { priority: "high" }, problem: "\"priority\" must be an integer" },
    { title: "an empty queue name", options: { queue: "" }, problem: "\"queue\" must be a string of 1 to 200" },
    { title: "an unknown queue", options: { queue: "nowhere" }, problem: "queue \"nowhere\"", isValue: true },
    { title: "a queue that is a number", options: { queue: 5 }, problem: "\"queue\" must be a RunQueue or its name" },
    {
      title: "more attributes than a run can have",
      options: { attributes: attributes(33) },
      problem: "(33 keys)",
      isValue: true
    },
    {
      title: "attributes that leave no room for the schedule's own",
      options: { attributes: attributes(31) },
      problem: "\"attributes\" has 31 keys, the limit is 30",
      isValue: true
    },
    {
      title: "a map of attributes",
      options: { attributes: new Map([["a", 1]]) },
      problem: "\"attributes\" must be an object"
    },
    {
      title: "a reserved attribute",
      options: { attributes: { "perdure.slot": "x" } },
      problem: "begins with \"perdure.\"",
      isValue: true
    },
    { title: "more than a week of jitter", options: { jitter: "8 days" }, problem: "at most 604800000 ms" },
    { title: "a misspelled option", options: { overlapp: "skip" }, problem: "did you mean \"overlap\"?" }
  ]

  it.scoped.each(cases)(
    "are reported before anything is written: $title",
    ({ isValue = false, options, problem }) =>
      Effect.gen(function*() {
        const { process, stored } = yield* start
        const before = yield* stored
        const failure = (write: ReturnType<typeof RunSchedule.put>) =>
          Effect.map(Effect.flip(process.use(write)), (error) => {
            assert.instanceOf(error, ConfigurationInvalid)
            return error.message
          })
        const change = RunSchedule.change("jobs", untyped(options))
        const messages = [
          yield* isValue
            ? Effect.map(Effect.flip(process.use(change)), ({ _tag, message }) => `${_tag} ${message}`)
            : misuseOf(process.use(change)),
          yield* failure(RunSchedule.put(made(untyped(options)))),
          yield* failure(RunSchedule.put(made(untyped(options), "other")))
        ]
        if (isValue) assert.match(messages[0] ?? "", /^ConfigurationInvalid /)
        for (const message of messages) assert.include(message, problem)
        assert.deepStrictEqual(yield* stored, before)
      })
  )

  it.scoped("are reported together by a change", () =>
    Effect.gen(function*() {
      const { process } = yield* start
      const change = RunSchedule.change(
        "jobs",
        untyped({ priority: 1e12, queue: "", attributes: new Map(), jitter: "9 days" })
      )
      assert.include(yield* misuseOf(process.use(change)), "4 problems:")
    }))

  it.scoped("are reported together by put", () =>
    Effect.gen(function*() {
      const { process } = yield* start
      const schedule = made({ priority: 1e12, queue: "", attributes: attributes(33), jitter: "9 days" })
      const error = yield* Effect.flip(process.use(RunSchedule.put(schedule)))
      assert.instanceOf(error, ConfigurationInvalid)
      assert.strictEqual(error instanceof ConfigurationInvalid ? error.problems.length : 0, 4)
    }))

  it.scoped.each([null, [], "skip", 5].map((options) => ({ options })))(
    "include changes that are not an object: $options",
    ({ options }) =>
      Effect.gen(function*() {
        const { process, stored } = yield* start
        const before = yield* stored
        const misuse = misuseOf(process.use(RunSchedule.change("jobs", untyped(options))))
        assert.include(yield* misuse, "the options must be an object")
        assert.deepStrictEqual(yield* stored, before)
      })
  )

  it.scoped("do not include those at the limits", () =>
    Effect.gen(function*() {
      const { process } = yield* start
      const valid = { priority: -32_768, queue: "default", attributes: attributes(30), jitter: "7 days" } as const
      yield* process.use(RunSchedule.change("jobs", valid))
      yield* process.use(RunSchedule.put(made(valid, "other")))
      yield* TestClock.adjust("8 days")
      const shown = yield* process.use(RunSchedule.get("jobs"))
      assert.strictEqual(shown.status, "active")
      assert.isAbove(shown.started, 0)
    }))
})

describe("a control of a schedule", () => {
  const range = { from: new Date(midnight - 7_200_000), to: new Date(midnight) }
  const refused = [
    {
      title: "trigger with the overlap skip",
      use: RunSchedule.trigger("jobs", untyped({ overlap: "skip" })),
      problem: "\"overlap\" must be \"allow\" or \"queueAll\", got \"skip\""
    },
    {
      title: "trigger with an unknown option",
      use: RunSchedule.trigger("jobs", untyped({ over: 1 })),
      problem: "\"over\" is not an option"
    },
    { title: "trigger with null", use: RunSchedule.trigger("jobs", untyped(null)), problem: "must be an object" },
    {
      title: "backfill with a misspelled overlap",
      use: RunSchedule.backfill("jobs", untyped({ ...range, overlap: "queueal" })),
      problem: "\"overlap\" must be \"allow\" or \"queueAll\", got \"queueal\""
    },
    {
      title: "backfill with an unknown option",
      use: RunSchedule.backfill("jobs", untyped({ ...range, until: 1 })),
      problem: "\"until\" is not an option"
    },
    {
      title: "backfill without a range",
      use: RunSchedule.backfill("jobs", untyped(undefined)),
      problem: "must be an object"
    },
    { title: "backfill of null", use: RunSchedule.backfill("jobs", untyped(null)), problem: "must be an object" },
    {
      title: "pause with an unknown option",
      use: RunSchedule.pause("jobs", untyped({ note: "x" })),
      problem: "\"note\" is not an option"
    },
    { title: "pause with null", use: RunSchedule.pause("jobs", untyped(null)), problem: "must be an object" },
    {
      title: "pause with a reason that is a number",
      use: RunSchedule.pause("jobs", untyped({ reason: 5 })),
      problem: "\"reason\" must be a string of at most 1000 characters, got 5"
    },
    {
      title: "pause with a reason that is too long",
      use: RunSchedule.pause("jobs", { reason: "x".repeat(1_001) }),
      problem: "(1001 characters): shorten it"
    }
  ]

  it.scoped.each(refused)("dies of a wrong argument: $title", ({ problem, use }) =>
    Effect.gen(function*() {
      const { process, stored } = yield* start
      const before = yield* stored
      const misuse = misuseOf(process.use(Effect.asVoid<unknown, unknown, never>(untyped(use))))
      assert.include(yield* misuse, problem)
      assert.deepStrictEqual(yield* stored, before)
    }))

  it.scoped("accepts a reason of 1,000 characters", () =>
    Effect.gen(function*() {
      const { process } = yield* start
      yield* process.use(RunSchedule.pause("jobs", { reason: "x".repeat(1_000) }))
      assert.strictEqual((yield* process.use(RunSchedule.get("jobs"))).status, "paused")
    }))

  it.scoped.each(
    [null, undefined, 5, {}, { name: 5 }, Job].map((reference) => ({ reference, title: String(reference) }))
  )(
    "dies of $title in place of a schedule",
    ({ reference }) =>
      Effect.gen(function*() {
        const { process } = yield* start
        const schedule = untyped(reference)
        for (
          const use of [
            RunSchedule.get(schedule, {}),
            RunSchedule.pause(schedule, {}),
            RunSchedule.resume(schedule),
            RunSchedule.trigger(schedule, {}),
            RunSchedule.backfill(schedule, range),
            RunSchedule.change(schedule, {}),
            RunSchedule.remove(schedule)
          ]
        ) {
          const misuse = misuseOf(process.use(Effect.asVoid<unknown, unknown, never>(untyped(use))))
          assert.include(yield* misuse, "\"schedule\" must be a RunSchedule or its name")
        }
      })
  )
})

describe("an invalid definition", () => {
  it.scoped.each([
    {
      title: "no options",
      make: () => RunSchedule.make("x", untyped(undefined)),
      problem: "the options must be an object"
    },
    {
      title: "null for options",
      make: () => RunSchedule.make("x", untyped(null)),
      problem: "the options must be an object"
    },
    {
      title: "no workflow",
      make: () => RunSchedule.make("x", untyped({ calendar: hourly })),
      problem: "\"workflow\" must be a workflow made by Workflow.make, got undefined"
    },
    {
      title: "a name for a workflow",
      make: () => RunSchedule.make("x", untyped({ workflow: "Job", payload: {}, calendar: hourly })),
      problem: "\"workflow\" must be a workflow made by Workflow.make, got \"Job\""
    },
    {
      title: "no calendar",
      make: () => RunSchedule.make("x", untyped({ workflow: Job, payload: { slot: "x" } })),
      problem: "\"calendar\" must be a calendar"
    }
  ])("is reported by put, by the layer and by the check: $title", ({ make, problem }) =>
    Effect.gen(function*() {
      const { process, stored } = yield* start
      const before = yield* stored
      const schedule = make()
      for (const write of [RunSchedule.put(schedule), Effect.scoped(Layer.build(schedule.layer))]) {
        const error = yield* Effect.flip(process.use(write))
        assert.instanceOf(error, ConfigurationInvalid)
        assert.include(error.message, problem)
      }
      assert.deepStrictEqual(yield* stored, before)
      const report = yield* Check.run(schedule.layer)
      assert.include(report.problems.map(({ detail }) => detail).join(), problem)
    }))

  it.scoped("is reported with its computed payload, which put cannot store", () =>
    Effect.gen(function*() {
      const { process } = yield* start
      const schedule = RunSchedule.make("x", {
        workflow: Job,
        payload: () => ({ slot: "" }),
        calendar: hourly,
        maxRuns: 0
      })
      const error = yield* Effect.flip(process.use(RunSchedule.put(schedule)))
      assert.include(error.message, "\"payload\" must be a value, got a function")
      assert.include(error.message, "\"maxRuns\" must be an integer")
    }))

  it.scoped.each(["jobs", null, 5, { name: "jobs" }].map((given) => ({ given })))(
    "is not what put takes: $given",
    ({ given }) =>
      Effect.gen(function*() {
        const { process } = yield* start
        const misuse = misuseOf(process.use(RunSchedule.put(untyped(given))))
        assert.include(yield* misuse, "\"schedule\" must be a schedule made by RunSchedule.make")
      })
  )

  it.scoped("is one with a calendar that no constructor made", () =>
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
          assert.include(error.message, `"calendar.`)
        }
      }
      assert.deepStrictEqual(yield* stored, before)
    }))
})
