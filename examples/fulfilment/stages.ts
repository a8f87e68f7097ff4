/** How far the orders are, according to the events of the worker processes. */
import { orderIdOf } from "./orders.js"
import type { Event } from "./events.js"

/** The stages of an order, in their order; each says what has already happened. */
export const stages = ["new", "approval", "reserved", "charged", "shipped", "done"] as const
export type Stage = (typeof stages)[number]

/** A step begins after all steps before it are durable, so its begin shows the stage of the order. */
const stageAt: ReadonlyMap<string, Stage> = new Map([
  ["ask for approval", "approval"],
  ["charge", "reserved"],
  ["label", "charged"],
  ["sell", "shipped"]
])

/** The furthest stage of each order: a step that runs again does not move its order back. */
export class Progress {
  private readonly reached = new Map<string, number>()
  private begun = 0

  constructor(private readonly orders: number) {}

  add(event: Event): void {
    if (event._tag === "End") return this.advance(event.orderId, "done")
    if (event._tag === "Request") return
    this.begun++
    const stage = stageAt.get(event.step)
    if (stage !== undefined) this.advance(orderIdOf(event.subject), stage)
  }

  /** Steps begun, by all worker processes; a step that runs again counts again. */
  get steps(): number {
    return this.begun
  }

  /** The number of orders in each stage. */
  get counts(): Readonly<Record<Stage, number>> {
    const counts = { new: this.orders - this.reached.size, approval: 0, reserved: 0, charged: 0, shipped: 0, done: 0 }
    for (const index of this.reached.values()) {
      const stage = stages[index]
      if (stage !== undefined) counts[stage]++
    }
    return counts
  }

  /** From 0 (every order is new) to 1 (every order is done). */
  get fraction(): number {
    let sum = 0
    for (const index of this.reached.values()) sum += index
    return sum / (this.orders * (stages.length - 1))
  }

  private advance(orderId: string, stage: Stage): void {
    this.reached.set(orderId, Math.max(this.reached.get(orderId) ?? 0, stages.indexOf(stage)))
  }
}
