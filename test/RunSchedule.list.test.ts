/** Lists of schedules, page by page and as a stream; and controls in a pipe. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { ValueInvalid } from "perdure/Errors"
import * as RunSchedule from "perdure/RunSchedule"
import { misuseOf } from "./fixtures/misuse.js"
import { hourly, makeJobs, midnight } from "./fixtures/schedules.js"
import { makeWorld } from "./fixtures/world.js"

/** A world with schedules `jobs 0` to `jobs 6`. */
const makeSeven = Effect.gen(function*() {
  yield* TestClock.setTime(midnight)
  const { Job } = makeJobs()
  const world = yield* makeWorld()
  const names = Array.from({ length: 7 }, (_, n) => `jobs ${n}`)
  for (const name of names) {
    yield* world.use(
      RunSchedule.put(RunSchedule.make(name, { workflow: Job, payload: { slot: "" }, calendar: hourly }))
    )
  }
  return { names, world }
})

describe("a list of schedules", () => {
  it.scoped("has pages in order of name, each with the cursor of the next one", () =>
    Effect.gen(function*() {
      const { names, world } = yield* makeSeven
      const sizes: Array<number> = []
      const found: Array<string> = []
      let cursor: string | null = null
      do {
        const page: RunSchedule.Page = yield* world.use(RunSchedule.list({ limit: 3, cursor }))
        sizes.push(page.items.length)
        found.push(...page.items.map(({ name }) => name))
        cursor = page.next
      } while (cursor !== null)
      assert.deepStrictEqual(sizes, [3, 3, 1])
      assert.deepStrictEqual(found, names)
    }))

  it.scoped("has no next page if the last one is full", () =>
    Effect.gen(function*() {
      const { world } = yield* makeSeven
      const { items, next } = yield* world.use(RunSchedule.list({ limit: 7, upcoming: 2 }))
      assert.deepStrictEqual(items.map(({ upcoming }) => upcoming.length), [2, 2, 2, 2, 2, 2, 2])
      assert.isNull(next)
    }))

  it.scoped("rejects a cursor of another list and unknown options", () =>
    Effect.gen(function*() {
      const { world } = yield* makeSeven
      const error = yield* Effect.flip(world.use(RunSchedule.list({ cursor: "jobs 3" })))
      assert.instanceOf(error, ValueInvalid)
      const misuse = misuseOf(world.use(RunSchedule.list({ limit: 0, ...{ after: "jobs 3" } })))
      assert.include(yield* misuse, "\"after\" is not an option: use limit, cursor or upcoming")
      assert.include(yield* misuse, "\"limit\" must be an integer from 1 to 1000, got 0")
    }))

  it.scoped("is a stream of all schedules, too", () =>
    Effect.gen(function*() {
      const { names, world } = yield* makeSeven
      const infos = yield* world.use(Stream.runCollect(RunSchedule.stream({ upcoming: 0 })))
      assert.deepStrictEqual([...infos].map(({ name, upcoming }) => [name, upcoming]), names.map((name) => [name, []]))
    }))
})

describe("a control of a schedule in a pipe", () => {
  it.scoped("takes its options first", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { live, schedule } = makeJobs("10 hours")
      const jobs = schedule({ calendar: hourly })
      const world = yield* makeWorld()
      const { use } = yield* world.launch(Layer.merge(live, jobs.layer))
      yield* use(jobs.pipe(RunSchedule.pause({ by: "ann", reason: "month's end" })))
      const paused = yield* use(jobs.pipe(RunSchedule.get({ upcoming: 3 })))
      assert.deepInclude(Option.getOrThrow(paused.detail), { by: "ann", reason: "month's end" })
      yield* use(jobs.pipe(RunSchedule.resume))
      yield* use(jobs.pipe(RunSchedule.change({ tags: ["piped"] })))
      const run = yield* use(jobs.pipe(RunSchedule.trigger({ overlap: "queueAll" })))
      const slots = yield* use(
        jobs.pipe(RunSchedule.backfill({ from: new Date(midnight - 7_200_000), to: new Date(midnight) }))
      )
      assert.lengthOf(slots, 2)
      assert.deepStrictEqual((yield* world.record(run)).tags, ["piped"])
      yield* use(jobs.pipe(RunSchedule.pause()))
      assert.strictEqual((yield* use(jobs.pipe(RunSchedule.get()))).status, "paused")
    }))
})
