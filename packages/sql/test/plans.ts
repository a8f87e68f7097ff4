/**
 * Plans at a million runs: each statement uses the indexes of the snapshot, whatever the statistics are. Cost estimates
 * stay so low that the server never compiles a statement (JIT), which takes half a second.
 */
import { assert, describe, it } from "@effect/vitest"
import type * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Migrations from "../src/Migrations.js"
import { matchesFile } from "./support/file.js"
import * as Plans from "./support/plans.js"
import * as Session from "./support/Session.js"

/** `jit_above_cost` of Postgres. */
const jit = 100_000

const indexes = ["runs_claim", "runs_holder", "inputs_key", "inputs_parent", "inbox_id", "inbox_unread"]
const keys = ["runs", "inputs", "journal", "inbox"]

/** Due, sleeping and ended runs, some of them held, with inputs, entries and messages. Indexes are created last. */
const load = (session: Session.Session, count: number) =>
  Effect.gen(function*() {
    const definitions = yield* session.run(
      `SELECT indexdef FROM pg_indexes WHERE schemaname = 'perdure' AND indexname = ANY ($1)`,
      [indexes]
    )
    for (const index of indexes) yield* session.run(`DROP INDEX perdure.${index}`)
    for (const table of keys) yield* session.run(`ALTER TABLE perdure.${table} DROP CONSTRAINT ${table}_pkey`)
    yield* fill(session, count)
    for (
      const [table, columns] of [["runs", "id"], ["inputs", "run"], ["journal", "run, seq"], ["inbox", "run, ordinal"]]
    ) {
      yield* session.run(`ALTER TABLE perdure.${table} ADD CONSTRAINT ${table}_pkey PRIMARY KEY (${columns})`)
    }
    for (const { indexdef } of definitions) yield* session.run(`${indexdef}`)
    for (const table of keys) yield* session.run(`ANALYZE perdure.${table}`)
  })

const fill = (session: Session.Session, count: number) =>
  Effect.gen(function*() {
    const each = `FROM generate_series(1, ${count}) AS i`
    const id = `'r' || lpad(i::text, 8, '0')`
    yield* session.run(`INSERT INTO perdure.runs (available_at, priority, epoch, inbox_seq, unread, id, status, queue,
      workflow, version, worker, incarnation, next_seq)
    SELECT now() - interval '1 day' + i * interval '1 ms' + CASE WHEN i % 10 IN (4, 5, 6) THEN interval '2 days' ELSE '0' END,
      i % 3, 1, 0, 0, ${id},
      CASE WHEN i % 1000 = 0 THEN 'running' WHEN i % 10 < 4 THEN 'pending' WHEN i % 10 < 7 THEN 'suspended'
        ELSE 'completed' END,
      'q', 'flow', '1', CASE WHEN i % 1000 = 0 THEN 'w' END, CASE WHEN i % 1000 = 0 THEN '1' END, 1
    ${each}`)
    yield* session.run(
      `INSERT INTO perdure.inputs (created_at, depth, run, workflow, root, payload, parent_id, parent_token,
      attached, idempotency_key)
    SELECT now(), 0, ${id}, 'flow', ${id}, '{}', CASE WHEN i % 4 = 0 THEN 'r' || lpad((i / 4)::text, 8, '0') END, 't', true,
      CASE WHEN i % 3 = 0 THEN ${id} END
    ${each}`
    )
    yield* session.run(`INSERT INTO perdure.journal (at, seq, op, epoch, run, worker, kind, name, exit_kind, exit_value)
    SELECT now(), 0, 0, 1, ${id}, 'w', 'step', 'name', 'success', '1' ${each}`)
    yield* session.run(`INSERT INTO perdure.inbox (at, ordinal, consumed, run, id, kind, name, payload)
    SELECT now(), 1, i % 20 <> 0, ${id}, 'm', 'signal', 'x', '1' ${each} WHERE i % 5 = 0`)
  })

/** Sweeps are rare and take at most 100 rows. */
const small: ReadonlySet<string> = new Set(["reap", "retain", "expire", "fork", "terminate"])

/** Statements that start with a skip scan of all held runs. */
const sweeps: ReadonlySet<string> = new Set(["reap", "reconcile", "retire"])

