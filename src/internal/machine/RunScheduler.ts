/**
 * The scheduler of one run: tasks run only inside an activation, in the order in which they were scheduled.
 *
 * Effect resumes fibers by scheduling tasks. Inside an activation a task belongs to what the delivered entry set off;
 * outside one, something that the journal does not know has resumed a fiber: a stray wake-up, which is reported and
 * never run.
 *
 * An activation has a budget of tasks. A program that waits by yielding is always runnable, and without a budget it would
 * hold the whole process for ever. Tasks are counted, not time, so that a replay stops at the very same place.
 */
import type * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** Operations that a fiber may perform before it lets others run: Effect's own default, fixed so that replay agrees. */
const OPS_BEFORE_YIELD = 2048

/**
 * Tasks that one activation may run. Journals depend on it: where a spinning program is stopped follows from it. Large
 * enough for a hundred thousand elements through concurrent streams, small enough to be over in some seconds.
 */
export const TASKS_PER_ACTIVATION = 3_000_000

/** What a fiber counts, in tasks, that had to be made to yield: it has run far longer than one that yields by itself. */
const LONG_TASK = 500

/** Whoever is scheduled during the last tasks of a budget is taken to spin. */
const LAST_TASKS = 100_000

export class RunScheduler implements Scheduler.Scheduler {
  private tasks: Array<() => void> = []
  private later: Array<[priority: number, task: () => void]> = []
  private active = false
  private ran = 0
  private halted = false
  private readonly spinning = new Set<AnyFiber>()

  constructor(
    readonly onFiber: (fiber: AnyFiber) => void,
    /** The task is not run: its fiber stays as it is until `push` brings the task back. */
    readonly onStray: (fiber: AnyFiber | undefined, task: () => void) => void
  ) {}

  shouldYield(fiber: AnyFiber): number | false {
    if ((fiber as AnyFiber & { currentOpCount: number }).currentOpCount <= OPS_BEFORE_YIELD) return false
    this.ran += LONG_TASK
    return 0
  }

  scheduleTask(task: () => void, priority: number, fiber?: AnyFiber): void {
    if (fiber !== undefined) this.onFiber(fiber)
    if (!this.active) return this.onStray(fiber, task)
    if (fiber !== undefined && this.ran > TASKS_PER_ACTIVATION - LAST_TASKS) this.spinning.add(fiber)
    if (priority === 0) this.tasks.push(task)
    else this.later.push([priority, task])
  }

  /** Inside an activation: run a task that was stray. */
  push(task: () => void): void {
    this.tasks.push(task)
  }

  /** The budget was spent: what is runnable stays as it is until `goOn`. */
  get isHalted(): boolean {
    return this.halted
  }

  /** The fibers that spent the budget, in the order in which they were first noted. */
  get spinners(): ReadonlyArray<AnyFiber> {
    return [...this.spinning]
  }

  /** With the next activation, go on where the budget was spent, with a new one. */
  goOn(): void {
    this.halted = false
    this.spinning.clear()
  }

  /** Run `begin`, then everything runnable, until nothing is. Tasks of a higher priority number wait for all lower ones. */
  activate(begin: () => void): void {
    this.active = true
    this.ran = 0
    try {
      begin()
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
      if (this.ran >= TASKS_PER_ACTIVATION) {
        this.tasks = this.tasks.slice(i)
        this.halted = true
        return
      }
      this.ran++
      const task = this.tasks[i]
      if (task !== undefined) task()
      // A program that yields for ever must not grow the queue for ever.
      if (i === 1023) {
        this.tasks = this.tasks.slice(1024)
        i = -1
      }
    }
    this.tasks.length = 0
  }

  /** Of the tasks that wait, the first of the lowest priority number is next. */
  private promote(): void {
    let lowest = 0
    this.later.forEach(([priority], index) => {
      const best = this.later[lowest]
      if (best !== undefined && priority < best[0]) lowest = index
    })
    for (const [, task] of this.later.splice(lowest, 1)) this.tasks.push(task)
  }
}
