/** The payment provider: it may decline a card, and it charges once for each idempotency key. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Step from "perdure/Step"
import type { Order } from "./orders.js"
import { type Unreachable, World } from "./world.js"

export class Declined extends Schema.TaggedError<Declined>()("Declined", { orderId: Schema.String }) {}

export class Payments extends Context.Tag("fulfilment/Payments")<Payments, {
  /** Returns the id of the payment. */
  readonly charge: (order: Order) => Effect.Effect<string, Declined | Unreachable, Step.Current>
  readonly refund: (order: Order) => Effect.Effect<void, Unreachable, Step.Current>
}>() {
  static readonly layer: Layer.Layer<Payments, never, World> = Layer.effect(
    Payments,
    Effect.map(World, (world) => ({
      charge: ({ orderId }) =>
        // The cards of these orders are always declined.
        Number(orderId.slice(2)) % 41 === 0
          ? Effect.zipRight(world.executing(orderId), new Declined({ orderId }))
          : Effect.map(world.request("charge", orderId), (key) => `payment-${key}`),
      refund: ({ orderId }) => Effect.asVoid(world.request("refund", orderId))
    }))
  )
}
