/**
 * `enqueue` for starts of which one is live for a key: a few statements in one transaction, in which the keys are locked.
 * Starts without such a key do not come here.
 */
import * as Effect from "effect/Effect"
import { JournalError } from "perdure/Errors"
import type * as Driver from "perdure/JournalDriver"
import { rounds } from "../statements/enqueue.js"
import * as Statements from "../statements/singletons.js"
import type { Tools } from "./Tools.js"

type Enqueue = (
  runs: ReadonlyArray<Driver.NewRun>
) => Effect.Effect<Driver.Answer<ReadonlyArray<Driver.Enqueued>>, JournalError>

/** How often a run that changes while it is looked at is looked at again. */
const attempts = 5

export const isSingle = (run: Driver.NewRun): boolean => run.singleton !== null

const singleOf = (run: Driver.NewRun): ReadonlyArray<Statements.Single> =>
  run.singleton === null ? [] : [{ run, singleton: run.singleton }]

/** As late as its start asks for, and no earlier than when it has been quiet. */
const quieted = (run: Driver.NewRun, now: Driver.Millis): Driver.NewRun => {
  const debounce = run.singleton?.debounce ?? null
  if (debounce === null) return run
  const { most, quiet } = debounce
  return { ...run, availableAt: Math.max(run.availableAt ?? 0, now + Math.min(quiet, most ?? Infinity)) }
}

export const make = ({ ask, tellAll }: Pick<Tools, "ask" | "tellAll">, enqueue: Enqueue) => {
  /** What is to become of the starts whose keys others have. */
  const settle = Effect.fnUntraced(function*(
    others: ReadonlyArray<Statements.Single & { readonly holder: string }>
  ): Effect.fn.Return<ReadonlyMap<string, Statements.Verdict>, JournalError> {
    const settled = new Map<string, Statements.Verdict>()
    let open = others
    for (let attempt = 0; attempt < attempts && open.length > 0; attempt++) {
      const asked = open
      const verdicts = yield* ask(
        Statements.settle,
        [Statements.encodeHeld(asked)],
        Statements.decodeVerdicts,
        "enqueue"
      )
      open = asked.filter(({ run }, index) => {
        const verdict = verdicts.get(index) ?? "again"
        settled.set(run.id, verdict)
        return verdict === "again"
      })
    }
    if (open.length === 0) return settled
    return yield* new JournalError({
      code: "Conflict",
      operation: "enqueue",
      detail: "others change the run that is to be replaced again and again",
      retryable: true
    })
  })

  /** Starts of which no two have the same id or key. */
  const round = Effect.fnUntraced(function*(
    runs: ReadonlyArray<Driver.NewRun>
  ): Effect.fn.Return<Driver.Answer<ReadonlyArray<Driver.Enqueued>>, JournalError> {
    const singles = runs.flatMap(singleOf)
    const { holders, now } = singles.length === 0
      ? { holders: new Map<string, string>(), now: 0 }
      : yield* ask(Statements.hold, [Statements.encodeKeys(singles)], Statements.decodeHeld, "enqueue")
    const others = singles.flatMap((single) => {
      const holder = holders.get(Statements.keyOf(single.run.workflow, single.singleton.key))
      return holder === undefined || holder === single.run.id ? [] : [{ ...single, holder }]
    })
    const verdicts = yield* settle(others)
    const joined = new Map(
      others.flatMap(({ holder, run }) => verdicts.get(run.id) === "joined" ? [[run.id, holder] as const] : [])
    )
    const starting = runs.filter(({ id }) => !joined.has(id)).map((run) => quieted(run, now))
    const answer = starting.length === 0 ? { now, value: [] } : yield* enqueue(starting)
    const started = new Map(starting.map(({ id }, index) => [id, answer.value[index]]))
    const vain = singles.filter(({ run }) => {
      const enqueued = started.get(run.id)
      return enqueued?._tag === "Existing" && enqueued.id !== run.id
    })
    if (vain.length > 0) {
      yield* ask(Statements.unhold, [Statements.encodeKeys(vain)], () => undefined, "enqueue")
    }
    yield* tellAll(
      others.flatMap(({ run, singleton }) =>
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

  /** To be run inside a transaction. */
  return (runs: ReadonlyArray<Driver.NewRun>) =>
    Effect.gen(function*() {
      const answers = new Map<number, Driver.Enqueued>()
      let now: Driver.Millis = 0
      for (const indexes of rounds(runs)) {
        const answer = yield* round(indexes.flatMap((index) => runs[index] ?? []))
        now = answer.now
        answer.value.forEach((enqueued, position) => answers.set(indexes[position] ?? 0, enqueued))
      }
      return { now, value: runs.flatMap((_, index) => answers.get(index) ?? []) }
    })
}
