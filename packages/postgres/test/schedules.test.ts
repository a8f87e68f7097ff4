/** Schedules in transactions of the application. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Calendar from "perdure/Calendar"
import type { Journal } from "perdure/Journal"
import * as RunSchedule from "perdure/RunSchedule"
import * as Workflow from "perdure/Workflow"
import * as PgJournal from "../src/PgJournal.js"
import { ask, server } from "./support/driver.js"

class Oops extends Error {
  readonly _tag = "Oops"
}

const Job = Workflow.make("Job", { payload: { n: Schema.Number } })

const schedule = (name: string) =>
  RunSchedule.make(name, { workflow: Job, payload: { n: 1 }, calendar: Calendar.every("1 day") })

/** A process without a worker that has registered the workflow and a schedule. */
const process = Effect.gen(function*() {
  const { url } = yield* TestDatabase.freshOn(server)
  const context = yield* Layer.build(
    Layer.merge(Job.toLayer(() => Effect.void), schedule("jobs").layer).pipe(
      Layer.provideMerge(PgJournal.layer({ url: Redacted.make(url), listen: false }))
    )
  )
  const use = <A, E>(effect: Effect.Effect<A, E, Journal>) => Effect.provide(effect, context)
  const runs = Effect.map(
    ask(url, "SELECT id FROM perdure.runs ORDER BY id"),
    (rows) => rows.map((row) => String(row["id"]))
  )
  const names = Effect.map(
    ask(url, "SELECT name FROM perdure.schedules ORDER BY name"),
    (rows) => rows.map((row) => row["name"])
  )
  return { use, runs, names, sql: Context.get(context, SqlClient.SqlClient), context }
})

describe("in a transaction of the application", () => {
  it.scopedLive("a trigger and a backfill are committed or rolled back with it", () =>
    Effect.gen(function*() {
      const { runs, sql, use } = yield* process
      const trigger = use(RunSchedule.trigger("jobs"))
      const undone = sql.withTransaction(Effect.zipRight(trigger, Effect.fail(new Oops())))
      assert.instanceOf(yield* Effect.flip(undone), Oops)
      assert.deepStrictEqual(yield* runs, [])
      const [id, unseen] = yield* sql.withTransaction(Effect.zip(trigger, runs))
      assert.deepStrictEqual(unseen, [])
      assert.deepStrictEqual(yield* runs, [id])
      const range = { from: new Date("2026-01-01T00:00:00Z"), to: new Date("2026-01-04T00:00:00Z") }
      const backfill = use(RunSchedule.backfill("jobs", range))
      yield* Effect.flip(sql.withTransaction(Effect.zipRight(backfill, Effect.fail(new Oops()))))
      assert.lengthOf(yield* runs, 1)
      assert.lengthOf(yield* sql.withTransaction(backfill), 3)
      assert.lengthOf(yield* runs, 4)
    }))

  it.scopedLive("a trigger does not change the timeouts", () =>
    Effect.gen(function*() {
      const { sql, use } = yield* process
      const [row] = yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`SET LOCAL idle_in_transaction_session_timeout = '3s'`
        yield* use(RunSchedule.trigger("jobs"))
        return yield* sql<{ readonly timeout: string }>`
          SELECT current_setting('idle_in_transaction_session_timeout') AS timeout`
      }))
      assert.strictEqual(row?.timeout, "3s")
    }))

  it.scopedLive("definitions and stored schedules are committed or rolled back with it", () =>
    Effect.gen(function*() {
      const { context, names, sql, use } = yield* process
      const define = Effect.scoped(Effect.provide(Layer.build(schedule("defined").layer), context))
      const both = Effect.zipRight(define, use(RunSchedule.put(schedule("put"))))
      yield* Effect.flip(sql.withTransaction(Effect.zipRight(both, Effect.fail(new Oops()))))
      assert.deepStrictEqual(yield* names, ["jobs"])
      assert.deepStrictEqual(yield* sql.withTransaction(Effect.zipRight(both, names)), ["jobs"])
      assert.deepStrictEqual(yield* names, ["defined", "jobs", "put"])
    }))
})
