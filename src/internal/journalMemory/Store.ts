/**
 * The state of the memory driver: rows, and indexes over them. Rows are immutable values that are replaced. `indexes`
 * keeps the indexes up to date, and `changes` has the only functions that change the state.
 */
import type * as Driver from "../../driver/JournalDriver.js"
import type { SortedList } from "./SortedList.js"

/** A run's row: its record, and the fields that only the driver reads. */
export interface Row extends Omit<Driver.RunRecord, "pausing"> {
  /** The incarnation of the worker that holds the run. */
  readonly incarnation: string | null
  /** Whether the run has never been claimed. */
  readonly fresh: boolean
  /** The seed of the run's random numbers. */
  readonly seed: string
  /** Entries with a lower `seq` were copied from the source of the fork. */
  readonly inherited: number
  /**
   * The state to which a paused run returns. `requested`: the run is paused when its holder suspends or releases it.
   * `cancelled`: the run has received a cancel, so it cannot be paused.
   */
  readonly pause: "requested" | "pending" | "suspended" | "cancelled" | null
  /** When the run was last claimed; `-Infinity` if never. */
  readonly claimedAt: Driver.Millis
  /** The ordinal of the newest message. */
  readonly inboxSeq: number
  /** The code by which a failed run can be found. */
  readonly errorCode: string | null
  /** The `kind:name` of each message that wakes a suspended run. */
  readonly waiting: ReadonlyArray<string>
  /** The signals whose windows are closed. */
  readonly closed: ReadonlySet<string>
  /** The last commit that was applied, by which a repeated one is recognized (rule 7). */
  readonly lastCommit: AppliedCommit | null
}

/** A commit that was applied, and its result, which grows while the batch is applied. */
export interface AppliedCommit {
  readonly commit: Driver.RunCommit
  readonly dispositions: Array<Driver.Disposition>
}

/** An entry with the worker and epoch that wrote it. */
export interface WrittenEntry {
  readonly entry: Driver.Entry
  readonly worker: string
  readonly epoch: number
}

export interface StoredMessage {
  readonly id: string
  readonly message: Driver.Message
  readonly consumed: boolean
}

export interface PublishedValue {
  readonly key: string
  readonly value: Driver.Json
  readonly version: number
  readonly at: Driver.Millis
}

/** A run: its row, and the parts that grow. */
export interface Run {
  row: Row
  /** The entries of the current generation. */
  journal: Array<WrittenEntry>
  /** By ordinal, in order. */
  inbox: Map<number, StoredMessage>
  /** The ids of the messages in the inbox. */
  messageIds: Set<string>
  readonly published: Map<string, PublishedValue>
}

export type Schedule = Omit<Driver.ScheduleRecord, "runStatus">

/** A worker's row. */
export interface Lease {
  readonly incarnation: string
  readonly until: Driver.Millis
  readonly startedAt: Driver.Millis
  readonly beatAt: Driver.Millis
  readonly info: Driver.Json | null
  /** The nonce of the last ping. */
  readonly ping: string | null
  /** The nonce of the last answer. */
  readonly pong: string | null
}

/** The claimable runs of one queue, sorted by whether they were due at `sortedAt`. */
export interface ClaimableRuns {
  readonly due: SortedList<Row>
  readonly later: SortedList<Row>
  sortedAt: Driver.Millis
}

/** A queue's row. */
export interface Queue extends Driver.QueueRecord {
  /** When the token bucket of starts is full again. */
  readonly bucketFullAt: Driver.Millis
}

/** The next run of a key at one priority, and the key's place in the key order of its queue. */
export interface KeyHead {
  readonly key: string
  readonly priority: number
  readonly workflow: string
  readonly version: string
  /** The place: the later of when the run became ready and when the key was last served. */
  readonly at: Driver.Millis
  readonly servedAt: Driver.Millis
}

/** The next claim from the queue reads the runs of this key again. */
export interface KeyNotice {
  readonly key: string
  readonly at: Driver.Millis
  /** Whether a started run of the key ended. */
  readonly freed: boolean
}

