/** How an order is fulfilled: plain Effects, which go on where they were when their process dies. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { Approval, Approvals } from "./approvals.js"
import { Inventory, OutOfStock } from "./inventory.js"
import { type Line, Order } from "./orders.js"
import { Declined, Payments } from "./payments.js"
import { Unreachable, World } from "./world.js"

/** Orders above need somebody's approval, within this time. */
const APPROVAL_ABOVE_CENTS = 50_000
const APPROVAL_WITHIN = "3 seconds"

/** For second thoughts, before the receipt goes out. In a shop it would be days; the program would be the same. */
const GRACE = "3 seconds"

export class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { by: Schema.String }) {}

/** Nobody decided in time. */
export class NotApproved extends Schema.TaggedError<NotApproved>()("NotApproved", {}) {}

export const Receipt = Schema.Struct({
  orderId: Schema.String,
  paymentId: Schema.String,
  trackingNumbers: Schema.Array(Schema.String)
})

/** Those who do not answer are asked again, until they do. Each failure and each wait is in the journal. */
const patiently: Step.Retry<Unreachable | OutOfStock | Declined> = {
  schedule: Schedule.jittered(Schedule.exponential("50 millis")),
  maxDelay: "1 second",
  while: (error) => error._tag === "Unreachable"
}

// ---------------------------------------------------------------------------------------------------------- one parcel

export const Ship = Workflow.make("Ship", {
  payload: { orderId: Schema.String, parcel: Schema.Int, country: Schema.String },
  success: Schema.String,
  error: Unreachable
})

export const ShipLive = Ship.toLayer(({ orderId, parcel }) =>
  Effect.gen(function*() {
    const world = yield* World
    const id = `${orderId}/${parcel}`
    const label = yield* Step.run("label", world.ask("label", id), {
      success: Schema.String,
      error: Unreachable,
      retry: patiently
    })
    yield* Step.run("hand over", Effect.asVoid(world.ask("hand over", id)), { error: Unreachable, retry: patiently })
    return label
  })
)

// ----------------------------------------------------------------------------------------------------------- one order

export const Fulfil = Workflow.make("Fulfil", {
  payload: Order,
  success: Receipt,
  error: Schema.Union(OutOfStock, Rejected, NotApproved, Declined, Unreachable),
  idempotencyKey: ({ orderId }) => orderId,
  signals: [Approval]
})

/** In the run's scope: put back if the order comes to nothing. */
const reserve = (order: Order, line: Line) =>
  Effect.gen(function*() {
    const inventory = yield* Inventory
    yield* Effect.acquireRelease(
      Step.transaction("reserve", inventory.reserve(order, line), {
        error: Schema.Union(OutOfStock, Unreachable),
        retry: patiently
      }),
      (_, exit) =>
        Exit.isSuccess(exit) ? Effect.void : Effect.orDie(
          Step.transaction("release", inventory.release(order, line), { error: Unreachable, retry: patiently })
        )
    )
  })

const approval = (order: Order) =>
  Effect.gen(function*() {
    const approvals = yield* Approvals
    yield* Step.transaction("ask for approval", approvals.ask(order.orderId), {
      error: Unreachable,
      retry: patiently
    })
    const decision = yield* Approval.receiveWithin(APPROVAL_WITHIN)
    if (Option.isNone(decision)) return yield* new NotApproved()
    if (!decision.value.approved) return yield* new Rejected({ by: decision.value.by })
  })

/** In the run's scope: paid back if the order comes to nothing. */
const charge = (order: Order) =>
  Effect.gen(function*() {
    const payments = yield* Payments
    return yield* Effect.acquireRelease(
      Step.run("charge", payments.charge(order), {
        success: Schema.String,
        error: Schema.Union(Declined, Unreachable),
        retry: patiently
      }),
      (_, exit) =>
        Exit.isSuccess(exit) ? Effect.void : Effect.orDie(
          Step.run("refund", payments.refund(order), { error: Unreachable, retry: patiently })
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
    yield* Step.transaction("sell", inventory.sell(order), { error: Unreachable, retry: patiently })

    yield* Effect.sleep(GRACE)
    yield* Step.run("receipt", Effect.asVoid(world.ask("receipt", orderId)), { error: Unreachable, retry: patiently })
    return { orderId, paymentId, trackingNumbers }
  })
)

export const WorkflowsLive = Layer.mergeAll(FulfilLive, ShipLive)
