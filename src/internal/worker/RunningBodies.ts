/**
 * The step bodies that a worker executes: since when, and which of them ignore their interruption. It warns of those
 * that take long, and interrupts none.
 */
import * as Effect from "effect/Effect"

/** Most bodies that a message names. */
const NAMED_COUNT = 5

export interface RunningBody {
  readonly run: string
  readonly step: string
  /** In monotonic milliseconds of this process. */
  readonly since: number
  isLong: boolean
  isAbandoned: boolean
}

export class RunningBodies {
  /** The one that started first is the first. */
  private readonly bodies = new Set<RunningBody>()

  constructor(
    /** Monotonic milliseconds. */
    readonly now: () => number,
    /** A body that executes for longer is reported. */
    private readonly longMillis: number
  ) {}

  start(run: string, step: string): RunningBody {
    const body = { run, step, since: this.now(), isLong: false, isAbandoned: false }
    this.bodies.add(body)
    return body
  }

  end(body: RunningBody): void {
    this.bodies.delete(body)
  }

  /** Its run continues without it, although it has not ended. */
  abandon(body: RunningBody): void {
    body.isAbandoned = true
  }

  /** For the heartbeat: how many execute, how many of them are abandoned, and the one that started first. */
  get description() {
    let abandoned = 0
    let oldest: RunningBody | undefined
    for (const body of this.bodies) {
      oldest ??= body
      if (body.isAbandoned) abandoned++
    }
    return {
      executing: this.bodies.size,
      abandoned,
      ...(oldest === undefined
        ? {}
        : { oldest: { run: oldest.run, step: oldest.step, millis: Math.round(this.now() - oldest.since) } })
    }
  }

  /** The names of some bodies, those first that started last. */
  get names(): string {
    const all = [...this.bodies].reverse()
    const named = all.slice(0, NAMED_COUNT).map(({ run, step }) => `step ${step} of run ${run}`).join(", ")
    return all.length > NAMED_COUNT ? `${named} and ${all.length - NAMED_COUNT} more` : named
  }

  /** Warns once of each body that takes long. */
  readonly runOnce: Effect.Effect<void> = Effect.suspend(() => {
    const warnings: Array<Effect.Effect<void>> = []
    for (const body of this.bodies) {
      const millis = this.now() - body.since
      // Those after it started later.
      if (millis < this.longMillis) break
      if (body.isLong) continue
      body.isLong = true
      warnings.push(
        Effect.logWarning(
          `step ${body.step} of run ${body.run} has executed for ${
            Math.round(millis / 1000)
          } seconds: it occupies the ` +
            `worker's concurrency. Give it a "timeout", or the worker a larger "longStepDuration"`
        )
      )
    }
    return Effect.all(warnings, { discard: true })
  })
}
