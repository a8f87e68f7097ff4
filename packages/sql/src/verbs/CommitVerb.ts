/** `commit`: which statement a batch of commits takes, and what its result means. */
import * as Effect from "effect/Effect"
import type { JournalError } from "perdure/Errors"
import type * as Driver from "perdure/JournalDriver"
import { commit } from "../statements/commit/commit.js"
import { commitOwn } from "../statements/commit/commitOwn.js"
import * as Verdicts from "../statements/commit/commitVerdicts.js"
import * as Request from "../statements/commit/request.js"
import * as Result from "../statements/commit/result.js"
import { isOwn, LOCKED, LOST, type Shape, shapeOf, UNSEEN } from "../statements/commit/shape.js"
import type { RunOrigins } from "./RunOrigins.js"
import type { Session } from "./Session.js"

interface BatchAnswer extends Driver.Answer<ReadonlyArray<Driver.CommitResult>> {
  readonly answer: Result.CommitAnswer
}

export const make = (
  { hints, inTransaction, query }: Session,
  origins: RunOrigins
): Pick<Driver.JournalDriver, "commit"> => {
  /** Applies a batch, which has at most one commit of each run. */
  const apply = Effect.fnUntraced(function*(
    worker: Driver.WorkerRef,
    commits: ReadonlyArray<Driver.RunCommit>
  ): Effect.fn.Return<BatchAnswer, JournalError> {
    const isInside = yield* inTransaction
    const shape: Shape = { ...shapeOf(commits, origins), ...(isInside ? { locked: "wait" } : {}) }
    const send = (shape: Shape) =>
      query(
        isOwn(shape) ? commitOwn(shape) : commit(shape),
        Request.encode(shape, worker.id, commits),
        Result.decode,
        "commit"
      )
    let skips = false
    const answer = yield* Effect.catchIf(send(shape), (error) => !isInside && error.code === "Conflict", () => {
      // Another transaction keeps a row locked: continue without the commits that touch it.
      skips = true
      return send({ ...shape, locked: "skip" })
    })
    const verdicts = Array.from(answer.verdicts)
    // Both leave out rows without saying why.
    const unexplained = skips ? LOCKED : isOwn(shape) ? LOST : undefined
    const refused = verdicts.flatMap((verdict, position) => verdict === unexplained ? [position] : [])
    if (refused.length > 0) {
      const headers = Request.encodeHeaders(commits, refused)
      const reasons = yield* query(Verdicts.commitVerdicts, [headers], Verdicts.decode, "commit")
      refused.forEach((position, index) => {
        const reason = reasons[index] ?? LOST
        verdicts[position] = skips && reason === UNSEEN ? LOCKED : reason
      })
    }
    const { letters, news } = answer
    const value = commits.map((each, position) =>
      Result.resultOf(each, verdicts[position], letters.get(position), news.get(position) ?? null)
    )
    origins.settle(commits, value)
    return { now: answer.now, value, answer }
  })

  /** Other processes hear of runs that may be claimed only if one of their workers is idle. */
  const publish = ({ answer: { hints: found, idle, localHints } }: BatchAnswer) =>
    hints.publish([...found, ...localHints], idle ? found : found.filter((hint) => hint._tag !== "Ready"))

  return {
    commit: ({ commits, worker }) =>
      Effect.map(
        Effect.forEach(Request.batches(commits), (batch) => Effect.tap(apply(worker, batch), publish)),
        (answers) => ({
          now: answers.at(-1)?.now ?? 0,
          value: answers.flatMap(({ value }) => value)
        })
      )
  }
}
