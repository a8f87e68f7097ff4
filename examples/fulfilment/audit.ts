/**
 * The count at the end, from three independent sources: the runs' outcomes in the journal, the warehouse's tables, and
 * what the world outside wrote down. They must agree.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { orders, type Order } from "./orders.js"
import type { Settings } from "./storage.js"
import { Fulfil } from "./workflows.js"
import { type Event, events, type Service } from "./world.js"

export interface Audit {
  /** How many orders ended how: `fulfilled`, or the error's tag. */
  readonly outcomes: Readonly<Record<string, number>>
  /** Orders that have no outcome, or whose run ended otherwise than its workflow says. */
  readonly lost: number
  /** Step bodies that were begun. Each attempt of a retried step is one. */
  readonly executions: number
  /** Of these, the ones that were begun again though they were no new attempt: their process died before the exit was durable. */
  readonly repeated: number
  /** Requests that a service got again, under the key that it knew. */
  readonly requestedAgain: number
  /** All that does not add up. */
  readonly problems: ReadonlyArray<string>
}

/** How each order ended; undefined if it did not, or in a way that its workflow does not know. */
const outcomesOf = (orders: ReadonlyArray<Order>) =>
  Effect.gen(function*() {
    // Starting what is started answers the handles of its runs; what was lost would be started anew, and have no outcome.
    const runs = yield* Fulfil.startAll(orders)
    const exits = yield* Effect.forEach(runs, (run) => run.poll)
    return new Map(orders.map((order, index) => {
      const exit = Option.getOrUndefined(exits[index] ?? Option.none())
      if (exit === undefined) return [order, undefined]
      if (Exit.isSuccess(exit)) return [order, "fulfilled"]
      return [order, exit.cause._tag === "Fail" ? exit.cause.error._tag : undefined]
    }))
  })

const Moved = Schema.Array(Schema.Struct({
  order_id: Schema.String,
  sku: Schema.String,
  movement: Schema.Literal("reserved", "released", "sold"),
  quantity: Schema.Int,
  step_key: Schema.String
}))

const InStock = Schema.Array(Schema.Struct({ sku: Schema.String, initial: Schema.Int, on_hand: Schema.Int }))

/** The warehouse: every piece is in stock or sold, and sold to those who were to get it. */
const auditStock = (schema: string, outcomes: ReadonlyMap<Order, string | undefined>) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const moved = yield* Effect.flatMap(
      sql`SELECT order_id, sku, movement, quantity, step_key FROM ${sql(`${schema}.movements`)}`,
      Schema.decodeUnknown(Moved)
    )
    const stock = yield* Effect.flatMap(
      sql`SELECT sku, initial, on_hand FROM ${sql(`${schema}.stock`)}`,
      Schema.decodeUnknown(InStock)
    )
    const problems: Array<string> = []
    const sums = new Map<string, number>()
    const add = (key: string, quantity: number) => sums.set(key, (sums.get(key) ?? 0) + quantity)
    const sum = (key: string) => sums.get(key) ?? 0
    const steps = new Set<string>()
    for (const { movement, order_id: order, quantity, sku, step_key: key } of moved) {
      add(`${sku} ${movement}`, quantity)
      add(`${order} ${sku} ${movement}`, quantity)
      if (steps.has(`${key} ${sku}`)) problems.push(`${order}: step ${key} ${movement} ${sku} twice`)
      steps.add(`${key} ${sku}`)
    }
    for (const { initial, on_hand: onHand, sku } of stock) {
      const [reserved, released, sold] = [sum(`${sku} reserved`), sum(`${sku} released`), sum(`${sku} sold`)]
      if (onHand !== initial - reserved + released || sold !== reserved - released) {
        problems.push(
          `${sku}: ${onHand} on hand of ${initial}, ${reserved} reserved, ${released} released, ${sold} sold`
        )
      }
    }
    for (const [{ lines, orderId }, outcome] of outcomes) {
      for (const { quantity, sku } of lines) {
        const sold = sum(`${orderId} ${sku} sold`)
        const due = outcome === "fulfilled" ? quantity : 0
        if (outcome !== undefined && sold !== due)
          problems.push(`${orderId}: ${outcome}, but ${sold} ${sku} sold, not ${due}`)
      }
    }
    return problems
  })

/** The world outside: everything was asked for under one key, and of the right orders only. */
const auditWorld = (events: ReadonlyArray<Event>, outcomes: ReadonlyMap<Order, string | undefined>) => {
  const deeds = new Map<string, Set<string>>()
  for (const event of events) {
    if (event._tag !== "Deed") continue
    const name = `${event.service} ${event.subject}`
    deeds.set(name, (deeds.get(name) ?? new Set()).add(event.key))
  }
  const problems: Array<string> = []
  const expect = (times: number, service: Service, subject: string, outcome: string) => {
    const done = deeds.get(`${service} ${subject}`)?.size ?? 0
    if (done !== times) problems.push(`${subject}: ${outcome}, but ${done} times "${service}", not ${times}`)
  }
  for (const [{ orderId, parcels }, outcome] of outcomes) {
    if (outcome === undefined) continue
    const times = outcome === "fulfilled" ? 1 : 0
    expect(times, "charge", orderId, outcome)
    expect(0, "refund", orderId, outcome)
    expect(times, "receipt", orderId, outcome)
    for (let parcel = 1; parcel <= parcels; parcel++) {
      expect(times, "label", `${orderId}/${parcel}`, outcome)
      expect(times, "hand over", `${orderId}/${parcel}`, outcome)
    }
  }
  return problems
}

export const audit = (settings: Settings) =>
  Effect.gen(function*() {
    const outcomes = yield* outcomesOf(yield* orders(settings.orders))
    const seen = yield* events(settings.folder)

    const counts: Record<string, number> = {}
    let lost = settings.orders - outcomes.size
    for (const outcome of outcomes.values()) {
      if (outcome === undefined) lost++
      else counts[outcome] = (counts[outcome] ?? 0) + 1
    }
    const executed = seen.flatMap((event) => event._tag === "Execution" ? [`${event.key} ${event.attempt}`] : [])
    const deeds = seen.flatMap((event) => event._tag === "Deed" ? [`${event.service} ${event.key}`] : [])
    const result: Audit = {
      outcomes: counts,
      lost,
      executions: executed.length,
      repeated: executed.length - new Set(executed).size,
      requestedAgain: deeds.length - new Set(deeds).size,
      problems: [
        ...yield* auditStock(settings.schema, outcomes),
        ...auditWorld(seen, outcomes)
      ]
    }
    return result
  })
