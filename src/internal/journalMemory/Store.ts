/**
 * The state of the memory driver and the only functions that change it. A run's row is an immutable value that is
 * replaced; every change keeps the indexes right and, inside a transaction, notes how to undo itself.
 */
import type * as Driver from "../../driver/JournalDriver.js"
import { SortedList } from "./SortedList.js"

/** A run's row: its record, and what only the driver needs. */
export interface Row extends Omit<Driver.RunRecord, "pausing"> {
  /** Incarnation of the worker that holds it. */
  readonly incarnation: string | null
  /** It has never been claimed. */
  readonly fresh: boolean
  /** What its random numbers follow from. */
  readonly seed: string
  /** The entries below were taken over from another run. */
  readonly inherited: number
  /**
   * The state to which a paused run comes back; `asked` while its holder is to be waited for; `cancelled` if there has been a
   * cancel, after which it is not paused; null for none of these.
   */
  readonly pause: "asked" | "pending" | "suspended" | "cancelled" | null
  /** When it was claimed last; -Infinity before. */
  readonly claimedAt: Driver.Millis
  /** Ordinal of the newest message. */
  readonly inboxSeq: number
  /** The awaited `kind:name`s of a suspended run. */
  readonly waiting: ReadonlyArray<string>
  /** Signals whose window is closed. */
  readonly closed: ReadonlySet<string>
  /** The commit applied last and its answer: how a resend is known (rule 7). */
  readonly last: Applied | null
}

export interface Applied {
  readonly commit: Driver.RunCommit
  readonly dispositions: Array<Driver.Disposition>
}

export interface Written {
  readonly entry: Driver.Entry
  readonly worker: string
  readonly epoch: number
}

export interface Stored {
  readonly id: string
  readonly message: Driver.Message
  readonly consumed: boolean
}

export interface Published {
  readonly key: string
  readonly value: Driver.Json
  readonly version: number
  readonly at: Driver.Millis
}

/** A run with its append-only parts. */
export interface Run {
  row: Row
  /** Entries of this generation. */
  journal: Array<Written>
  /** By ordinal, in order. */
  inbox: Map<number, Stored>
  /** Ids of the messages in the inbox. */
  messageIds: Set<string>
  readonly published: Map<string, Published>
}

/** A schedule's row. */
export type Schedule = Omit<Driver.ScheduleRecord, "runStatus">

/** A worker's row. */
export interface Lease {
  readonly incarnation: string
  readonly until: Driver.Millis
  readonly startedAt: Driver.Millis
  readonly beatAt: Driver.Millis
  readonly info: Driver.Json | null
  readonly ping: string | null
  readonly pong: string | null
}

/** The claimable runs of one queue: those that were due when it was looked at last, and those due later. */
export interface Waiting {
  readonly due: SortedList<Row>
  readonly later: SortedList<Row>
  lookedAt: Driver.Millis
}

/** A queue's settings, and when its bucket of starts will be full again. */
export interface Queue extends Driver.QueueRecord {
  readonly arrival: Driver.Millis
}

/** A key that may start a run of this priority, of this workflow and version. */
export interface Turn {
  readonly key: string
  readonly priority: number
  readonly workflow: string
  readonly version: string
  readonly at: Driver.Millis
  readonly served: Driver.Millis
}

/** A key is to be looked at anew. */
export interface KeyNotice {
  readonly key: string
  readonly at: Driver.Millis
  /** A run of it that had begun has ended. */
  readonly freed: boolean
}

/** How many runs of a queue, or of a key, are in which state. */
interface Occupancy {
  running: number
  /** Claimed before, and not ended. */
  begun: number
}

/** One process's journal. Maps by id; `undo` is not null while a transaction is open. */
export interface Store {
  readonly runs: Map<string, Run>
  /** Run id by workflow and idempotency key. */
  readonly keys: Map<string, string>
  readonly children: Map<string, ReadonlyArray<string>>
  /** Claimable runs by queue, but those that wait for their key's turn. */
  readonly claimable: Map<string, Waiting>
  readonly queues: Map<string, Queue>
  readonly pausedWorkflows: Map<string, Driver.PausedWorkflow>
  readonly schedules: Map<string, Schedule>
  /** Runs that wait for their key's turn, by queue and key. */
  readonly keyed: Map<string, Map<string, SortedList<Row>>>
  readonly turns: Map<string, ReadonlyArray<Turn>>
  /** By queue, each once. */
  readonly notices: Map<string, Map<string, KeyNotice>>
  /** By queue, and by queue and key. */
  readonly occupancy: Map<string, Occupancy>
  /** Runs held, by worker id and incarnation. */
  readonly held: Map<string, Set<Run>>
  readonly leases: Map<string, Lease>
  /** Run id by workflow and the key of its singleton. */
  readonly singletons: Map<string, string>
  /** By worker id, oldest first. */
  readonly samples: Map<string, ReadonlyArray<Driver.WorkerSample>>
  /** Runs on which somebody called `await`. */
  readonly awaited: Set<string>
  /** What was done to runs. */
  readonly controls: Map<string, ReadonlyArray<Driver.Control>>
  undo: Array<() => void> | null
  hints: Array<Driver.Hint>
}

