/** Control of schedules by operators, and the registration of many definitions at once. */
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as RunQueue from "perdure/RunQueue"
import * as RunSchedule from "perdure/RunSchedule"
import * as Workflow from "perdure/Workflow"
import { hourly, info, makeJobs, midnight, slotsOf, timeOf, until } from "./fixtures/schedules.js"
import { misuseOf } from "./fixtures/misuse.js"
import { makeWorld } from "./fixtures/world.js"

const shownAt = (instants: ReadonlyArray<DateTime.Utc>) => instants.map((at) => timeOf(DateTime.toEpochMillis(at)))

describe("a trigger", () => {
  it.scoped("returns the live run that the workflow's singleton joins", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const Sync = Workflow.make("Sync", {
        payload: { account: Schema.String },
        singleton: { key: ({ account }) => account, mode: "join" }
      })
      const schedule = RunSchedule.make("jobs", {
        workflow: Sync,
        payload: { account: "a" },
        calendar: hourly,
        overlap: "allow"
      })
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(Sync.toLayer(() => Effect.sleep("10 hours")), schedule.layer))
      const first = yield* process.use(RunSchedule.trigger("jobs"))
      const second = yield* process.use(RunSchedule.trigger("jobs"))
      assert.strictEqual(second, first)
      assert.strictEqual((yield* world.record(first)).workflow, "Sync")
      yield* until("01:10")
      assert.deepStrictEqual((yield* world.driver.count({})).value, { suspended: 1 })
    }))

  it.scoped("that fails keeps the reason of a pause", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { Job, live } = makeJobs()
      const never = RunSchedule.make("jobs", {
        workflow: Job,
        calendar: hourly,
        payload: (slot) => {
          if (DateTime.toEpochMillis(slot) === midnight) throw new Error("not at midnight")
          return { slot: "later" }
        }
      })
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(live, never.layer))
      yield* process.use(RunSchedule.pause("jobs", { reason: "month's end" }))
      const error = yield* Effect.flip(process.use(RunSchedule.trigger("jobs")))
      assert.include(error.message, "not at midnight")
      const { backlog, detail, status } = yield* info(process)
      assert.deepStrictEqual([status, backlog, Option.getOrThrow(detail).reason], ["paused", 0, "month's end"])
    }))
})

describe("a trigger in a transaction", () => {
  it.scoped("does not wait for a trigger that waits for the transaction", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, schedule } = makeJobs()
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(live, schedule({ calendar: hourly }).layer))
      const trigger = process.use(RunSchedule.trigger("jobs"))
      const [inTransaction, proceed] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const inside = yield* Effect.fork(world.driver.transaction(Effect.gen(function*() {
        yield* Deferred.succeed(inTransaction, undefined)
        yield* Deferred.await(proceed)
        return yield* Effect.all([trigger, trigger])
      })))
      yield* Deferred.await(inTransaction)
      const outside = yield* Effect.fork(trigger)
      yield* Effect.repeatN(Effect.yieldNow({ priority: 9 }), 10)
      yield* Deferred.succeed(proceed, undefined)
      const [ids, id] = yield* Fiber.join(Fiber.zip(inside, outside))
      assert.strictEqual(new Set([...ids, id]).size, 3)
      for (const each of [...ids, id]) assert.strictEqual((yield* world.record(each)).workflow, "Job")
    }))
})

describe("a change with null", () => {
  it.scoped("restores the defaults of the options", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs()
      const world = yield* makeWorld()
      const options = {
        calendar: hourly,
        startsAt: new Date(midnight + 5 * 3_600_000),
        endsAt: new Date(midnight + 7 * 3_600_000),
        jitter: "20 minutes",
        overlap: "allow",
        maxRuns: 1
      } as const
      const process = yield* world.launch(Layer.merge(live, schedule(options).layer))
      yield* process.use(RunSchedule.change("jobs", { startsAt: null, jitter: null }))
      assert.deepStrictEqual(shownAt((yield* info(process)).upcoming), ["01:00"])
      yield* process.use(RunSchedule.change("jobs", { maxRuns: null, overlap: null }))
      const { overlap, upcoming } = yield* info(process, { upcoming: 9 })
      assert.deepStrictEqual([overlap, shownAt(upcoming).join()], ["skip", "01:00,02:00,03:00,04:00,05:00,06:00"])
      yield* process.use(RunSchedule.change("jobs", { endsAt: null }))
      assert.strictEqual((yield* info(process, { upcoming: 100 })).upcoming.length, 100)
      const misuse = misuseOf(
        // @ts-expect-error: a schedule has a calendar.
        process.use(RunSchedule.change("jobs", { calendar: null }))
      )
      assert.include(yield* misuse, "\"calendar\" must be a calendar")
      yield* until("02:10")
      assert.deepStrictEqual(slotsOf(notes), ["01:00", "02:00"])
    }))
})

