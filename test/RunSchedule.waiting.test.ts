/** Slots that wait for the previous run: during outages, pauses and changes, and while that run is cancelled. */
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as RunSchedule from "perdure/RunSchedule"
import { every10, hourly, info, makeJobs, midnight, timeOf, until } from "./fixtures/schedules.js"
import { makeWorld } from "./fixtures/world.js"

/** The first run takes this time, the others take none. */
const first = (takes: string) => (slot: string) => slot === "00:10" ? (takes as "1 hour") : 0

interface Outage {
  readonly overlap: RunSchedule.Overlap
  readonly catchUp: RunSchedule.CatchUp
  /** When all processes die, and when one starts again. */
  readonly down: ReadonlyArray<readonly [string, string]>
  /** Right after the last outage. */
  readonly waiting: number
  readonly skipped: number
  /** From the end of the first run at 01:45 until the slot of 01:50. */
  readonly notes: ReadonlyArray<string>
}

const anHour = [["00:35", "01:35"]] as const
const sooner = [["00:15", "01:35"]] as const
const twice = [["00:25", "00:55"], ["01:15", "01:35"]] as const
const halfAnHour = { within: "30 minutes" } as const

const outages: ReadonlyArray<Outage> = [
  // 00:20 and 00:30 wait. Of 00:40 to 01:30, `catchUp` decides which count. At 01:40 a process is up.
  ...([
    ["none", [], 6],
    ["latest", ["01:30"], 5],
    ["all", ["00:40", "00:50", "01:00", "01:10", "01:20", "01:30"], 0],
    [halfAnHour, ["01:10", "01:20", "01:30"], 3]
  ] as const).map(([catchUp, caughtUp, skipped]): Outage => ({
    overlap: "queueAll",
    catchUp,
    down: anHour,
    waiting: 2 + caughtUp.length,
    skipped,
    notes: ["00:20", "00:30", ...caughtUp, "01:40"]
  })),
  // Two outages: some of 00:30 to 00:50, and of 01:20 and 01:30, do not count.
  ...([
    ["none", ["01:00", "01:10"], 5],
    ["latest", ["00:50", "01:00", "01:10", "01:30"], 3],
    ["all", ["00:30", "00:40", "00:50", "01:00", "01:10", "01:20", "01:30"], 0],
    [{ within: "20 minutes" }, ["00:40", "00:50", "01:00", "01:10", "01:20", "01:30"], 1]
  ] as const).map(([catchUp, counting, skipped]): Outage => ({
    overlap: "queueAll",
    catchUp,
    down: twice,
    waiting: 1 + counting.length,
    skipped,
    notes: ["00:20", ...counting, "01:40"]
  })),
  // One slot waits already; the others are skipped.
  ...(["none", "latest", "all", halfAnHour] as const).map((catchUp): Outage => ({
    overlap: "queueOne",
    catchUp,
    down: anHour,
    waiting: 1,
    skipped: 7,
    notes: ["00:20"]
  })),
  // No slot waits yet: the first one that counts waits.
  ...([["none", 0, 8, "01:40"], ["latest", 1, 7, "01:30"], ["all", 1, 7, "00:20"], [
    halfAnHour,
    1,
    7,
    "01:10"
  ]] as const)
    .map(([catchUp, waiting, skipped, slot]): Outage => ({
      overlap: "queueOne",
      catchUp,
      down: sooner,
      waiting,
      skipped,
      notes: [slot]
    }))
]

