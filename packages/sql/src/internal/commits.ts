/**
 * The driver's `commit`: which statement a batch takes, and what its answer means.
 */
import * as Effect from "effect/Effect"
import type { JournalError } from "perdure/Errors"
import type * as Driver from "perdure/JournalDriver"
import type * as Row from "./Row.js"
import { commit } from "../statements/commit.js"
import { commitOwn, decodeJudgement, judge } from "../statements/commitOwn.js"
import { lost } from "../statements/commitParts.js"
import * as Request from "../statements/commitRequest.js"
import type { Verb } from "../Verb.js"

/** So many ids at most; then all are forgotten. */
const most = 100_000

/**
 * Runs that this process has claimed and that have no parent. That never changes, so nothing depends on an id being in
 * here; it spares looking for parents when the run ends.
 */
export class Parentless {
  readonly ids = new Set<string>()

  note(runs: Iterable<{ readonly id: string; readonly parent: Driver.ParentLink | null }>): void {
    if (this.ids.size > most) this.ids.clear()
    for (const { id, parent } of runs) if (parent === null) this.ids.add(id)
  }

  /** A run that this process does not hold any more is of no interest. */
  settle(commits: ReadonlyArray<Driver.RunCommit>, answers: ReadonlyArray<Driver.Committed>): void {
    commits.forEach(({ run, transition }, index) => {
      const tag = answers[index]?._tag
      if (tag === "Lost" || (tag === "Applied" && transition !== null && transition._tag !== "Continue")) {
        this.ids.delete(run)
      }
    })
  }
}

/** Send one statement, and read its rows. */
export type Ask = <A>(
  verb: Verb,
  parameters: ReadonlyArray<unknown>,
  decode: (rows: ReadonlyArray<Row.Fields>) => A,
  operation?: string
) => Effect.Effect<A, JournalError>

export interface Applied extends Driver.Answer<ReadonlyArray<Driver.Committed>> {
  readonly hints: ReadonlyArray<Driver.Hint>
  readonly asleep: ReadonlyArray<Driver.Hint>
  readonly idle: boolean
}

/** Apply commits, no two of one run. */
export const applyBatch = Effect.fnUntraced(function*(
  ask: Ask,
  parentless: Parentless,
  worker: Driver.WorkerRef,
  commits: ReadonlyArray<Driver.RunCommit>
): Effect.fn.Return<Applied, JournalError> {
  const shape = Request.shapeOf(commits, parentless.ids)
  const own = Request.isOwn(shape)
  const answer = yield* ask(
    own ? commitOwn(shape) : commit(shape),
    Request.encode(shape, worker.id, commits),
    Request.decode,
    "commit"
  )
  const verdicts = Array.from(answer.verdicts)
  if (own) {
    const failed = verdicts.flatMap((verdict, position) => verdict === `${lost}` ? [position] : [])
    if (failed.length > 0) {
      const why = yield* ask(judge, [Request.encodeSome(commits, failed)], decodeJudgement, "commit")
      failed.forEach((position, index) => {
        verdicts[position] = why[index] ?? `${lost}`
      })
    }
  }
  const value = commits.map((each, position) =>
    Request.committed(each, verdicts[position], answer.letters.get(position))
  )
  parentless.settle(commits, value)
  const { asleep, hints, idle, now } = answer
  return { now, value, hints, asleep, idle }
})
