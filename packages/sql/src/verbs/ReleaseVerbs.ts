/** Runs that return from their worker: `reconcile`, `retire`, `reap`. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import * as Reap from "../statements/release/reap.js"
import { reconcile } from "../statements/release/reconcile.js"
import * as Release from "../statements/release/release.js"
import { retire } from "../statements/release/retire.js"
import type { Verb } from "../Verb.js"
import type { Session } from "./Session.js"

export const make = (
  { hints, query }: Session
): Pick<Driver.JournalDriver, "reconcile" | "retire" | "reap"> => {
  const release = (verb: Verb, parameters: ReadonlyArray<unknown>) =>
    Effect.map(
      Effect.tap(
        query(verb, parameters, Release.decode),
        ({ queues }) => hints.publish(queues.map((queue) => ({ _tag: "Ready", queue })))
      ),
      ({ now, released }) => ({ now, value: { released } })
    )
  return {
    reconcile: ({ claimedBefore, held, worker }) =>
      release(reconcile, [worker.id, worker.incarnation, JSON.stringify(held), claimedBefore]),
    retire: (worker) =>
      Effect.tap(
        release(retire, [worker.id, worker.incarnation]),
        () => Effect.sync(() => hints.localWorkers.delete(worker.id))
      ),
    reap: ({ limit, maxCrashes }) =>
      Effect.map(
        Effect.tap(
          query(Reap.reap, [limit, maxCrashes], Reap.decode),
          (answer) => hints.publish(answer.hints)
        ),
        ({ now, value }) => ({ now, value })
      )
  }
}
