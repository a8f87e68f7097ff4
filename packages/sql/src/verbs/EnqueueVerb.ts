/**
 * `enqueue`: the insert of runs, in as many statements as repeated ids and concurrent inserts take. Starts with a
 * singleton key go through `SingletonStarts.ts` in one transaction.
 */
import * as Effect from "effect/Effect"
import { JournalError } from "perdure/Errors"
import type * as Driver from "perdure/JournalDriver"
import * as Enqueue from "../statements/enqueue/enqueue.js"
import { encodeNewRun } from "../statements/shared/newRuns.js"
import { rounds as roundsOf } from "./rounds.js"
import type { RunOrigins } from "./RunOrigins.js"
import type { Session } from "./Session.js"
import * as Singletons from "./SingletonStarts.js"

/** Attempts to read rows that other transactions insert at the same time. */
const MAX_ATTEMPTS = 5

type Enqueue = Driver.JournalDriver["enqueue"]

interface Claim {
  readonly worker: Driver.WorkerRef
  readonly capacity: number
}

const conflict = () =>
  new JournalError({
    code: "Conflict",
    operation: "enqueue",
    detail: `other transactions inserted the same runs during each of ${MAX_ATTEMPTS} attempts`,
    retryable: true
  })

/** Inserts runs without singleton keys. */
const makeInsert = ({ hints, inTransaction, query }: Session, origins: RunOrigins): Enqueue => {
  const insertOnce = (runs: ReadonlyArray<Driver.NewRun>, claim: Claim | null, isInside: boolean) => {
    const claims = claim !== null && claim.capacity > 0
    const verb = Enqueue.enqueue({ claiming: claims, keyed: runs.some(({ key }) => key !== null) })
    const parameters = [
      JSON.stringify(runs.map((each, i) => encodeNewRun(i, each))),
      ...hints.senderParameters(isInside),
      ...(claims ? [claim.worker.id, claim.worker.incarnation, claim.capacity] : [])
    ]
    return query(verb, parameters, (rows) => Enqueue.decode(rows, runs), "enqueue")
  }

  /** Inserts round by round, and again the runs whose rows the statement could not see. */
  const insert = Effect.fnUntraced(function*(
    all: ReadonlyArray<Driver.NewRun>,
    claim: Claim | null,
    isInside: boolean
  ): Effect.fn.Return<
    { readonly now: Driver.Millis; readonly results: ReadonlyMap<number, Driver.EnqueueResult> },
    JournalError
  > {
    const results = new Map<number, Driver.EnqueueResult>()
    let capacity = claim?.capacity ?? 0
    let now: Driver.Millis = 0
    let rounds: ReadonlyArray<ReadonlyArray<number>> = roundsOf(all)
    for (let attempt = 0; attempt < MAX_ATTEMPTS && rounds.length > 0; attempt++) {
      const unseen: Array<number> = []
      for (const round of rounds) {
        const runs = round.flatMap((index) => all[index] ?? [])
        const answer = yield* insertOnce(runs, claim === null ? null : { ...claim, capacity }, isInside)
        now = answer.now
        for (const [position, enqueued] of answer.value.entries()) {
          const index = round[position] ?? 0
          if (enqueued === null) unseen.push(index)
          else results.set(index, enqueued)
          if (enqueued?._tag === "Started" && enqueued.epoch !== null) capacity--
        }
      }
      rounds = unseen.length === 0 ? [] : [unseen]
    }
    return rounds.length > 0 ? yield* conflict() : { now, results }
  })

  return ({ claim, runs }) =>
    Effect.gen(function*() {
      const isInside = yield* inTransaction
      const claiming = isInside ? null : claim
      if (claiming !== null) hints.localWorkers.add(claiming.worker.id)
      const { now, results } = yield* insert(runs, claiming, isInside)
      const queues = new Set<string>()
      const value = runs.flatMap((run, index) => {
        const result = results.get(index)
        if (result?._tag === "Started") {
          if (result.epoch === null) queues.add(run.queue)
          else origins.add([run])
        }
        return result ?? []
      })
      yield* hints.publishLocally(Array.from(queues, (queue) => ({ _tag: "Ready", queue })))
      return { now, value }
    })
}

export const make = (session: Session, origins: RunOrigins): Pick<Driver.JournalDriver, "enqueue"> => {
  const insert = makeInsert(session, origins)
  const insertSingletons = Singletons.make(session, (runs) => insert({ runs, claim: null }))
  return {
    enqueue: (request) =>
      request.runs.some(Singletons.hasSingleton)
        ? session.ownTransaction(insertSingletons(request.runs))
        : insert(request)
  }
}
