/**
 * The tables of the warehouse, in the database of the journal: a `Step.transaction` changes them and writes its journal
 * entry in one transaction. So each change takes effect exactly once, even if the process is killed.
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

/** Creates the tables and fills them. */
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

/** Each effect is a body for `Step.transaction`. */
export class Inventory extends Context.Tag("fulfilment/Inventory")<Inventory, {
  readonly reserve: (order: Order, line: Line) => Move<OutOfStock>
  /** Returns a reserved line to the stock. */
  readonly release: (order: Order, line: Line) => Move
  /** Turns the reservations of an order into sales. */
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

        /** A failed statement is retried, as a request to a service is. */
        const query = <A>(statement: Effect.Effect<A, SqlError>) =>
          Effect.mapError(statement, () => new Unreachable({ service: "warehouse" }))

        const move = (movement: Movement, { orderId }: Order, lines: ReadonlyArray<Line>) =>
          Effect.gen(function*() {
            const { idempotencyKey } = yield* Step.Current
            const rows = lines.map((line) => ({ order_id: orderId, ...line, movement, step_key: idempotencyKey }))
            yield* query(sql`INSERT INTO ${movements} ${sql.insert(rows)}`)
          })

        /** Every body starts with it. */
        const begin = ({ orderId }: Order) => Effect.zipRight(world.executing(orderId), world.flaky("warehouse"))

        return {
          reserve: (order, line) =>
            Effect.gen(function*() {
              yield* begin(order)
              const updated = yield* query(sql`
                UPDATE ${stock} SET on_hand = on_hand - ${line.quantity}
                WHERE sku = ${line.sku} AND on_hand >= ${line.quantity}
                RETURNING sku`)
              if (updated.length === 0) return yield* new OutOfStock({ sku: line.sku })
              yield* move("reserved", order, [line])
            }),
          release: (order, line) =>
            Effect.gen(function*() {
              yield* begin(order)
              yield* query(sql`UPDATE ${stock} SET on_hand = on_hand + ${line.quantity} WHERE sku = ${line.sku}`)
              yield* move("released", order, [line])
            }),
          sell: (order) => Effect.zipRight(begin(order), move("sold", order, order.lines))
        }
      })
    )
  }
}
