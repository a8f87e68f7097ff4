/**
 * The world outside of simulated runs: the effects of step bodies, and the violations that the oracles found. It
 * outlives every process of the simulation.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Step from "perdure/Step"
import { between, dice, type Dice, seedOf } from "./Dice.js"

/** The failure of simulated steps. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", { what: Schema.String }) {}

/** The token of a callback, which the world completes. */
export interface Token {
  readonly token: string
  readonly ms: number
  readonly ok: boolean
}

export class World {
  /** The violations that were found. */
  readonly violations: Array<string> = []
  /** The resources that bodies acquired, by run, and those that were released. */
  readonly acquired = new Map<string, Set<string>>()
  readonly released = new Set<string>()
  /** How many bodies have started. */
  bodies = 0
  /** The log of a run's program, by process and run, from its last execution. */
  readonly logs = new Map<string, Array<string>>()
  private readonly roll: Dice

  constructor(seed: number, readonly onToken: (token: Token) => void) {
    this.roll = dice(seed)
  }

  /** A body with a latency of about `ms` milliseconds and a unique value. */
  body(ms: number, fails: (attempt: number, roll: Dice) => boolean): Effect.Effect<string, Refused, Step.Current> {
    return Effect.flatMap(Step.Current, ({ attempt, idempotencyKey, name }) =>
      Effect.suspend(() => {
        const value = `${name}/${attempt}/${++this.bodies}`
        const latency = ms === 0 ? 0 : between(this.roll, Math.floor(ms / 2), ms * 2)
        const refused = fails(attempt, dice(seedOf(`${idempotencyKey} ${attempt} ${this.bodies}`)))
        return Effect.zipRight(
          latency === 0 ? Effect.void : Effect.sleep(latency),
          refused ? new Refused({ what: value }) : Effect.succeed(value)
        )
      }))
  }

  acquire(run: string, resource: string): void {
    const own = this.acquired.get(run) ?? new Set()
    this.acquired.set(run, own.add(resource))
  }

  has(run: string, resource: string): boolean {
    return this.acquired.get(run)?.has(resource) === true
  }

  release(resource: string): void {
    this.released.add(resource)
  }

  /** The resources that a run acquired and did not release. */
  leaked(run: string): ReadonlyArray<string> {
    return [...this.acquired.get(run) ?? []].filter((resource) => !this.released.has(resource))
  }
}
