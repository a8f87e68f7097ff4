/**
 * `claim`: one statement takes the runs, a second one reads the journals and inboxes that the worker lacks. The second
 * has a younger snapshot, so it sees all that was written before the claim.
 */
import * as Effect from "effect/Effect"
import type { JournalError } from "perdure/Errors"
import type * as Driver from "perdure/JournalDriver"
import * as Claim from "../statements/claim/claim.js"
import * as Contents from "../statements/claim/claimContents.js"
import { claimLimited } from "../statements/claim/claimLimited.js"
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

  const takeBy = (verb: Verb, request: Request) => query(verb, Claim.encode(request), Claim.decode, "claim")

  const take = Effect.fnUntraced(function*(request: Request): Effect.fn.Return<Claim.ClaimRows, JournalError> {
    const { queues } = request
    const first = limitedSets.has(queues) ? null : yield* takeBy(Claim.claim, request)
    const claimed = first !== null && !first.limited ? first : yield* takeBy(claimLimited, request)
    limitedSets.set(queues, claimed.limited)
    return claimed
  })

  /**
   * The journals and inboxes of the claimed runs that the worker lacks, by run. `hot` has the worker's hot machines.
   */
  const read = (rows: ReadonlyArray<Claim.ClaimRow>, hot: Request["hot"]) => {
    const wanted = rows.flatMap(({ firstSeq, run, stale, unread }) => {
      const journal = run.nextSeq > firstSeq && hot.get(run.id) !== run.nextSeq
      return journal || stale || unread > 0 ? [{ run: run.id, journal }] : []
    })
    return wanted.length === 0
      ? Effect.succeed(new Map<string, Contents.ClaimContents>())
      : Effect.map(
        query(Contents.claimContents, [Contents.encode(wanted)], Contents.decode, "claim"),
        (found) => new Map(found.map((each) => [each.id, each]))
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
        const contents = yield* read(claimed.rows, request.hot)
        origins.add(claimed.rows.map(({ run }) => run))
        return {
          now: claimed.now,
          value: {
            runs: claimed.rows.map(({ run }): Driver.ClaimedRun => {
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
