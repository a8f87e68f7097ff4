/** The payment provider: it may decline, and it charges once for one idempotency key. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Step from "perdure/Step"
import type { Order } from "./orders.js"
import { type Unreachable, World } from "./world.js"

export class Declined extends Schema.TaggedError<Declined>()("Declined", { orderId: Schema.String }) {}

export class Payments extends Context.Tag("fulfilment/Payments")<Payments, {
  /** Answers the payment's id. */
  readonly charge: (order: Order) => Effect.Effect<string, Declined | Unreachable, Step.Current>
  readonly refund: (order: Order) => Effect.Effect<void, Unreachable, Step.Current>
}>() {
  static readonly layer: Layer.Layer<Payments, never, World> = Layer.effect(
    Payments,
    Effect.map(World, (world) => ({
      charge: (order) =>
        // Some cards are always out of money.
        Number(order.orderId.slice(2)) % 41 === 0
          ? Effect.zipRight(world.executing, new Declined({ orderId: order.orderId }))
          : Effect.map(world.ask("charge", order.orderId), (key) => `payment-${key}`),
      refund: (order) => Effect.asVoid(world.ask("refund", order.orderId))
    }))
  )
}
