/**
 * The warehouse's own tables, in the journal's database, so that a `Step.transaction` changes them and writes its entry
 * together: exactly once, however often the process is killed.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Step from "perdure/Step"
import type { Line, Order, Stock } from "./orders.js"
import { Unreachable, World } from "./world.js"

export class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { sku: Schema.String }) {}

export type Movement = "reserved" | "released" | "sold"

/** Make the tables and fill them, once. */
export const prepare = (schema: string, stock: ReadonlyArray<Stock>) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE SCHEMA ${sql(schema)}`
    yield* sql`
      CREATE TABLE ${sql(`${schema}.stock`)} (
        sku text PRIMARY KEY,
        initial int NOT NULL,
        on_hand int NOT NULL CHECK (on_hand >= 0)
      )`
    yield* sql`
      CREATE TABLE ${sql(`${schema}.movements`)} (
        order_id text NOT NULL,
        sku text NOT NULL,
        movement text NOT NULL,
        quantity int NOT NULL,
        step_key text NOT NULL
      )`
    const rows = stock.map(({ onHand, sku }) => ({ sku, initial: onHand, on_hand: onHand }))
    yield* sql`INSERT INTO ${sql(`${schema}.stock`)} ${sql.insert(rows)}`
  })

type Move<E = never> = Effect.Effect<void, Unreachable | E, Step.Current>

/** Its effects are bodies for `Step.transaction`. */
export class Inventory extends Context.Tag("fulfilment/Inventory")<Inventory, {
  readonly reserve: (order: Order, line: Line) => Move<OutOfStock>
  /** Put back what was reserved. */
  readonly release: (order: Order, line: Line) => Move
  /** All that was reserved has left the house. */
  readonly sell: (order: Order) => Move
}>() {
  static layer(schema: string): Layer.Layer<Inventory, never, World | SqlClient.SqlClient> {
    return Layer.effect(
      Inventory,
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const world = yield* World
        const stock = sql(`${schema}.stock`)
        const movements = sql(`${schema}.movements`)

        /** A database in trouble is worth another attempt, as a busy colleague is. */
        const ask = <A>(statement: Effect.Effect<A, SqlError>) =>
          Effect.mapError(statement, () => new Unreachable({ service: "warehouse" }))

        const move = (movement: Movement, { orderId }: Order, lines: ReadonlyArray<Line>) =>
          Effect.gen(function*() {
            const { idempotencyKey } = yield* Step.Current
            const rows = lines.map((line) => ({ order_id: orderId, ...line, movement, step_key: idempotencyKey }))
            yield* ask(sql`INSERT INTO ${movements} ${sql.insert(rows)}`)
          })

        /** Goes before every body. */
        const begin = Effect.zipRight(world.executing, world.flaky("warehouse"))

        return {
          reserve: (order, line) =>
            Effect.gen(function*() {
              yield* begin
              const taken = yield* ask(sql`
                UPDATE ${stock} SET on_hand = on_hand - ${line.quantity}
                WHERE sku = ${line.sku} AND on_hand >= ${line.quantity}
                RETURNING sku`)
              if (taken.length === 0) return yield* new OutOfStock({ sku: line.sku })
              yield* move("reserved", order, [line])
            }),
          release: (order, line) =>
            Effect.gen(function*() {
              yield* begin
              yield* ask(sql`UPDATE ${stock} SET on_hand = on_hand + ${line.quantity} WHERE sku = ${line.sku}`)
              yield* move("released", order, [line])
            }),
          sell: (order) => Effect.zipRight(begin, move("sold", order, order.lines))
        }
      })
    )
  }
}