describe("a change after which no run can be made", () => {
  it.scoped("fails if this process can tell, unless the problem existed before", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const named = (prefix: string, count: number) =>
        Object.fromEntries(Array.from({ length: count }, (_, n) => [`${prefix} ${n}`, n]))
      const Job = Workflow.make("Job", { payload: { slot: Schema.String }, attributes: () => named("own", 20) })
      let isFaulty = false
      const schedule = RunSchedule.make("jobs", {
        workflow: Job,
        calendar: hourly,
        payload: () => {
          if (isFaulty) throw new Error("no payload")
          return { slot: "" }
        }
      })
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(Job.toLayer(() => Effect.void), schedule.layer))
      const change = (count: number) => RunSchedule.change("jobs", { attributes: named("its", count) })
      assert.include((yield* Effect.flip(process.use(change(11)))).message, "(33 keys)")
      isFaulty = true
      yield* process.use(change(10))
      assert.include((yield* Effect.flip(process.use(RunSchedule.trigger("jobs")))).message, "no payload")
    }))
})

describe("bounds that a change moves before the next slot", () => {
  it.scoped("end the schedule at once", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs("90 minutes")
      const world = yield* makeWorld()
      const options = { calendar: hourly, overlap: "queueAll" } as const
      const process = yield* world.launch(Layer.merge(live, schedule(options).layer))
      yield* until("03:10")
      assert.deepInclude(yield* info(process), { started: 2, waiting: 1, skipped: 0 })
      yield* process.use(RunSchedule.change("jobs", { maxRuns: 2 }))
      assert.deepInclude(yield* info(process), { status: "ended", waiting: 0, skipped: 1 })
      yield* process.use(RunSchedule.change("jobs", { maxRuns: null }))
      assert.deepStrictEqual(shownAt((yield* info(process)).upcoming), ["04:00", "05:00", "06:00", "07:00", "08:00"])
      yield* process.use(RunSchedule.change("jobs", { endsAt: new Date(midnight + 3 * 3_600_000) }))
      assert.deepInclude(yield* info(process), { status: "ended", upcoming: [] })
      yield* until("08:00")
      assert.deepStrictEqual(notes, ["01:00@01:00", "02:00@02:30"])
    }))

  it.scoped("keep the slots that wait", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs((slot) => slot === "01:00" ? "230 minutes" : "1 minute")
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(live, schedule({ calendar: hourly, overlap: "queueAll" }).layer))
      yield* until("04:10")
      yield* process.use(RunSchedule.change("jobs", { endsAt: new Date(midnight + 90 * 60_000) }))
      assert.deepInclude(yield* info(process), { waiting: 3, upcoming: [], status: "active" })
      yield* until("08:00")
      assert.deepStrictEqual(slotsOf(notes), ["01:00", "02:00", "03:00", "04:00"])
      assert.deepInclude(yield* info(process), { status: "ended", started: 4, skipped: 0 })
    }))
})

