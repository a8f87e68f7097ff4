/** Queues, and paused workflows. A change that may make runs claimable sends a `Ready` hint. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import { changeQueue } from "../statements/queues/change.js"
import * as Counts from "../statements/queues/counts.js"
import { define } from "../statements/queues/define.js"
import { ensure } from "../statements/queues/ensure.js"
import * as Paused from "../statements/queues/pausedWorkflows.js"
import { pauseWorkflows } from "../statements/queues/pauseWorkflows.js"
import { queuePage } from "../statements/queues/page.js"
import { queues } from "../statements/queues/queues.js"
import { decodeQueues, encodeSettings } from "../statements/queues/records.js"
import * as Resume from "../statements/queues/resumeWorkflows.js"
import { decodeNames } from "../statements/shared/names.js"
import type { Session } from "./Session.js"

const distinct = (names: ReadonlyArray<string>): string => JSON.stringify([...new Set(names)])

const first = ({ now, value }: Driver.Answer<ReadonlyArray<Driver.QueueRecord>>) => ({ now, value: value[0] ?? null })

export const make = ({ hints, query }: Session): Driver.QueueVerbs => {
  const ready = (queues: ReadonlyArray<string>) => hints.publish(queues.map((queue) => ({ _tag: "Ready", queue })))

  const defineQueue: Driver.QueueVerbs["defineQueue"] = (request) => {
    const { definition, name, settings } = request
    return Effect.flatMap(
      query(define, [name, definition, JSON.stringify(encodeSettings(settings))], decodeQueues),
      (answer) => {
        const { now, value } = first(answer)
        // Another process inserted the row after this statement's snapshot: the next statement sees it.
        return value === null ? defineQueue(request) : Effect.as(ready([name]), { now, value })
      }
    )
  }

  return {
    queues: (names) => query(queues, [distinct(names)], decodeQueues),
    queuePage: ({ after, limit }) => query(queuePage, [after, Math.max(0, limit)], decodeQueues),
    queueCounts: ({ limit, names }) => query(Counts.counts, [distinct(names), limit], Counts.decode),
    ensureQueues: (names) => query(ensure, [distinct(names)], decodeNames),
    defineQueue,
    changeQueue: ({ by = null, change, name, reason = null }) => {
      const columns = encodeSettings(change)
      return Effect.tap(
        Effect.map(
          query(
            changeQueue,
            [name, JSON.stringify(Object.keys(columns)), JSON.stringify(columns), by, reason],
            decodeQueues
          ),
          first
        ),
        ({ value }) => value === null ? Effect.void : ready([name])
      )
    },
    pauseWorkflows: ({ by, reason, workflows }) =>
      query(pauseWorkflows, [distinct(workflows), by, reason], decodeNames),
    resumeWorkflows: (workflows) =>
      Effect.map(
        Effect.tap(query(Resume.resumeWorkflows, [distinct(workflows)], Resume.decode), ({ queues }) => ready(queues)),
        ({ now, value }) => ({ now, value })
      ),
    pausedWorkflows: () => query(Paused.pausedWorkflows, [], Paused.decode)
  }
}
