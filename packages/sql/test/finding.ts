/**
 * Search among a million runs: usual filters read some hundred pages and no whole table. If a condition leads to too
 * many runs to sort, runs are read from the newest on instead, with the same result.
 */
import { assert, describe, it } from "@effect/vitest"
import type * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import type { RunCursor, RunFilter } from "perdure/JournalDriver"
import * as Migrations from "../src/Migrations.js"
import { count } from "../src/statements/find/count.js"
import { find } from "../src/statements/find/find.js"
import { encodeRules, retain } from "../src/statements/find/retain.js"
import * as Plans from "./support/plans.js"
import * as Session from "./support/Session.js"

const runs = 1_000_000

/**
 * Each run is a tenth of a second older than the one before. 9 of 10 completed, 1 of 100 failed, most of the others
 * wait. Half have the tag `many`, 1 of 10,000 the tag `few`; 1 of 100 is of another workflow.
 */
const fill = (session: Session.Session) =>
  Effect.gen(function*() {
    const each = `FROM generate_series(1, ${runs}) AS i`
    const id = "'r' || lpad(i::text, 8, '0')"
    const workflow = "CASE WHEN i % 100 = 3 THEN 'rare' ELSE 'flow' END"
    const indexes = yield* session.run(
      `SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'perdure' AND tablename IN ('runs', 'inputs')
        AND indexname NOT LIKE '%pkey'`
    )
    for (const { indexname } of indexes) yield* session.run(`DROP INDEX perdure.${indexname}`)
    yield* session.run(
      `INSERT INTO perdure.runs (available_at, finished_at, priority, epoch, inbox_seq, unread, id, status, queue, workflow,
        version, worker, incarnation, fresh, key, exit_kind, exit_value, error_code)
      SELECT now(), CASE WHEN s IN ('completed', 'failed') THEN now() - i * interval '90 ms' END, 0, 1, 0, 0, ${id}, s,
        'q' || i % 3, ${workflow}, '1', CASE WHEN s = 'running' THEN 'w' END, CASE WHEN s = 'running' THEN '1' END,
        s = 'pending', CASE WHEN i % 200 < 100 THEN 'k' || i % 1000 END,
        CASE s WHEN 'failed' THEN 'failure' WHEN 'completed' THEN 'success' END,
        CASE s WHEN 'failed' THEN '{"_tag":"Bad' || i % 7 || '"}' WHEN 'completed' THEN '1' END,
        CASE s WHEN 'failed' THEN 'Bad' || i % 7 END
      FROM (
        SELECT i, CASE WHEN i % 100 = 50 THEN 'failed' WHEN i % 10 > 0 THEN 'completed' WHEN i % 10000 = 0 THEN 'running'
          WHEN i % 10010 = 10 THEN 'diverged' WHEN i % 20 = 0 THEN 'suspended' ELSE 'pending' END AS s ${each}
      ) x`
    )
    yield* session.run(
      `INSERT INTO perdure.inputs (created_at, depth, run, workflow, root, payload, parent_id, parent_token, attached,
        idempotency_key, tags, attributes)
      SELECT now() - i * interval '100 ms', CASE WHEN i % 4 = 1 THEN 1 ELSE 0 END, ${id}, ${workflow},
        'r' || lpad((CASE WHEN i % 4 = 1 THEN i - 1 ELSE i END)::text, 8, '0'), '{}',
        CASE WHEN i % 4 = 1 THEN 'r' || lpad((i - 1)::text, 8, '0') END, 't', true, 'key' || i,
        CASE WHEN i % 10000 = 1 THEN '{many,few}' WHEN i % 2 = 1 THEN '{many}' END::text[],
        CASE WHEN i % 2 = 0 THEN json_build_object('n', i % 100000, 'even', true) END::jsonb
      ${each}`
    )
    for (const { indexdef } of indexes) yield* session.run(`${indexdef}`)
    yield* session.run("VACUUM (ANALYZE) perdure.runs")
    yield* session.run("VACUUM (ANALYZE) perdure.inputs")
  })

