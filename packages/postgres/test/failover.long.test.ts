/** Workers through a failover to a streaming standby, while the demoted server keeps their connections. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Cluster from "@perdure/testing/Cluster"
import * as FaultProxy from "@perdure/testing/FaultProxy"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"
import * as PgJournal from "../src/PgJournal.js"
import { ask } from "./support/driver.js"

const Pay = Workflow.make("Pay", { payload: { n: Schema.Number }, success: Schema.Number })

const STEP_COUNT = 20

const RUN_COUNT = 100

const PayLive = Pay.toLayer(({ n }) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    for (let step = 0; step < STEP_COUNT; step++) {
      yield* Step.run(`step-${step}`, Effect.void)
      yield* Step.transaction(
        `pay-${step}`,
        Effect.asVoid(Effect.orDie(sql`INSERT INTO public.payments VALUES (${n}, ${step})`))
      )
    }
    return n
  })
)

/** Waits until a query has a row. */
const until = (url: string, text: string) => Effect.repeat(ask(url, text), { until: (rows) => rows.length > 0 })

describe("a failover to a streaming standby", () => {
  it.scopedLive(
    "loses no acknowledged write, and every run completes on the new primary",
    () =>
      Effect.gen(function*() {
        const primary = yield* Cluster.start({ fsync: false })
        yield* ask(primary.url, "CREATE TABLE public.payments (n int, step int, PRIMARY KEY (n, step))")
        const standby = yield* Cluster.start({ fsync: false, standbyOf: primary })
        // What the primary acknowledges is on the standby.
        yield* ask(primary.url, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        yield* ask(primary.url, "SELECT pg_reload_conf()")
        yield* until(primary.url, "SELECT FROM pg_stat_replication WHERE sync_state = 'sync'")
        const proxy = yield* FaultProxy.make(primary.url)
        const journal = PgJournal.layer({ url: Redacted.make(proxy.url), statementTimeout: "3 seconds" })
        const live = Layer.provideMerge(
          Layer.merge(PayLive, Worker.layer({ leaseDuration: "5 seconds", maxCrashes: 100 })),
          journal
        )
        const context = yield* Layer.build(live)
        const client = Context.get(yield* Layer.build(Layer.fresh(live)), SqlClient.SqlClient)
        const runs = yield* Effect.provide(
          Pay.startAll(Array.from({ length: RUN_COUNT }, (_, n) => ({ n }))),
          context
        )
        yield* until(primary.url, `SELECT FROM public.payments HAVING count(*) > ${RUN_COUNT}`)
        // The primary is demoted in place: it keeps its connections, and accepts no writes.
        yield* ask(primary.url, "ALTER SYSTEM SET default_transaction_read_only = on")
        yield* ask(primary.url, "SELECT pg_reload_conf()")
        yield* standby.promote
        yield* proxy.redirect(standby.url)
        const results = yield* Effect.forEach(runs, (run) => run.result, { concurrency: "unbounded" })
        assert.deepStrictEqual(results, Array.from({ length: RUN_COUNT }, (_, n) => n))
        const [paid] = yield* ask(standby.url, "SELECT count(*)::int AS n FROM public.payments")
        assert.strictEqual(paid?.["n"], RUN_COUNT * STEP_COUNT)
        const [entries] = yield* ask(
          standby.url,
          "SELECT count(*)::int AS n, count(DISTINCT (run, seq))::int AS places FROM perdure.journal WHERE kind = 'step'"
        )
        assert.deepStrictEqual(entries, { n: 2 * RUN_COUNT * STEP_COUNT, places: 2 * RUN_COUNT * STEP_COUNT })
        assert.lengthOf(yield* client`SELECT 1`, 1)
        // The old primary ends without waiting for a standby.
        yield* primary.stop("immediate")
      }),
    180_000
  )
})
