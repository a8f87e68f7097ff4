/** Controls of runs from outside: `pause`, `resume`, `terminate`, `expire`, `fork`, and the record of them. */
import * as Effect from "effect/Effect"
import { JournalError } from "perdure/Errors"
import type * as Driver from "perdure/JournalDriver"
import * as Controls from "../statements/control/controls.js"
import * as Expire from "../statements/control/expire.js"
import { decodeControlled } from "../statements/control/family.js"
import * as Fork from "../statements/control/fork.js"
import { pause } from "../statements/control/pause.js"
import { resume } from "../statements/control/resume.js"
import { terminate } from "../statements/control/terminate.js"
import type { Verb } from "../Verb.js"
import type { Session } from "./Session.js"

/** Attempts to fork a run that commits at the same time. */
const MAX_FORK_ATTEMPTS = 20

export const make = ({ hints, query }: Session): Driver.ControlVerbs => {
  /** Repeats a statement until it changes nothing, so that descendants started meanwhile are not missed. */
  const untilDone = Effect.fnUntraced(function*(
    verb: Verb,
    { by, reason, runs }: Driver.ControlRequest
  ) {
    const parameters = [JSON.stringify([...new Set(runs)]), by, reason]
    const first = yield* query(verb, parameters, decodeControlled)
    const found = [...first.hints]
    let last = first
    while (last.all > 0) {
      last = yield* query(verb, parameters, decodeControlled)
      found.push(...last.hints)
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
    pause: (request) => untilDone(pause, request),
    resume: (request) => untilDone(resume, request),
    terminate: (request) => untilDone(terminate, request),
    expire: ({ limit }) =>
      Effect.map(
        Effect.tap(query(Expire.expire, [limit], Expire.decode), (answer) => hints.publish(answer.hints)),
        ({ now, value }) => ({ now, value })
      ),
    fork,
    controls: (run) => query(Controls.controls, [run], Controls.decode)
  }
}