const shapes: ReadonlyArray<readonly [name: string, filter: RunFilter, found: number]> = [
  ["all", {}, 100],
  ["of a workflow", { workflows: ["flow"] }, 100],
  ["of a rare workflow", { workflows: ["rare"] }, 100],
  ["failed of a workflow", { workflows: ["flow"], statuses: ["failed"] }, 100],
  ["failed", { statuses: ["failed"] }, 100],
  ["completed", { statuses: ["completed"] }, 100],
  ["ended in a span", { finishedFrom: 0, finishedBefore: 4_000_000_000_000 }, 100],
  ["running", { statuses: ["running"] }, 100],
  ["diverged", { statuses: ["diverged", "paused"] }, 90],
  ["pending in a queue", { statuses: ["pending"], queues: ["q1"] }, 100],
  ["pending of a key", { statuses: ["pending"], queues: ["q1"], key: "k10" }, 100],
  ["held of a key", { statuses: ["suspended"], queues: ["q1"], key: "k20" }, 100],
  ["by parent", { parent: "r00004000" }, 1],
  ["by root", { root: "r00004000" }, 2],
  ["by key", { idempotencyKey: "key77" }, 1],
  ["by key and workflow", { workflows: ["flow"], idempotencyKey: "key78" }, 1],
  ["forks", { source: "r00004000" }, 0],
  ["by a rare tag", { tags: ["few"] }, 100],
  ["by a frequent tag", { tags: ["many"] }, 100],
  ["by a tag and a state", { tags: ["few"], statuses: ["completed"] }, 100],
  ["by a rare attribute", { attributes: { n: 4000 } }, 10],
  ["by a frequent attribute", { attributes: { even: true } }, 100],
  ["by code", { statuses: ["failed"], workflows: ["flow"], errorCode: "Bad3" }, 100]
]

/** Pages of 8 KiB: some for each of up to 10,000 runs that are sorted. */
const budget = 120_000

/** Indexes of runs with few statuses, which may be read whole. */
const partial = new Set(["runs_claim", "runs_holder", "runs_waiting", "runs_holding", "runs_parked", "runs_shelved"])

/** `jit_above_cost` of Postgres. */
const jit = 100_000

const check = (name: string, plan: Plans.Plan) => {
  const whole = plan.reads.filter((read) => read.startsWith("Seq Scan"))
  // If every other run matches, the first pages of the table are enough to find that they are many.
  if (!name.includes("frequent")) assert.deepStrictEqual(whole, [], `${name} reads no whole table`)
  // A count reads everything that it counts.
  if (name !== "count") assert.isBelow(plan.cost, jit, `${name} is not worth a compilation`)
  assert.deepStrictEqual(plan.walked.filter((index) => !partial.has(index)), [], `${name} looks things up in indexes`)
}

export const suite = (server: TestDatabase.Server): void => {
  describe(`a search on ${server.name}`, () => {
    it.scopedLive(
      "among a million runs reads few pages, and returns the same by each plan",
      () =>
        Effect.gen(function*() {
          const { session } = yield* Session.fresh(server)
          yield* session.run(Migrations.script(Plans.tables))
          yield* fill(session)
          const after: RunCursor = { createdAt: 4_000_000_000_000, id: "" }
          for (const [index, [name, filter, expected]] of shapes.entries()) {
            for (const [more, cursor] of [null, after].entries()) {
              const { parameters, verb } = find(filter, cursor, 100)
              const number = index * 2 + more
              yield* Plans.prepare(session, number, verb)
              for (const mode of ["force_custom_plan", "force_generic_plan"]) {
                yield* session.run(`SET plan_cache_mode = ${mode}`)
                check(name, yield* Plans.explain(session, number, parameters))
              }
              const touched = yield* Plans.buffers(session, number, parameters)
              if (process.env["SHOW"] !== undefined) process.stderr.write(`${name}: ${touched}\n`)
              assert.isBelow(touched, budget, name)
              const found = yield* Plans.execute(session, number, parameters)
              // The newest runs have the lowest numbers.
              const ids = found.flatMap(({ id }) => id === null ? [] : [String(id)])
              assert.deepStrictEqual(ids, ids.toSorted(), name)
              if (name === "by a frequent tag") assert.deepStrictEqual(ids.slice(0, 2), ["r00000001", "r00000003"])
              if (name === "failed") assert.deepStrictEqual(ids.slice(0, 2), ["r00000050", "r00000150"])
              assert.strictEqual(Math.min(100, found.filter(({ id }) => id !== null).length), expected, name)
            }
          }
          const retained = shapes.length * 2
          const parameters = [
            encodeRules([{ workflow: null, statuses: ["failed", "completed"], olderThanMillis: 1_000 }]),
            500
          ]
          yield* Plans.prepare(session, retained, retain)
          for (const mode of ["force_custom_plan", "force_generic_plan"]) {
            yield* session.run(`SET plan_cache_mode = ${mode}`)
            check("retain", yield* Plans.explain(session, retained, parameters))
          }
          const touched = yield* Plans.buffers(session, retained, parameters)
          if (process.env["SHOW"] !== undefined) process.stderr.write(`retain: ${touched}\n`)
          assert.isBelow(touched, 50_000, "retain")
          for (const filter of [{ statuses: ["failed"] as const }, { tags: ["few"] }, { parent: "r00004000" }]) {
            const { parameters, verb } = count(filter)
            const number = retained + 1 + Object.keys(filter).join().length
            yield* Plans.prepare(session, number, verb)
            check("count", yield* Plans.explain(session, number, parameters))
          }
        }),
      280_000
    )
  })
}
