/**
 * Releases the fibers of forgotten machines. Effect keeps every root fiber in a global set until it ends. A forgotten
 * machine never ends, so its fibers must be removed from the set, or they are never garbage collected. Only this module
 * uses that set, and the interval by which `Effect.never` keeps a process alive.
 */
import type * as Fiber from "effect/Fiber"
import { globalValue } from "effect/GlobalValue"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

const roots = globalValue(Symbol.for("effect/FiberScope/Global"), () => ({ roots: new Set<AnyFiber>() })).roots

/** The delay of the interval of `Effect.never`. */
const NEVER_INTERVAL_MILLIS = 2 ** 31 - 1

/** The run of the current activation. */
let current: RunFibers | undefined

// A fiber that starts synchronously is not scheduled before it first waits. Only its addition to the set shows it.
const addRoot = roots.add.bind(roots)
roots.add = (fiber) => {
  current?.noteRoot(fiber)
  return addRoot(fiber)
}

const MIN_PRUNE_SIZE = 64

const originalSetInterval = globalThis.setInterval

const watchedSetInterval: typeof setInterval = Object.assign(
  (...args: Parameters<typeof setInterval>) => {
    const handle = originalSetInterval(...args)
    const delay = args[1]
    if (delay === NEVER_INTERVAL_MILLIS) current?.noteInterval(handle)
    return handle
  },
  originalSetInterval
)

/**
 * The global state of one run: its root fibers (the root of the workflow, its daemons, and those that bounded `forEach`
 * and `FiberMap` fork), and the intervals of `Effect.never`. The run does not need the intervals, as its worker keeps
 * the process alive.
 */
export class RunFibers {
  private fibers = new Set<AnyFiber>()
  /** The size of the set at which ended fibers are removed. */
  private pruneSize = MIN_PRUNE_SIZE
  private intervals: Array<ReturnType<typeof setInterval>> = []

  constructor(private readonly onRoot: (fiber: AnyFiber) => void) {}

  /** Run `activate`, which is synchronous, and note its root fibers and intervals. */
  watch(activate: () => void): void {
    const before = globalThis.setInterval
    current = this
    globalThis.setInterval = watchedSetInterval
    try {
      activate()
    } finally {
      globalThis.setInterval = before
      current = undefined
    }
  }

  noteRoot(fiber: AnyFiber): void {
    this.fibers.add(fiber)
    this.onRoot(fiber)
    if (this.fibers.size < this.pruneSize) return
    for (const each of this.fibers) if (each !== fiber && !roots.has(each)) this.fibers.delete(each)
    this.pruneSize = Math.max(MIN_PRUNE_SIZE, this.fibers.size * 2)
  }

  noteInterval(handle: ReturnType<typeof setInterval>): void {
    this.intervals.push(handle)
  }

  /** Drop every fiber without interrupting it: no finalizer runs. */
  forget(): void {
    for (const fiber of this.fibers) roots.delete(fiber)
    this.fibers.clear()
    for (const handle of this.intervals) clearInterval(handle)
    this.intervals = []
  }
}
