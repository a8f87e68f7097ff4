/** Search by filter, counts, and the deletion of runs whose retention has passed. */
import type * as Driver from "../../driver/JournalDriver.js"
import { boundedBy, sizeOf } from "../../driver/AnswerBounds.js"
import { isFinal } from "../../driver/RunStatus.js"
import type { VerbRequest, VerbValues } from "../../driver/verbs.js"
import * as Changes from "./changes.js"
import type { Operate } from "./operate.js"
import { recordOf } from "./read.js"
import * as Store from "./Store.js"

/** The most runs that one `retain` deletes. */
const MAX_DELETED_RUNS = 1_000

/** The order of search results: newest first, then by id, descending. */
const newestFirst = (a: Driver.RunCursor, b: Driver.RunCursor): number =>
  b.createdAt - a.createdAt || Store.compare(b.id, a.id)

/** Lower-cases ASCII letters only, as the collation of the SQL driver's columns does. */
const lowerCase = (text: string): string => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())

/** The strings of an `endCause`. */
const stringsOf = (endCause: Driver.EndCause | null): ReadonlyArray<string | null> => {
  switch (endCause?._tag) {
    case undefined:
      return []
    case "Terminated":
      return [endCause.by, endCause.reason]
    case "Exhausted":
      return [endCause.worker]
  }
}

const includesText = ({ detail, endCause, exit }: Store.Row, text: string): boolean => {
  const error = exit !== null && (exit.kind === "failure" || exit.kind === "defect") ? exit.value : null
  return [error, detail, ...stringsOf(endCause)]
    .some((each) => each !== null && lowerCase(each).includes(lowerCase(text)))
}

const equals = <A>(condition: A | undefined, value: A | null | undefined): boolean =>
  condition === undefined || condition === value

const isOneOf = <A>(condition: ReadonlyArray<A> | undefined, value: A): boolean =>
  condition === undefined || condition.includes(value)

const isWithin = (from: number | undefined, before: number | undefined, at: number | null): boolean =>
  (from === undefined && before === undefined) ||
  (at !== null && (from === undefined || at >= from) && (before === undefined || at < before))

const matches = (row: Store.Row, filter: Driver.RunFilter): boolean =>
  isOneOf(filter.workflows, row.workflow) &&
  equals(filter.version, row.version) &&
  isOneOf(filter.statuses, row.status) &&
  isOneOf(filter.queues, row.queue) &&
  equals(filter.key, row.key) &&
  (filter.tags ?? []).every((tag) => row.tags.includes(tag)) &&
  Object.entries(filter.attributes ?? {}).every(([name, value]) => row.attributes[name] === value) &&
  equals(filter.parent, row.parent?.id) &&
  equals(filter.root, row.root) &&
  equals(filter.idempotencyKey, row.idempotencyKey) &&
  equals(filter.source, row.source?.run) &&
  isWithin(filter.createdFrom, filter.createdBefore, row.createdAt) &&
  isWithin(filter.finishedFrom, filter.finishedBefore, row.finishedAt) &&
  (filter.errorCode === undefined || row.errorCode === filter.errorCode) &&
  (filter.text === undefined || includesText(row, filter.text))

const matching = (store: Store.Store, filter: Driver.RunFilter): ReadonlyArray<Store.Run> =>
  [...store.runs.values()].filter(({ row }) => matches(row, filter))

const find = (store: Store.Store, { after, filter, limit }: VerbRequest<"find">): VerbValues["find"] => {
  const rest = matching(store, filter)
    .filter(({ row }) => after === null || newestFirst(after, row) < 0)
    .sort((a, b) => newestFirst(a.row, b.row))
  const runs = boundedBy(
    rest.slice(0, limit),
    ({ row: { detail, exit, payload } }) => sizeOf([payload, exit?.value ?? null, detail])
  ).map(recordOf)
  const last = runs.at(-1)
  return {
    runs,
    next: last === undefined || rest.length <= runs.length ? null : { createdAt: last.createdAt, id: last.id }
  }
}

const count = (store: Store.Store, filter: Driver.RunFilter): Driver.RunCounts => {
  const counts: Partial<Record<Driver.RunStatus, number>> = {}
  for (const { row } of matching(store, filter)) counts[row.status] = (counts[row.status] ?? 0) + 1
  return counts
}

/** Whether the run has a live parent, whose replay starts the run again. */
const hasLiveParent = (store: Store.Store, { parent }: Store.Row): boolean => {
  const found = parent === null ? undefined : store.runs.get(parent.id)
  return found !== undefined && !isFinal(found.row.status)
}

const retain = (store: Store.Store, now: Driver.Millis, { limit, rules }: VerbRequest<"retain">): number => {
  const named = new Set(rules.map(({ workflow }) => workflow))
  const runs = [...store.runs.values()]
    .filter(({ row }) => !hasLiveParent(store, row))
    .sort((a, b) => (a.row.finishedAt ?? 0) - (b.row.finishedAt ?? 0) || Store.byId(a, b))
  const workflows = [...new Set(runs.map(({ row }) => row.workflow))].sort()
  const old = rules.flatMap((rule) =>
    workflows
      .filter((workflow) => rule.workflow === null ? !named.has(workflow) : rule.workflow === workflow)
      .flatMap((workflow) =>
        rule.statuses.flatMap((status) =>
          runs.filter(({ row }) =>
            row.workflow === workflow && row.status === status && row.finishedAt !== null &&
            row.finishedAt < now - rule.olderThanMillis
          )
        )
      )
  )
  const deleted = new Set(old.slice(0, Math.min(MAX_DELETED_RUNS, Math.max(0, limit))))
  for (const run of deleted) Changes.deleteRun(store, run)
  return deleted.size
}

export const make = (operate: Operate): Driver.SearchVerbs => ({
  find: (request) => operate((store) => find(store, request)),
  count: (filter) => operate((store) => count(store, filter)),
  retain: (request) => operate((store, now) => retain(store, now, request))
})