describe("the upcoming runs", () => {
  it.scoped.each(
    [
      { catchUp: "none", upcoming: ["11:00", "12:00"] },
      { catchUp: "latest", upcoming: ["10:00", "11:00"] },
      { catchUp: { within: "2 hours" }, upcoming: ["09:00", "10:00"] },
      { catchUp: "all", upcoming: ["02:00", "03:00"] }
    ] as const
  )(
    "of a schedule that no process fires are those that count: $catchUp",
    ({ catchUp, upcoming }) =>
      Effect.gen(function*() {
        yield* TestClock.setTime(midnight)
        const { live, schedule } = makeJobs()
        const world = yield* makeWorld()
        const process = yield* world.launch(Layer.merge(live, schedule({ calendar: hourly, catchUp }).layer))
        yield* until("01:30")
        yield* process.kill
        yield* until("10:30")
        const shown = yield* world.use(RunSchedule.get("jobs", { upcoming: 2 }))
        assert.deepStrictEqual(shownAt(shown.upcoming), [...upcoming])
      })
  )

  it.scoped("start at once when a change removes their jitter", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs()
      const world = yield* makeWorld()
      const options = { calendar: hourly, jitter: "6 hours", overlap: "allow", catchUp: "none" } as const
      const process = yield* world.launch(Layer.merge(live, schedule(options).layer))
      yield* until("05:00")
      yield* process.use(RunSchedule.change("jobs", { jitter: null }))
      yield* until("06:10")
      assert.deepStrictEqual(slotsOf(notes).toSorted(), ["01:00", "02:00", "03:00", "04:00", "05:00", "06:00"])
      assert.strictEqual((yield* info(process)).skipped, 0)
      // Slots that were due while no process ran are missed, with jitter or without.
      yield* process.use(RunSchedule.change("jobs", { jitter: "6 hours" }))
      yield* process.stop
      yield* until("20:00")
      yield* world.use(RunSchedule.change("jobs", { jitter: null }))
      const again = yield* world.launch(Layer.merge(live, schedule(options).layer))
      yield* until("20:10")
      assert.deepInclude(yield* info(again), { waiting: 0 })
      assert.isAbove((yield* info(again)).skipped, 6)
    }))

  it.scoped("survive a short pause and a change of the jitter", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, schedule } = makeJobs()
      const world = yield* makeWorld()
      const options = { calendar: hourly, jitter: "6 hours", overlap: "allow" } as const
      const process = yield* world.launch(Layer.merge(live, schedule(options).layer))
      yield* until("05:00")
      const before = yield* info(process, { upcoming: 20 })
      assert.isBelow(before.started, 5)
      yield* process.use(RunSchedule.pause("jobs"))
      yield* process.use(RunSchedule.resume("jobs"))
      assert.deepStrictEqual((yield* info(process, { upcoming: 20 })).upcoming, before.upcoming)
      yield* process.use(RunSchedule.change("jobs", { jitter: "7 hours" }))
      yield* until("23:59")
      const { skipped, started } = yield* info(process)
      const { value } = yield* world.driver.find({ filter: {}, after: null, limit: 100 })
      assert.strictEqual(value.runs.length, started)
      assert.strictEqual(skipped, 0)
      // At least the slots that are more than 7 hours old.
      assert.isAtLeast(started, 16)
    }))
})

describe("an orphan", () => {
  it.scoped("is fired by any process with its workflow after put, until its definition is stored again", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { Job, live, notes, schedule } = makeJobs()
      const world = yield* makeWorld()
      const defined = Layer.merge(live, schedule({ calendar: hourly }).layer)
      yield* (yield* world.launch(defined)).stop
      const process = yield* world.launch(live)
      const put = RunSchedule.put(
        RunSchedule.make("jobs", { workflow: Job, payload: { slot: "put" }, calendar: hourly })
      )
      // Another process can still have the definition.
      yield* until("00:02")
      yield* process.use(put)
      assert.isTrue((yield* info(process)).defined)
      yield* until("01:10")
      assert.deepStrictEqual(notes, [])
      yield* process.use(put)
      assert.deepInclude(yield* info(process), { defined: false, orphaned: false })
      yield* until("02:10")
      assert.deepStrictEqual(notes, ["put@01:10", "put@02:00"])
      yield* process.stop
      const again = yield* world.launch(defined)
      assert.isTrue((yield* info(again)).defined)
      yield* until("03:10")
      assert.deepStrictEqual(notes.slice(2), ["03:00@03:00"])
    }))
})

