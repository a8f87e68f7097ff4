/** Queues, and paused workflows. A change that may make runs claimable sends a `Ready` hint. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import * as Queues from "../statements/queues.js"
import type { Session } from "./Session.js"

const distinct = (names: ReadonlyArray<string>): string => JSON.stringify([...new Set(names)])

const first = ({ now, value }: Driver.Answer<ReadonlyArray<Driver.QueueRecord>>) => ({ now, value: value[0] ?? null })

export const make = ({ hints, query }: Session): Driver.QueueVerbs => {
  const ready = (queues: ReadonlyArray<string>) => hints.publish(queues.map((queue) => ({ _tag: "Ready", queue })))

  const define: Driver.QueueVerbs["defineQueue"] = (request) => {
    const { definition, name, settings } = request
    return Effect.flatMap(
      query(Queues.define, [name, definition, JSON.stringify(Queues.encodeSettings(settings))], Queues.decode),
      (answer) => {
        const { now, value } = first(answer)
        // Another process inserted the row after this statement's snapshot: the next statement sees it.
        return value === null ? define(request) : Effect.as(ready([name]), { now, value })
      }
    )
  }

  return {
    queues: (names) => query(Queues.read, [names === null ? null : distinct(names)], Queues.decode),
    queueCounts: ({ limit, names }) => query(Queues.counts, [distinct(names), limit], Queues.decodeCounts),
    ensureQueues: (names) => query(Queues.ensure, [distinct(names)], Queues.decodeNames),
    defineQueue: define,
    changeQueue: ({ by = null, change, name, reason = null }) => {
      const columns = Queues.encodeSettings(change)
      return Effect.tap(
        Effect.map(
          query(
            Queues.alter,
            [name, JSON.stringify(Object.keys(columns)), JSON.stringify(columns), by, reason],
            Queues.decode
          ),
          first
        ),
        ({ value }) => value === null ? Effect.void : ready([name])
      )
    },
    pauseWorkflows: ({ by, reason, workflows }) =>
      query(Queues.hold, [distinct(workflows), by, reason], Queues.decodeNames),
    resumeWorkflows: (workflows) =>
      Effect.map(
        Effect.tap(query(Queues.unhold, [distinct(workflows)], Queues.decodeUnheld), ({ queues }) => ready(queues)),
        ({ now, value }) => ({ now, value })
      ),
    pausedWorkflows: () => query(Queues.held, [], Queues.decodeHeld)
  }
}
