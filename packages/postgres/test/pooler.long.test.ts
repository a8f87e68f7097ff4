/** The journal behind PgBouncer in transaction mode. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as TransactionPooler from "@perdure/testing/TransactionPooler"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { JournalError } from "perdure/Errors"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"
import * as PgJournal from "../src/PgJournal.js"
import { ask, server } from "./support/driver.js"
import { strictDatabase } from "./support/isolation.js"

const Go = Signal.make("Go", { payload: { n: Schema.Number } })

const Order = Workflow.make("Order", { payload: { n: Schema.Number }, success: Schema.Number })

/** Steps, a transaction with the SQL of a user, and a signal. */
const OrderLive = Order.toLayer(({ n }) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const one = yield* Step.run("one", Effect.succeed(n), { success: Schema.Number })
    yield* Step.transaction(
      "write",
      Effect.asVoid(Effect.orDie(sql`INSERT INTO public.written VALUES (${n})`))
    )
    const go = yield* Go.receive
    yield* Step.run("three", Effect.void)
    return one + go.n
  })
)

const RUN_COUNT = 200

describe("behind PgBouncer in transaction mode", () => {
  it.scopedLive("two workers with default options notice it, and every run completes", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      yield* ask(url, "CREATE TABLE public.written (n int PRIMARY KEY)")
      const pooled = yield* TransactionPooler.make(url)
      const logged: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ logLevel, message }) => {
          if (LogLevel.greaterThanEqual(logLevel, LogLevel.Warning)) logged.push(String(message))
        })
      )
      const journal = PgJournal.layer({ url: Redacted.make(pooled) })
      const worker = Layer.provideMerge(Layer.merge(OrderLive, Worker.layer()), journal)
      const test = Effect.gen(function*() {
        const context = yield* Layer.build(worker)
        yield* Layer.build(Layer.fresh(worker))
        const ids = yield* Effect.provide(
          Order.startAll(Array.from({ length: RUN_COUNT }, (_, n) => ({ n }))),
          context
        )
        yield* Effect.forEach(ids, (run, n) => Effect.provide(Go.send(run.id, { n }), context), { concurrency: 20 })
        const results = yield* Effect.forEach(ids, (run) => run.result, { concurrency: "unbounded" })
        assert.deepStrictEqual(results, Array.from({ length: RUN_COUNT }, (_, n) => 2 * n))
        return yield* Effect.orDie(Context.get(context, SqlClient.SqlClient)`SELECT 1 AS one`)
      })
      assert.deepStrictEqual(yield* Effect.provide(Effect.scoped(test), logger), [{ one: 1 }])
      const [written] = yield* ask(url, "SELECT count(*)::int AS n FROM public.written")
      assert.strictEqual(written?.["n"], RUN_COUNT)
      const statuses = yield* ask(url, "SELECT status, count(*)::int AS n FROM perdure.runs GROUP BY 1")
      assert.deepStrictEqual(statuses, [{ status: "completed", n: RUN_COUNT }])
      const count = (text: string) => logged.filter((each) => each.includes(text)).length
      // One for each of the two journals, at most.
      assert.include([1, 2], count("does not keep prepared statements"))
      assert.include([1, 2], count("refuses settings of the connection"))
    }), 120_000)

  it.scopedLive("a database with a stricter default is refused at start, with the cure", () =>
    Effect.gen(function*() {
      const pooled = yield* TransactionPooler.make(yield* strictDatabase(server, "repeatable read"))
      const error = yield* Effect.flip(Layer.build(PgJournal.layer({ url: Redacted.make(pooled) })))
      assert.instanceOf(error, JournalError)
      assert.deepStrictEqual([error.code, error.retryable], ["Refused", false])
      assert.match(error.message, /"repeatable read".*ALTER ROLE/)
    }), 60_000)
})
