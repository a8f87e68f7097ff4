/**
 * `claim`: one statement takes the runs, a second one reads the journals and inboxes that the worker lacks. The second
 * has a younger snapshot, so it sees all that was written before the claim. It is repeated for what exceeds its bound.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { JournalError } from "perdure/Errors"
import * as Driver from "perdure/JournalDriver"
import * as Claim from "../statements/claim/claim.js"
import * as Contents from "../statements/claim/claimContents.js"
import { claimLimited } from "../statements/claim/claimLimited.js"
import type { Verb } from "../Verb.js"
import { LimitedQueueSets } from "./LimitedQueueSets.js"
import type { RunOrigins } from "./RunOrigins.js"
import type { Session } from "./Session.js"

type Request = Parameters<Driver.JournalDriver["claim"]>[0]

/** What is read of a run, and the `seq` of the entry after its last one. */
interface Wanted extends Contents.ClaimContentsRequest {
  readonly nextSeq: number
}

type Content = Either.Either<Contents.ClaimContents, string>

/** No message has a higher ordinal. */
const MAX_ORDINAL = 2_147_483_647

/** The contents so far with the next part. */
const merged = (before: Content | undefined, next: Content): Content => {
  if (before === undefined || Either.isLeft(before) || Either.isLeft(next)) return next
  const { inbox, journal, ...last } = next.right
  return Either.right({
    ...last,
    journal: [...before.right.journal, ...journal],
    inbox: [...before.right.inbox, ...inbox]
  })
}

/** What is still to be read after a part. */
const rest = (request: Wanted, { inbox, journal }: Contents.ClaimContents, bytes: number): ReadonlyArray<Wanted> => {
  const from = (journal.at(-1)?.seq ?? request.nextSeq) + 1
  const hasMore = request.journal && from < request.nextSeq
  const after = Driver.mayLackMessages(inbox, bytes) ? inbox.at(-1)?.ordinal ?? MAX_ORDINAL : MAX_ORDINAL
  return hasMore || after < MAX_ORDINAL ? [{ ...request, journal: hasMore, from, after }] : []
}

const unreadableRuns = (
  rows: ReadonlyArray<Claim.ClaimRow>,
  contents: ReadonlyMap<string, Content>
): ReadonlyArray<Driver.UnreadableRun> =>
  rows.flatMap(({ run: { epoch, id, nextSeq } }) => {
    const content = contents.get(id)
    return content !== undefined && Either.isLeft(content) ? [{ id, epoch, nextSeq, detail: content.left }] : []
  })

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
   * The journals and inboxes of the claimed runs that the worker lacks, by run: a part of each with every statement.
   * `hot` has the worker's hot machines.
   */
  const read = Effect.fnUntraced(function*(
    rows: ReadonlyArray<Claim.ClaimRow>,
    hot: Request["hot"]
  ): Effect.fn.Return<ReadonlyMap<string, Content>, JournalError> {
    const contents = new Map<string, Content>()
    let wanted = rows.flatMap(({ firstSeq, run, stale, unread }): ReadonlyArray<Wanted> => {
      const journal = run.nextSeq > firstSeq && hot.get(run.id) !== run.nextSeq
      return journal || stale || unread > 0
        ? [{ run: run.id, journal, from: firstSeq, after: 0, nextSeq: run.nextSeq }]
        : []
    })
    while (wanted.length > 0) {
      const bytes = Math.ceil(Driver.AnswerBounds.bytes / wanted.length)
      const found = yield* query(Contents.claimContents, [Contents.encode(wanted, bytes)], Contents.decode, "claim")
      wanted = wanted.flatMap((request) => {
        const part = found.get(request.run)
        if (part === undefined) return []
        contents.set(request.run, merged(contents.get(request.run), part))
        return Either.isLeft(part) ? [] : rest(request, part.right, bytes)
      })
    }
    return contents
  })

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
        const unreadable = [...claimed.unreadable, ...unreadableRuns(claimed.rows, contents)]
        return {
          now: claimed.now,
          value: {
            runs: claimed.rows.flatMap(({ run }): ReadonlyArray<Driver.ClaimedRun> => {
              const content = contents.get(run.id)
              if (content === undefined) return [run]
              if (Either.isLeft(content)) return []
              const { inbox, journal, payload, seen } = content.right
              return [{ ...run, payload, seen, journal, inbox }]
            }),
            nextDue: claimed.nextDue,
            more: claimed.more,
            limited: claimed.capped,
            ...(unreadable.length === 0 ? {} : { unreadable })
          }
        }
      })
  }
}
