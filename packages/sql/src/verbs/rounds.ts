/** How starts that repeat each other are cut into requests. */
import type * as Driver from "perdure/JournalDriver"

/**
 * The indexes of runs in rounds. No round has an id, an idempotency key or a singleton key twice, and a repetition is
 * in a later round. Almost always there is one round.
 */
export const rounds = (runs: ReadonlyArray<Driver.NewRun>): ReadonlyArray<ReadonlyArray<number>> => {
  const result: Array<Array<number>> = [[]]
  const next = new Map<string, number>()
  runs.forEach(({ id, idempotencyKey, singleton, workflow }, index) => {
    const names = [
      id,
      ...(idempotencyKey === null ? [] : [JSON.stringify([workflow, idempotencyKey])]),
      ...(singleton === null ? [] : [JSON.stringify([workflow, singleton.key, "singleton"])])
    ]
    const round = Math.max(...names.map((name) => next.get(name) ?? 0))
    for (const name of names) next.set(name, round + 1)
    const found = result[round]
    if (found === undefined) result.push([index])
    else found.push(index)
  })
  return result
}
