/**
 * The numbers of a run's fibers: the order in which they were first scheduled or, for fibers that never were, started
 * as roots. A replay gives each fiber the same number, so an entry can name a fiber.
 */
import type * as Fiber from "effect/Fiber"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** The number of no fiber. */
export const NO_FIBER = -1

export class FiberNumbers {
  /** By fiber id. */
  private readonly numbers = new Map<number, number>()
  /** The fibers that entries name, by number. */
  private readonly named = new Map<number, AnyFiber | undefined>()

  /** Keep the fiber that gets this number: an entry names it. */
  keep(number: number): void {
    this.named.set(number, undefined)
  }

  /** The fiber with a number that was to be kept. */
  fiber(number: number): AnyFiber | undefined {
    return this.named.get(number)
  }

  /** Give the fiber the next number, unless it has one. */
  add(fiber: AnyFiber): void {
    const { id } = fiber.id()
    if (this.numbers.has(id)) return
    const number = this.numbers.size
    this.numbers.set(id, number)
    if (this.named.has(number)) this.named.set(number, fiber)
  }

  numberOf(fiber: AnyFiber | undefined): number {
    return fiber === undefined ? NO_FIBER : this.numbers.get(fiber.id().id) ?? NO_FIBER
  }
}