describe("a schedule with waiting slots", () => {
  it.scoped.each(
    outages.map((outage) => ({
      ...outage,
      title: `${outage.overlap} with catchUp ${JSON.stringify(outage.catchUp)}, down ${outage.down.join(" and ")}`
    }))
  )(
    "catches up after an outage behind the slots that waited before: $title",
    (outage) =>
      Effect.gen(function*() {
        yield* TestClock.setTime(midnight)
        const { live, notes, schedule } = makeJobs(first("95 minutes"))
        const { catchUp, overlap } = outage
        const layers = Layer.merge(live, schedule({ calendar: every10, overlap, catchUp }).layer)
        const world = yield* makeWorld()
        let process = yield* world.launch(layers)
        for (const [from, to] of outage.down) {
          yield* until(from)
          yield* process.kill
          yield* until(to)
          process = yield* world.launch(layers)
        }
        yield* TestClock.adjust("1 minute")
        const { running, skipped, waiting } = yield* info(process)
        assert.deepStrictEqual({ running, skipped, waiting }, {
          running: true,
          skipped: outage.skipped,
          waiting: outage.waiting
        })
        yield* until("01:55")
        assert.deepStrictEqual(notes, [
          "00:10@00:10",
          ...outage.notes.map((slot) => `${slot}@01:45`),
          "01:50@01:50"
        ])
        const after = yield* info(process)
        assert.deepInclude(after, { waiting: 0, started: notes.length, skipped: 11 - notes.length })
      })
  )

  it.scoped.each(
    [
      { catchUp: "none", slot: "00:20" },
      { catchUp: "latest", slot: "01:30" },
      { catchUp: "all", slot: "01:30" },
      { catchUp: halfAnHour, slot: "01:30" }
    ] as const
  )(
    "starts the latest slot that counts when the cancelled run has ended: $catchUp",
    ({ catchUp, slot }) =>
      Effect.gen(function*() {
        yield* TestClock.setTime(midnight)
        // The run is cancelled at 00:20 and ends at 01:37.
        const { live, notes, schedule } = makeJobs(first("1 day"), "77 minutes")
        const layers = Layer.merge(live, schedule({ calendar: every10, overlap: "cancelPrevious", catchUp }).layer)
        const world = yield* makeWorld()
        const process = yield* world.launch(layers)
        yield* until("00:25")
        assert.strictEqual((yield* info(process)).waiting, 1)
        yield* process.kill
        yield* until("01:35")
        const again = yield* world.launch(layers)
        yield* until("01:36")
        assert.deepInclude(yield* info(again), { running: true, waiting: 1, skipped: 7 })
        yield* until("01:39")
        assert.deepStrictEqual(notes, ["00:10@00:10", `${slot}@01:37`])
      })
  )
})

describe("the end of the previous run during an outage", () => {
  it.scoped.each(
    [
      { overlap: "queueOne", catchUp: "all", notes: ["00:20"], skipped: 7 },
      { overlap: "queueOne", catchUp: "latest", notes: ["00:20"], skipped: 7 },
      { overlap: "queueAll", catchUp: "latest", notes: ["00:20", "01:30"], skipped: 6 },
      { overlap: "queueAll", catchUp: "none", notes: ["00:20"], skipped: 7 },
      { overlap: "cancelPrevious", catchUp: "all", notes: ["01:30"], skipped: 7 },
      { overlap: "cancelPrevious", catchUp: "none", notes: ["00:20"], skipped: 7 }
    ] as const
  )(
    "makes the slots that waited and those due since then count together: $overlap, $catchUp",
    ({ catchUp, notes: expected, overlap, skipped }) =>
      Effect.gen(function*() {
        yield* TestClock.setTime(midnight)
        const { live, notes, schedule } = makeJobs(
          first(overlap === "cancelPrevious" ? "1 day" : "55 minutes"),
          "45 minutes"
        )
        const layers = Layer.merge(live, schedule({ calendar: every10, overlap, catchUp }).layer)
        const world = yield* makeWorld()
        const process = yield* world.launch(layers)
        yield* until("00:25")
        yield* process.stop
        // This process has the workflow, but not the definition.
        const other = yield* world.launch(live)
        yield* until("01:35")
        assert.deepInclude(yield* info(other), { running: false, waiting: 1, skipped: 0 })
        yield* world.launch(layers)
        yield* until("01:36")
        assert.deepStrictEqual(notes, ["00:10@00:10", ...expected.map((slot) => `${slot}@01:35`)])
        assert.deepInclude(yield* info(other), { waiting: 0, skipped })
      })
  )
})

