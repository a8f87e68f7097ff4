/**
 * The world that simulated runs touch: what step bodies do, what they leave behind, and what has been seen to be wrong.
 * It outlives every process of the simulation.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Step from "perdure/Step"
import { between, dice, type Dice, seedOf } from "./Dice.js"

/** The failure of simulated steps. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", { what: Schema.String }) {}

/** A callback's token that a step has handed out. */
export interface Token {
  readonly token: string
  readonly ms: number
  readonly ok: boolean
}

export class World {
  /** What was seen that must not be. */
  readonly wrong: Array<string> = []
  /** Resources that bodies acquired, and those that were released, by run. */
  readonly acquired = new Map<string, Set<string>>()
  readonly released = new Set<string>()
  /** How often any body was begun. */
  bodies = 0
  /** What a run's program did in which order, by process and run, as executed last. */
  readonly logs = new Map<string, Array<string>>()
  private readonly roll: Dice

  constructor(seed: number, readonly handOut: (token: Token) => void) {
    this.roll = dice(seed)
  }

  /** A body that takes its time, and whose value no other execution has. */
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

  /** What a run acquired and nobody released. */
  leaked(run: string): ReadonlyArray<string> {
    return [...this.acquired.get(run) ?? []].filter((resource) => !this.released.has(resource))
  }
}
