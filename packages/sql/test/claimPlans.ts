/**
 * Claims from queues with limits, at a million runs and 100,000 keys: the plans use indexes, whatever the statistics
 * are, and a claim after many claims reads no more than the first one.
 */
import { assert, describe, it } from "@effect/vitest"
import type * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Migrations from "../src/Migrations.js"
import { claim } from "../src/statements/claim/claim.js"
import { claimLimited } from "../src/statements/claim/claimLimited.js"
import { enqueue } from "../src/statements/enqueue/enqueue.js"
import * as Plans from "./support/plans.js"
import * as Session from "./support/Session.js"

const LIMIT = 50

/** Half of the runs wait in a queue with a limit, a third with keys in another queue, the rest sleep in both. */
const fill = (session: Session.Session, count: number) =>
  Effect.gen(function*() {
    const each = `FROM generate_series(1, ${count}) AS i`
    const id = "'r' || lpad(i::text, 8, '0')"
    yield* session.run(`INSERT INTO perdure.runs (available_at, priority, epoch, inbox_seq, unread, id, status, queue,
        workflow, version, fresh, key)
      SELECT now() - interval '1 day' + i * interval '1 ms' + CASE WHEN i % 6 = 0 THEN interval '2 days' ELSE '0' END,
        i % 2, 0, 0, 0, ${id}, CASE WHEN i % 6 = 0 THEN 'suspended' ELSE 'pending' END,
        CASE WHEN i % 60 < 4 THEN 'free' WHEN i % 6 < 4 THEN 'capped' ELSE 'keyed' END, 'flow', '1', i % 6 > 0,
        CASE WHEN i % 6 > 3 THEN 'key-' || i % 100000 END ${each}`)
    yield* session.run(`INSERT INTO perdure.inputs (created_at, depth, run, workflow, root, payload)
      SELECT now(), 0, ${id}, 'flow', ${id}, '{}' ${each}`)
    yield* session.run(`INSERT INTO perdure.turns (at, served, priority, queue, key, workflow, version)
      SELECT min(available_at), '-infinity', priority, queue, key, workflow, version
      FROM perdure.runs WHERE key IS NOT NULL GROUP BY priority, queue, key, workflow, version`)
  })

const prepare = (session: Session.Session) =>
  Effect.gen(function*() {
    yield* session.run(
      `INSERT INTO perdure.queues (name, concurrency, key_concurrency, rate_limit, rate_millis, rate_burst)
      VALUES ('capped', 5000, NULL, 100000, 1000, 100000), ('keyed', 5000, 1, NULL, NULL, NULL)`
    )
    yield* session.run("INSERT INTO perdure.workers (id, incarnation, lease_until) VALUES ('w', '1', 'infinity')")
    // The test decides when tables are analyzed. A server may do so at any time, and then plans statements again.
    for (const table of filled) yield* session.run(`ALTER TABLE perdure.${table} SET (autovacuum_enabled = off)`)
  })

const notices = (session: Session.Session, count: number) =>
  session.run(`INSERT INTO perdure.key_notices (at, size, freed, queue, keys)
    SELECT now(), 1, false, 'keyed', ARRAY['key-' || i] FROM generate_series(1, ${count}) AS i`)

const swinging = ["turns", "key_notices"]
const filled = ["runs", "inputs", ...swinging]

const analyze = (session: Session.Session, tables: ReadonlyArray<string>) =>
  Effect.forEach(tables, (table) => session.run(`ANALYZE perdure.${table}`), { discard: true })

const parameters = (queues: ReadonlyArray<string>) => Plans.claims(queues, LIMIT)

const run = JSON.stringify([{
  i: 0,
  id: "new",
  workflow: "flow",
  version: "1",
  queue: "keyed",
  key: "key-1",
  priority: 0,
  payload: "1"
}])

/** Tables with one row for each queue, worker or paused workflow. */
const small = new Set(["Seq Scan workers", "Seq Scan queues", "Seq Scan held"])

const check = (name: string, plan: Plans.Plan) => {
  assert.deepStrictEqual(plan.reads.filter((read) => read.startsWith("Seq Scan") && !small.has(read)), [], name)
  // Half of the cost from which the server compiles a statement (JIT).
  assert.isBelow(plan.cost, 50_000, name)
  return plan.cost
}

const statements = [
  ["free", claim, parameters(["free"])],
  ["capped", claimLimited, parameters(["capped"])],
  ["keyed", claimLimited, parameters(["keyed"])],
  ["both", claimLimited, parameters(["capped", "keyed"])],
  ["enqueue", enqueue({ claiming: false, keyed: true }), [run, "", "[]"]]
] as const

export const suite = (server: TestDatabase.Server): void => {
  describe(`claims with limits on ${server.name}`, () => {
    it.scopedLive(
      "use indexes, in plans for full tables and in plans that were made while the tables were empty",
      () =>
        Effect.gen(function*() {
          const { session } = yield* Session.alone(server)
          yield* session.run(Migrations.script(Plans.tables))
          yield* prepare(session)
          yield* session.run("SET plan_cache_mode = force_generic_plan")
          for (const [index, [, verb]] of statements.entries()) yield* Plans.prepare(session, index, verb)
          const all = (stage: string) =>
            Effect.forEach(statements.entries(), ([index, [name, , values]]) =>
              Effect.map(Plans.explain(session, index, values), (plan) =>
                check(`${name}, ${stage}`, plan)))
          yield* all("empty")
          // These two tables are empty at times, and large a second later.
          yield* analyze(session, swinging)
          yield* all("empty, analyzed")
          yield* notices(session, 50)
          yield* analyze(session, swinging)
          yield* all("with few notices, analyzed")
          yield* fill(session, 1_000_000)
          // With the plans from before.
          yield* all("full")
          const claims = [...statements.entries()].slice(1, 3)
          for (const [index, [name, , values]] of claims) {
            const before = yield* Plans.buffers(session, index, values)
            assert.isBelow(before, 100 * LIMIT, `${name}: pages for each run, and not for the backlog`)
            for (let claim = 0; claim < 40; claim++)
              yield* Plans.buffers(session, index, values)
            assert.isBelow(yield* Plans.buffers(session, index, values), 2 * before, `${name}, after 40 claims`)
          }
          yield* analyze(session, filled)
          const generic = yield* all("full, analyzed, planned for any values")
          yield* session.run("SET plan_cache_mode = force_custom_plan")
          const custom = yield* all("full, analyzed, planned for these values")
          // Else the server would plan the statement each time, which takes longer than its execution.
          for (const [index, [name]] of statements.entries()) {
            assert.isAtMost(generic[index] ?? NaN, (custom[index] ?? NaN) * 1.001, `${name} is planned once`)
          }
        }),
      180_000
    )
  })
}
