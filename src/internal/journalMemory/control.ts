/** What is done to runs from outside: pause, resume, terminate, expire; and what is known of that. */
import type * as Driver from "../../driver/JournalDriver.js"
import * as Messages from "./messages.js"
import * as Store from "./Store.js"

/** A run that a control is about; `named` is the run that it follows, or itself. */
interface Member {
  readonly run: Store.Run
  readonly named: string
}

const family = (store: Store.Store, run: Store.Run, named: string): ReadonlyArray<Member> => [
  { run, named },
  ...(store.children.get(run.row.id) ?? []).flatMap((id) => {
    const child = store.runs.get(id)
    return child?.row.parent?.attached === true ? family(store, child, named) : []
  })
]

/** The named runs and their attached descendants, each once, in order of id. */
const members = (store: Store.Store, request: Driver.ControlRequest): ReadonlyArray<Member> => {
  const found = new Map<string, Member>()
  const named = [...new Set(request.runs)].sort().flatMap((id) => store.runs.get(id) ?? [])
  for (const run of named) {
    for (const member of family(store, run, run.row.id)) {
      if (!found.has(member.run.row.id)) found.set(member.run.row.id, member)
    }
  }
  for (const run of named) found.set(run.row.id, { run, named: run.row.id })
  return [...found.values()].sort((a, b) => Store.byId(a.run, b.run))
}

/** Note what was done to them, and count those that were named. */
const record = (
  store: Store.Store,
  now: Driver.Millis,
  action: Driver.ControlAction,
  request: Driver.ControlRequest,
  done: ReadonlyArray<Member>
): number => {
  const { by, reason } = request
  for (const { named, run } of done) {
    const { id } = run.row
    Store.control(store, id, { action, by, reason, at: now, related: named === id ? null : named })
  }
  return done.filter(({ named, run }) => named === run.row.id).length
}

const isLive = (row: Store.Row): boolean => !Store.isFinal(row.status)

export const pause = (store: Store.Store, now: Driver.Millis, request: Driver.ControlRequest): number => {
  const done = members(store, request)
    .filter(({ run: { row } }) => isLive(row) && row.status !== "paused" && row.pause === null)
  for (const { run } of done) {
    const { id, status, worker } = run.row
    if (status === "pending" || status === "suspended") {
      Store.update(store, run, { status: "paused", pause: status })
      // The next of its key may be for another worker.
      if (status === "pending") Messages.lineChanged(store, now, run)
    } else Store.update(store, run, { pause: "asked" })
    if (worker !== null) Store.hint(store, { _tag: "Inbox", worker, run: id })
  }
  return record(store, now, "pause", request, done)
}

export const resume = (store: Store.Store, now: Driver.Millis, request: Driver.ControlRequest): number => {
  const done = members(store, request).filter(({ named, run: { row } }) =>
    row.status === "paused" || row.pause === "asked" || (row.status === "diverged" && named === row.id)
  )
  for (const { named, run } of done) {
    const { availableAt, id, pause, status, waiting, worker } = run.row
    if (status === "paused") {
      const former = pause === "suspended" ? "suspended" : "pending"
      Messages.release(store, run, { status: former, availableAt, waiting, pause: null })
      Messages.lineChanged(store, now, run)
    } else if (status === "diverged" && named === id) {
      const cancelled = pause === "cancelled" ? pause : null
      Messages.release(store, run, { status: "pending", availableAt: now, detail: null, pause: cancelled })
    } else {
      Store.update(store, run, { pause: null })
      if (worker !== null) Store.hint(store, { _tag: "Inbox", worker, run: id })
    }
  }
  return record(store, now, "resume", request, done)
}

export const terminate = (store: Store.Store, now: Driver.Millis, request: Driver.ControlRequest): number => {
  const done = members(store, request).filter(({ run }) => isLive(run.row))
  const detail = JSON.stringify({ by: request.by, reason: request.reason })
  for (const { run } of done) {
    const { fresh, queue } = run.row
    Messages.end(store, now, run, { status: "terminated", exit: null, detail })
    // Its place is free.
    if (!fresh) Store.hint(store, { _tag: "Ready", queue })
  }
  for (const { run } of done) Messages.tellParent(store, now, run)
  return record(store, now, "terminate", request, done)
}

const isOverdue = (now: Driver.Millis) => ({ row: { expiresAt, fresh, status } }: Store.Run): boolean =>
  fresh && expiresAt !== null && expiresAt <= now && (status === "pending" || status === "paused")

export const expire = (
  store: Store.Store,
  now: Driver.Millis,
  request: { readonly limit: number }
): { readonly expired: number } => {
  const overdue = [...store.runs.values()].filter(isOverdue(now)).sort((a, b) =>
    (a.row.expiresAt ?? 0) - (b.row.expiresAt ?? 0) || Store.byId(a, b)
  ).slice(0, request.limit)
  for (const run of overdue) Messages.end(store, now, run, { status: "expired", exit: null, detail: null })
  for (const run of overdue) Messages.tellParent(store, now, run)
  return { expired: overdue.length }
}

const textOrNull = (value: unknown): string | null => typeof value === "string" ? value : null

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const cancelled = ({ at, payload }: Driver.Message): Driver.Control => {
  const request: unknown = JSON.parse(payload)
  const { by, reason } = isObject(request) ? request : {}
  return { action: "cancel", by: textOrNull(by), reason: textOrNull(reason), at, related: null }
}

export const controls = (store: Store.Store, run: string): ReadonlyArray<Driver.Control> => {
  const messages = [...store.runs.get(run)?.inbox.values() ?? []].map(({ message }) => message)
  return [
    ...store.controls.get(run) ?? [],
    ...messages.filter(({ kind }) => kind === "cancel").map(cancelled)
  ].sort((a, b) => a.at - b.at || (a.action < b.action ? -1 : a.action > b.action ? 1 : 0))
}
