/**
 * One op that several fibers wait for: the end of a child, the completion of a callback. It finishes at most once in a
 * generation. Fibers that wait later get the same result.
 */
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Op } from "./Op.js"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

export class SharedWait {
  result: Effect.Effect<unknown, unknown> | undefined
  /** Undefined while no fiber waits. */
  op: Op | undefined
  private readonly waiters = new Map<Op["resume"], AnyFiber>()

  add(resume: Op["resume"], fiber: AnyFiber): void {
    this.waiters.set(resume, fiber)
  }

  fibers(): Iterable<AnyFiber> {
    return this.waiters.values()
  }

  settle(result: Effect.Effect<unknown, unknown>): void {
    this.result = result
    for (const resume of this.waiters.keys()) resume(result)
    this.waiters.clear()
  }

  /** A fiber gave up. Returns the op if no other fiber waits for it: it is to be cancelled. */
  remove(resume: Op["resume"]): Op | undefined {
    this.waiters.delete(resume)
    if (this.result !== undefined || this.waiters.size > 0) return undefined
    const { op } = this
    this.op = undefined
    return op
  }
}
