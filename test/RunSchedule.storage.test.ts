/** Schedules on storage that refuses writes, fails, or loses reports. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { JournalError } from "perdure/Errors"
import type { JournalDriver, NewRun } from "perdure/JournalDriver"
import * as RunSchedule from "perdure/RunSchedule"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { hourly, info, makeJobs, midnight, timeOf, until } from "./fixtures/schedules.js"
import { makeWorld } from "./fixtures/world.js"

const NAMES = ["a", "b", "c"]

/** Three schedules of one calendar. Their runs note the schedule, the slot and their start: `a 01:00@01:00`. */
const makeThree = (options: Partial<RunSchedule.Options> = {}) => {
  const notes: Array<string> = []
  const Job = Workflow.make("Job", { payload: { name: Schema.String, slot: Schema.String } })
  const live = Job.toLayer(({ name, slot }) =>
    Step.run("note", Effect.map(Clock.currentTimeMillis, (now) => void notes.push(`${name} ${slot}@${timeOf(now)}`)))
  )
  const schedules = NAMES.map((name) =>
    RunSchedule.make(name, {
      workflow: Job,
      payload: (slot) => ({ name, slot: timeOf(DateTime.toEpochMillis(slot)) }),
      calendar: hourly,
      ...options
    }).layer
  )
  return { layers: Layer.mergeAll(live, ...schedules), live, notes }
}

const at = (slot: string, began = slot) => NAMES.map((name) => `${name} ${slot}@${began}`)

const error = (code: JournalError["code"], operation: string, retryable: boolean) =>
  new JournalError({ code, operation, detail: "the database refused it", retryable })

const isOf = (name: string) => ({ attributes }: NewRun) => attributes["perdure.schedule"] === name

/** Failures of the operations that fire schedules. */
interface Trouble {
  readonly override: (driver: JournalDriver) => JournalDriver
  /** How many of the next calls fail. */
  readonly left: { enqueue: number; write: number; commit: number }
  /** `idleMillis` of each write in a transaction that fires schedules. */
  readonly idle: Array<number | undefined>
  /** How many transactions began. */
  readonly begun: { transactions: number }
}

const makeTrouble = (): Trouble => {
  const left = { enqueue: 0, write: 0, commit: 0 }
  const begun = { transactions: 0 }
  const idle: Array<number | undefined> = []
  const fails = (what: keyof typeof left) => left[what] > 0 && left[what]-- > 0
  return {
    left,
    begun,
    idle,
    override: (driver) => ({
      ...driver,
      enqueue: (request) =>
        Effect.suspend(() =>
          request.runs.length > 0 && fails("enqueue") ? error("Unavailable", "enqueue", true) : driver.enqueue(request)
        ),
      writeSchedules: (request) =>
        Effect.flatMap(driver.inTransaction, (isInside) => {
          if (!isInside || request.hint) return driver.writeSchedules(request)
          idle.push(request.idleMillis)
          const written = driver.writeSchedules(request)
          return fails("write") ? Effect.zipRight(written, error("Conflict", "writeSchedules", true)) : written
        }),
      // The answer to the commit is lost.
      transaction: (self) =>
        Effect.suspend(() => {
          begun.transactions++
          const done = driver.transaction(self)
          return fails("commit") ? Effect.zipRight(done, error("OutcomeUnknown", "transaction", true)) : done
        })
    })
  }
}

describe("a run that storage refuses", () => {
  it.scoped("quarantines its schedule with the message of storage, while others that are due fire once", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { layers, notes } = makeThree({ catchUp: "all", overlap: "allow" })
      let refuses = true
      const batchSizes: Array<number> = []
      const world = yield* makeWorld((driver) => ({
        ...driver,
        enqueue: (request) =>
          Effect.suspend(() => {
            if (request.runs.length > 0) batchSizes.push(request.runs.length)
            return refuses && request.runs.some(isOf("b"))
              ? error("Refused", "enqueue", false)
              : driver.enqueue(request)
          })
      }))
      const process = yield* world.launch(layers)
      const statuses = Effect.forEach(
        NAMES,
        (name) => Effect.map(process.use(RunSchedule.get(name)), ({ started, status }) => `${status} ${started}`)
      )
      yield* until("01:10")
      assert.deepStrictEqual(notes.toSorted(), ["a 01:00@01:00", "c 01:00@01:00"])
      // All three in one transaction, then each in its own.
      assert.deepStrictEqual(batchSizes, [3, 1, 1, 1])
      assert.deepStrictEqual(yield* statuses, ["active 1", "quarantined 0", "active 1"])
      const { detail } = yield* process.use(RunSchedule.get("b"))
      const { reason } = Option.getOrThrow(detail)
      assert.match(reason ?? "", /^storage refuses its run: .*the database refused it/)
      yield* until("02:10")
      assert.deepStrictEqual(notes.slice(2).toSorted(), ["a 02:00@02:00", "c 02:00@02:00"])
      assert.deepStrictEqual(batchSizes.slice(4), [2])
      refuses = false
      yield* process.use(RunSchedule.resume("b"))
      yield* until("03:10")
      assert.deepStrictEqual(notes.slice(4).toSorted(), [
        "a 03:00@03:00",
        "b 01:00@02:10",
        "b 02:00@02:10",
        "b 03:00@03:00",
        "c 03:00@03:00"
      ])
      assert.deepStrictEqual(yield* statuses, ["active 3", "active 3", "active 3"])
    }))
})

