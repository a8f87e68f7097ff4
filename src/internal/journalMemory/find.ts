/** Finding runs by what they are, counting them, and deleting those that are kept no longer. */
import * as Predicate from "effect/Predicate"
import type * as Driver from "../../driver/JournalDriver.js"
import { record } from "./read.js"
import * as Store from "./Store.js"

/** Newest first, then by id, from the last one to the first. */
const newestFirst = (a: Driver.RunCursor, b: Driver.RunCursor): number =>
  b.createdAt - a.createdAt || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0)

/** Only the letters of ASCII have two cases here, as in the collation of the database's columns. */
const folded = (text: string): string => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())

const field = (value: unknown, name: string): string | null => {
  const found = Predicate.hasProperty(value, name) ? value[name] : undefined
  return typeof found === "string" || typeof found === "number" || typeof found === "boolean" ? String(found) : null
}

const errorCode = ({ exit }: Store.Row): string | null => {
  if (exit === null || exit.value === null || (exit.kind !== "failure" && exit.kind !== "defect")) return null
  const value: unknown = JSON.parse(exit.value)
  if (exit.kind === "failure") return field(value, "_tag")
  const own = Predicate.hasProperty(value, "runtimeError") ? field(value.runtimeError, "_tag") : null
  return own ?? field(value, "name")
}

const says = ({ detail, exit }: Store.Row, text: string): boolean => {
  const failed = exit !== null && (exit.kind === "failure" || exit.kind === "defect") ? exit.value : null
  return [failed, detail].some((each) => each !== null && folded(each).includes(folded(text)))
}

/** Whether `value` is what a condition asks for; a condition that is absent asks for nothing. */
const is = <A>(wanted: A | undefined, value: A | null | undefined): boolean => wanted === undefined || wanted === value

const among = <A>(wanted: ReadonlyArray<A> | undefined, value: A): boolean =>
  wanted === undefined || wanted.includes(value)

const within = (from: number | undefined, before: number | undefined, at: number | null): boolean =>
  (from === undefined && before === undefined) ||
  (at !== null && (from === undefined || at >= from) && (before === undefined || at < before))

const matches = (row: Store.Row, filter: Driver.RunFilter): boolean =>
  among(filter.workflows, row.workflow) &&
  is(filter.version, row.version) &&
  among(filter.statuses, row.status) &&
  among(filter.queues, row.queue) &&
  is(filter.key, row.key) &&
  (filter.tags ?? []).every((tag) => row.tags.includes(tag)) &&
  Object.entries(filter.attributes ?? {}).every(([name, value]) => row.attributes[name] === value) &&
  is(filter.parent, row.parent?.id) &&
  is(filter.root, row.root) &&
  is(filter.idempotencyKey, row.idempotencyKey) &&
  is(filter.source, row.source?.run) &&
  within(filter.createdFrom, filter.createdBefore, row.createdAt) &&
  within(filter.finishedFrom, filter.finishedBefore, row.finishedAt) &&
  (filter.errorCode === undefined || errorCode(row) === filter.errorCode) &&
  (filter.text === undefined || says(row, filter.text))

const matching = (store: Store.Store, filter: Driver.RunFilter): ReadonlyArray<Store.Run> =>
  [...store.runs.values()].filter(({ row }) => matches(row, filter))

export const find = (
  store: Store.Store,
  request: Parameters<Driver.JournalDriver["find"]>[0]
): { readonly runs: ReadonlyArray<Driver.RunRecord>; readonly next: Driver.RunCursor | null } => {
  const { after, filter, limit } = request
  const beyond = matching(store, filter)
    .filter(({ row }) => after === null || newestFirst(after, row) < 0)
    .sort((a, b) => newestFirst(a.row, b.row))
  const runs = beyond.slice(0, limit).map(record)
  const last = runs.at(-1)
  return {
    runs,
    next: last === undefined || beyond.length <= limit ? null : { createdAt: last.createdAt, id: last.id }
  }
}

export const count = (store: Store.Store, filter: Driver.RunFilter): Driver.RunCounts => {
  const counts: Partial<Record<Driver.RunStatus, number>> = {}
  for (const { row } of matching(store, filter)) counts[row.status] = (counts[row.status] ?? 0) + 1
  return counts
}

/** A child is kept as long as its parent may start it again. */
const isNeeded = (store: Store.Store, { parent }: Store.Row): boolean => {
  const found = parent === null ? undefined : store.runs.get(parent.id)
  return found !== undefined && !Store.isFinal(found.row.status)
}

export const retain = (
  store: Store.Store,
  now: Driver.Millis,
  request: Parameters<Driver.JournalDriver["retain"]>[0]
): number => {
  const { limit, rules } = request
  const named = new Set(rules.map(({ workflow }) => workflow))
  const runs = [...store.runs.values()].sort((a, b) =>
    (a.row.finishedAt ?? 0) - (b.row.finishedAt ?? 0) || Store.byId(a, b)
  )
  const workflows = [...new Set(runs.map(({ row }) => row.workflow))].sort()
  const kept = runs.filter(({ row }) => !isNeeded(store, row))
  const old = rules.flatMap(({ olderThanMillis, statuses, workflow }) =>
    workflows
      .filter((each) => workflow === null ? !named.has(each) : each === workflow)
      .flatMap((each) =>
        statuses.flatMap((status) =>
          kept.filter(({ row: { finishedAt, status: its, workflow: of } }) =>
            of === each && its === status && finishedAt !== null && finishedAt < now - olderThanMillis
          )
        )
      )
  )
  const deleted = new Set(old.slice(0, Math.min(1_000, Math.max(0, limit))))
  for (const run of deleted) Store.remove(store, run)
  return deleted.size
}
