/** `commit`: which statement a batch of commits takes, and what its result means. */
import * as Effect from "effect/Effect"
import type { JournalError } from "perdure/Errors"
import type * as Driver from "perdure/JournalDriver"
import { commit } from "../statements/commit.js"
import { commitOwn, decodeJudgement, judge } from "../statements/commitOwn.js"
import { lost } from "../statements/commitParts.js"
import * as Request from "../statements/commitRequest.js"
import type { RunOrigins } from "./RunOrigins.js"
import type { Session } from "./Session.js"

interface Applied extends Driver.Answer<ReadonlyArray<Driver.CommitResult>> {
  readonly answer: Request.CommitAnswer
}

export const make = ({ hints, query }: Session, origins: RunOrigins): Pick<Driver.JournalDriver, "commit"> => {
  /** Applies a batch, which has at most one commit of each run. */
  const apply = Effect.fnUntraced(function*(
    worker: Driver.WorkerRef,
    commits: ReadonlyArray<Driver.RunCommit>
  ): Effect.fn.Return<Applied, JournalError> {
    const shape = Request.shapeOf(commits, origins)
    const isOwn = Request.isOwn(shape)
    const answer = yield* query(
      isOwn ? commitOwn(shape) : commit(shape),
      Request.encode(shape, worker.id, commits),
      Request.decode,
      "commit"
    )
    const verdicts = Array.from(answer.verdicts)
    const refused = isOwn ? verdicts.flatMap((verdict, position) => verdict === `${lost}` ? [position] : []) : []
    if (refused.length > 0) {
      const reasons = yield* query(judge, [Request.encodeSome(commits, refused)], decodeJudgement, "commit")
      refused.forEach((position, index) => {
        verdicts[position] = reasons[index] ?? `${lost}`
      })
    }
    const value = commits.map((each, position) =>
      Request.committed(each, verdicts[position], answer.letters.get(position))
    )
    origins.settle(commits, value)
    return { now: answer.now, value, answer }
  })

  /** Other processes hear of runs that may be claimed only if one of their workers is idle. */
  const publish = ({ answer: { asleep, hints: found, idle } }: Applied) =>
    hints.publish([...found, ...asleep], idle ? found : found.filter((hint) => hint._tag !== "Ready"))

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