describe("a manual run that storage refuses", () => {
  const start = (isRefused: (runs: ReadonlyArray<NewRun>) => boolean) =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs("20 minutes")
      const world = yield* makeWorld((driver) => ({
        ...driver,
        enqueue: (request) =>
          Effect.suspend(() => isRefused(request.runs) ? error("Refused", "enqueue", false) : driver.enqueue(request))
      }))
      const process = yield* world.launch(Layer.merge(live, schedule({ calendar: hourly }).layer))
      return { notes, process, world }
    })

  it.scoped("fails the trigger and changes nothing", () =>
    Effect.gen(function*() {
      const { process, world } = yield* start((runs) => runs.length > 0)
      yield* process.use(RunSchedule.pause("jobs", { reason: "moving" }))
      const before = yield* world.driver.schedules({ names: null, after: null, limit: 9 })
      const refused = yield* Effect.flip(process.use(RunSchedule.trigger("jobs")))
      assert.strictEqual(refused._tag, "JournalError")
      assert.deepStrictEqual(yield* world.driver.schedules({ names: null, after: null, limit: 9 }), before)
    }))

  it.scoped("does not stop another manual run", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { Job, live, schedule } = makeJobs()
      let refused: string | undefined
      const world = yield* makeWorld((driver) => ({
        ...driver,
        enqueue: (request) =>
          Effect.suspend(() =>
            request.runs.some(({ id }) => id === refused) ? error("Refused", "enqueue", false) : driver.enqueue(request)
          )
      }))
      // A process without a worker: nothing fires by itself.
      yield* world.use(Effect.provide(
        Effect.gen(function*() {
          const before = yield* RunSchedule.trigger("jobs", { overlap: "queueAll" })
          refused = yield* RunSchedule.trigger("jobs", { overlap: "queueAll" })
          yield* Effect.flatMap(Job.attach(before), (run) => run.terminate())
          const id = yield* RunSchedule.trigger("jobs")
          assert.strictEqual((yield* world.record(id)).workflow, "Job")
          assert.strictEqual((yield* RunSchedule.get("jobs")).backlog, 1)
        }),
        Layer.merge(live, schedule({ calendar: hourly }).layer)
      ))
    }))

  it.scoped("is dropped from the backlog, while the schedule fires and keeps the reason of a pause", () =>
    Effect.gen(function*() {
      const { notes, process } = yield* start((runs) =>
        runs.some(({ idempotencyKey }) => idempotencyKey?.includes("trigger") === true)
      )
      const later = process.use(RunSchedule.trigger("jobs", { overlap: "queueAll" }))
      const shown = Effect.map(info(process), ({ backlog, detail, status }) => [
        status,
        backlog,
        Option.getOrNull(detail)?.reason ?? null
      ])
      yield* until("01:10")
      yield* later
      assert.deepStrictEqual(yield* shown, ["active", 1, null])
      yield* until("01:30")
      const [status, backlog, reason] = yield* shown
      assert.deepStrictEqual([status, backlog], ["active", 0])
      assert.include(reason, "manual runs were not started: storage refuses its run")
      yield* until("02:10")
      yield* later
      yield* process.use(RunSchedule.pause("jobs", { reason: "moving" }))
      yield* until("02:30")
      assert.deepStrictEqual(yield* shown, ["paused", 0, "moving"])
      assert.deepStrictEqual(notes, ["01:00@01:00", "02:00@02:00"])
    }))
})

describe("a schedule whose storage is unavailable", () => {
  it.scoped.each(["enqueue", "write", "commit"] as const)(
    "fires once when storage is available again: %s",
    (what) =>
      Effect.gen(function*() {
        yield* TestClock.setTime(midnight)
        const { layers, notes } = makeThree({ catchUp: "none", overlap: "allow" })
        const trouble = makeTrouble()
        const world = yield* makeWorld(trouble.override)
        const process = yield* world.launch(layers)
        yield* until("00:59")
        const before = trouble.begun.transactions
        trouble.left[what] = what === "commit" ? 1 : 3
        yield* until("01:01")
        assert.deepStrictEqual(trouble.left, { enqueue: 0, write: 0, commit: 0 })
        assert.isAtLeast(trouble.begun.transactions - before, what === "commit" ? 1 : 4)
        yield* until("01:10")
        assert.deepStrictEqual(notes.toSorted(), at("01:00"))
        yield* until("02:10")
        assert.deepStrictEqual(notes.slice(3).toSorted(), at("02:00"))
        for (const name of NAMES) {
          assert.deepInclude(yield* process.use(RunSchedule.get(name)), { status: "active", started: 2, skipped: 0 })
        }
      })
  )

  it.scoped("limits the idle time of each transaction that fires it", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { layers, notes } = makeThree()
      const trouble = makeTrouble()
      const world = yield* makeWorld(trouble.override)
      yield* world.launch(layers)
      yield* until("02:10")
      assert.lengthOf(notes, 6)
      assert.isNotEmpty(trouble.idle)
      for (const idle of trouble.idle) assert.isTrue(idle !== undefined && idle > 0 && idle <= 60_000, `${idle}`)
    }))
})

describe("a definition whose reports storage loses", () => {
  it.scoped("is not an orphan in the process that has it", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { layers, live } = makeThree()
      // Reports of definitions are lost.
      const world = yield* makeWorld((driver) => ({ ...driver, seeSchedules: () => driver.seeSchedules([]) }))
      const has = yield* world.launch(layers)
      const hasNot = yield* world.launch(live)
      const isOrphaned = (process: typeof has) =>
        Effect.map(process.use(RunSchedule.get("a")), ({ orphaned }) => orphaned)
      assert.deepStrictEqual(yield* Effect.all([isOrphaned(has), isOrphaned(hasNot)]), [false, false])
      yield* until("00:10")
      assert.deepStrictEqual(yield* Effect.all([isOrphaned(has), isOrphaned(hasNot)]), [false, true])
    }))
})
