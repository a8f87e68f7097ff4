/**
 * The audit at the end compares three independent sources: the outcomes of the runs in the journal, the tables of the
 * warehouse, and the records of the outside services. They must agree.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type Order, orders, parcelIdOf } from "./orders.js"
import type { Settings } from "./storage.js"
import { Fulfil } from "./workflows.js"
import { type Event, reader, type Service } from "./events.js"

export interface Audit {
  /** The number of orders by outcome: `fulfilled`, or the tag of the error. */
  readonly outcomes: Readonly<Record<string, number>>
  /** Orders without an outcome, or with one that the workflow does not declare. */
  readonly lost: number
  /** Changes of the stock and requests to services that took effect more than once. */
  readonly duplicates: number
  /** Step bodies that began. Each attempt of a retried step counts. */
  readonly steps: number
  /** Of these, bodies that began again without a new attempt: their process died before the exit was durable. */
  readonly repeatedSteps: number
  /** Requests that a service recognized by their key, because it had executed them before. */
  readonly repeatedRequests: number
  /** Every contradiction between the sources, and every duplicate. */
  readonly problems: ReadonlyArray<string>
}

/** The outcome of each order; undefined without one, or with one that the workflow does not declare. */
type Outcomes = ReadonlyMap<Order, string | undefined>

interface Findings {
  readonly duplicates: ReadonlyArray<string>
  readonly contradictions: ReadonlyArray<string>
}

const outcomesOf = (orders: ReadonlyArray<Order>) =>
  Effect.gen(function*() {
    // Returns the existing runs by their idempotency keys. A lost run would start again here, and have no outcome.
    const runs = yield* Fulfil.startAll(orders)
    const exits = yield* Effect.forEach(runs, (run) => run.poll)
    return new Map(orders.map((order, index) => {
      const exit = Option.getOrUndefined(exits[index] ?? Option.none())
      if (exit === undefined) return [order, undefined]
      if (Exit.isSuccess(exit)) return [order, "fulfilled"]
      return [order, exit.cause._tag === "Fail" ? exit.cause.error._tag : undefined]
    }))
  })

const Movements = Schema.Array(Schema.Struct({
  order_id: Schema.String,
  sku: Schema.String,
  movement: Schema.Literal("reserved", "released", "sold"),
  quantity: Schema.Int,
  step_key: Schema.String
}))

const Articles = Schema.Array(Schema.Struct({ sku: Schema.String, initial: Schema.Int, on_hand: Schema.Int }))

/** The warehouse: every piece is on hand or sold, and exactly the fulfilled orders have got theirs. */
const auditStock = (schema: string, outcomes: Outcomes) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const movements = yield* Effect.flatMap(
      sql`SELECT order_id, sku, movement, quantity, step_key FROM ${sql(`${schema}.movements`)}`,
      Schema.decodeUnknown(Movements)
    )
    const articles = yield* Effect.flatMap(
      sql`SELECT sku, initial, on_hand FROM ${sql(`${schema}.stock`)}`,
      Schema.decodeUnknown(Articles)
    )
    const duplicates: Array<string> = []
    const contradictions: Array<string> = []
    const sums = new Map<string, number>()
    const add = (key: string, quantity: number) => sums.set(key, (sums.get(key) ?? 0) + quantity)
    const sum = (key: string) => sums.get(key) ?? 0
    const steps = new Set<string>()
    for (const { movement, order_id: order, quantity, sku, step_key: key } of movements) {
      add(`${sku} ${movement}`, quantity)
      add(`${order} ${sku} ${movement}`, quantity)
      if (steps.has(`${key} ${sku}`)) duplicates.push(`${order}: step ${key} ${movement} ${sku} twice`)
      steps.add(`${key} ${sku}`)
    }
    for (const { initial, on_hand: onHand, sku } of articles) {
      const [reserved, released, sold] = [sum(`${sku} reserved`), sum(`${sku} released`), sum(`${sku} sold`)]
      if (onHand !== initial - reserved + released || sold !== reserved - released) {
        contradictions.push(
          `${sku}: ${onHand} on hand of ${initial}, ${reserved} reserved, ${released} released, ${sold} sold`
        )
      }
    }
    for (const [{ lines, orderId }, outcome] of outcomes) {
      for (const { quantity, sku } of lines) {
        const sold = sum(`${orderId} ${sku} sold`)
        const expected = outcome === "fulfilled" ? quantity : 0
        if (outcome !== undefined && sold !== expected)
          contradictions.push(`${orderId}: ${outcome}, but ${sold} ${sku} sold, expected ${expected}`)
      }
    }
    const findings: Findings = { duplicates, contradictions }
    return findings
  })

/** The services: each request has one key, and exactly the fulfilled orders were charged, shipped and confirmed. */
const auditServices = (events: ReadonlyArray<Event>, outcomes: Outcomes): Findings => {
  const requests = new Map<string, Set<string>>()
  for (const event of events) {
    if (event._tag !== "Request") continue
    const name = `${event.service} ${event.subject}`
    requests.set(name, (requests.get(name) ?? new Set()).add(event.key))
  }
  const contradictions: Array<string> = []
  const expect = (isExpected: boolean, service: Service, subject: string, outcome: string) => {
    if (requests.has(`${service} ${subject}`) === isExpected) return
    contradictions.push(`${subject}: ${outcome}, but ${isExpected ? "no" : "an unexpected"} "${service}"`)
  }
  for (const [{ orderId, parcels }, outcome] of outcomes) {
    if (outcome === undefined) continue
    const isFulfilled = outcome === "fulfilled"
    expect(isFulfilled, "charge", orderId, outcome)
    expect(false, "refund", orderId, outcome)
    expect(isFulfilled, "receipt", orderId, outcome)
    for (let parcel = 1; parcel <= parcels; parcel++) {
      expect(isFulfilled, "label", parcelIdOf(orderId, parcel), outcome)
      expect(isFulfilled, "hand over", parcelIdOf(orderId, parcel), outcome)
    }
  }
  const duplicates = Array.from(requests).flatMap(([name, { size }]) =>
    size > 1 ? [`${name}: requested under ${size} keys`] : []
  )
  return { duplicates, contradictions }
}

/** The number of values that occurred before. */
const repeated = (values: ReadonlyArray<string>) => values.length - new Set(values).size

export const audit = (settings: Settings) =>
  Effect.gen(function*() {
    const outcomes = yield* outcomesOf(yield* orders(settings.orders))
    const events = yield* reader(settings.folder)

    const counts: Record<string, number> = {}
    let lost = settings.orders - outcomes.size
    for (const outcome of outcomes.values()) {
      if (outcome === undefined) lost++
      else counts[outcome] = (counts[outcome] ?? 0) + 1
    }
    const executions = events.flatMap((event) => event._tag === "Execution" ? [`${event.key} ${event.attempt}`] : [])
    const requests = events.flatMap((event) => event._tag === "Request" ? [`${event.service} ${event.key}`] : [])
    const findings = [yield* auditStock(settings.schema, outcomes), auditServices(events, outcomes)]
    const duplicates = findings.flatMap((each) => each.duplicates)
    const result: Audit = {
      outcomes: counts,
      lost,
      duplicates: duplicates.length,
      steps: executions.length,
      repeatedSteps: repeated(executions),
      repeatedRequests: repeated(requests),
      problems: [...duplicates, ...findings.flatMap((each) => each.contradictions)]
    }
    return result
  })
