/** Mutants of the verbs that read runs, and of rule 7. */
import * as Effect from "effect/Effect"
import { type CommitResult, mayLackMessages, type RunCursor, type RunRecord } from "perdure/JournalDriver"
import { changeCommits, changeMessages, changeRuns, mapValue, type Mutant, mutant, rewriteJson } from "./Mutant.js"

const standing = ({ detail, endCause, exit, finishedAt, id, status }: RunRecord) => ({
  id,
  status,
  finishedAt,
  exit,
  endCause,
  detail
})

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
  mutant("reading", "a history page has no bound of bytes", (driver) => ({
    history: ({ from, limit, run }) => {
      const rest = (next: number): ReturnType<typeof driver.history> =>
        Effect.flatMap(driver.history({ run, from: next, limit }), (page) => {
          const last = page.value.at(-1)
          return last === undefined || page.value.length >= limit
            ? Effect.succeed(page)
            : mapValue(rest(last.seq + 1), (more) => [...page.value, ...more].slice(0, limit))
        })
      return rest(from)
    }
  })),
  mutant("reading", "an answer of await has no bound of bytes", (driver) => ({
    await: (runs) => Effect.flatMap(driver.await(runs), () => mapValue(driver.get(runs), (all) => all.map(standing)))
  })),
  mutant("messages", "an answer with inboxes has no bound of bytes", (driver) => ({
    inbox: (requests) => {
      const rest = (all: typeof requests): ReturnType<typeof driver.inbox> =>
        Effect.flatMap(driver.inbox(all), (page) =>
          mayLackMessages(page.value.flatMap(({ messages }) => messages))
            ? mapValue(rest(page.value.map(({ run, seen }) => ({ run, after: seen }))), (more) =>
              more.map((inbox, index) => ({
                ...inbox,
                messages: [...page.value[index]?.messages ?? [], ...inbox.messages]
              })))
            : Effect.succeed(page))
      return rest(requests)
    }
  })),
  mutant("search", "a page of found runs has no bound of bytes", (driver) => ({
    find: (request) => {
      const rest = (after: RunCursor | null): ReturnType<typeof driver.find> =>
        Effect.flatMap(
          driver.find({ ...request, after }),
          (page) =>
            page.value.next === null || page.value.runs.length >= request.limit
              ? Effect.succeed(page)
              : mapValue(rest(page.value.next), ({ next, runs }) => ({ next, runs: [...page.value.runs, ...runs] }))
        )
      return rest(request.after)
    }
  })),
  mutant("claim", "a claimed run lacks what exceeds the bound of an answer", (driver) => ({
    claim: (request) =>
      mapValue(driver.claim(request), (claimed) => ({
        ...claimed,
        runs: claimed.runs.map((run) => ({ ...run, journal: run.journal.slice(0, 3), inbox: run.inbox.slice(0, 3) }))
      }))
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
