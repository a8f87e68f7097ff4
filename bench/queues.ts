/**
 * Queues. First claims: of the same few runs from among a thousand, and from among very many that are ready, that sleep
 * and that have keys; the two alternate, so that both see the machine in one state. Then throughput with all limits on
 * over that with none.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Journal } from "perdure/Journal"
import { JournalDriver } from "perdure/JournalDriver"
import * as RunQueue from "perdure/RunQueue"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"
import { emit, now, quantile, timed } from "./measure.js"

const kinds = ["without limits", "with caps and a rate", "with keys"] as const

/** Runs of a claim, and claims of a measurement. */
const LIMIT = 10
const CLAIMS = 60

/** Keys have ten runs each. */
const RUNS_OF_KEY = 10

/** Fill each kind of queue with runs that are ready and as many that sleep. */
const fill = (schema: string, count: number) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    // A database that was measured before.
    yield* sql.unsafe(`TRUNCATE ${schema}.runs, ${schema}.inputs`)
    yield* sql.unsafe(`DELETE FROM ${schema}.turns WHERE queue <> ''`)
    for (const kind of kinds) {
      const id = `'${kind} ' || lpad(i::text, 9, '0')`
      const each = `FROM generate_series(1, ${count}) AS i`
      const key = kind === "with keys" ? `'key ' || i % ${count / RUNS_OF_KEY}` : "NULL"
      yield* sql.unsafe(
        `INSERT INTO ${schema}.runs (available_at, priority, epoch, inbox_seq, unread, id, status, queue,
          workflow, version, fresh, key)
        SELECT now() - interval '1 day' + i * interval '1 ms', 0, 0, 0, 0, ${id}, 'pending', '${kind}', 'bench/Claimed',
          '1', true, ${key} ${each}`
      )
      yield* sql.unsafe(
        `INSERT INTO ${schema}.runs (available_at, started_at, priority, epoch, inbox_seq, unread, id, status,
          queue, workflow, version, fresh)
        SELECT now() + interval '1 day' + i * interval '1 ms', now(), 0, 1, 0, 0, 'asleep ' || ${id}, 'suspended', '${kind}',
          'bench/Claimed', '1', false ${each}`
      )
      yield* sql.unsafe(`INSERT INTO ${schema}.inputs (created_at, depth, run, workflow, root, payload)
        SELECT now(), 0, ${id}, 'bench/Claimed', ${id}, '{}' ${each}`)
    }
    // All keys have been looked at, as they are a moment after their runs were started.
    yield* sql.unsafe(`INSERT INTO ${schema}.turns (at, served, priority, queue, key, workflow, version)
      SELECT min(available_at), '-infinity', 0, queue, key, workflow, version
      FROM ${schema}.runs WHERE key IS NOT NULL GROUP BY queue, key, workflow, version`)
    for (const table of ["runs", "inputs", "turns"]) yield* sql.unsafe(`VACUUM (ANALYZE) ${schema}.${table}`)
  })

const settings: Readonly<Record<(typeof kinds)[number], RunQueue.Options>> = {
  "without limits": {},
  "with caps and a rate": { concurrency: 2_000, rate: { limit: 100_000, per: "1 second" } },
  "with keys": { concurrency: 2_000, keyConcurrency: RUNS_OF_KEY, rate: { limit: 100_000, per: "1 second" } }
}

/** Make the queues, fill them, and give the claims from each. */
const claims = (schema: string, count: number) =>
  Effect.gen(function*() {
    const driver = yield* JournalDriver
    for (const kind of kinds) yield* Layer.build(RunQueue.make(kind, settings[kind]).layer)
    yield* fill(schema, count)
    const worker = { id: "bench", incarnation: "1" }
    yield* driver.heartbeat({ worker, leaseMillis: 3_600_000, info: null })
    return (kind: (typeof kinds)[number]) =>
      Effect.flatMap(
        timed(driver.claim({
          worker,
          workflows: [{ name: "bench/Claimed", version: "1" }],
          queues: [kind],
          limit: LIMIT,
          hot: new Map()
        })),
        ([{ value: { runs } }, millis]) =>
          runs.length === LIMIT
            ? Effect.succeed(millis)
            : Effect.dieMessage(`a claim from the queue ${kind} took ${runs.length} runs, not ${LIMIT}`)
      )
  })

type Storage = Layer.Layer<Journal | JournalDriver | SqlClient.SqlClient, unknown>

/** The time of a claim among `count` runs over that among a thousand. `storage` gives a journal in a schema. */
export const flatness = (storage: (schema: string) => Storage, count: number) =>
  Effect.gen(function*() {
    const few = yield* Effect.provide(
      claims("perdure_bench_few", 1_000),
      yield* Layer.build(storage("perdure_bench_few"))
    )
    const many = yield* Effect.provide(
      claims("perdure_bench_many", count),
      yield* Layer.build(storage("perdure_bench_many"))
    )
    for (const kind of kinds) {
      const times = { few: Array.empty<number>(), many: Array.empty<number>() }
      for (let i = 0; i < CLAIMS; i++) {
        times.few.push(yield* few(kind))
        times.many.push(yield* many(kind))
      }
      // The first ones make the plans.
      const [a, b] = [times.few, times.many].map((each) => quantile(each.slice(10), 0.5))
      yield* emit(`claim ${kind}, of 1,000 runs, p50`, a ?? 0, "ms")
      yield* emit(`claim ${kind}, of ${count.toLocaleString("en")} and as many asleep, p50`, b ?? 0, "ms")
      yield* emit(`  over that of 1,000`, (b ?? 0) / (a ?? 1), "×")
    }
  })

const Free = RunQueue.make("free")

const Limited = RunQueue.make("limited", {
  concurrency: 2_000,
  admission: 5_000,
  keyConcurrency: 10,
  rate: { limit: 1_000_000, per: "1 second" }
})

const payload = { n: Schema.Number }
const Plain = Workflow.make("bench/Plain", { payload, queue: Free })
const Keyed = Workflow.make("bench/Keyed", { payload, queue: Limited, key: ({ n }) => `key ${n % 1000}` })

const RUNS = 20_000
const ROUNDS = 5

/** One-step runs a second, all started at once. */
const pace = (workflow: typeof Plain, queue: RunQueue.RunQueue) =>
  Effect.gen(function*() {
    const before = now()
    const batches = Array.chunksOf(Array.makeBy(RUNS, (n) => ({ n })), 1_000)
    const runs = yield* Effect.forEach(batches, (batch) => workflow.startAll(batch))
    yield* Effect.forEach(runs.flat(), (run) => run.result, { concurrency: "unbounded", discard: true })
    return RUNS / (now() - before) * 1_000
  }).pipe(Effect.provide(
    Layer.mergeAll(
      workflow.toLayer(() => Step.run("only", Effect.void)),
      Worker.layer({ queues: [queue], concurrency: 1_000, claimBatchSize: 1_000 })
    )
  ))

/** Throughput with every limit on over that without any. */
export const limitsOn = Effect.gen(function*() {
  const off: Array<number> = []
  const on: Array<number> = []
  for (let round = 0; round < ROUNDS; round++) {
    off.push(yield* pace(Plain, Free))
    on.push(yield* pace(Keyed, Limited))
  }
  const [without, withAll] = [quantile(off, 0.5), quantile(on, 0.5)]
  yield* emit("one-step runs, no limits", without, "runs/s")
  yield* emit("one-step runs, a cap, admission, a rate and 1,000 keys", withAll, "runs/s")
  yield* emit("throughput with every limit on over none", withAll / without, "×")
})