const check = (name: string, plan: Plans.Plan) => {
  const walks = plan.reads.filter((read) =>
    read.startsWith("Seq Scan") && read !== "Seq Scan workers" && read !== "Seq Scan queues"
  )
  assert.deepStrictEqual(walks, [], `${name} reads no whole table`)
  // The first row of the index has the first worker with a held run.
  assert.deepStrictEqual(plan.walked, sweeps.has(name) ? ["runs_holder"] : [], `${name} looks things up in indexes`)
  // Allowed: a message's window, a worker's queues. Not parts with each other: that is quadratic work.
  const odd = plan.filtered.filter((filter) => !filter.includes("'signal'") && !filter.includes(".queues"))
  assert.deepStrictEqual(small.has(name) ? [] : odd, [], `${name} joins by keys`)
  assert.isBelow(plan.cost, jit / 2, `${name} is cheap`)
}

export const suite = (server: TestDatabase.Server): void => {
  describe(`plans on ${server.name}`, () => {
    it.scopedLive(
      "at a million runs are those of the snapshot, with statistics and for any parameters",
      () =>
        Effect.gen(function*() {
          const { session } = yield* Session.alone(server)
          yield* session.run(Migrations.script(Plans.tables))
          yield* load(session, 1_000_000)
          const pinned: Record<string, unknown> = {}
          for (const [index, [name, verb, parameters]] of Plans.all.entries()) {
            yield* Plans.prepare(session, index, verb)
            const plans = yield* Effect.forEach(["force_custom_plan", "force_generic_plan"], (mode) =>
              Effect.zipRight(
                session.run(`SET plan_cache_mode = ${mode}`),
                Plans.explain(session, index, parameters)
              ))
            for (const plan of plans) check(name, plan)
            const [custom, generic] = plans.map(({ loops, reads, updates }) => ({
              reads,
              updates,
              // A sweep is rare and small: any join of its parts is fine.
              ...(small.has(name) ? {} : { loops })
            }))
            assert.deepStrictEqual(custom, generic, `${name} is planned alike for these and for any parameters`)
            pinned[name] = generic
          }
          // One file for all versions of Postgres.
          yield* matchesFile("./plans.snapshot.json", `${JSON.stringify(pinned, null, 2)}\n`)

          // A claim of 100 of 400,000 due runs, beside 300,000 that sleep, reads some pages for each claimed run.
          const claim = Plans.all.findIndex(([name]) => name === "claim")
          const parameters = Plans.all[claim]?.[2] ?? []
          assert.isBelow(yield* Plans.buffers(session, claim, parameters), 3_500)
        }),
      120_000
    )

    it.scopedLive(
      "that were made while the tables were empty use the indexes of full tables",
      () =>
        Effect.gen(function*() {
          const { session } = yield* Session.alone(server)
          yield* session.run(Migrations.script(Plans.tables))
          yield* session.run("SET plan_cache_mode = force_generic_plan")
          // As on a long-lived connection: planned once, for tables that were never analyzed.
          const made = yield* Effect.forEach(
            Plans.all,
            ([, verb, parameters], index) =>
              Effect.zipRight(Plans.prepare(session, index, verb), Plans.explain(session, index, parameters))
          )
          yield* fill(session, 20_000)
          const kept = yield* Effect.forEach(
            Plans.all,
            ([, , parameters], index) => Plans.explain(session, index, parameters)
          )
          for (const [index, [name]] of Plans.all.entries()) {
            const [before, after] = [made[index], kept[index]]
            assert(before !== undefined && after !== undefined)
            check(name, before)
            check(name, after)
          }
        }),
      60_000
    )

    it.scopedLive(
      "that were made while partial indexes were empty do not walk those indexes",
      () =>
        Effect.gen(function*() {
          const { session } = yield* Session.alone(server)
          yield* session.run(Migrations.script(Plans.tables))
          yield* fill(session, 5_000)
          yield* session.run("UPDATE perdure.runs SET status = 'completed', worker = NULL, incarnation = NULL")
          yield* session.run("UPDATE perdure.inputs SET parent_id = NULL, idempotency_key = NULL")
          yield* session.run("UPDATE perdure.inbox SET consumed = true")
          for (const table of keys) yield* session.run(`VACUUM (FULL, ANALYZE) perdure.${table}`)
          for (const [index, [name, verb, parameters]] of Plans.all.entries()) {
            yield* Plans.prepare(session, index, verb)
            for (const mode of ["force_custom_plan", "force_generic_plan"]) {
              yield* session.run(`SET plan_cache_mode = ${mode}`)
              check(name, yield* Plans.explain(session, index, parameters))
            }
          }
        }),
      60_000
    )
  })
}
