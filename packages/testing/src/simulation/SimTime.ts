/**
 * The time of a simulation. It stands still while a fiber can run, then moves to the next instant at which a sleep
 * ends. So a month takes no real time, and everything happens in one order. `TestClock` is too slow for ten thousand
 * crashes: it spends a real timer on each wake-up.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** The owner of sleeps. The sleeps of a dead owner never end, those of a frozen one end when it thaws. */
export interface Sleeper {
  readonly isDead: boolean
  readonly isFrozen: boolean
}

interface Sleep {
  readonly due: number
  readonly owner: Sleeper
  readonly wake: () => void
}

/** Like `Effect.never`, without the timer by which that keeps the operating-system process alive. */
export const never: Effect.Effect<never> = Effect.async<never>(() => {})

/** How long an open transaction lets time stand still for a call without an answer, in real milliseconds. */
const ANSWER_TIMEOUT_MILLIS = 5

export class SimTime {
  now: number
  /** The number of unanswered calls to the outside, for example to a real database. */
  outside = 0
  /** The number of open transactions on a real database. Other calls may wait for their locks, and they may sleep. */
  private transactions = 0
  private sleeps: Array<Sleep> = []
  private answered: (() => void) | undefined

  /** `start` is in milliseconds since the Unix epoch. */
  constructor(start: number) {
    this.now = start
  }

  clockOf(owner: Sleeper): Clock.Clock {
    return {
      [Clock.ClockTypeId]: Clock.ClockTypeId,
      unsafeCurrentTimeMillis: () => this.now,
      unsafeCurrentTimeNanos: () => BigInt(this.now) * 1_000_000n,
      currentTimeMillis: Effect.sync(() => this.now),
      currentTimeNanos: Effect.sync(() => BigInt(this.now) * 1_000_000n),
      sleep: (duration) =>
        Effect.async<void>((resume) => {
          if (owner.isDead) return
          const sleep = {
            due: this.now + Math.ceil(Duration.toMillis(duration)),
            owner,
            wake: () => resume(Effect.void)
          }
          this.add(sleep)
          return Effect.sync(() => {
            this.sleeps = this.sleeps.filter((each) => each !== sleep)
          })
        })
    }
  }

  /** Executes a call to the outside. Time stands still until it is answered. */
  waitFor<A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      this.outside++
      return Effect.ensuring(
        call,
        Effect.sync(() => {
          this.outside--
          this.answered?.()
        })
      )
    })
  }

  /** Executes a transaction on the outside. While it is open, time moves slowly. */
  duringTransaction<A, E, R>(transaction: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      this.transactions++
      return Effect.ensuring(
        this.waitFor(transaction),
        Effect.sync(() => {
          this.transactions--
        })
      )
    })
  }

  /** Moves time until `isOver`. Returns false if no sleep is left, or after `limit` steps. */
  async play(isOver: () => boolean, limit = 200_000): Promise<boolean> {
    for (let step = 0; step < limit; step++) {
      // All microtasks, and so all runnable fibers, execute before the next immediate.
      await new Promise<void>((resume) => void setImmediate(resume))
      if (isOver()) return true
      if (this.outside > 0 && await this.nextAnswer()) continue
      if (!this.advance()) return false
    }
    return false
  }

  /** Waits for an answer. False after the timeout: the calls may wait for the locks of a transaction that sleeps. */
  private nextAnswer(): Promise<boolean> {
    return new Promise((resume) => {
      const timeout = this.transactions === 0 ? undefined : setTimeout(() => resume(false), ANSWER_TIMEOUT_MILLIS)
      this.answered = () => {
        clearTimeout(timeout)
        resume(true)
      }
    })
  }

  private add(sleep: Sleep): void {
    const { sleeps } = this
    let index = sleeps.length
    for (let before = sleeps[index - 1]; before !== undefined && before.due > sleep.due; before = sleeps[index - 1])
      index--
    sleeps.splice(index, 0, sleep)
  }

  private advance(): boolean {
    this.sleeps = this.sleeps.filter(({ owner }) => !owner.isDead)
    const next = this.sleeps.find(({ owner }) => !owner.isFrozen)
    if (next === undefined) return false
    this.now = Math.max(this.now, next.due)
    const due = this.sleeps.filter((sleep) => sleep.due <= this.now && !sleep.owner.isFrozen)
    this.sleeps = this.sleeps.filter((sleep) => !due.includes(sleep))
    for (const { wake } of due) wake()
    return true
  }
}
