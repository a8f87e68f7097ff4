/** The rows of schedules: one writer for each revision; due by time or by the end of a run. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import { check, finish, type Fixture, only, pass, start, value } from "./Fixture.js"

type StoredRow = Driver.ScheduleRow & { readonly revision: number }

const needs = (t: Fixture): string => t.id("needs")

const row = (t: Fixture, name: string, change: Partial<StoredRow> = {}): StoredRow => ({
  name: t.id(name),
  needs: needs(t),
  dueAt: Infinity,
  run: null,
  waits: false,
  settings: `{ "of": "${name}" }`,
  state: "{ }",
  definition: null,
  revision: 0,
  ...change
})

const write = (t: Fixture, ...schedules: ReadonlyArray<StoredRow>) =>
  value(t.driver.writeSchedules({ schedules, hint: false }))

const find = (t: Fixture, ...names: ReadonlyArray<string>) =>
  value(t.driver.schedules({ names: names.map((name) => t.id(name)), after: null, limit: 100 }))

const dueAnswer = (t: Fixture, limit = 100) => value(t.driver.dueSchedules({ needs: [needs(t)], limit }))

/** The names of the due schedules, without the prefix. */
const due = (t: Fixture, limit?: number) =>
  Effect.map(dueAnswer(t, limit), ({ schedules }) => schedules.map(({ name }) => name.slice(t.prefix.length + 1)))

const shown = ({ revision, ...schedule }: StoredRow, change: Partial<Driver.ScheduleRecord> = {}) => ({
  ...schedule,
  revision: revision + 1,
  seenAt: start,
  runStatus: null,
  ...change
})

