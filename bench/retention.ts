/**
 * Retention beside new runs: a million finished runs are deleted while 1,000 runs a second are started, each of one
 * step. The same starts without retention come before, in the same process, so that both are of one machine in one
 * state.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Array from "effect/Array"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Ref from "effect/Ref"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Retention from "perdure/Retention"
import type { NumberedWorkflow } from "./workloads.js"
import { emit, emitLatency, now, timed } from "./measure.js"

/** Finished runs of 40 days ago with their journals, as a system has them that was busy all the time. */
const fill = (schema: string, count: number) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const id = "'old-' || lpad(i::text, 9, '0')"
    const ended = "now() - interval '40 days' + i * interval '1 ms'"
    const each = `FROM generate_series(1, ${count}) AS i`
    yield* sql.unsafe(`INSERT INTO ${schema}.runs (available_at, started_at, finished_at, priority, epoch, next_seq,
        inbox_seq, unread, id, status, queue, workflow, version, fresh, exit_kind, exit_value)
      SELECT ${ended}, ${ended}, ${ended}, 0, 1, 3, 0, 0, ${id}, 'completed', 'default', 'bench/Old', '1', false, 'success', '1'
      ${each}`)
    yield* sql.unsafe(`INSERT INTO ${schema}.inputs (created_at, depth, run, workflow, root, payload)
      SELECT ${ended}, 0, ${id}, 'bench/Old', ${id}, '{"n":1}' ${each}`)
    yield* sql.unsafe(
      `INSERT INTO ${schema}.journal (at, seq, op, epoch, run, worker, kind, name, exit_kind, exit_value)
      SELECT ${ended}, s, s, 1, ${id}, 'w', 'step', 'step ' || s, 'success', '{"ok":true}'
      ${each} CROSS JOIN generate_series(0, 2) AS s`
    )
    for (const table of ["runs", "inputs", "journal"]) yield* sql.unsafe(`VACUUM (ANALYZE) ${schema}.${table}`)
  })

interface Pace {
  /** Runs that ended in each second, and how long each took from its start, in milliseconds. */
  readonly perSecond: number
  readonly latencies: ReadonlyArray<number>
}

/**
 * Start `rate` runs a second, in a statement every ten milliseconds, without waiting for earlier ones, until `stop`;
 * then wait for all of them. A start that comes late counts from when it should have been.
 */
const paced = <A extends Schema.Schema.AnyNoContext, R>(
  workflow: NumberedWorkflow<A>,
  rate: number,
  stop: Effect.Effect<unknown, never, R>
) =>
  Effect.gen(function*() {
    const latencies: Array<number> = []
    const stopped = yield* Ref.make(false)
    const over = yield* Effect.fork(Effect.zipRight(stop, Ref.set(stopped, true)))
    const began = now()
    const idle = Deferred.unsafeMake<void>(FiberId.none)
    let started = 0
    let open = 0
    let stopping = false
    let last = began
    while (!(yield* Ref.get(stopped))) {
      const from = started
      started = Math.max(started, Math.floor((now() - began) * rate / 1000))
      if (started > from) {
        open += started - from
        const batch = Array.makeBy(started - from, (n) => ({ n: from + n }))
        yield* Effect.fork(Effect.flatMap(workflow.startAll(batch), (runs) =>
          Effect.forEach(runs, (run, n) =>
            Effect.map(run.result, () => {
              last = now()
              latencies.push(last - began - (from + n) * 1000 / rate)
              open--
              if (open === 0 && stopping) Deferred.unsafeDone(idle, Effect.void)
            }), { concurrency: "unbounded", discard: true })))
      }
      yield* Effect.sleep("10 millis")
    }
    stopping = true
    yield* Fiber.join(over)
    if (open > 0)
      yield* Deferred.await(idle)
    return { perSecond: latencies.length / (last - began) * 1000, latencies } satisfies Pace
  })

/** Delete `count` finished runs while others start. */
export const retention = <A extends Schema.Schema.AnyNoContext>(
  workflow: NumberedWorkflow<A>,
  options: { readonly schema: string; readonly count: number; readonly rate: number }
) =>
  Effect.gen(function*() {
    const { count, rate, schema } = options
    const [, loading] = yield* timed(fill(schema, count))
    yield* emit(`${count} finished runs loaded`, loading / 1000, "s")
    yield* paced(workflow, rate, Effect.sleep("5 seconds"))

    const seconds = Math.min(60, Math.max(5, count / 10_000))
    const alone = yield* paced(workflow, rate, Effect.sleep(Duration.seconds(seconds)))
    yield* emit(`starting ${rate} runs/s, alone`, alone.perSecond, "runs/s")
    yield* emitLatency("  start to result, alone", alone.latencies)

    const deleted = yield* Ref.make(0)
    const deleting = Retention.sweepStream({ workflows: { "bench/Old": { completed: "30 days" } } }).pipe(
      Stream.runForEach((progress) => Ref.set(deleted, progress.deleted)),
      Effect.orDie
    )
    const took = yield* Ref.make(0)
    const beside = yield* paced(
      workflow,
      rate,
      Effect.flatMap(timed(deleting), ([, millis]) => Ref.set(took, millis))
    )
    const gone = yield* Ref.get(deleted)
    if (gone !== count) yield* Effect.dieMessage(`${gone} runs were deleted, not ${count}`)
    yield* emit(`deleting ${count} finished runs meanwhile`, gone / (yield* Ref.get(took)) * 1000, "runs/s")
    yield* emit(`starting ${rate} runs/s, beside retention`, beside.perSecond, "runs/s")
    yield* emitLatency("  start to result, beside retention", beside.latencies)
    yield* emit("throughput beside retention over alone", beside.perSecond / alone.perSecond, "×")
  })
