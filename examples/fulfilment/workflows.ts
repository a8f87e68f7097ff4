/** How an order is fulfilled: plain Effects, which continue in another process when their process dies. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { Approval, Approvals } from "./approvals.js"
import { Inventory, OutOfStock } from "./inventory.js"
import { type Line, Order, parcelIdOf } from "./orders.js"
import { Declined, Payments } from "./payments.js"
import { Unreachable, World } from "./world.js"

/** Orders above this total need an approval, within this time. */
const APPROVAL_ABOVE_CENTS = 50_000
const APPROVAL_TIME = "3 seconds"

/** The time between the parcels and the receipt. In a shop it would be days, in the same program. */
const GRACE_TIME = "3 seconds"

export class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { by: Schema.String }) {}

/** The clerk did not decide in time. */
export class NotApproved extends Schema.TaggedError<NotApproved>()("NotApproved", {}) {}

export const Receipt = Schema.Struct({
  orderId: Schema.String,
  paymentId: Schema.String,
  trackingNumbers: Schema.Array(Schema.String)
})

/** Retries a request until the service responds. The journal has each failure and each wait. */
const untilReached: Step.Retry<Unreachable | OutOfStock | Declined> = {
  schedule: Schedule.jittered(Schedule.exponential("50 millis")),
  maxDelay: "1 second",
  while: (error) => error._tag === "Unreachable"
}

/** One parcel. Parcels go before new orders: what has begun is finished first. */
export const Ship = Workflow.make("Ship", {
  payload: { orderId: Schema.String, parcel: Schema.Int, country: Schema.String },
  priority: -1,
  success: Schema.String,
  error: Unreachable
})

export const ShipLive = Ship.toLayer(({ orderId, parcel }) =>
  Effect.gen(function*() {
    const world = yield* World
    const id = parcelIdOf(orderId, parcel)
    const label = yield* Step.run("label", world.request("label", id), {
      success: Schema.String,
      error: Unreachable,
      retry: untilReached
    })
    yield* Step.run("hand over", Effect.asVoid(world.request("hand over", id)), {
      error: Unreachable,
      retry: untilReached
    })
    return label
  })
)

/** One order. */
export const Fulfil = Workflow.make("Fulfil", {
  payload: Order,
  success: Receipt,
  error: Schema.Union(OutOfStock, Rejected, NotApproved, Declined, Unreachable),
  idempotencyKey: ({ orderId }) => orderId,
  signals: [Approval]
})

/** Reserves a line; the compensation releases it if the order fails. */
const reserve = (order: Order, line: Line) =>
  Effect.gen(function*() {
    const inventory = yield* Inventory
    yield* Step.transaction("reserve", inventory.reserve(order, line), {
      error: Schema.Union(OutOfStock, Unreachable),
      retry: untilReached
    }).pipe(
      Step.withCompensation(() =>
        Effect.orDie(
          Step.transaction("release", inventory.release(order, line), { error: Unreachable, retry: untilReached })
        )
      )
    )
  })

const approval = (order: Order) =>
  Effect.gen(function*() {
    const approvals = yield* Approvals
    yield* Step.transaction("ask for approval", approvals.request(order.orderId), {
      error: Unreachable,
      retry: untilReached
    })
    const decision = yield* Approval.receiveWithin(APPROVAL_TIME)
    if (Option.isNone(decision)) return yield* new NotApproved()
    if (!decision.value.approved) return yield* new Rejected({ by: decision.value.by })
  })

/** Charges the customer; the compensation refunds the payment if the order fails. */
const charge = (order: Order) =>
  Effect.gen(function*() {
    const payments = yield* Payments
    return yield* Step.run("charge", payments.charge(order), {
      success: Schema.String,
      error: Schema.Union(Declined, Unreachable),
      retry: untilReached
    }).pipe(
      Step.withCompensation(() =>
        Effect.orDie(Step.run("refund", payments.refund(order), { error: Unreachable, retry: untilReached }))
      )
    )
  })

export const FulfilLive = Fulfil.toLayer((order) =>
  Effect.gen(function*() {
    const inventory = yield* Inventory
    const world = yield* World
    const { country, orderId } = order

    yield* Effect.forEach(order.lines, (line) => reserve(order, line), { discard: true })
    if (order.totalCents > APPROVAL_ABOVE_CENTS) yield* approval(order)
    const paymentId = yield* charge(order)

    const parcels = Array.from({ length: order.parcels }, (_, index) => index + 1)
    const trackingNumbers = yield* Effect.forEach(
      parcels,
      (parcel) => Ship.execute({ orderId, parcel, country }),
      { concurrency: 2 }
    )
    yield* Step.transaction("sell", inventory.sell(order), { error: Unreachable, retry: untilReached })

    yield* Effect.sleep(GRACE_TIME)
    yield* Step.run("receipt", Effect.asVoid(world.request("receipt", orderId)), {
      error: Unreachable,
      retry: untilReached
    })
    return { orderId, paymentId, trackingNumbers }
  })
)

export const WorkflowsLive = Layer.mergeAll(FulfilLive, ShipLive)
