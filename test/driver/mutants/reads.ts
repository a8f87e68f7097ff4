/** Mutants of the verbs that read runs, and of rule 7. */
import * as Effect from "effect/Effect"
import type { CommitResult } from "perdure/JournalDriver"
import { changeCommits, changeMessages, changeRuns, mapValue, type Mutant, mutant, rewriteJson } from "./Mutant.js"

export const readMutants: ReadonlyArray<Mutant> = [
  mutant("reading", "a search by any idempotency key finds the same run", (driver) => ({
    find: ({ filter, ...request }) => driver.find({ ...request, filter: { ...filter, idempotencyKey: "key" } })
  })),
  mutant("reading", "the limit of a history page is ignored", (driver) => ({
    history: (request) => driver.history({ ...request, limit: Infinity })
  })),
  mutant("reading", "every history page starts at the first entry", (driver) => ({
    history: (request) => driver.history({ ...request, from: 0 })
  })),
  mutant("reading", "published values always have version 1", (driver) => ({
    published: (run) => mapValue(driver.published(run), (all) => all.map((each) => ({ ...each, version: 1 })))
  })),
  mutant("reading", "the answer of a resume has no time", (driver) => ({
    resume: (runs) => Effect.map(driver.resume(runs), ({ value }) => ({ now: 0, value }))
  })),
  mutant("repeats", "a repeated commit is lost", (driver) => {
    const sent = new Set<string>()
    return {
      commit: (request) =>
        mapValue(driver.commit(request), (results) =>
          results.map((answer, index) => {
            const key = JSON.stringify(request.commits[index])
            const again = sent.has(key)
            sent.add(key)
            return again ? { _tag: "Lost" as const } : answer
          }))
    }
  }),
  mutant("repeats", "any commit at the place of an applied one is taken for its repetition", (driver) => {
    const applied = new Map<string, CommitResult>()
    return {
      commit: (request) =>
        mapValue(driver.commit(request), (results) =>
          results.map((answer, index) => {
            const commit = request.commits[index]
            const key = `${commit?.run} ${commit?.epoch} ${commit?.from}`
            const before = applied.get(key)
            applied.set(key, answer)
            return before ?? answer
          }))
    }
  }),
  mutant(
    "values",
    "payloads of runs are parsed and written again",
    changeRuns((run) => ({ ...run, payload: rewriteJson(run.payload) }))
  ),
  mutant(
    "values",
    "payloads of messages are parsed and written again",
    changeMessages((message) => "payload" in message ? { ...message, payload: rewriteJson(message.payload) } : message)
  ),
  mutant(
    "values",
    "a void exit is stored as null",
    changeCommits((commit) => ({
      ...commit,
      entries: commit.entries.map((entry) => ({ ...entry, exit: { ...entry.exit, value: entry.exit.value ?? "null" } }))
    }))
  )
]
