/** Clocks and figures. A figure is one line: what was measured, on which database, how much of which unit. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

export interface Figure {
  readonly name: string
  readonly database: string
  readonly value: number
  readonly unit: string
}

/** Where figures go. */
export class Figures extends Context.Tag("bench/Figures")<Figures, {
  readonly database: string
  readonly emit: (name: string, value: number, unit: string) => Effect.Effect<void>
}>() {}

export const emit = (name: string, value: number, unit: string): Effect.Effect<void, never, Figures> =>
  Effect.flatMap(Figures, (figures) => figures.emit(name, value, unit))

/** Monotonic milliseconds. */
export const now = (): number => performance.now()

/** Run an effect; answers what it gave and how many milliseconds it took. */
export const timed = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<readonly [A, number], E, R> =>
  Effect.suspend(() => {
    const before = now()
    return Effect.map(self, (value) => [value, now() - before] as const)
  })

/** The `q` quantile of some figures, by nearest rank. */
export const quantile = (values: ReadonlyArray<number>, q: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN
}

/** Emit p50, p95 and p99 of latencies in milliseconds. */
export const emitLatency = (name: string, millis: ReadonlyArray<number>): Effect.Effect<void, never, Figures> =>
  Effect.forEach([50, 95, 99], (p) => emit(`${name} p${p}`, quantile(millis, p / 100), "ms"), { discard: true })
