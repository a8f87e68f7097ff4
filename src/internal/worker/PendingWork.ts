/**
 * The steps and sends of a held run that wait to start, in the order of requests, and the step bodies that run.
 */
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type { Op } from "../machine/Op.js"

export type BodyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** A step or a send. It can start when everything up to `mark` of the draft is durable. */
export interface WorkItem {
  readonly op: Op
  readonly mark: number
}

export class PendingWork {
  /** The step whose transaction runs. Its commit is the run's only one until the transaction is over. */
  transaction: Op | undefined
  private waiting: Array<WorkItem> = []
  private readonly bodies = new Map<Op, BodyFiber | undefined>()

  get next(): WorkItem | undefined {
    return this.waiting[0]
  }

  get isRunning(): boolean {
    return this.bodies.size > 0
  }

  add(item: WorkItem): void {
    this.waiting.push(item)
  }

  takeNext(): void {
    this.waiting.shift()
  }

  /** A body is about to start. It can finish before its fiber is returned. */
  starting(op: Op): void {
    this.bodies.set(op, undefined)
  }

  started(op: Op, fiber: BodyFiber): void {
    if (this.bodies.has(op)) this.bodies.set(op, fiber)
  }

  /** A body finished. Returns false if it was interrupted before: its exit does not count. */
  finish(op: Op): boolean {
    return this.bodies.delete(op)
  }

  cancel(op: Op): void {
    this.waiting = this.waiting.filter((item) => item.op !== op)
    this.bodies.get(op)?.unsafeInterruptAsFork(FiberId.none)
    this.bodies.delete(op)
  }

  /** Interrupt the bodies and forget the rest. The ops stay open for the next claim of the run. */
  stop(): void {
    for (const fiber of this.bodies.values()) fiber?.unsafeInterruptAsFork(FiberId.none)
    this.bodies.clear()
    this.waiting = []
  }
}