export const make = (): Store => ({
  runs: new Map(),
  keys: new Map(),
  children: new Map(),
  claimable: new Map(),
  queues: new Map(),
  pausedWorkflows: new Map(),
  schedules: new Map(),
  keyed: new Map(),
  turns: new Map(),
  notices: new Map(),
  occupancy: new Map(),
  held: new Map(),
  leases: new Map(),
  samples: new Map(),
  singletons: new Map(),
  awaited: new Set(),
  controls: new Map(),
  undo: null,
  hints: []
})

export const compare = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

/** The order of claims: priority, readiness, id. */
export const byTurn = (a: Row, b: Row): number =>
  a.priority - b.priority || a.availableAt - b.availableAt || compare(a.id, b.id)

const byTime = (a: Row, b: Row): number => a.availableAt - b.availableAt || compare(a.id, b.id)

export const byId = (a: Run, b: Run): number => compare(a.row.id, b.row.id)

export const pairKey = (first: string, second: string): string => JSON.stringify([first, second])

const finals: ReadonlySet<Driver.RunStatus> = new Set<Driver.FinalStatus>([
  "completed",
  "failed",
  "cancelled",
  "terminated",
  "expired",
  "exhausted"
])

export const isFinal = (status: Driver.RunStatus): boolean => finals.has(status)

const waitsForTurn = (row: Row): boolean => row.key !== null && row.fresh

const isClaimable = (row: Row): boolean =>
  (row.status === "pending" || row.status === "suspended") && row.availableAt < Infinity && !waitsForTurn(row)

/** The value of a map at a key, made and put there if there is none. */
const orMake = <K, V>(map: Map<K, V>, key: K, make: () => V): V => {
  const found = map.get(key)
  if (found !== undefined) return found
  const made = make()
  map.set(key, made)
  return made
}

export const claimableOf = (store: Store, queue: string): Waiting =>
  orMake(store.claimable, queue, () => ({
    due: new SortedList<Row>(byTurn),
    later: new SortedList<Row>(byTime),
    lookedAt: -Infinity
  }))

const holdersOf = (store: Store, row: Row): Set<Run> =>
  orMake(store.held, pairKey(row.worker ?? "", row.incarnation ?? ""), () => new Set<Run>())

/** The runs of a key that wait for its turn, in order. */
export const waitingOf = (store: Store, queue: string, key: string): SortedList<Row> =>
  orMake(
    orMake(store.keyed, queue, () => new Map<string, SortedList<Row>>()),
    key,
    () => new SortedList<Row>(byTurn)
  )

export const waitingKeys = (store: Store, queue: string): ReadonlyArray<string> =>
  [...store.keyed.get(queue) ?? []].flatMap(([key, rows]) => rows.first === undefined ? [] : [key])

const isWaitingForTurn = (row: Row): boolean =>
  waitsForTurn(row) && row.status === "pending" && row.availableAt < Infinity

/** How many runs of a queue (and key) are in which state. */
export const occupancy = (store: Store, queue: string, key: string | null): Readonly<Occupancy> =>
  orMake(store.occupancy, pairKey(queue, key === null ? "" : `key ${key}`), () => ({ running: 0, begun: 0 }))

const occupy = (store: Store, row: Row, by: 1 | -1): void => {
  if (row.fresh || isFinal(row.status)) return
  for (const key of row.key === null ? [null] : [null, row.key]) {
    const places: Occupancy = occupancy(store, row.queue, key)
    places.begun += by
    if (row.status === "running") places.running += by
  }
}

const index = (store: Store, run: Run): void => {
  const { row } = run
  if (isClaimable(row)) claimableOf(store, row.queue).later.insert(row)
  if (row.key !== null && isWaitingForTurn(row)) waitingOf(store, row.queue, row.key).insert(row)
  if (row.status === "running") holdersOf(store, row).add(run)
  occupy(store, row, 1)
}

