/**
 * What this machine can do without Perdure: the figures that the others are to be compared with, taken in the same run.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import * as Pg from "pg"
import { emit, timed } from "./measure.js"

const RUNS = 2000
const STEPS = 10
const ROWS = 200_000
const BATCH = 500

const result = JSON.stringify({ ok: true })

const createTable = `create table steps (
  wf text not null, step int not null, result jsonb not null, at timestamptz not null default now(), primary key (wf, step))`
const insertOne = "insert into steps (wf, step, result) values ($1, $2, $3)"
const insertMany = "insert into steps (wf, step, result) select * from unnest($1::text[], $2::int[], $3::jsonb[])"

const batchOf = (name: string): ReadonlyArray<unknown> => [
  Array.makeBy(BATCH, () => name),
  Array.makeBy(BATCH, (step) => step),
  Array.makeBy(BATCH, () => result)
]

/** One INSERT a step on 16 connections, as a runtime without group commit does; and 500 rows a statement on 4. */
export const postgres = (url: string) =>
  Effect.gen(function*() {
    const pool = yield* Effect.acquireRelease(
      Effect.sync(() => new Pg.Pool({ connectionString: url, max: 16 })),
      (made) => Effect.promise(() => made.end())
    )
    const query = (name: string, text: string, values: ReadonlyArray<unknown>) =>
      Effect.promise(() => pool.query({ name, text, values: [...values] }))
    yield* query("create", createTable, [])
    yield* Effect.forEach(Array.range(1, 64), (i) => query("one", insertOne, [`warm${i}`, 0, result]), {
      concurrency: 16
    })
    const [, single] = yield* timed(Effect.forEach(
      Array.range(1, RUNS),
      (run) =>
        Effect.forEach(Array.range(1, STEPS), (step) => query("one", insertOne, [`run${run}`, step, result]), {
          discard: true
        }),
      { concurrency: 256, discard: true }
    ))
    yield* emit("ceiling: one INSERT a step, 16 connections", RUNS * STEPS / single * 1000, "steps/s")
    const [, batched] = yield* timed(Effect.forEach(
      Array.range(1, ROWS / BATCH),
      (batch) => query("many", insertMany, batchOf(`batch${batch}`)),
      { concurrency: 4, discard: true }
    ))
    yield* emit(`ceiling: ${BATCH} rows an INSERT, 4 connections`, ROWS / batched * 1000, "rows/s")
    yield* query("drop", "drop table steps", [])
    return RUNS * STEPS / single * 1000
  }).pipe(Effect.scoped)

/** The same on one connection in this process. */
export const embedded = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql.unsafe(createTable)
  const steps = RUNS * 2
  const [, single] = yield* timed(
    Effect.forEach(Array.range(1, steps), (step) => sql.unsafe(insertOne, ["run", step, result]), { discard: true })
  )
  yield* emit("ceiling: one INSERT a step", steps / single * 1000, "steps/s")
  const rows = ROWS / 4
  const [, batched] = yield* timed(
    Effect.forEach(Array.range(1, rows / BATCH), (batch) => sql.unsafe(insertMany, [...batchOf(`batch${batch}`)]), {
      discard: true
    })
  )
  yield* emit(`ceiling: ${BATCH} rows an INSERT`, rows / batched * 1000, "rows/s")
  yield* sql.unsafe("drop table steps")
  return steps / single * 1000
})
