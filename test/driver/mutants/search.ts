/** Mutants of search, counts and retention. */
import * as Effect from "effect/Effect"
import type { RunFilter } from "perdure/JournalDriver"
import { type Mutant, mutant, type Override } from "./Mutant.js"

/** Changes each filter before the driver gets it. */
const changeFilters = (change: (filter: RunFilter) => RunFilter): Override => (driver) => ({
  find: (request) => driver.find({ ...request, filter: change(request.filter) }),
  count: (filter) => driver.count(change(filter))
})

const without = (key: keyof RunFilter): Override =>
  changeFilters((filter) => {
    const { [key]: _, ...rest } = filter
    return rest
  })

const conditions: ReadonlyArray<keyof RunFilter> = [
  "workflows",
  "version",
  "statuses",
  "queues",
  "key",
  "tags",
  "attributes",
  "parent",
  "root",
  "idempotencyKey",
  "source",
  "createdFrom",
  "createdBefore",
  "finishedFrom",
  "finishedBefore",
  "errorCode",
  "text"
]

export const searchMutants: ReadonlyArray<Mutant> = [
  ...conditions.map((condition) => mutant("search", `the filter by ${condition} is ignored`, without(condition))),
  mutant(
    "search",
    "a filter by the empty key is ignored",
    changeFilters(({ key, ...filter }) => key === undefined || key === "" ? filter : { ...filter, key })
  ),
  mutant(
    "search",
    "a filter by several tags uses the first only",
    changeFilters((filter) => filter.tags === undefined ? filter : { ...filter, tags: filter.tags.slice(0, 1) })
  ),
  mutant("search", "a page leaves out the first run beyond its cursor", (driver) => ({
    find: (request) =>
      request.after === null
        ? driver.find(request)
        : Effect.map(driver.find({ ...request, limit: request.limit + 1 }), ({ now, value }) => ({
          now,
          value: { ...value, runs: value.runs.slice(1) }
        }))
  })),
  mutant("search", "a page starts with the last run of the page before", (driver) => ({
    find: (request) =>
      Effect.map(driver.find(request), ({ now, value: { next, runs } }) => {
        const last = runs.at(-2)
        return {
          now,
          value: {
            runs,
            next: next === null || last === undefined ? next : { createdAt: last.createdAt, id: last.id }
          }
        }
      })
  })),
  mutant("search", "a cursor ignores the id", (driver) => ({
    find: ({ after, ...request }) => driver.find({ ...request, after: after === null ? null : { ...after, id: "" } })
  })),
  mutant("search", "every page starts at the first run", (driver) => ({
    find: (request) => driver.find({ ...request, after: null, limit: request.limit + (request.after === null ? 0 : 1) })
  })),
  mutant("search", "every page has a next page", (driver) => ({
    find: (request) =>
      Effect.map(driver.find(request), ({ now, value: { next, runs } }) => {
        const last = runs.at(-1)
        return {
          now,
          value: { runs, next: next ?? (last === undefined ? null : { createdAt: last.createdAt, id: last.id }) }
        }
      })
  })),
  mutant("search", "pages are ordered by id", (driver) => ({
    find: (request) =>
      Effect.map(driver.find(request), ({ now, value }) => ({
        now,
        value: { ...value, runs: value.runs.toSorted((a, b) => a.id < b.id ? -1 : 1) }
      }))
  })),
  mutant("retention", "no run is deleted", (driver) => ({
    retain: () => Effect.map(driver.get([]), ({ now }) => ({ now, value: 0 }))
  })),
  mutant("retention", "the age of a rule is ignored", (driver) => ({
    retain: (request) =>
      driver.retain({ ...request, rules: request.rules.map((rule) => ({ ...rule, olderThanMillis: -1 })) })
  })),
  mutant("retention", "runs of exactly the age of a rule are deleted", (driver) => ({
    retain: (request) =>
      driver.retain({
        ...request,
        rules: request.rules.map((rule) => ({ ...rule, olderThanMillis: rule.olderThanMillis - 1 }))
      })
  })),
  mutant("retention", "the statuses of a rule are ignored", (driver) => ({
    retain: (request) =>
      driver.retain({
        ...request,
        rules: request.rules.map((rule) => ({ ...rule, statuses: ["completed", "failed"] }))
      })
  })),
  mutant("retention", "the limit of a deletion is ignored", (driver) => ({
    retain: (request) => driver.retain({ ...request, limit: 1_000 })
  })),
  mutant("retention", "a rule without a workflow applies to workflows with their own rules", (driver) => ({
    retain: ({ limit, rules }) =>
      Effect.gen(function*() {
        let deleted = 0
        let now = 0
        for (const rule of rules) {
          const answer = yield* driver.retain({ limit, rules: [rule] })
          deleted += answer.value
          now = answer.now
        }
        return { now, value: deleted }
      })
  }))
]
