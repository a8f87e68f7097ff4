/**
 * Schedules. A year of nights on the journal in memory, as a test has it. Then ticks: ten schedules that are due from
 * among a thousand, and from among very many; the two alternate, so that both see the machine in one state. Then a
 * thousand that are due at one instant: how long it takes until all their runs exist, with one worker, and with
 * twenty schedulers that race for them, all of them in this one process.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as EagerTimers from "@perdure/testing/EagerTimers"
import * as Array from "effect/Array"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as Calendar from "perdure/Calendar"
import { Journal } from "perdure/Journal"
import * as JournalMemory from "perdure/JournalMemory"
import * as RunSchedule from "perdure/RunSchedule"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"
// A tick by itself is no part of what users call.
import { fireDue } from "../src/internal/schedules/firing.js"
import { ScheduleLoop } from "../src/internal/worker/ScheduleLoop.js"
import { emit, quantile, timed } from "./measure.js"

/** Schedules that are due at each tick, and ticks of a measurement. */
const DUE = 10
const TICKS = 60

/** Schedules that are due at one instant, repetitions, and workers that race for them. */
const CROWD = 1_000
const ROUNDS = 7
const RACERS = 20

/** Nights under the test clock, and repetitions. */
const NIGHTS = 365
const YEARS = 5

/** The limit for a thousand schedules, and for a year of nights. Milliseconds. */
const AT_MOST = 1_000

const Scheduled = Workflow.make("bench/Scheduled", { payload: {} })

const handlers = Scheduled.toLayer(() => Step.run("only", Effect.void))

/**
 * A year of nights under the test clock, as docs/schedules.md tests them: milliseconds from nothing to the last night.
 */
const year = Effect.suspend(() => {
  const nights: Array<string> = []
  const Night = Workflow.make("bench/Night", { payload: { day: Schema.String } })
  const Nightly = RunSchedule.make("nightly", {
    workflow: Night,
    payload: (slot) => ({ day: DateTime.formatIso(slot) }),
    calendar: Calendar.daily({ at: "02:30", zone: "Europe/Berlin" })
  })
  const live = Night.toLayer(({ day }) => Effect.sync(() => void nights.push(day)))
  return TestClock.adjust(`${NIGHTS} days`).pipe(
    Effect.provide(
      Layer.mergeAll(live, Nightly.layer, Worker.layerTest(), EagerTimers.layer).pipe(
        Layer.provideMerge(JournalMemory.layer)
      )
    ),
    Effect.provide(TestContext.TestContext),
    timed,
    Effect.filterOrDieMessage(() => nights.length === NIGHTS, `There are not ${NIGHTS} nights in a year`),
    Effect.map(([, millis]) => millis),
    // A fiber that has had the test clock keeps it: the rest is for the real one.
    Effect.fork,
    Effect.flatMap(Fiber.await),
    Effect.flatten
  )
})

/** The same year again and again. */
export const nights = Effect.gen(function*() {
  const times = yield* Effect.replicateEffect(year, YEARS)
  yield* emit("a year of nights, test clock, p50", quantile(times, 0.5), "ms")
  yield* emit("  slowest", quantile(times, 1), "ms")
  if (quantile(times, 0.5) > AT_MOST) yield* Effect.dieMessage("a year of nights took more than a second")
})

type Storage = Layer.Layer<Journal | SqlClient.SqlClient, unknown>

/** A schema with schedules that are due tomorrow: copies of one that was put, as others are. */
const fill = (schema: string, count: number) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    // A database that was measured before.
    yield* sql.unsafe(`TRUNCATE ${schema}.schedules, ${schema}.runs, ${schema}.inputs, ${schema}.journal`)
    yield* RunSchedule.put(
      RunSchedule.make("template", { workflow: Scheduled, payload: {}, calendar: Calendar.every("1 day") })
    )
    yield* sql.unsafe(
      `INSERT INTO ${schema}.schedules (due_at, seen_at, waits, name, needs, settings, state)
      SELECT now() + interval '1 day' + i * interval '1 ms', now(), false, 'each ' || i, needs, settings, state
      FROM ${schema}.schedules CROSS JOIN generate_series(1, ${count}) AS i`
    )
    yield* sql.unsafe(`DELETE FROM ${schema}.schedules WHERE name = 'template'`)
    yield* sql.unsafe(`VACUUM (ANALYZE) ${schema}.schedules`)
  })

/** Give some schedules a slot at an instant, and answer it: as SQL says it, on a whole second. */
const makeDue = (schema: string, from: number, count: number, at: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const millis = `(extract(epoch FROM date_trunc('second', ${at})) * 1000)::bigint`
    const [row] = yield* sql.unsafe<{ readonly at: string }>(
      `WITH due AS (
        UPDATE ${schema}.schedules SET due_at = date_trunc('second', ${at}),
          state = jsonb_set(state::jsonb, '{slot}', to_jsonb(${millis}))::text
        WHERE name IN (SELECT 'each ' || i FROM generate_series(${from}, ${from + count - 1}) AS i)
      )
      SELECT ${millis}::text AS at`
    )
    return Number(row?.at)
  })

/**
 * The ticks of a process without a worker: milliseconds of one with nothing due, and of one with ten schedules that
 * are.
 */
