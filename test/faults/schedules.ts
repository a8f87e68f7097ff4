/** Schedules while their workers are killed and frozen: each slot has one run, in order. */
import { assert, describe, it } from "@effect/vitest"
import * as PgJournal from "@perdure/postgres/PgJournal"
import { freshOn, type Server } from "@perdure/testing/TestDatabase"
import * as Chunk from "effect/Chunk"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"
import * as RunSchedule from "perdure/RunSchedule"
import { type Spec, slotsOf } from "../fixtures/calendarOracle.js"
import { calendarOf } from "../fixtures/calendarSamples.js"
import { type Expected, type Made, type Phase, violations } from "../fixtures/slotChecker.js"
import { codedLayer, entriesOf, type Entry, scheduleOf, type Window } from "./fixtures/schedules.js"
import { connect, type Database, launch, type Row, type WorkerProcess } from "./harness.js"
import * as Limits from "./limitChecker.js"

const script = fileURLToPath(new URL("./fixtures/scheduleWorkers.ts", import.meta.url))

const SECOND = 1_000

const clock = (database: Database) =>
  Effect.map(
    database.rows("select extract(epoch from clock_timestamp()) * 1000 as now"),
    ([row]) => Number(row?.["now"])
  )

const reaches = (database: Database, instant: number) =>
  database.until("select 1 where clock_timestamp() >= to_timestamp($1::float8 / 1000)", [instant])

/** The effect's value, and the time in which it ran by the storage's clock. */
const within = <A, E, R>(database: Database, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const from = yield* clock(database)
    const value = yield* effect
    return { value, span: { from, to: yield* clock(database) } }
  })

/** All runs of schedules, in the form of the checker. */
const RUNS = `
  select i.run, i.attributes ->> 'perdure.schedule' as schedule, i.attributes ->> 'perdure.slot' as slot,
    i.idempotency_key as key, i.payload, r.status, extract(epoch from i.created_at) * 1000 as created_at,
    extract(epoch from r.finished_at) * 1000 as ended_at, m.ended,
    min(m.created) over (partition by i.attributes ->> 'perdure.schedule', i.created_at) as created
  from perdure.inputs i
  join perdure.runs r on r.id = i.run
  join (
    select run, min(number) as created, max(number) filter (
      where status in ('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted')
    ) as ended from moves group by run
  ) m on m.run = i.run`

const orNull = (value: unknown): number | null => value === null ? null : Number(value)

const madeOf = (row: Row): Made => {
  const [schedule, slot, key] = [String(row["schedule"]), String(row["slot"]), String(row["key"])]
  const isTriggered = key === `schedule ${schedule} trigger ${row["run"]}`
  if (!isTriggered) assert.strictEqual(key, `schedule ${schedule} ${slot}`)
  const payload: { readonly slot: number | null } = JSON.parse(String(row["payload"]))
  return {
    run: String(row["run"]),
    schedule,
    slot: Date.parse(slot),
    isTriggered,
    payloadSlot: payload.slot,
    status: String(row["status"]),
    created: Number(row["created"]),
    ended: orNull(row["ended"]),
    createdAt: Number(row["created_at"]),
    endedAt: orNull(row["ended_at"])
  }
}

/** What operators did to schedules. */
interface Operations {
  readonly phases: Map<string, ReadonlyArray<Phase>>
  readonly backfilled: Map<string, ReadonlyArray<number>>
  readonly triggered: Map<string, ReadonlyArray<string>>
}

const add = <A>(map: Map<string, ReadonlyArray<A>>, name: string, ...values: ReadonlyArray<A>) =>
  map.set(name, [...map.get(name) ?? [], ...values])

const slotsBy = (spec: Spec) => (from: number, to: number) => slotsOf(spec, from, to)

const expectedOf = (entry: Entry, { to }: Window, done: Operations): Expected => {
  const { catchUp, from, jitter, maxRuns, name, overlap, spec } = entry
  return {
    name,
    overlap,
    catchUp,
    jitter,
    maxRuns: maxRuns ?? Infinity,
    phases: [{ begins: { from, to: from }, slots: slotsBy(spec) }, ...done.phases.get(name) ?? []],
    until: to,
    backfilled: done.backfilled.get(name) ?? [],
    triggered: done.triggered.get(name) ?? []
  }
}

