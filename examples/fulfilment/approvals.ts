/**
 * People approve large orders: a workflow asks by writing a row, a clerk reads the rows and answers by signal. The
 * answer and the clerk's note of it are one transaction, so a clerk who dies in between answers again, and once.
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

/** Make the table, once. */
export const prepare = (schema: string) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    sql`
      CREATE TABLE ${sql(`${schema}.approvals`)} (
        order_id text PRIMARY KEY,
        run_id text NOT NULL,
        asked_at timestamptz NOT NULL DEFAULT now(),
        answer text
      )`)

export class Approvals extends Context.Tag("fulfilment/Approvals")<Approvals, {
  /** A body for `Step.transaction`. */
  readonly ask: (orderId: string) => Effect.Effect<void, Unreachable, Step.Current>
}>() {
  static layer(schema: string): Layer.Layer<Approvals, never, World | SqlClient.SqlClient> {
    return Layer.effect(
      Approvals,
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const world = yield* World
        return {
          ask: (orderId) =>
            Effect.gen(function*() {
              const { runId } = yield* Step.Current
              yield* world.executing
              yield* sql`INSERT INTO ${sql(`${schema}.approvals`)} ${sql.insert({ order_id: orderId, run_id: runId })}`
            }).pipe(Effect.catchTag("SqlError", () => new Unreachable({ service: "clerk" })))
        }
      })
    )
  }
}

/** The clerk knows her customers. Some requests she never gets to. */
const decide = (orderId: string): "approved" | "rejected" | "forgotten" => {
  const last = Number(orderId.at(-1))
  return last === 3 ? "forgotten" : last === 7 || last === 8 ? "rejected" : "approved"
}

const Asked = Schema.Array(Schema.Struct({ order_id: Schema.String, run_id: Schema.String }))

/** Answer what was asked a moment ago. */
const answer = (schema: string, by: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const approvals = sql(`${schema}.approvals`)
    const asked = yield* sql`
      SELECT order_id, run_id FROM ${approvals}
      WHERE answer IS NULL AND asked_at < now() - interval '200 ms'
      ORDER BY asked_at LIMIT 20 FOR UPDATE SKIP LOCKED`
    for (const { order_id: orderId, run_id: runId } of yield* Schema.decodeUnknown(Asked)(asked)) {
      const decision = decide(orderId)
      yield* sql`UPDATE ${approvals} SET answer = ${decision} WHERE order_id = ${orderId}`
      if (decision !== "forgotten") {
        // Joins the transaction: sent if, and only if, the row says so.
        yield* Approval.send(runId, { approved: decision === "approved", by }, { id: orderId })
      }
    }
  })

/** A clerk at work, as long as the layer lives. */
export const clerk = (
  schema: string,
  options: { readonly name: string; readonly every: Duration.DurationInput }
): Layer.Layer<never, never, SqlClient.SqlClient | Journal> =>
  Layer.scopedDiscard(
    Effect.flatMap(SqlClient.SqlClient, (sql) =>
      sql.withTransaction(answer(schema, options.name)).pipe(
        Effect.catchAll((error) => Effect.logWarning("the clerk could not answer", error)),
        Effect.repeat(Schedule.spaced(options.every)),
        Effect.forkScoped
      ))
  )