const ticks = (schema: string, count: number) =>
  Effect.gen(function*() {
    yield* fill(schema, count)
    const journal = yield* Journal
    const sql = yield* SqlClient.SqlClient
    // From all over the table.
    const apart = Math.floor(count / TICKS)
    return (tick: number) =>
      Effect.gen(function*() {
        const [none, empty] = yield* timed(fireDue(journal))
        yield* makeDue(schema, tick * apart + 1, DUE, "now()")
        const [some, busy] = yield* timed(fireDue(journal))
        if (none.found > 0 || some.fired !== DUE) {
          yield* Effect.dieMessage(`${none.found} schedules were due, not 0; ${some.fired} were fired, not ${DUE}`)
        }
        return { empty, busy }
      }).pipe(Effect.provideService(SqlClient.SqlClient, sql))
  })

/** The time of a tick among `count` schedules over that among a thousand. `storage` gives a journal in a schema. */
export const flatness = (storage: (schema: string) => Storage, count: number) =>
  Effect.gen(function*() {
    const among = (schema: string, all: number) =>
      Effect.flatMap(Layer.build(Layer.provideMerge(handlers, storage(schema))), (process) =>
        Effect.provide(ticks(schema, all), process))
    const [few, many] = [yield* among("perdure_bench_few", 1_000), yield* among("perdure_bench_many", count)]
    const busy = { few: Array.empty<number>(), many: Array.empty<number>() }
    const empty = { few: Array.empty<number>(), many: Array.empty<number>() }
    for (let tick = 0; tick < TICKS; tick++) {
      const [a, b] = [yield* few(tick), yield* many(tick)]
      // The first ones make the plans.
      if (tick < 10)
        continue
      busy.few.push(a.busy)
      busy.many.push(b.busy)
      empty.few.push(a.empty)
      empty.many.push(b.empty)
    }
    for (const [what, times] of [[`${DUE} due`, busy], ["none due", empty]] as const) {
      const [a, b] = [quantile(times.few, 0.5), quantile(times.many, 0.5)]
      yield* emit(`tick, ${what}, of 1,000 schedules, p50`, a, "ms")
      yield* emit(`tick, ${what}, of ${count.toLocaleString("en")}, p50`, b, "ms")
      yield* emit("  over that of 1,000", b / a, "×")
    }
  })

/** A thousand schedules that are due at one instant, again and again: milliseconds from it until all runs exist. */
const rounds = (schema: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const count = Effect.map(
      sql.unsafe<{ readonly at: string; readonly runs: number; readonly slots: number }>(
        `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::text AS at, count(*)::int AS runs,
            count(DISTINCT i.idempotency_key)::int AS slots
          FROM ${schema}.inputs i`
      ),
      ([row]) => ({ at: Number(row?.at), runs: row?.runs ?? 0, slots: row?.slots ?? 0 })
    )
    const reached = (wanted: number): Effect.Effect<number, SqlError> =>
      Effect.flatMap(count, ({ at, runs }) =>
        runs >= wanted ? Effect.succeed(at) : Effect.delay(reached(wanted), "5 millis"))
    const times: Array<number> = []
    for (let round = 0; round < ROUNDS; round++) {
      yield* sql.unsafe(`TRUNCATE ${schema}.runs, ${schema}.inputs, ${schema}.journal`)
      const due = yield* makeDue(schema, 1, CROWD, "now() + interval '4 seconds'")
      // Workers hear of it by their next poll.
      yield* Effect.sleep("2500 millis")
      times.push((yield* reached(CROWD)) - due)
      // Every scheduler of the race has looked again.
      yield* Effect.sleep("1 second")
      const { runs, slots } = yield* count
      if (runs !== CROWD || slots !== CROWD) {
        yield* Effect.dieMessage(`${CROWD} slots have ${runs} runs of ${slots} slots`)
      }
    }
    // The first one makes the plans.
    return times.slice(1)
  })

/** Worker's loops that fire what is due, each with a journal of its own. */
const schedulers = (process: Layer.Layer<Journal | SqlClient.SqlClient, unknown>, count: number) =>
  Effect.forEach(
    Array.makeBy(count, () => Layer.fresh(process)),
    (each) =>
      Effect.flatMap(Layer.build(each), (context) =>
        Effect.forkScoped(new ScheduleLoop(Context.get(context, Journal), 1_000).run)),
    { discard: true }
  )

/**
 * A thousand at once, for one worker that executes them, too, and for twenty schedulers. `storage` returns one of
 * several journals.
 */
export const atOnce = (storage: (schema: string, journals: number) => Storage) =>
  Effect.forEach([1, RACERS], (count) =>
    Effect.scoped(Effect.gen(function*() {
      const schema = "perdure_bench_crowd"
      const process = Layer.provideMerge(handlers, storage(schema, count))
      const first = yield* Layer.build(process)
      yield* Effect.provide(fill(schema, CROWD), first)
      if (count === 1) yield* Layer.build(Layer.provide(Worker.layer(), Layer.succeedContext(first)))
      else yield* schedulers(process, count)
      const times = yield* Effect.provide(rounds(schema), first)
      const who = count === 1 ? "one worker" : `${count} schedulers race`
      yield* emit(`${CROWD} due at once, ${who}, p50`, quantile(times, 0.5), "ms")
      yield* emit("  slowest", quantile(times, 1), "ms")
      if (quantile(times, 0.5) > AT_MOST) yield* Effect.dieMessage(`${CROWD} due at once took more than a second`)
    })), { discard: true })
