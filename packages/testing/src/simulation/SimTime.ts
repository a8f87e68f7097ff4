/**
 * The time of a simulation: it stands still while anything can run, then jumps to the next instant at which something
 * is due. A month costs nothing, and everything happens in one order. (`TestClock` spends a real timer on each wake-up:
 * too slow for ten thousand crashes.)
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** Whose sleeps these are: the sleeps of the dead never end, those of the frozen end when they thaw. */
export interface Sleeper {
  readonly isDead: boolean
  readonly isFrozen: boolean
}

interface Sleep {
  readonly due: number
  readonly owner: Sleeper
  readonly wake: () => void
}

/** Never, without the timer by which `Effect.never` keeps a process alive. */
export const forEver: Effect.Effect<never> = Effect.async<never>(() => {})

/** How long a call that is not answered is waited for while a transaction is open, in real milliseconds. */
const PATIENCE = 5

export class SimTime {
  now: number
  /** Calls to the world outside of the simulation (a real database) that have not been answered. */
  outside = 0
  /** Open transactions on a real database: others may wait for their locks, and they for time. */
  private transactions = 0
  private sleeps: Array<Sleep> = []
  private answered: (() => void) | undefined

  /** Begins at this instant, in milliseconds since the epoch. */
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

  /** Count a call to the world outside: time does not move until it is answered. */
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

  /** Count a transaction: while it is open, time moves all the same, but slowly. */
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

  /** Let everything happen until `isOver`. Answers false if there is nothing left to happen, or it has taken `limit` steps. */
  async play(isOver: () => boolean, limit = 200_000): Promise<boolean> {
    for (let step = 0; step < limit; step++) {
      // All microtasks, and with them all fibers that can run, come before the next immediate.
      await new Promise<void>((resume) => void setImmediate(resume))
      if (isOver()) return true
      if (this.outside > 0 && await this.answer()) continue
      if (!this.advance()) return false
    }
    return false
  }

  /** Wait for a call to be answered. False if it may be one that waits for a transaction, which waits for time. */
  private answer(): Promise<boolean> {
    return new Promise((resume) => {
      const patience = this.transactions === 0 ? undefined : setTimeout(() => resume(false), PATIENCE)
      this.answered = () => {
        clearTimeout(patience)
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
