/**
 * The scheduler of one run: tasks run only inside an activation, in the order in which they were scheduled.
 *
 * Effect resumes fibers by scheduling tasks. Inside an activation a task belongs to what the delivered entry set off;
 * outside one, something that the journal does not know has resumed a fiber: a stray wake-up, which is reported and
 * never run.
 */
import type * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** Operations that a fiber may perform before it lets others run: Effect's own default, fixed so that replay agrees. */
const OPS_BEFORE_YIELD = 2048

export class RunScheduler implements Scheduler.Scheduler {
  private tasks: Array<() => void> = []
  private later: Array<[priority: number, task: () => void]> = []
  private active = false

  constructor(
    readonly onFiber: (fiber: AnyFiber) => void,
    /** The task is not run: its fiber stays as it is until `push` brings the task back. */
    readonly onStray: (fiber: AnyFiber | undefined, task: () => void) => void
  ) {}

  shouldYield(fiber: AnyFiber): number | false {
    return (fiber as AnyFiber & { currentOpCount: number }).currentOpCount > OPS_BEFORE_YIELD ? 0 : false
  }

  scheduleTask(task: () => void, priority: number, fiber?: AnyFiber): void {
    if (fiber !== undefined) this.onFiber(fiber)
    if (!this.active) return this.onStray(fiber, task)
    if (priority === 0) this.tasks.push(task)
    else this.later.push([priority, task])
  }

  /** Inside an activation: run a task that was stray. */
  push(task: () => void): void {
    this.tasks.push(task)
  }

  /** Run `begin`, then everything runnable, until nothing is. Tasks of a higher priority number wait for all lower ones. */
  activate(begin: () => void): void {
    this.active = true
    try {
      begin()
      for (;;) {
        for (let i = 0; i < this.tasks.length; i++) {
          const task = this.tasks[i]
          if (task !== undefined) task()
          // A program that yields for ever must not grow the queue for ever.
          if (i === 1023) {
            this.tasks = this.tasks.slice(1024)
            i = -1
          }
        }
        this.tasks.length = 0
        if (this.later.length === 0) break
        let lowest = 0
        this.later.forEach(([priority], index) => {
          const best = this.later[lowest]
          if (best !== undefined && priority < best[0]) lowest = index
        })
        for (const [, task] of this.later.splice(lowest, 1)) this.tasks.push(task)
      }
    } finally {
      this.active = false
    }
  }
}
