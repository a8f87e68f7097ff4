/** Helpers of the cases for queues. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import type { Fixture } from "../Fixture.js"

export const unlimited = { priority: 0, concurrency: null, admission: null, keyConcurrency: null, rate: null }

/** Inserts a queue with these settings. Returns its name. */
export const queueWith = (t: Fixture, settings: Partial<Driver.QueueSettings>, name = "limited") => {
  const queue = t.id(name)
  return Effect.as(
    Effect.zipRight(t.driver.ensureQueues([queue]), t.driver.changeQueue({ name: queue, change: settings })),
    queue
  )
}

/** Inserts runs with these names in a queue. */
export const fill = (t: Fixture, queue: string, names: ReadonlyArray<string>, change: Partial<Driver.NewRun> = {}) =>
  t.enqueue(...names.map((name) => t.newRun(name, { queue, ...change })))

/** Claims runs. Returns their names. */
export const claimed = (t: Fixture, queues: ReadonlyArray<string>, limit = 100) =>
  Effect.map(t.claim(queues, { limit }), (runs) => runs.map(({ id }) => id.slice(t.prefix.length + 1)))

export const numbered = (prefix: string, count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, n) => `${prefix}${String(n).padStart(2, "0")}`)