/** Stores all schedules, some of them as if they had existed for a while and no process had fired them. */
const prepare = (database: Database, entries: ReadonlyArray<Entry>, window: Window) =>
  Effect.gen(function*() {
    yield* Effect.forEach(
      entries.filter(({ isCoded }) => !isCoded),
      (entry) => RunSchedule.put(scheduleOf(entry, window)),
      { concurrency: 8 }
    )
    const late = entries.filter(({ isLate }) => isLate)
    yield* database.rows(
      `update perdure.schedules s set due_at = to_timestamp(l.slot / 1000),
        state = jsonb_set(s.state::jsonb, '{slot}', to_jsonb(l.slot))::text
      from json_to_recordset($1::json) as l(name text, slot float8) where l.name = s.name`,
      [JSON.stringify(late.map(({ from, name, spec }) => ({ name, slot: slotsOf(spec, from, from + 60 * SECOND)[0] })))]
    )
  })

/** Stores all schedules before the first slot, however slow the machine is. */
const prepareInTime = (database: Database, { lasts, lead, schedules: count }: Size) =>
  Effect.gen(function*() {
    for (let seconds = lead;; seconds *= 2) {
      const begins = Math.ceil((yield* clock(database)) / SECOND) * SECOND + seconds * SECOND
      const window = { from: begins, to: begins + lasts * SECOND }
      const entries = entriesOf(count, window)
      yield* Effect.provide(prepare(database, entries, window), codedLayer(window, count))
      if ((yield* clock(database)) < begins - SECOND * lead / 2) return { begins, entries, window }
      yield* database.rows("delete from perdure.schedules")
    }
  })

export interface Size {
  readonly schedules: number
  /** Seconds from the preparation to the first slot, in which the processes start. Doubled until they suffice. */
  readonly lead: number
  /** Seconds from the first slot to the last one. */
  readonly lasts: number
  /** Each has four workers, which all fire schedules. */
  readonly processes: number
  /** The third one freezes a process instead of killing it. */
  readonly kills: number
}