describe("a waiting slot", () => {
  /** A world that counts reads of due schedules and writes. It stops after 200 reads: a schedule is due for ever. */
  const counting = Effect.gen(function*() {
    const calls = { due: 0, write: 0 }
    const world = yield* makeWorld((driver) => ({
      ...driver,
      dueSchedules: (request) => Effect.suspend(() => ++calls.due > 200 ? Effect.never : driver.dueSchedules(request)),
      writeSchedules: (request) =>
        Effect.suspend(() => {
          calls.write++
          return driver.writeSchedules(request)
        })
    }))
    return { calls, world }
  })

  it.scoped("survives a pause, during which it does not start and is not evaluated", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs(first("25 minutes"))
      const { calls, world } = yield* counting
      const process = yield* world.launch(
        Layer.merge(live, schedule({ calendar: every10, overlap: "queueAll", catchUp: "all" }).layer)
      )
      // A short pause, during which the previous run stays live.
      yield* until("00:22")
      yield* process.use(RunSchedule.pause("jobs"))
      assert.deepInclude(yield* info(process), { status: "paused", waiting: 1 })
      yield* until("00:24")
      yield* process.use(RunSchedule.resume("jobs"))
      yield* until("00:32")
      assert.deepInclude(yield* info(process), { status: "active", waiting: 2 })
      // A long pause, during which it ends.
      yield* process.use(RunSchedule.pause("jobs"))
      const before = { ...calls }
      yield* until("00:50")
      assert.deepStrictEqual(notes, ["00:10@00:10"])
      assert.deepInclude(yield* info(process), { status: "paused", waiting: 2, running: false, skipped: 0 })
      assert.isAtMost(calls.due - before.due, 3)
      assert.strictEqual(calls.write, before.write)
      // A manual run does not start it either.
      yield* process.use(RunSchedule.trigger("jobs"))
      yield* until("01:05")
      assert.deepStrictEqual(notes.splice(1), ["00:50@00:50"])
      assert.deepInclude(yield* info(process), { status: "paused", waiting: 2, running: false, skipped: 0 })
      yield* process.use(RunSchedule.resume("jobs"))
      yield* until("01:15")
      assert.deepStrictEqual(notes.slice(1), ["00:20@01:05", "00:30@01:05", "01:10@01:10"])
      assert.deepInclude(yield* info(process), { status: "active", waiting: 0, skipped: 0 })
      assert.isBelow(calls.due, 50)
    }))

  it.scoped("is skipped and counted by a change of calendar", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs(first("25 minutes"))
      const { calls, world } = yield* counting
      const process = yield* world.launch(Layer.merge(live, schedule({ calendar: every10, overlap: "queueAll" }).layer))
      yield* until("00:32")
      yield* process.use(RunSchedule.change("jobs", { calendar: hourly }))
      const { skipped, upcoming, waiting } = yield* info(process, { upcoming: 1 })
      assert.deepStrictEqual({ skipped, waiting }, { skipped: 2, waiting: 0 })
      assert.deepStrictEqual(upcoming.map((at) => timeOf(DateTime.toEpochMillis(at))), ["01:00"])
      yield* until("02:05")
      assert.deepStrictEqual(notes.slice(1), ["01:00@01:00", "02:00@02:00"])
      assert.deepInclude(yield* info(process), { started: 3, skipped: 2 })
      assert.isBelow(calls.due, 50)
    }))

  it.scoped.each(
    [
      { overlap: "skip", started: [], skipped: 3 },
      { overlap: "queueOne", started: ["00:20@00:45"], skipped: 2 },
      { overlap: "queueAll", started: ["00:20@00:45", "00:30@00:45", "00:40@00:45"], skipped: 0 },
      { overlap: "cancelPrevious", started: ["00:30@00:32", "00:40@00:40"], skipped: 1 },
      { overlap: "allow", started: ["00:20@00:32", "00:30@00:32", "00:40@00:40"], skipped: 0 }
    ] as const
  )(
    "follows a new overlap policy: $overlap",
    ({ overlap, ...expected }) =>
      Effect.gen(function*() {
        yield* TestClock.setTime(midnight)
        const { live, notes, schedule } = makeJobs(first("35 minutes"))
        const { calls, world } = yield* counting
        const process = yield* world.launch(
          Layer.merge(live, schedule({ calendar: every10, overlap: "queueAll", tags: ["before"] }).layer)
        )
        yield* until("00:32")
        assert.strictEqual((yield* info(process)).waiting, 2)
        yield* process.use(RunSchedule.change("jobs", { overlap, tags: [] }))
        yield* until("00:33")
        assert.deepStrictEqual(
          (yield* info(process)).waiting,
          overlap === "queueAll" ? 2 : overlap === "queueOne" ? 1 : 0
        )
        yield* until("00:55")
        assert.deepStrictEqual(notes, ["00:10@00:10", ...expected.started, "00:50@00:50"])
        assert.deepInclude(yield* info(process), { skipped: expected.skipped, waiting: 0 })
        assert.isBelow(calls.due, 50)
      })
  )
})

describe("a slot that waits under queueOne", () => {
  it.scoped("cancels the previous run at once when the policy becomes cancelPrevious", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs(first("35 minutes"))
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(live, schedule({ calendar: every10, overlap: "queueOne" }).layer))
      yield* until("00:22")
      yield* process.use(RunSchedule.change("jobs", { overlap: "cancelPrevious" }))
      yield* until("00:24")
      assert.deepStrictEqual(notes, ["00:10@00:10", "00:20@00:22"])
    }))
})