const unindex = (store: Store, run: Run): void => {
  const { row } = run
  if (isClaimable(row)) {
    const queue = claimableOf(store, row.queue)
    if (!queue.later.remove(row)) queue.due.remove(row)
  }
  if (row.key !== null && isWaitingForTurn(row)) waitingOf(store, row.queue, row.key).remove(row)
  if (row.status === "running") holdersOf(store, row).delete(run)
  occupy(store, row, -1)
}

const setRow = (store: Store, run: Run, row: Row): void => {
  unindex(store, run)
  run.row = row
  index(store, run)
}

const undoing = (store: Store, undo: () => void): void => {
  if (store.undo !== null) store.undo.push(undo)
}

/** Set a map's value, noting what was there. */
const put = <K, V>(store: Store, map: Map<K, V>, key: K, value: V): void => {
  const before = map.get(key)
  map.set(key, value)
  undoing(store, () => before === undefined ? map.delete(key) : map.set(key, before))
}

/** Delete from a map, noting what was there. */
const take = <K, V>(store: Store, map: Map<K, V>, key: K): void => {
  const before = map.get(key)
  if (before === undefined) return
  map.delete(key)
  undoing(store, () => map.set(key, before))
}

/** Change some fields of a run's row. */
export const update = (store: Store, run: Run, change: Partial<Row>): void => {
  const before = run.row
  setRow(store, run, { ...before, ...change })
  undoing(store, () => setRow(store, run, before))
}

export const insert = (store: Store, row: Row): Run => {
  const run: Run = { row, journal: [], inbox: new Map(), messageIds: new Set(), published: new Map() }
  put(store, store.runs, row.id, run)
  if (row.idempotencyKey !== null) put(store, store.keys, pairKey(row.workflow, row.idempotencyKey), row.id)
  if (row.parent !== null) {
    put(store, store.children, row.parent.id, [...(store.children.get(row.parent.id) ?? []), row.id])
  }
  index(store, run)
  undoing(store, () => unindex(store, run))
  return run
}

/** Forget a finished run. */
export const remove = (store: Store, run: Run): void => {
  const { id, idempotencyKey, parent, workflow } = run.row
  take(store, store.runs, id)
  take(store, store.controls, id)
  if (idempotencyKey !== null) take(store, store.keys, pairKey(workflow, idempotencyKey))
  const siblings = parent === null ? undefined : store.children.get(parent.id)
  if (parent !== null && siblings !== undefined) {
    const others = siblings.filter((each) => each !== id)
    if (others.length === 0) take(store, store.children, parent.id)
    else put(store, store.children, parent.id, others)
  }
}

/** The run that a new one would repeat, by id or by idempotency key. */
export const existing = (store: Store, run: Driver.NewRun): Run | undefined => {
  const byId = store.runs.get(run.id)
  if (byId !== undefined || run.idempotencyKey === null) return byId
  const id = store.keys.get(pairKey(run.workflow, run.idempotencyKey))
  return id === undefined ? undefined : store.runs.get(id)
}

export const append = (store: Store, run: Run, entries: ReadonlyArray<Written>): void => {
  const length = run.journal.length
  for (const entry of entries) run.journal.push(entry)
  undoing(store, () => {
    run.journal.length = length
  })
}

export const receive = (store: Store, run: Run, stored: Stored): void => {
  put(store, run.inbox, stored.message.ordinal, stored)
  run.messageIds.add(stored.id)
  undoing(store, () => run.messageIds.delete(stored.id))
}

export const consume = (store: Store, run: Run, ordinal: number): void => {
  const stored = run.inbox.get(ordinal)
  if (stored !== undefined) put(store, run.inbox, ordinal, { ...stored, consumed: true })
}

export const publish = (store: Store, run: Run, published: Omit<Published, "version">): void =>
  put(store, run.published, published.key, {
    ...published,
    version: (run.published.get(published.key)?.version ?? 0) + 1
  })

/** Drop the journal, and the messages that a new generation must not see. */
export const forget = (store: Store, run: Run, keep: (stored: Stored) => boolean): void => {
  const { inbox, journal, messageIds } = run
  run.journal = []
  run.inbox = new Map([...inbox].filter(([, stored]) => keep(stored)))
  run.messageIds = new Set([...run.inbox.values()].map((stored) => stored.id))
  undoing(store, () => {
    run.journal = journal
    run.inbox = inbox
    run.messageIds = messageIds
  })
}

