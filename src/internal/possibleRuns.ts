/**
 * A driver that is asked only about runs that can exist. An id that no storage can hold would fail the whole statement,
 * and with it whoever shares it.
 */
import * as Effect from "effect/Effect"
import type { Answer, JournalDriver } from "../JournalDriver.js"
import type { DriverTime } from "./DriverTime.js"
import { canBeStored } from "./names.js"

export const possibleRunsOnly = (driver: JournalDriver, time: DriverTime): JournalDriver => {
  const answer = <A>(value: A): Effect.Effect<Answer<A>> => Effect.sync(() => ({ now: time.now(), value }))

  const several = (ask: JournalDriver["get"]): JournalDriver["get"] => (runs) => {
    if (runs.every(canBeStored)) return ask(runs)
    const possible = runs.filter(canBeStored)
    return possible.length === 0 ? answer([]) : ask(possible)
  }

  return {
    ...driver,
    deliver: (messages) => {
      if (messages.every(({ to }) => canBeStored(to))) return driver.deliver(messages)
      const possible = messages.filter(({ to }) => canBeStored(to))
      return Effect.map(possible.length === 0 ? answer([]) : driver.deliver(possible), ({ now, value }) => {
        const dispositions = value.values()
        return {
          now,
          value: messages.map(({ to }) => (canBeStored(to) ? dispositions.next().value : undefined) ?? "NoSuchRun")
        }
      })
    },
    get: several(driver.get),
    await: several(driver.await),
    terminate: (request) => canBeStored(request.run) ? driver.terminate(request) : answer(false),
    resume: (runs) => {
      const possible = runs.filter(canBeStored)
      return possible.length === 0 ? answer(0) : driver.resume(possible)
    },
    history: (request) => canBeStored(request.run) ? driver.history(request) : answer([]),
    messages: (request) => canBeStored(request.run) ? driver.messages(request) : answer([]),
    published: (run) => canBeStored(run) ? driver.published(run) : answer([])
  }
}