/** The number of runs of a queue, or of a key, that use its limits. */
export interface Usage {
  running: number
  /** Claimed at least once, and not ended. */
  started: number
}

/** The journal of one process. */
export interface Store {
  /** By id. */
  readonly runs: Map<string, Run>
  /** Run ids by workflow and idempotency key. */
  readonly idempotencyKeys: Map<string, string>
  /** Run ids by workflow and singleton key. */
  readonly singletons: Map<string, string>
  /** Run ids by parent. */
  readonly children: Map<string, ReadonlyArray<string>>
  /** Claimable runs by queue, without those that wait in the order of their key. */
  readonly claimable: Map<string, ClaimableRuns>
  /** Runs that wait in the order of their key, by queue and key. */
  readonly keyLines: Map<string, Map<string, SortedList<Row>>>
  /** By queue. */
  readonly keyHeads: Map<string, ReadonlyArray<KeyHead>>
  /** By queue, without duplicates. */
  readonly keyNotices: Map<string, Map<string, KeyNotice>>
  /** By queue, and by queue and key. */
  readonly usage: Map<string, Usage>
  readonly queues: Map<string, Queue>
  readonly pausedWorkflows: Map<string, Driver.PausedWorkflow>
  readonly schedules: Map<string, Schedule>
  /** By worker id. */
  readonly leases: Map<string, Lease>
  /** The runs that workers hold, by worker id and incarnation. */
  readonly held: Map<string, Set<Run>>
  /** By worker id, oldest first. */
  readonly samples: Map<string, ReadonlyArray<Driver.WorkerSample>>
  /** The ids of the runs that callers of `await` named. */
  readonly awaited: Set<string>
  /** By run id. */
  readonly controls: Map<string, ReadonlyArray<Driver.Control>>
  /** What undoes the changes of the open transaction, in their order; null if no transaction is open. */
  undo: Array<() => void> | null
  /** The hints to publish after the operation or transaction. */
  hints: Array<Driver.Hint>
}

export const make = (): Store => ({
  runs: new Map(),
  idempotencyKeys: new Map(),
  singletons: new Map(),
  children: new Map(),
  claimable: new Map(),
  keyLines: new Map(),
  keyHeads: new Map(),
  keyNotices: new Map(),
  usage: new Map(),
  queues: new Map(),
  pausedWorkflows: new Map(),
  schedules: new Map(),
  leases: new Map(),
  held: new Map(),
  samples: new Map(),
  awaited: new Set(),
  controls: new Map(),
  undo: null,
  hints: []
})

export const compare = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

export const byId = (a: Run, b: Run): number => compare(a.row.id, b.row.id)

export const byName = (a: { readonly name: string }, b: { readonly name: string }): number => compare(a.name, b.name)

/** The order in which runs of a queue or key are claimed. */
export const byClaimOrder = (a: Row, b: Row): number =>
  a.priority - b.priority || a.availableAt - b.availableAt || compare(a.id, b.id)

/** One key of a map for two strings. */
export const pairKey = (first: string, second: string): string => JSON.stringify([first, second])

export const isLive = (store: Store, { id, incarnation }: Driver.WorkerRef, now: Driver.Millis): boolean => {
  const lease = store.leases.get(id)
  return lease !== undefined && lease.incarnation === incarnation && lease.until > now
}

const withoutLimits = {
  priority: 0,
  concurrency: null,
  admission: null,
  keyConcurrency: null,
  rate: null,
  paused: false,
  definition: null,
  pause: null,
  bucketFullAt: 0
}

/** The queue's row, or the row that would be inserted for it. */
export const queue = (store: Store, name: string): Queue => store.queues.get(name) ?? { ...withoutLimits, name }

/** The run that a new run would repeat, by id or by idempotency key. */
export const existing = (store: Store, run: Driver.NewRun): Run | undefined => {
  const found = store.runs.get(run.id)
  if (found !== undefined || run.idempotencyKey === null) return found
  const id = store.idempotencyKeys.get(pairKey(run.workflow, run.idempotencyKey))
  return id === undefined ? undefined : store.runs.get(id)
}
