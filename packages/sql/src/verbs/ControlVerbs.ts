/** Controls of runs from outside: `pause`, `resume`, `terminate`, `expire`, `fork`, and the record of them. */
import * as Effect from "effect/Effect"
import { JournalError } from "perdure/Errors"
import type * as Driver from "perdure/JournalDriver"
import type * as Row from "../internal/Row.js"
import * as Control from "../statements/control.js"
import * as Expire from "../statements/expire.js"
import * as Fork from "../statements/fork.js"
import * as Terminate from "../statements/terminate.js"
import type { Verb } from "../Verb.js"
import * as Ended from "./ended.js"
import type { Session } from "./Session.js"

/** Attempts to fork a run that commits at the same time. */
const MAX_FORK_ATTEMPTS = 20

export const make = ({ hints, query }: Session): Driver.ControlVerbs => {
  /** Repeats a statement until it changes nothing, so that descendants started meanwhile are not missed. */
  const untilDone = Effect.fnUntraced(function*(
    verb: Verb,
    decode: (rows: ReadonlyArray<Row.Fields>) => Control.Controlled,
    { by, reason, runs }: Driver.ControlRequest,
    ...more: ReadonlyArray<string>
  ) {
    const parameters = [JSON.stringify([...new Set(runs)]), by, reason, ...more]
    const first = yield* query(verb, parameters, decode)
    const found = [...Ended.hints(first.row)]
    let last = first
    while (last.all > 0) {
      last = yield* query(verb, parameters, decode)
      found.push(...Ended.hints(last.row))
    }
    yield* hints.publish(found)
    return { now: last.now, value: first.named }
  })

  const fork = Effect.fnUntraced(function*(
    { action, by, id, priority, queue, reason, seq, source }: Driver.ForkRequest
  ): Effect.fn.Return<Driver.Answer<Driver.ForkResult>, JournalError> {
    for (let attempt = 0; attempt < MAX_FORK_ATTEMPTS; attempt++) {
      const parameters = [source, seq, id, queue, priority, action, by, reason]
      const { now, queue: ready, value } = yield* query(Fork.fork, parameters, Fork.decode)
      if (value === null) continue
      if (ready !== null) yield* hints.publish([{ _tag: "Ready", queue: ready }])
      return { now, value }
    }
    return yield* new JournalError({
      code: "Conflict",
      operation: "fork",
      detail: `run ${source} committed during each of ${MAX_FORK_ATTEMPTS} attempts`,
      retryable: true
    })
  })

  return {
    pause: (request) => untilDone(Control.pause, Control.decode, request),
    resume: (request) => untilDone(Control.resume, Control.decode, request),
    terminate: (request) =>
      untilDone(
        Terminate.terminate,
        Terminate.decode,
        request,
        JSON.stringify({ by: request.by, reason: request.reason })
      ),
    expire: ({ limit }) =>
      Effect.map(
        Effect.tap(query(Expire.expire, [limit], Expire.decode), ({ row }) => hints.publish(Ended.hints(row))),
        ({ now, value }) => ({ now, value })
      ),
    fork,
    controls: (run) => query(Control.controls, [run], Control.decodeControls)
  }
}