describe("many definitions in one process", () => {
  const many = (count: number) => {
    const { Job, live } = makeJobs()
    const schedules = Array.from(
      { length: count },
      (_, n) => RunSchedule.make(`jobs ${n}`, { workflow: Job, payload: { slot: `${n}` }, calendar: hourly })
    )
    return {
      schedules,
      layer: schedules.reduce<typeof live>((all, { layer }) => Layer.merge(all, layer), live)
    }
  }

  it.scoped("are stored once, and not again by the next process", () =>
    Effect.gen(function*() {
      const { layer } = many(450)
      let writes = 0
      const world = yield* makeWorld((driver) => ({
        ...driver,
        writeSchedules: (request) =>
          Effect.suspend(() => {
            writes++
            return driver.writeSchedules(request)
          })
      }))
      const process = yield* world.launch(layer)
      const { value } = yield* world.driver.schedules({ names: null, after: null, limit: 1_000 })
      assert.strictEqual(value.length, 450)
      assert.isTrue(value.every(({ revision }) => revision === 1))
      yield* process.stop
      const before = writes
      yield* world.launch(layer)
      assert.strictEqual(writes, before)
    }))

  it.scoped("are stored though another process writes some of them at the same time", () =>
    Effect.gen(function*() {
      const { layer } = many(9)
      let isFirst = true
      const world = yield* makeWorld((driver) => ({
        ...driver,
        writeSchedules: (request) =>
          Effect.suspend(() => {
            if (!isFirst) return driver.writeSchedules(request)
            isFirst = false
            return driver.writeSchedules({ ...request, schedules: request.schedules.slice(0, -1) })
          })
      }))
      yield* world.launch(layer)
      const { value } = yield* world.driver.schedules({ names: null, after: null, limit: 99 })
      assert.lengthOf(value, 9)
      assert.isFalse(isFirst)
    }))

  it.scoped("are stored together outside of transactions, and by themselves inside", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let isFirst = true
      const world = yield* makeWorld((driver) => ({
        ...driver,
        schedules: (request) =>
          Effect.suspend(() => {
            const wait = isFirst ? Deferred.await(gate) : Effect.void
            isFirst = false
            return Effect.zipRight(wait, driver.schedules(request))
          })
      }))
      const { Job } = makeJobs()
      const define = (name: string) => {
        const { layer } = RunSchedule.make(name, { workflow: Job, payload: { slot: "" }, calendar: hourly })
        return Effect.zipLeft(
          Effect.fork(world.use(Effect.scoped(Layer.build(layer)))),
          Effect.yieldNow({ priority: 9 })
        )
      }
      const first = yield* define("first")
      const inside = yield* Effect.fork(world.driver.transaction(
        Effect.zipRight(Effect.flatMap(define("inside"), Fiber.join), Effect.fail("rolled back"))
      ))
      yield* Effect.yieldNow({ priority: 9 })
      const last = yield* define("last")
      yield* Deferred.succeed(gate, undefined)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(inside)))
      yield* Fiber.join(Fiber.zip(first, last))
      const { value } = yield* world.driver.schedules({ names: null, after: null, limit: 9 })
      assert.deepStrictEqual(value.map(({ name }) => name), ["first", "last"])
    }))

  it.scoped("stop the process from starting and report the problems of all of them", () =>
    Effect.gen(function*() {
      const { layer } = many(20)
      const { Job } = makeJobs()
      const invalid = (name: string, options: Partial<RunSchedule.Options>) =>
        RunSchedule.make(name, { workflow: Job, payload: { slot: "" }, calendar: hourly, ...options }).layer
      const queue = RunQueue.make("narrow", { concurrency: -1 })
      const twin = RunSchedule.make("jobs 3", { workflow: Job, payload: { slot: "other" }, calendar: hourly })
      const all = Layer.mergeAll(
        layer,
        invalid("a", { maxRuns: 0 }),
        invalid("b", { jitter: "9 days" }),
        queue.layer,
        twin.layer
      )
      const world = yield* makeWorld()
      const exit = yield* Effect.exit(world.launch(all))
      assert.isTrue(Exit.isFailure(exit))
      for (const option of ["maxRuns", "jitter", "concurrency", "two definitions"]) {
        assert.include(JSON.stringify(exit), option)
      }
    }))
})
