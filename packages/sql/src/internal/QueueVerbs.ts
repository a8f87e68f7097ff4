/** The driver's verbs about queues. Whoever may find runs to claim by a change is told. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import * as Queues from "../statements/queues.js"
import type { Tools } from "./Tools.js"

const json = (names: ReadonlyArray<string>): string => JSON.stringify([...new Set(names)])

export const make = ({ ask, tellAll }: Tools): Driver.JournalQueues => {
  /** Workers that wait for runs of these queues look again. */
  const ready = (queues: ReadonlyArray<string>) => tellAll(queues.map((queue) => ({ _tag: "Ready", queue })))

  const first = ({ now, value }: Driver.Answer<ReadonlyArray<Driver.QueueRecord>>) => ({ now, value: value[0] ?? null })

  const define: Driver.JournalQueues["defineQueue"] = (request) => {
    const { definition, name, settings } = request
    return Effect.flatMap(
      ask(Queues.define, [name, definition, JSON.stringify(Queues.encodeSettings(settings))], Queues.decode),
      (answer) => {
        const { now, value } = first(answer)
        // Somebody has made it since this statement began: it is there now.
        return value === null ? define(request) : Effect.as(ready([name]), { now, value })
      }
    )
  }

  return {
    queues: (names) => ask(Queues.read, [names === null ? null : json(names)], Queues.decode),
    queueCounts: ({ most, names }) => ask(Queues.counts, [json(names), most], Queues.decodeCounts),
    ensureQueues: (names) => ask(Queues.ensure, [json(names)], Queues.decodeNames),
    defineQueue: define,
    changeQueue: ({ by = null, change, name, reason = null }) => {
      const columns = Queues.encodeSettings(change)
      return Effect.tap(
        Effect.map(
          ask(
            Queues.alter,
            [name, JSON.stringify(Object.keys(columns)), JSON.stringify(columns), by, reason],
            Queues.decode
          ),
          first
        ),
        ({ value }) => value === null ? Effect.void : ready([name])
      )
    },
    holdWorkflows: ({ by = null, held, reason = null, workflows }) =>
      held
        ? ask(Queues.hold, [json(workflows), by, reason], Queues.decodeNames)
        : Effect.map(
          Effect.tap(ask(Queues.unhold, [json(workflows)], Queues.decodeUnheld), ({ queues }) => ready(queues)),
          ({ now, value }) => ({ now, value })
        ),
    heldWorkflows: ask(Queues.held, [], Queues.decodeHeld)
  }
}
