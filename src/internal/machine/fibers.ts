/**
 * Letting go of fibers. Effect keeps every root fiber in a global set until it ends; a machine that is forgotten never
 * ends, so its fibers must be taken out by hand or they could never be collected. This is the only file that reaches
 * into that set, and into the timer by which `Effect.never` keeps a process alive.
 */
import type * as Fiber from "effect/Fiber"
import { globalValue } from "effect/GlobalValue"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

const roots = globalValue(Symbol.for("effect/FiberScope/Global"), () => ({ roots: new Set<AnyFiber>() })).roots

/** The delay of the interval by which `Effect.never` keeps the process alive. */
const NEVER = 2 ** 31 - 1

let watching: RunFibers | undefined

// A fiber that starts at once is never scheduled before it waits, so its entry into the set is the only sure sign of it.
const enter = roots.add.bind(roots)
roots.add = (fiber) => {
  watching?.noteRoot(fiber)
  return enter(fiber)
}

const originalSetInterval = globalThis.setInterval

const watchedSetInterval: typeof setInterval = Object.assign(
  (...args: Parameters<typeof setInterval>) => {
    const handle = originalSetInterval(...args)
    const delay = args[1]
    if (delay === NEVER) watching?.noteInterval(handle)
    return handle
  },
  originalSetInterval
)

/**
 * What one run leaves in the process: its root fibers (the workflow's own, the daemons that it forked; bounded `forEach`
 * and `FiberMap` fork some, too), and the intervals of `Effect.never`. A run does not need those (its worker keeps the
 * process alive) and, forgotten, would never clear them.
 */
export class RunFibers {
  private mine = new Set<AnyFiber>()
  private pruneAt = 64
  private intervals: Array<ReturnType<typeof setInterval>> = []

  constructor(private readonly onRoot: (fiber: AnyFiber) => void) {}

  /** Run `activate`, which is synchronous; what it leaves is noted. */
  watch(activate: () => void): void {
    const before = globalThis.setInterval
    watching = this
    globalThis.setInterval = watchedSetInterval
    try {
      activate()
    } finally {
      globalThis.setInterval = before
      watching = undefined
    }
  }

  noteRoot(fiber: AnyFiber): void {
    this.mine.add(fiber)
    this.onRoot(fiber)
    if (this.mine.size < this.pruneAt) return
    for (const each of this.mine) if (each !== fiber && !roots.has(each)) this.mine.delete(each)
    this.pruneAt = Math.max(64, this.mine.size * 2)
  }

  noteInterval(handle: ReturnType<typeof setInterval>): void {
    this.intervals.push(handle)
  }

  /** Drop every fiber without interrupting it: no finalizer runs. */
  forget(): void {
    for (const fiber of this.mine) roots.delete(fiber)
    this.mine.clear()
    for (const handle of this.intervals) clearInterval(handle)
    this.intervals = []
  }
}