export const suite = (server: Server, size: Size): void => {
  const { kills: killCount, lasts, processes, schedules: count } = size
  describe(`schedules on ${server.name}`, () => {
    it.scopedLive(
      `have one run for each slot though processes are killed (${count} schedules)`,
      () =>
        Effect.gen(function*() {
          const { url } = yield* freshOn(server)
          const database = yield* connect(url)
          const journal = PgJournal.layer({ url: Redacted.make(url) })
          const test = Effect.gen(function*() {
            for (const statement of Limits.recorder("perdure")) yield* database.rows(statement)
            let launched = 0
            const start = Effect.gen(function*() {
              const scope = yield* Scope.make()
              yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
              const settings = { url, outside: url, process: `workers ${++launched}`, schedules: count }
              return yield* Scope.extend(launch(settings, script), scope)
            })
            const places = yield* Effect.replicateEffect(start, processes)
            yield* Effect.forEach(places, (process) => process.ready)
            const { begins, entries, window } = yield* prepareInTime(database, size)
            const begin = (process: WorkerProcess) =>
              Effect.zipRight(process.ready, process.ask(`${window.from} ${window.to}`))
            const { span: since } = yield* within(
              database,
              Effect.forEach(places, begin, { concurrency: "unbounded" })
            )

            const done: Operations = { phases: new Map(), backfilled: new Map(), triggered: new Map() }
            const plain = entries.filter(({ isLate, maxRuns }) => !isLate && maxRuns === null)
            const some = (from: number, to: number) => plain.slice(from * plain.length, to * plain.length)
            const paused = some(0, 0.03)
            const changed = some(0.03, 0.06)
            const triggered = some(0.06, 0.12)
            const backfilled = some(0.12, 0.15)
            const moment = (part: number) => reaches(database, begins + part * lasts * SECOND)

            const pauses = Effect.gen(function*() {
              yield* moment(0.1)
              for (const { name } of paused) {
                const { span } = yield* within(database, RunSchedule.pause(name, { reason: "for a while" }))
                add(done.phases, name, { begins: span, slots: () => [] })
              }
              yield* moment(0.35)
              for (const { name, spec } of paused) {
                const { span } = yield* within(database, RunSchedule.resume(name))
                add(done.phases, name, { begins: span, slots: slotsBy(spec) })
              }
            })
            const changes = Effect.gen(function*() {
              for (const [part, seconds] of [[0.25, 2], [0.6, 3]] as const) {
                yield* moment(part)
                const spec: Spec = { kind: "every", seconds, anchor: 0 }
                for (const { name } of changed) {
                  const calendar = calendarOf(spec, "fields")
                  const { span } = yield* within(database, RunSchedule.change(name, { calendar }))
                  add(done.phases, name, { begins: span, slots: slotsBy(spec) })
                }
              }
            })
            const asks = Effect.gen(function*() {
              for (const part of [0.2, 0.5, 0.8]) {
                yield* moment(part)
                for (const [n, { name }] of triggered.entries()) {
                  add(
                    done.triggered,
                    name,
                    yield* RunSchedule.trigger(name, n % 2 === 0 ? {} : { overlap: "queueAll" })
                  )
                }
              }
            })
            const backfills = Effect.gen(function*() {
              yield* moment(0.4)
              // Slots before the schedule began, and slots that had their runs.
              for (const { name, spec } of backfilled) {
                const [from, to] = [begins - 10 * SECOND, begins + 3 * SECOND]
                const slots = yield* RunSchedule.backfill(name, {
                  from: new Date(from),
                  to: new Date(to),
                  overlap: "allow"
                })
                assert.deepStrictEqual(slots.map(DateTime.toEpochMillis), slotsOf(spec, from, to))
                add(done.backfilled, name, ...slots.map(DateTime.toEpochMillis))
              }
            })
            const kills = Effect.gen(function*() {
              for (let kill = 0; kill < killCount; kill++) {
                yield* moment(0.1 + 0.8 * kill / killCount)
                const place = kill % processes
                const victim = places[place] ?? assert.fail("the process does not exist")
                if (kill === 2) {
                  yield* victim.signal("SIGSTOP")
                  yield* moment(0.6)
                  yield* victim.signal("SIGCONT")
                  continue
                }
                yield* victim.signal("SIGKILL")
                yield* victim.ended
                const next = yield* start
                places[place] = next
                // It can be killed again while it begins.
                yield* Effect.forkScoped(begin(next))
              }
            })
            yield* Effect.all([pauses, changes, asks, backfills, kills], { concurrency: "unbounded" })

            yield* moment(1)
            yield* database.until(
              "select 1 where not exists (select from perdure.schedules where due_at < 'infinity' or waits)"
            )
            yield* database.until(
              "select 1 where not exists (select from perdure.runs where status in ('pending', 'running', 'suspended'))"
            )

            const runs = (yield* database.rows(RUNS)).map(madeOf)
            const expected = entries.map((entry) => expectedOf(entry, window, done))
            assert.deepStrictEqual(violations(runs, expected, { slack: SECOND, patience: 8 * SECOND, since }), [])
            assert.isAbove(runs.length, count * lasts / 6)

            const infos = Chunk.toReadonlyArray(yield* Stream.runCollect(RunSchedule.stream()))
            assert.deepStrictEqual(
              infos.filter(({ status }) => status !== "ended").map(({ detail, name, status }) => ({
                name,
                status,
                detail
              })),
              []
            )
            assert.lengthOf(infos, count)
            const counted = new Map(infos.map((info) => [info.name, info]))
            const startedOf = (name: string) => runs.filter((run) => run.schedule === name && !run.isTriggered).length
            const touched = new Set([...paused, ...changed, ...backfilled].map(({ name }) => name))
            for (const { isLate, maxRuns, name, spec } of entries) {
              const info = counted.get(name) ?? assert.fail(name)
              if (touched.has(name)) continue
              assert.strictEqual(info.started, startedOf(name), name)
              if (!isLate && maxRuns === null) {
                assert.strictEqual(info.started + info.skipped, slotsOf(spec, window.from, window.to).length, name)
              }
            }
            // Each policy had slots to skip or runs to cancel.
            for (const overlap of ["skip", "queueOne"] as const) {
              const skipped = entries.filter((entry) => entry.overlap === overlap && !entry.isLate)
                .reduce((sum, { name }) => sum + (counted.get(name)?.skipped ?? 0), 0)
              assert.isAbove(skipped, 0, overlap)
            }
            assert.isTrue(runs.some(({ status }) => status === "cancelled"))
            for (const process of places) assert.isTrue(process.isAlive(), process.log())
          })
          yield* Effect.provide(test, journal)
        }),
      300_000
    )
  })
}