describe("a run that cancelPrevious cancels", () => {
  const statuses = (world: Effect.Effect.Success<ReturnType<typeof makeWorld>>) =>
    Effect.map(
      world.driver.find({ filter: {}, after: null, limit: 100 }),
      ({ value: { runs } }) => runs.toReversed()
    )

  it.scoped("can be a manual run that started while the slot waited", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs("1 day", "5 minutes")
      const world = yield* makeWorld()
      const process = yield* world.launch(
        Layer.merge(live, schedule({ calendar: every10, overlap: "cancelPrevious" }).layer)
      )
      yield* until("00:22")
      const byHand = yield* process.use(RunSchedule.trigger("jobs", { overlap: "queueAll" }))
      yield* until("00:29")
      assert.deepStrictEqual(notes, ["00:10@00:10", "00:22@00:25"])
      assert.deepInclude(yield* info(process), { running: true, waiting: 1, skipped: 0 })
      yield* until("00:34")
      assert.strictEqual(notes.length, 2)
      yield* until("00:36")
      assert.deepStrictEqual(notes.slice(2), ["00:30@00:35"])
      assert.strictEqual((yield* world.record(byHand)).status, "cancelled")
      assert.deepInclude(yield* info(process), { running: true, waiting: 0, skipped: 1, started: 2 })
    }))

  it.scoped("is cancelled once though each slot that is due meanwhile cancels it again", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs(first("1 day"), "35 minutes")
      const world = yield* makeWorld()
      const process = yield* world.launch(
        Layer.merge(live, schedule({ calendar: every10, overlap: "cancelPrevious" }).layer)
      )
      yield* until("00:54")
      assert.deepStrictEqual(notes, ["00:10@00:10"])
      assert.deepInclude(yield* info(process), { running: true, waiting: 1, skipped: 3 })
      yield* until("00:56")
      assert.deepStrictEqual(notes.slice(1), ["00:50@00:55"])
      const [run, next] = yield* statuses(world)
      assert.deepStrictEqual([run?.status, next?.status], ["cancelled", "completed"])
      const kinds = (yield* world.history(run?.id ?? "")).map(({ kind, name }) => `${kind} ${name}`)
      assert.deepStrictEqual(kinds.filter((kind) => kind.startsWith("cancel")), ["cancel cancel"])
      yield* until("01:01")
      assert.deepStrictEqual(notes.slice(2), ["01:00@01:00"])
    }))
})

describe("a schedule with maxRuns", () => {
  it.scoped("shows no slot beyond its last run, and counts the waiting ones as skipped", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs("24 minutes")
      const world = yield* makeWorld()
      const options = { calendar: every10, overlap: "queueAll", maxRuns: 3 } as const
      const process = yield* world.launch(Layer.merge(live, schedule(options).layer))
      yield* until("00:22")
      const shown = Effect.map(
        info(process),
        ({ skipped, upcoming, waiting }) => ({ upcoming: upcoming.length, waiting, skipped })
      )
      assert.deepStrictEqual(yield* shown, { upcoming: 1, waiting: 1, skipped: 0 })
      yield* until("00:32")
      assert.deepStrictEqual(yield* shown, { upcoming: 0, waiting: 2, skipped: 0 })
      yield* until("01:30")
      assert.deepStrictEqual(notes, ["00:10@00:10", "00:20@00:34", "00:30@00:58"])
      assert.deepStrictEqual(yield* shown, { upcoming: 0, waiting: 0, skipped: 2 })
    }))

  it.scoped("stays ended after other changes until maxRuns grows", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs()
      const world = yield* makeWorld()
      const process = yield* world.launch(
        Layer.merge(live, schedule({ calendar: hourly, maxRuns: 2, catchUp: "all" }).layer)
      )
      yield* until("02:10")
      const isOver = Effect.gen(function*() {
        assert.deepInclude(yield* info(process), { status: "ended", upcoming: [], started: 2, waiting: 0 })
      })
      yield* isOver
      yield* process.use(RunSchedule.change("jobs", { tags: ["late"] }))
      yield* isOver
      yield* until("03:10")
      yield* process.use(RunSchedule.pause("jobs"))
      yield* until("04:10")
      yield* process.use(RunSchedule.resume("jobs"))
      yield* isOver
      yield* until("05:10")
      yield* isOver
      assert.deepStrictEqual(notes, ["01:00@01:00", "02:00@02:00"])
      yield* process.use(RunSchedule.change("jobs", { maxRuns: 4 }))
      assert.strictEqual((yield* info(process)).status, "active")
      yield* until("09:10")
      assert.deepStrictEqual(notes.slice(2), ["06:00@06:00", "07:00@07:00"])
      assert.deepInclude(yield* info(process), { status: "ended", started: 4 })
    }))
})

describe("slots with a jitter longer than their interval", () => {
  it.scoped("start when upcoming shows it, in order, some of them together", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, notes, schedule } = makeJobs()
      const layer = schedule({ calendar: every10, overlap: "allow", catchUp: "all", jitter: "45 minutes" }).layer
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(live, layer))
      const times = Effect.map(
        info(process, { upcoming: 12 }),
        ({ upcoming }) => upcoming.map((at) => timeOf(DateTime.toEpochMillis(at)))
      )
      const said = yield* times
      assert.deepStrictEqual(said, said.toSorted())
      assert.isBelow(new Set(said).size, 12)
      yield* until("03:00")
      assert.deepStrictEqual(notes.slice(0, 12).map((note) => note.slice(6)), said)
      assert.deepStrictEqual(notes, notes.toSorted())
    }))
})
