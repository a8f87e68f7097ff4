/**
 * `claim`: one statement takes the runs, a second one reads the journals and inboxes that the worker lacks. The second
 * has a younger snapshot, so it sees all that was written before the claim.
 */
import * as Effect from "effect/Effect"
import type { JournalError } from "perdure/Errors"
import type * as Driver from "perdure/JournalDriver"
import * as Brought from "../statements/brought.js"
import * as Claim from "../statements/claim.js"
import { claimLimited } from "../statements/claimLimited.js"
import type { Verb } from "../Verb.js"
import { LimitedQueueSets } from "./LimitedQueueSets.js"
import type { RunOrigins } from "./RunOrigins.js"
import type { Session } from "./Session.js"

type Request = Parameters<Driver.JournalDriver["claim"]>[0]

export const make = (
  { hints, query }: Session,
  origins: RunOrigins
): Pick<Driver.JournalDriver, "claim"> => {
  const limitedSets = new LimitedQueueSets()

  const takeBy = (verb: Verb, { limit, queues, worker, workflows }: Request) =>
    query(
      verb,
      [
        Claim.encodeWorkflows(workflows),
        Claim.encodeQueues(queues),
        Math.max(0, limit),
        worker.id,
        worker.incarnation
      ],
      Claim.decode,
      "claim"
    )

  const take = Effect.fnUntraced(function*(request: Request): Effect.fn.Return<Claim.Claimed, JournalError> {
    const { queues } = request
    const first = limitedSets.has(queues) ? null : yield* takeBy(Claim.claim, request)
    const claimed = first !== null && !first.limited ? first : yield* takeBy(claimLimited, request)
    limitedSets.set(queues, claimed.limited)
    return claimed
  })

  /** The journals and inboxes of the claimed runs that the worker lacks, by run. */
  const read = (taken: ReadonlyArray<Claim.Taken>, held: ReadonlyMap<string, number>) => {
    const wanted = taken.flatMap(({ firstSeq, run, stale, unread }) => {
      const journal = run.nextSeq > firstSeq && held.get(run.id) !== run.nextSeq
      return journal || stale || unread > 0 ? [{ run: run.id, journal }] : []
    })
    return wanted.length === 0
      ? Effect.succeed(new Map<string, Brought.Brought>())
      : Effect.map(
        query(Brought.brought, [JSON.stringify(wanted)], Brought.decode, "claim"),
        (rows) => new Map(rows.map((each) => [each.id, each]))
      )
  }

  return {
    claim: (request) =>
      Effect.gen(function*() {
        hints.localWorkers.add(request.worker.id)
        const claimed = yield* take(request)
        // Another process may have looked for an idle worker just before this one became idle: look once more.
        if (claimed.turnedIdle) {
          yield* hints.publishLocally(request.queues.map((queue) => ({ _tag: "Ready", queue })))
        }
        const contents = yield* read(claimed.taken, request.hot)
        origins.add(claimed.taken.map(({ run }) => run))
        return {
          now: claimed.now,
          value: {
            runs: claimed.taken.map(({ run }): Driver.ClaimedRun => {
              const content = contents.get(run.id)
              if (content === undefined) return run
              const { inbox, journal, payload, seen } = content
              return { ...run, payload, seen, journal, inbox }
            }),
            nextDue: claimed.nextDue,
            more: claimed.more,
            limited: claimed.capped
          }
        }
      })
  }
}
