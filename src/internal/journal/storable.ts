/**
 * A driver that is only asked about runs that can exist. An id that no storage can hold would fail the whole statement,
 * and with it every other caller of the batch: such a run does not exist, so the answer is known. In strings that
 * explain a request, characters that no storage can hold are replaced.
 */
import * as Effect from "effect/Effect"
import type { Answer, Call, JournalDriver } from "../../driver/JournalDriver.js"
import { mapDriver } from "../../driver/mapDriver.js"
import { storable } from "../util/show.js"
import { canBeStored } from "../options/names.js"

/** The strings by which a request says who asks, and why. */
interface Explanation {
  readonly by?: string | null
  readonly reason?: string | null
}

const storableStrings = <Request extends Explanation>(request: Request): Request => ({
  ...request,
  ...(typeof request.by === "string" ? { by: storable(request.by) } : {}),
  ...(typeof request.reason === "string" ? { reason: storable(request.reason) } : {})
})

export const storableOnly = (original: JournalDriver): JournalDriver => {
  // The driver's verbs as own properties: a driver that is an instance of a class has them on its prototype.
  const driver = mapDriver(original, (call) => call)
  /** Storage was not asked, so its time is not known. */
  const answer = <A>(value: A): Effect.Effect<Answer<A>> => Effect.succeed({ now: NaN, value })

  type Read<A> = (runs: ReadonlyArray<string>) => Call<ReadonlyArray<A>>

  const read = <A>(ask: Read<A>): Read<A> => (runs) => {
    if (runs.every(canBeStored)) return ask(runs)
    const possible = runs.filter(canBeStored)
    return possible.length === 0 ? answer([]) : ask(possible)
  }

  const control = (ask: JournalDriver["pause"]): JournalDriver["pause"] => (request) => {
    const runs = request.runs.filter(canBeStored)
    return runs.length === 0 ? answer(0) : ask({ ...storableStrings(request), runs })
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
    get: read(driver.get),
    await: read(driver.await),
    changeQueue: (request) => driver.changeQueue(storableStrings(request)),
    pauseWorkflows: (request) => driver.pauseWorkflows(storableStrings(request)),
    pause: control(driver.pause),
    resume: control(driver.resume),
    terminate: control(driver.terminate),
    fork: (request) =>
      canBeStored(request.source) ? driver.fork(storableStrings(request)) : answer({ _tag: "NoSuchRun" }),
    controls: (run) => canBeStored(run) ? driver.controls(run) : answer([]),
    history: (request) => canBeStored(request.run) ? driver.history(request) : answer([]),
    publish: (request) => canBeStored(request.run) ? driver.publish(request) : answer(false),
    published: (run) => canBeStored(run) ? driver.published(run) : answer([])
  }
}
