/**
 * A clerk approves large orders: a workflow writes a row as its request, the clerk reads the rows and decides by
 * signal. The signal and the clerk's row are one transaction, so each request gets one decision, even if the clerk's
 * process dies.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { Journal } from "perdure/Journal"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import { Unreachable, World } from "./world.js"

export const Approval = Signal.make("Approval", {
  payload: { approved: Schema.Boolean, by: Schema.String }
})

/** Creates the table. */
export const prepare = (schema: string) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    sql`
      CREATE TABLE ${sql(`${schema}.approvals`)} (
        order_id text PRIMARY KEY,
        run_id text NOT NULL,
        requested_at timestamptz NOT NULL DEFAULT now(),
        decision text
      )`)

export class Approvals extends Context.Tag("fulfilment/Approvals")<Approvals, {
  /** Asks for an approval. A body for `Step.transaction`. */
  readonly request: (orderId: string) => Effect.Effect<void, Unreachable, Step.Current>
}>() {
  static layer(schema: string): Layer.Layer<Approvals, never, World | SqlClient.SqlClient> {
    return Layer.effect(
      Approvals,
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const world = yield* World
        return {
          request: (orderId) =>
            Effect.gen(function*() {
              const { runId } = yield* Step.Current
              yield* world.executing(orderId)
              yield* sql`INSERT INTO ${sql(`${schema}.approvals`)} ${sql.insert({ order_id: orderId, run_id: runId })}`
            }).pipe(Effect.catchTag("SqlError", () => new Unreachable({ service: "clerk" })))
        }
      })
    )
  }
}

/** The clerk forgets some requests. */
const decide = (orderId: string): "approved" | "rejected" | "forgotten" => {
  const last = Number(orderId.at(-1))
  return last === 3 ? "forgotten" : last === 7 || last === 8 ? "rejected" : "approved"
}

const Requests = Schema.Array(Schema.Struct({ order_id: Schema.String, run_id: Schema.String }))

/** Decides about requests that are at least 200 ms old. */
const decideAll = (schema: string, by: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const approvals = sql(`${schema}.approvals`)
    const rows = yield* sql`
      SELECT order_id, run_id FROM ${approvals}
      WHERE decision IS NULL AND requested_at < now() - interval '200 ms'
      ORDER BY requested_at LIMIT 20 FOR UPDATE SKIP LOCKED`
    for (const { order_id: orderId, run_id: runId } of yield* Schema.decodeUnknown(Requests)(rows)) {
      const decision = decide(orderId)
      yield* sql`UPDATE ${approvals} SET decision = ${decision} WHERE order_id = ${orderId}`
      if (decision !== "forgotten") {
        // Part of the transaction: the signal is sent if and only if the row is updated.
        yield* Approval.send(runId, { approved: decision === "approved", by }, { id: orderId })
      }
    }
  })

/** A clerk who works as long as the layer lives. */
export const clerk = (
  schema: string,
  options: { readonly name: string; readonly interval: Duration.DurationInput }
): Layer.Layer<never, never, SqlClient.SqlClient | Journal> =>
  Layer.scopedDiscard(
    Effect.flatMap(SqlClient.SqlClient, (sql) =>
      sql.withTransaction(decideAll(schema, options.name)).pipe(
        Effect.catchAll((error) => Effect.logWarning("the clerk could not decide", error)),
        Effect.repeat(Schedule.spaced(options.interval)),
        Effect.forkScoped
      ))
  )
