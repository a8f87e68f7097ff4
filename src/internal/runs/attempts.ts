/**
 * The attempts of a run: the run, and its retries. Their ids follow from the first one's (`x`, `x~1`, `x~2` …), and a
 * later attempt has a higher number.
 */
import * as Effect from "effect/Effect"
import type { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import { RETRY_ID } from "../options/forkOptions.js"

/** Ids that are looked up at a time. More attempts in a row than this can have been deleted, and none is missed. */
const PAGE_ATTEMPT_COUNT = 20

const firstOf = (id: string): string => RETRY_ID.exec(id)?.[1] ?? id

/** The id of the attempt after this one. */
export const nextAttemptId = (id: string): string => {
  const match = RETRY_ID.exec(id)
  return match === null ? `${id}~1` : `${match[1]}~${Number(match[2]) + 1}`
}

/** The id of the newest attempt; the given one if it was not retried. */
export const currentAttempt = Effect.fnUntraced(function*(
  journal: JournalService,
  id: string
): Effect.fn.Return<string, JournalError> {
  for (let current = id;;) {
    const ids: Array<string> = []
    while (ids.length < PAGE_ATTEMPT_COUNT) ids.push(nextAttemptId(ids.at(-1) ?? current))
    const records = yield* journal.get(ids)
    // A fork of another run can have such an id, too.
    const attempts = new Set(
      records.flatMap(({ id, source }) => source !== null && firstOf(source.run) === firstOf(id) ? [id] : [])
    )
    const newest = ids.findLast((each) => attempts.has(each))
    if (newest === undefined) return current
    current = newest
  }
})
