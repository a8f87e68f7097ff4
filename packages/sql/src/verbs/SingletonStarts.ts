/**
 * `enqueue` for starts with a singleton key: for each key, one run is live. A few statements in one transaction, which
 * locks the keys. Starts without such a key do not come here.
 */
import * as Effect from "effect/Effect"
import { JournalError } from "perdure/Errors"
import type * as Driver from "perdure/JournalDriver"
import * as Acquire from "../statements/enqueue/singletonAcquire.js"
import { singletonRelease } from "../statements/enqueue/singletonRelease.js"
import type { SingletonStart } from "../statements/enqueue/singletons.js"
import { encodeKeys, singletonKey } from "../statements/enqueue/singletons.js"
import * as Settle from "../statements/enqueue/singletonSettle.js"
import { rounds } from "./rounds.js"
import type { Session } from "./Session.js"

type Results = Driver.Answer<ReadonlyArray<Driver.EnqueueResult>>

type Insert = (runs: ReadonlyArray<Driver.NewRun>) => Effect.Effect<Results, JournalError>

/** Attempts to settle a start whose key belongs to a run that other transactions change at the same time. */
const MAX_ATTEMPTS = 5

export const hasSingleton = (run: Driver.NewRun): boolean => run.singleton !== null

const singleOf = (run: Driver.NewRun): ReadonlyArray<SingletonStart> =>
  run.singleton === null ? [] : [{ run, singleton: run.singleton }]

/**
 * A debounced run with the instant at which its quiet interval ends, if that is later than what its start asked for.
 */
const debounced = (run: Driver.NewRun, now: Driver.Millis): Driver.NewRun => {
  const debounce = run.singleton?.debounce ?? null
  if (debounce === null) return run
  const { maxWaitMillis, quietMillis } = debounce
  return { ...run, availableAt: Math.max(run.availableAt ?? 0, now + Math.min(quietMillis, maxWaitMillis ?? Infinity)) }
}

/** What happens to each start whose key another run has. */
const makeSettle = (query: Session["query"]) =>
  Effect.fnUntraced(function*(
    contenders: ReadonlyArray<Settle.Contender>
  ): Effect.fn.Return<ReadonlyMap<string, Settle.Verdict>, JournalError> {
    const settled = new Map<string, Settle.Verdict>()
    let open = contenders
    for (let attempt = 0; attempt < MAX_ATTEMPTS && open.length > 0; attempt++) {
      const sent = open
      const verdicts = yield* query(
        Settle.singletonSettle,
        [Settle.encode(sent)],
        Settle.decode,
        "enqueue"
      )
      open = sent.filter(({ run }, index) => {
        const verdict = verdicts.get(index) ?? "again"
        settled.set(run.id, verdict)
        return verdict === "again"
      })
    }
    if (open.length === 0) return settled
    return yield* new JournalError({
      code: "Conflict",
      operation: "enqueue",
      detail: `other transactions changed the run with the singleton key during each of ${MAX_ATTEMPTS} attempts`,
      retryable: true
    })
  })

/** Starts runs of which no two have the same id or key. Must be called inside a transaction. */
const makeRound = ({ hints, query }: Session, insert: Insert) => {
  const settle = makeSettle(query)
  return Effect.fnUntraced(function*(
    runs: ReadonlyArray<Driver.NewRun>
  ): Effect.fn.Return<Results, JournalError> {
    const singles = runs.flatMap(singleOf)
    const { holders, now } = singles.length === 0
      ? { holders: new Map<string, string>(), now: 0 }
      : yield* query(Acquire.singletonAcquire, [encodeKeys(singles)], Acquire.decode, "enqueue")
    const contenders = singles.flatMap((single) => {
      const holder = holders.get(singletonKey(single.run.workflow, single.singleton.key))
      return holder === undefined || holder === single.run.id ? [] : [{ ...single, holder }]
    })
    const verdicts = yield* settle(contenders)
    const joined = new Map(
      contenders.flatMap(({ holder, run }) => verdicts.get(run.id) === "joined" ? [[run.id, holder] as const] : [])
    )
    const starting = runs.filter(({ id }) => !joined.has(id)).map((run) => debounced(run, now))
    const answer = starting.length === 0 ? { now, value: [] } : yield* insert(starting)
    const started = new Map(starting.map(({ id }, index) => [id, answer.value[index]]))
    // Starts that turned out to be repeated ones, by their idempotency keys.
    const repeated = singles.filter(({ run }) => {
      const enqueued = started.get(run.id)
      return enqueued?._tag === "Existing" && enqueued.id !== run.id
    })
    if (repeated.length > 0) {
      yield* query(singletonRelease, [encodeKeys(repeated)], () => undefined, "enqueue")
    }
    yield* hints.publish(
      contenders.flatMap(({ run, singleton }) =>
        joined.has(run.id) && singleton.debounce !== null ? [{ _tag: "Ready", queue: run.queue }] : []
      )
    )
    return {
      now: answer.now,
      value: runs.flatMap(({ id }) => {
        const holder = joined.get(id)
        return holder === undefined ? started.get(id) ?? [] : [{ _tag: "Joined", id: holder } as const]
      })
    }
  })
}

/** Must be called inside a transaction. */
export const make = (session: Session, insert: Insert) => {
  const startRound = makeRound(session, insert)
  return (runs: ReadonlyArray<Driver.NewRun>): Effect.Effect<Results, JournalError> =>
    Effect.gen(function*() {
      const results = new Map<number, Driver.EnqueueResult>()
      let now: Driver.Millis = 0
      for (const indexes of rounds(runs)) {
        const answer = yield* startRound(indexes.flatMap((index) => runs[index] ?? []))
        now = answer.now
        answer.value.forEach((enqueued, position) => results.set(indexes[position] ?? 0, enqueued))
      }
      return { now, value: runs.flatMap((_, index) => results.get(index) ?? []) }
    })
}
