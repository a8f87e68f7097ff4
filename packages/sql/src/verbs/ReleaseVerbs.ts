/** Runs that return from their worker: `reconcile`, `retire`, `reap`. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import * as Reap from "../statements/reap.js"
import * as Release from "../statements/release.js"
import type { Verb } from "../Verb.js"
import * as Ended from "./ended.js"
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
      release(Release.reconcile, [worker.id, worker.incarnation, JSON.stringify(held), claimedBefore]),
    retire: (worker) =>
      Effect.tap(
        release(Release.retire, [worker.id, worker.incarnation]),
        () => Effect.sync(() => hints.localWorkers.delete(worker.id))
      ),
    reap: ({ limit, maxCrashes }) =>
      Effect.map(
        Effect.tap(
          query(Reap.reap, [limit, maxCrashes], Reap.decode),
          ({ row }) => hints.publish(Ended.hints(row))
        ),
        ({ now, value }) => ({ now, value })
      )
  }
}
