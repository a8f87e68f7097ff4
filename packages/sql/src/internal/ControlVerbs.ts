/** Controlling runs from outside, by statements. */
import * as Effect from "effect/Effect"
import { JournalError } from "perdure/Errors"
import type * as Driver from "perdure/JournalDriver"
import * as Control from "../statements/control.js"
import * as Deliver from "../statements/deliver.js"
import * as Expire from "../statements/expire.js"
import * as Fork from "../statements/fork.js"
import * as Terminate from "../statements/terminate.js"
import type { Verb } from "../Verb.js"
import * as Row from "./Row.js"
import type { Tools } from "./Tools.js"

/** How often a fork is tried again whose source moves on. */
const attempts = 20

/** What there is to tell after a statement that has ended or woken runs. */
export const ended = (row: Row.Fields): ReadonlyArray<Driver.Hint> => [
  ...Deliver.hints(row),
  ...Row.texts(row, "changed").map((id): Driver.Hint => ({ _tag: "Changed", run: id }))
]

export const make = ({ ask, tellAll }: Tools): Driver.JournalControl => {
  /** Again until nobody is left to change, so that descendants born meanwhile are not missed. */
  const throughout = (
    verb: Verb,
    decode: (rows: ReadonlyArray<Row.Fields>) => Control.Controlled,
    { by, reason, runs }: Driver.ControlRequest,
    ...more: ReadonlyArray<string>
  ) =>
    Effect.gen(function*() {
      const parameters = [JSON.stringify([...new Set(runs)]), by, reason, ...more]
      const first = yield* ask(verb, parameters, decode)
      const hints = [...ended(first.row)]
      let last = first
      while (last.all > 0) {
        last = yield* ask(verb, parameters, decode)
        hints.push(...ended(last.row))
      }
      yield* tellAll(hints)
      return { now: last.now, value: first.named }
    })

  return {
    pause: (request) => throughout(Control.pause, Control.decode, request),
    resume: (request) => throughout(Control.resume, Control.decode, request),
    terminate: (request) =>
      throughout(
        Terminate.terminate,
        Terminate.decode,
        request,
        JSON.stringify({ by: request.by, reason: request.reason })
      ),
    expire: ({ limit }) =>
      Effect.map(
        Effect.tap(ask(Expire.expire, [limit], Expire.decode), ({ row }) => tellAll(ended(row))),
        ({ now, value }) => ({ now, value })
      ),
    fork: ({ action, by, id, priority, queue, reason, seq, source }) =>
      Effect.gen(function*() {
        for (let attempt = 0; attempt < attempts; attempt++) {
          const parameters = [source, seq, id, queue, priority, action, by, reason]
          const { now, queue: ready, value } = yield* ask(Fork.fork, parameters, Fork.decode)
          if (value === null) continue
          if (ready !== null) yield* tellAll([{ _tag: "Ready", queue: ready }])
          return { now, value }
        }
        return yield* new JournalError({
          code: "Conflict",
          operation: "fork",
          detail: `run ${source} moves on all the time`,
          retryable: true
        })
      }),
    controls: (run) => ask(Control.controls, [run], Control.decodeControls)
  }
}