export const setLease = (store: Store, worker: string, lease: Lease): void => put(store, store.leases, worker, lease)

export const setSingleton = (store: Store, workflow: string, key: string, run: string): void =>
  put(store, store.singletons, pairKey(workflow, key), run)

export const setSamples = (store: Store, worker: string, samples: ReadonlyArray<Driver.WorkerSample>): void =>
  put(store, store.samples, worker, samples)
const unlimited = {
  priority: 0,
  concurrency: null,
  admission: null,
  keyConcurrency: null,
  rate: null,
  paused: false,
  definition: null,
  pause: null,
  arrival: 0
}

/** The queue's row, or what it would be. */
export const queue = (store: Store, name: string): Queue => store.queues.get(name) ?? { ...unlimited, name }

export const setQueue = (store: Store, queue: Queue): void => put(store, store.queues, queue.name, queue)

export const setSchedule = (store: Store, schedule: Schedule): void =>
  put(store, store.schedules, schedule.name, schedule)

export const removeSchedule = (store: Store, name: string): void => take(store, store.schedules, name)

/** Make the queue's row if there is none. Answers whether there was none. */
export const ensureQueue = (store: Store, name: string): boolean => {
  if (store.queues.has(name)) return false
  setQueue(store, { ...unlimited, name })
  return true
}

export const setTurns = (store: Store, queue: string, turns: ReadonlyArray<Turn>): void =>
  put(store, store.turns, queue, turns)

/** Have the next claim from the queue look at a key anew. */
export const notice = (store: Store, queue: string, notice: KeyNotice): void => {
  const all = orMake(store.notices, queue, () => new Map<string, KeyNotice>())
  const name = JSON.stringify(notice)
  if (!all.has(name)) put(store, all, name, notice)
}

/** The notices of the keys that were noticed first or last, which are gone then; and whether there are others. */
export const takeNotices = (
  store: Store,
  queue: string,
  most: number
): { readonly notices: ReadonlyArray<KeyNotice>; readonly more: boolean } => {
  const all = store.notices.get(queue) ?? new Map<string, KeyNotice>()
  const inOrder = [...all.values()]
  const chosen = new Set<string>()
  for (let i = 0; i < inOrder.length && chosen.size < most; i++) {
    for (const near of [inOrder[i], inOrder[inOrder.length - 1 - i]]) if (near !== undefined) chosen.add(near.key)
  }
  const taken = [...all].filter(([, { key }]) => chosen.has(key))
  for (const [name, notice] of taken) {
    all.delete(name)
    undoing(store, () => all.set(name, notice))
  }
  return { notices: taken.map(([, notice]) => notice), more: all.size > 0 }
}

/** Pauses a workflow, or resumes it if `pause` is null. */
export const pauseWorkflow = (store: Store, workflow: string, pause: Driver.PausedWorkflow | null): void => {
  const before = store.pausedWorkflows.get(workflow) ?? null
  const change = (value: Driver.PausedWorkflow | null) =>
    value === null ? store.pausedWorkflows.delete(workflow) : store.pausedWorkflows.set(workflow, value)
  change(pause)
  undoing(store, () => change(before))
}

export const isLive = (store: Store, { id, incarnation }: Driver.WorkerRef, now: Driver.Millis): boolean => {
  const lease = store.leases.get(id)
  return lease !== undefined && lease.incarnation === incarnation && lease.until > now
}

export const dropLease = (store: Store, worker: string): void => {
  const lease = store.leases.get(worker)
  store.leases.delete(worker)
  undoing(store, () => lease !== undefined && store.leases.set(worker, lease))
}

export const control = (store: Store, run: string, done: Driver.Control): void =>
  put(store, store.controls, run, [...store.controls.get(run) ?? [], done])

/** Note a hint, to be given out when the operation (or the transaction around it) is done. */
export const hint = (store: Store, hint: Driver.Hint): void => {
  store.hints.push(hint)
}

/** Where to come back to if what follows fails. */
export interface Mark {
  readonly undo: number
  readonly hints: number
}

export const mark = (store: Store): Mark => ({ undo: store.undo?.length ?? 0, hints: store.hints.length })

export const rollback = (store: Store, to: Mark): void => {
  for (const undo of (store.undo?.splice(to.undo) ?? []).reverse()) undo()
  store.hints.length = to.hints
}
