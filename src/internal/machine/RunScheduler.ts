/**
 * Effect's `Scheduler` for one run: tasks run only inside an activation, in the order in which they were scheduled.
 *
 * Effect resumes fibers by scheduling tasks. A task that is scheduled inside an activation follows from the delivered
 * entry. A task that is scheduled outside of one is a stray wake-up: something that is not in the journal resumed a
 * fiber. It is reported and does not run.
 *
 * | state    | meaning                               | leaves by                                      |
 * |----------|---------------------------------------|------------------------------------------------|
 * | inactive | no task runs                          | `activate` → active                            |
 * | active   | tasks run                             | no task left → inactive; budget spent → halted |
 * | halted   | the program spins; its tasks are kept | `resume`, then the next `activate` → active    |
 *
 * An activation has a budget of tasks. A program that waits by yielding is always runnable; without a budget it would
 * block the whole process. The budget counts tasks and not time, so that a replay stops at the same task.
 */
import type * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** Operations of a fiber before it must yield. It is Effect's own default, fixed here so that replays agree. */
const YIELD_INTERVAL_OPS = 2048

/**
 * Tasks that one activation can run. Journals depend on it: it decides where a spinning program is stopped. It is large
 * enough for a hundred thousand elements through concurrent streams, and small enough to be spent within seconds.
 */
export const ACTIVATION_BUDGET_TASKS = 3_000_000

/** The cost of a task that had to be made to yield: it ran far longer than a task that yields by itself. */
const FORCED_YIELD_COST_TASKS = 500

/** A fiber that is scheduled within the last tasks of a budget counts as spinning. */
const SPINNING_WINDOW_TASKS = 100_000

/** The queue of tasks is shortened after this many have run. */
const QUEUE_CHUNK_TASKS = 1024

export class RunScheduler implements Scheduler.Scheduler {
  private tasks: Array<() => void> = []
  /** Tasks of a priority other than 0. */
  private later: Array<[priority: number, task: () => void]> = []
  private active = false
  /** Tasks of the budget that are spent. */
  private spent = 0
  private halted = false
  private readonly spinning = new Set<AnyFiber>()

  constructor(
    readonly onFiber: (fiber: AnyFiber) => void,
    /** The task does not run. Its fiber stays as it is until `push` returns the task. */
    readonly onStray: (fiber: AnyFiber | undefined, task: () => void) => void,
    private readonly budget: number = ACTIVATION_BUDGET_TASKS
  ) {}

  shouldYield(fiber: AnyFiber): number | false {
    if ((fiber as AnyFiber & { currentOpCount: number }).currentOpCount <= YIELD_INTERVAL_OPS) return false
    this.spent += FORCED_YIELD_COST_TASKS
    return 0
  }

  scheduleTask(task: () => void, priority: number, fiber?: AnyFiber): void {
    if (fiber !== undefined) this.onFiber(fiber)
    if (!this.active) return this.onStray(fiber, task)
    if (fiber !== undefined && this.spent > this.budget - SPINNING_WINDOW_TASKS) this.spinning.add(fiber)
    if (priority === 0) this.tasks.push(task)
    else this.later.push([priority, task])
  }

  /** Inside an activation: run a task that was stray. */
  push(task: () => void): void {
    this.tasks.push(task)
  }

  get isHalted(): boolean {
    return this.halted
  }

  /** The fibers that spent the budget, in the order in which they were first found. */
  get spinners(): ReadonlyArray<AnyFiber> {
    return [...this.spinning]
  }

  /** The next activation continues where the budget was spent, with a new budget. */
  resume(): void {
    this.halted = false
    this.spinning.clear()
  }

  /** Run `start`, then tasks until none is left. Tasks with a higher priority number wait for all with a lower one. */
  activate(start: () => void): void {
    this.active = true
    this.spent = 0
    try {
      start()
      while (!this.halted && this.tasks.length + this.later.length > 0) {
        this.runTasks()
        if (this.tasks.length === 0 && this.later.length > 0) this.promote()
      }
    } finally {
      this.active = false
      if (!this.halted) this.spinning.clear()
    }
  }

  private runTasks(): void {
    for (let i = 0; i < this.tasks.length; i++) {
      if (this.spent >= this.budget) {
        this.tasks = this.tasks.slice(i)
        this.halted = true
        return
      }
      this.spent++
      const task = this.tasks[i]
      if (task !== undefined) task()
      // A program that always yields must not grow the queue without bound.
      if (i === QUEUE_CHUNK_TASKS - 1) {
        this.tasks = this.tasks.slice(QUEUE_CHUNK_TASKS)
        i = -1
      }
    }
    this.tasks.length = 0
  }

  /** Move the first task of the lowest priority number to the queue. */
  private promote(): void {
    let lowest = 0
    this.later.forEach(([priority], index) => {
      const best = this.later[lowest]
      if (best !== undefined && priority < best[0]) lowest = index
    })
    for (const [, task] of this.later.splice(lowest, 1)) this.tasks.push(task)
  }
}
