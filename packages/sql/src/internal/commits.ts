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

/** What storage says of a run that never changes. */
type Origin = Pick<Driver.NewRun, "id" | "parent" | "key">

/**
 * Runs that this process has claimed and that have no parent, or no key. That never changes, so nothing depends on an id
 * being in here; it spares looking for parents and keys when the run ends.
 */
export class Plain implements Request.Without {
  readonly parent = new Set<string>()
  readonly key = new Set<string>()

  note(runs: Iterable<Origin>): void {
    for (const ids of [this.parent, this.key]) if (ids.size > most) ids.clear()
    for (const { id, key, parent } of runs) {
      if (parent === null) this.parent.add(id)
      if (key === null) this.key.add(id)
    }
  }

  /** A run that this process does not hold any more is of no interest. */
  settle(commits: ReadonlyArray<Driver.RunCommit>, answers: ReadonlyArray<Driver.Committed>): void {
    commits.forEach(({ run, transition }, index) => {
      const tag = answers[index]?._tag
      if (tag === "Lost" || (tag === "Applied" && transition !== null && transition._tag !== "Continue")) {
        this.parent.delete(run)
        this.key.delete(run)
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
  plain: Plain,
  worker: Driver.WorkerRef,
  commits: ReadonlyArray<Driver.RunCommit>
): Effect.fn.Return<Applied, JournalError> {
  const shape = Request.shapeOf(commits, plain)
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
  plain.settle(commits, value)
  const { asleep, hints, idle, now } = answer
  return { now, value, hints, asleep, idle }
})