export const schedules = [
  check("a schedule is read as it was written, with the same JSON text", (t) =>
    Effect.gen(function*() {
      const full = row(t, "full", {
        dueAt: start + 1.5e9,
        settings: "{\"b\": 1,  \"a\": \"é\\u0001\"}",
        state: "[1.50]",
        definition: "{ }"
      })
      const never = row(t, "never")
      assert.deepStrictEqual(yield* write(t, never, full), [full.name, never.name])
      assert.deepStrictEqual(yield* find(t, "never", "full", "unknown"), [shown(full), shown(never)])
    })),

  check("a schedule is replaced only by a caller with its current revision", (t) =>
    Effect.gen(function*() {
      const first = row(t, "a", { state: "1", definition: "x" })
      assert.deepStrictEqual(yield* write(t, first), [first.name])
      // A caller whose answer was lost repeats the request.
      assert.deepStrictEqual(yield* write(t, first), [])
      const second = row(t, "a", {
        state: "2",
        revision: 1,
        dueAt: start,
        needs: t.id("other"),
        run: t.id("run"),
        waits: true
      })
      assert.deepStrictEqual(yield* write(t, second, row(t, "b", { revision: 1 })), [second.name])
      assert.deepStrictEqual(yield* write(t, { ...second, state: "3" }, { ...second, state: "4", revision: 3 }), [])
      assert.deepStrictEqual(yield* find(t, "a", "b"), [shown(second)])
    })),

  check(
    "a schedule is deleted only by a caller with its current revision, and a new one starts at revision 1",
    (t) =>
      Effect.gen(function*() {
        yield* write(t, row(t, "a"), row(t, "b"))
        yield* write(t, row(t, "a", { revision: 1 }))
        const [a, b] = [t.id("a"), t.id("b")]
        const remove = (...all: ReadonlyArray<readonly [string, number]>) =>
          value(t.driver.removeSchedules(all.map(([name, revision]) => ({ name, revision }))))
        assert.deepStrictEqual(yield* remove([a, 1], [b, 1], [t.id("unknown"), 0]), [b])
        assert.deepStrictEqual(yield* remove([a, 2], [b, 1]), [a])
        assert.deepStrictEqual(yield* find(t, "a", "b"), [])
        assert.deepStrictEqual(yield* write(t, row(t, "a", { revision: 2 }), row(t, "b")), [b])
      })
  ),

  check("schedules are read in pages in order of name", (t) =>
    Effect.gen(function*() {
      yield* write(t, row(t, "b"), row(t, "a"), row(t, "c"), row(t, "B"))
      const page = (after: string, limit: number) =>
        Effect.map(
          value(t.driver.schedules({ names: null, after: t.id(after), limit })),
          (found) => found.map(({ name }) => name)
        )
      assert.deepStrictEqual(yield* page("", 3), ["B", "a", "b"].map((name) => t.id(name)))
      assert.deepStrictEqual(yield* page("b", 1), [t.id("c")])
    })),

  check(
    "due schedules come in order of dueAt, with the instant of the next one",
    (t) =>
      Effect.gen(function*() {
        yield* write(
          t,
          row(t, "now", { dueAt: start }),
          row(t, "long ago", { dueAt: start - 10 }),
          row(t, "soon", { dueAt: start + 2 }),
          row(t, "later", { dueAt: start + 3 }),
          row(t, "never"),
          row(t, "of others", { dueAt: start - 20, needs: t.id("other") })
        )
        assert.deepStrictEqual(yield* due(t), ["long ago", "now"])
        assert.deepStrictEqual(yield* due(t, 1), ["long ago"])
        const [first] = (yield* dueAnswer(t)).schedules
        assert.deepStrictEqual(first, shown(row(t, "long ago", { dueAt: start - 10 })))
        assert.strictEqual((yield* dueAnswer(t)).nextDue, start + 2)
        yield* pass(2)
        assert.deepStrictEqual(yield* due(t), ["long ago", "now", "soon"])
        assert.strictEqual((yield* dueAnswer(t)).nextDue, start + 3)
        yield* pass(1)
        assert.isNull((yield* dueAnswer(t)).nextDue)
        const both = yield* value(t.driver.dueSchedules({ needs: [needs(t), t.id("other"), needs(t)], limit: 2 }))
        assert.deepStrictEqual(both.schedules.map(({ name }) => name), [t.id("of others"), t.id("long ago")])
        const none = yield* value(t.driver.dueSchedules({ needs: [], limit: 2 }))
        assert.deepStrictEqual(none, { schedules: [], nextDue: null, awaited: [] })
      })
  ),

  check(
    "a schedule that waits is due once its run is final or deleted, before all others",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("run")
        const other = yield* t.running("other")
        yield* write(
          t,
          row(t, "waits", { run: held.id, waits: true }),
          row(t, "waits too", { run: held.id, waits: true, dueAt: start + 5 }),
          row(t, "waits longer", { run: other.id, waits: true }),
          row(t, "does not wait", { run: held.id }),
          row(t, "waits for one that is gone", { run: t.id("gone"), waits: true }),
          row(t, "waits for none", { waits: true }),
          row(t, "timed", { dueAt: start })
        )
        const gone = ["waits for none", "waits for one that is gone"]
        assert.deepStrictEqual(yield* due(t), [...gone, "timed"])
        assert.deepStrictEqual((yield* dueAnswer(t)).awaited, [other.id, held.id].toSorted())
        assert.deepStrictEqual((yield* dueAnswer(t, 1)).awaited, [other.id, held.id].toSorted().slice(0, 1))
        yield* t.apply(held, { transition: finish() })
        assert.deepStrictEqual(
          yield* due(t),
          ["waits", ...gone, "waits too", "timed"].toSorted((a, b) =>
            a === "timed" ? 1 : b === "timed" ? -1 : a < b ? -1 : 1
          )
        )
        assert.deepStrictEqual((yield* dueAnswer(t)).awaited, [other.id])
        assert.deepStrictEqual(
          (yield* find(t, "waits", "waits longer", "timed")).map(({ runStatus }) => runStatus),
          [null, "completed", "running"]
        )
        // Due by its time, although its run is live.
        yield* write(t, row(t, "waits longer", { run: other.id, waits: true, revision: 1, dueAt: start - 1 }))
        assert.include(yield* due(t), "waits longer")
      })
  ),

  check(
    "a schedule in a transaction is written with the runs that the transaction inserts, or not at all",
    (t) =>
      Effect.gen(function*() {
        yield* write(t, row(t, "a", { dueAt: start }))
        const fire = (run: string) =>
          Effect.zipRight(
            write(t, row(t, "a", { revision: 1, run: t.id(run), dueAt: start + 1 })),
            t.enqueue(t.newRun(run))
          )
        yield* Effect.ignore(t.driver.transaction(Effect.zipRight(fire("undone"), Effect.fail("no"))))
        assert.deepStrictEqual(yield* t.find(t.id("undone")), [])
        assert.deepStrictEqual(yield* due(t), ["a"])
        yield* t.driver.transaction(fire("done"))
        assert.strictEqual((yield* t.find(t.id("done"))).length, 1)
        assert.deepStrictEqual(yield* due(t), [])
        assert.strictEqual(only(yield* find(t, "a")).runStatus, "pending")
      })
  ),

  check("seenAt of a schedule is written at most every half minute", (t) =>
    Effect.gen(function*() {
      yield* write(t, row(t, "a"), row(t, "b"))
      const seen = Effect.map(find(t, "a", "b"), (found) => found.map(({ revision, seenAt }) => [revision, seenAt]))
      const see = value(t.driver.seeSchedules([t.id("a"), t.id("unknown"), t.id("a")]))
      yield* pass(30_000)
      assert.strictEqual(yield* see, 1)
      assert.deepStrictEqual(yield* seen, [[1, start], [1, start]])
      yield* pass(1)
      assert.strictEqual(yield* see, 1)
      assert.deepStrictEqual(yield* seen, [[1, start + 30_001], [1, start]])
      assert.strictEqual(yield* value(t.driver.seeSchedules([])), 0)
    }))
]
