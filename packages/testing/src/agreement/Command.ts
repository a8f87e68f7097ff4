/**
 * Operations to try on a driver, as plain data over a small pool of runs, workers, queues, keys and signals, so that
 * they meet each other. What depends on the driver's answers (epochs, sequence numbers, ordinals) is said in relation
 * to what its player knows.
 */
import * as FastCheck from "effect/FastCheck"
import type { ScheduleOperation } from "./ScheduleCommand.js"
import { scheduleOperation, scheduleOpening } from "./ScheduleCommand.js"
import type { FinalStatus, MessageKind, QueueSettings, RunStatus } from "perdure/JournalDriver"

export const runCount = 8
export const childCount = 6
export const messageCount = 16
/** Forks have numbers after that of nobody. */
export const forkCount = 4

/** A member of a pool, by number. */
type Index = number

export interface Start {
  readonly run: Index
  readonly delay: number | null
}

/** A message; its kind and name follow from its id, for an id stands for one message. */
export interface Sent {
  readonly to: Index
  readonly id: Index
}

export interface Awaited {
  readonly kind: MessageKind
  readonly name: Index
}

export type Move =
  | { readonly _tag: "Stay" }
  | { readonly _tag: "Suspend"; readonly delay: number; readonly waiting: ReadonlyArray<Awaited> }
  | { readonly _tag: "SuspendForChildren"; readonly delay: number }
  | {
    readonly _tag: "Finish"
    readonly status: "completed" | "failed" | "cancelled"
    /** If it failed. */
    readonly isDefect: boolean
    readonly value: string | null
  }
  | { readonly _tag: "Continue"; readonly payload: Index }
  | { readonly _tag: "Diverge" }
  | { readonly _tag: "Release"; readonly delay: number }

/** A commit of a run that the player holds, or held once. */
export interface Work {
  readonly target: Index
  readonly epochSkew: number
  readonly seqSkew: number
  readonly entries: number
  /** How many of the unread messages that the player knows of are consumed, from the first on. */
  readonly consumed: number
  readonly children: ReadonlyArray<Start & { readonly attached: boolean }>
  readonly messages: ReadonlyArray<Sent>
  readonly published: ReadonlyArray<Index>
  readonly closes: ReadonlyArray<Index>
  /** Read the inbox before. */
  readonly looks: boolean
  readonly move: Move
}

/** What runs are looked for by: their workflows, and whatever else is there. Times are milliseconds before now. */
export interface Sought extends Partial<Conditions> {
  readonly workflows: ReadonlyArray<Index>
}

interface Conditions {
  readonly version: string
  readonly statuses: ReadonlyArray<RunStatus>
  readonly queues: ReadonlyArray<Index>
  readonly key: Index
  readonly tags: ReadonlyArray<Index>
  readonly attribute: { readonly n: Index } | { readonly even: boolean }
  readonly parent: Index
  readonly root: Index
  readonly idempotencyKey: Index
  readonly source: Index
  readonly createdFrom: number
  readonly createdBefore: number
  readonly finishedFrom: number
  readonly finishedBefore: number
  readonly errorCode: string
  readonly text: string
}

export interface Who {
  readonly worker: Index
  readonly incarnation: Index
}

/** A single request to a driver. */
export type Operation =
  | ScheduleOperation
  | {
    readonly _tag: "Enqueue"
    readonly runs: ReadonlyArray<Start>
    readonly claim: (Who & { readonly slots: number }) | null
  }
  | {
    readonly _tag: "Claim"
    readonly who: Who
    readonly workflows: ReadonlyArray<Index>
    readonly queues: ReadonlyArray<Index>
    readonly limit: number
    /** Which machines it says that it keeps: none, those that it knows, or those that it knew before they moved on. */
    readonly hot: "none" | "known" | "stale"
  }
  | { readonly _tag: "Commit"; readonly who: Who; readonly works: ReadonlyArray<Work> }
  | { readonly _tag: "Deliver"; readonly messages: ReadonlyArray<Sent> }
  | { readonly _tag: "Heartbeat"; readonly who: Who; readonly lease: number; readonly info: Index | null }
  | { readonly _tag: "Ping"; readonly worker: Index; readonly nonce: Index }
  | { readonly _tag: "Pong"; readonly who: Who; readonly nonce: Index }
  | { readonly _tag: "Reconcile"; readonly who: Who; readonly held: ReadonlyArray<Index>; readonly before: number }
  | { readonly _tag: "Retire"; readonly who: Who }
  | { readonly _tag: "Reap"; readonly maxCrashes: number }
  | { readonly _tag: "Limit"; readonly queue: Index; readonly change: Partial<QueueSettings> }
  | { readonly _tag: "Define"; readonly queue: Index; readonly settings: Omit<QueueSettings, "paused"> }
  | { readonly _tag: "Hold"; readonly workflow: Index; readonly paused: boolean }
  | { readonly _tag: "Terminate" | "Pause" | "Resume"; readonly runs: ReadonlyArray<Index> }
  | { readonly _tag: "Expire"; readonly limit: number }
  | {
    readonly _tag: "Fork"
    readonly source: Index
    readonly fork: Index
    readonly seq: number
    readonly queue: Index | null
    readonly priority: number | null
  }
  | { readonly _tag: "Read"; readonly runs: ReadonlyArray<Index>; readonly from: number; readonly limit: number }
  | { readonly _tag: "Find"; readonly sought: Sought; readonly limit: number }
  | {
    readonly _tag: "Retain"
    readonly rules: ReadonlyArray<{
      readonly workflow: Index
      readonly statuses: ReadonlyArray<FinalStatus>
      readonly older: number
    }>
    readonly limit: number
  }

export type Command =
  | Operation
  | { readonly _tag: "Pass"; readonly millis: number }
  /** The last request once more, as it was. */
  | { readonly _tag: "Resend" }
  | { readonly _tag: "Transaction"; readonly operations: ReadonlyArray<Operation>; readonly fails: boolean }

const { array, boolean, constant, constantFrom, integer, oneof, option, record, subarray, uniqueArray } = FastCheck

const index = (count: number) => integer({ min: 0, max: count - 1 })

/** Mostly one, now and then the other. */
const mostly = <A>(usual: FastCheck.Arbitrary<A>, rare: FastCheck.Arbitrary<A>, times = 5): FastCheck.Arbitrary<A> =>
  oneof({ weight: times, arbitrary: usual }, { weight: 1, arbitrary: rare })

const delay = mostly(constantFrom(-10, 0, 10, 50), constantFrom(500, Infinity), 3)
const who = record({ worker: index(2), incarnation: mostly(constant(0), constant(1)) })
const kind = mostly<MessageKind>(constant("signal"), constantFrom("child", "callback", "cancel", "defect"), 3)
const anyone = mostly(index(runCount), integer({ min: runCount, max: runCount + childCount + forkCount }), 3)

const start = record({ run: index(runCount), delay: mostly(constant(null), delay, 2) })

const sent = record({ to: anyone, id: index(messageCount) })

/** Values, failures and defects, as JSON. */
const ends = [
  "{ \"v\": 1 }",
  "{ \"_tag\": \"Bad\" }",
  "{ \"name\": \"Oops\" }",
  "{ \"name\": \"Oops\", \"runtimeError\": { \"_tag\": \"Bad\" } }"
]

const move: FastCheck.Arbitrary<Move> = oneof(
  { weight: 6, arbitrary: constant({ _tag: "Stay" as const }) },
  {
    weight: 5,
    arbitrary: record({
      _tag: constant("Suspend" as const),
      delay,
      waiting: array(record({ kind, name: index(2) }), { minLength: 1, maxLength: 4 })
    })
  },
  { weight: 2, arbitrary: record({ _tag: constant("SuspendForChildren" as const), delay }) },
  {
    weight: 3,
    arbitrary: record({
      _tag: constant("Finish" as const),
      status: constantFrom("completed" as const, "failed" as const, "cancelled" as const),
      isDefect: mostly(constant(false), constant(true), 2),
      value: option(constantFrom(...ends))
    })
  },
  { weight: 2, arbitrary: record({ _tag: constant("Continue" as const), payload: index(3) }) },
  { weight: 1, arbitrary: constant({ _tag: "Diverge" as const }) },
  { weight: 2, arbitrary: record({ _tag: constant("Release" as const), delay }) }
)

const skew = mostly(constant(0), constantFrom(-1, 1), 25)

const work: FastCheck.Arbitrary<Work> = record({
  target: integer({ min: 0, max: 1_000 }),
  epochSkew: skew,
  seqSkew: skew,
  entries: index(4),
  consumed: index(3),
  children: array(record({ run: index(childCount), delay: option(delay), attached: boolean() }), { maxLength: 2 }),
  messages: array(sent, { maxLength: 3 }),
  published: array(index(2), { maxLength: 2 }),
  closes: mostly<ReadonlyArray<Index>>(constant([]), uniqueArray(index(2), { minLength: 1, maxLength: 2 }), 8),
  looks: mostly(constant(true), constant(false)),
  move
})

const versions = ["1", "2"]

const statuses: ReadonlyArray<RunStatus> = [
  "pending",
  "running",
  "suspended",
  "paused",
  "diverged",
  "completed",
  "failed",
  "cancelled",
  "terminated",
  "expired",
  "exhausted"
]

const errorCodes = ["Bad", "Oops", "v"]

const texts = ["EXPECTED", "\"v\": 1", "oops"]

const ago = constantFrom(0, 10, 50, 500)

const conditions: { readonly [Name in keyof Conditions]: FastCheck.Arbitrary<Conditions[Name]> } = {
  version: constantFrom(...versions),
  statuses: uniqueArray(constantFrom(...statuses), { maxLength: 4 }),
  queues: uniqueArray(index(2), { minLength: 1, maxLength: 2 }),
  key: index(2),
  tags: uniqueArray(index(3), { minLength: 1, maxLength: 2 }),
  attribute: oneof(record({ n: index(4) }), record({ even: boolean() })),
  parent: mostly(index(runCount), anyone),
  root: mostly(index(runCount), anyone),
  idempotencyKey: index(3),
  source: mostly(index(runCount), anyone),
  createdFrom: ago,
  createdBefore: ago,
  finishedFrom: ago,
  finishedBefore: ago,
  errorCode: constantFrom(...errorCodes),
  text: constantFrom(...texts)
}

const numbers = (count: number): ReadonlyArray<Index> => Array.from({ length: count }, (_, n) => n)

/** Conditions one by one, on values that runs often have; each sequence ends with them. */
export const soughtAlone: ReadonlyArray<Sought> = [
  ...versions.map((version) => ({ version })),
  ...statuses.map((status) => ({ statuses: [status] })),
  ...numbers(2).flatMap((n) => [{ queues: [n] }, { key: n }]),
  ...numbers(3).flatMap((n) => [{ tags: [n] }, { idempotencyKey: n }, { attribute: { n } }]),
  ...numbers(runCount).flatMap((n) => [{ parent: n }, { source: n }, { root: n }]),
  ...[0, 50].flatMap((
    at
  ) => [{ createdFrom: at }, { createdBefore: at }, { finishedFrom: at }, { finishedBefore: at }]),
  ...errorCodes.map((errorCode) => ({ errorCode })),
  ...texts.map((text) => ({ text }))
].map((by) => ({ workflows: [0, 1], ...by }))

/** Few conditions at a time, so that often something is found. */
const sought: FastCheck.Arbitrary<Sought> = record({
  workflows: mostly(constant([0, 1]), array(index(2), { maxLength: 1 })),
  all: record(conditions),
  by: subarray(Object.keys(conditions), { maxLength: 3 })
}).map(({ all, by, workflows }) => ({
  workflows,
  ...Object.fromEntries(Object.entries(all).filter(([name]) => by.includes(name)))
}))

const limit = (most: number) => mostly(constant(null), integer({ min: 0, max: most }), 1)

const limits = {
  priority: index(2),
  concurrency: limit(3),
  admission: limit(3),
  keyConcurrency: limit(2),
  rate: option(
    record({
      limit: integer({ min: 1, max: 3 }),
      millis: constantFrom(10, 100, 333),
      burst: integer({ min: 1, max: 3 })
    })
  )
}

const operation: FastCheck.Arbitrary<Operation> = oneof(
  { weight: 11, arbitrary: scheduleOperation(anyone) },
  {
    weight: 4,
    arbitrary: record({
      _tag: constant("Enqueue" as const),
      runs: array(start, { minLength: 1, maxLength: 5 }),
      claim: option(record({ worker: index(2), incarnation: constant(0), slots: index(3) }))
    })
  },
  {
    weight: 8,
    arbitrary: record({
      _tag: constant("Claim" as const),
      who,
      workflows: mostly(constant([0, 1, 2, 3]), uniqueArray(index(4), { minLength: 1, maxLength: 4 }), 3),
      queues: mostly(constant([0, 1]), uniqueArray(index(2), { minLength: 1, maxLength: 2 }), 3),
      limit: integer({ min: 1, max: 4 }),
      hot: constantFrom("none" as const, "known" as const, "stale" as const)
    })
  },
  {
    weight: 14,
    arbitrary: record({
      _tag: constant("Commit" as const),
      who,
      works: array(work, { minLength: 1, maxLength: 4 })
    })
  },
  {
    weight: 5,
    arbitrary: record({ _tag: constant("Deliver" as const), messages: array(sent, { minLength: 1, maxLength: 4 }) })
  },
  // Never a sum of steps of time: whether a lease has run out at its very end is nobody's business.
  {
    weight: 3,
    arbitrary: record({
      _tag: constant("Heartbeat" as const),
      who,
      lease: constantFrom(95, 1_005),
      info: option(index(3))
    })
  },
  { weight: 1, arbitrary: record({ _tag: constant("Ping" as const), worker: index(3), nonce: index(3) }) },
  { weight: 1, arbitrary: record({ _tag: constant("Pong" as const), who, nonce: index(3) }) },
  {
    weight: 1,
    arbitrary: record({
      _tag: constant("Reconcile" as const),
      who,
      held: uniqueArray(index(runCount), { maxLength: 3 }),
      before: constantFrom(-10, 0, 1)
    })
  },
  { weight: 1, arbitrary: record({ _tag: constant("Retire" as const), who }) },
  {
    weight: 2,
    arbitrary: record({ _tag: constant("Reap" as const), maxCrashes: constantFrom(1, 2, 4) })
  },
  {
    weight: 1,
    arbitrary: record({ _tag: constant("Terminate" as const), runs: array(anyone, { minLength: 1, maxLength: 2 }) })
  },
  {
    weight: 2,
    arbitrary: record({ _tag: constant("Pause" as const), runs: array(anyone, { minLength: 1, maxLength: 4 }) })
  },
  {
    weight: 2,
    arbitrary: record({
      _tag: constant("Resume" as const),
      runs: mostly(
        array(anyone, { minLength: 1, maxLength: 2 }),
        uniqueArray(index(runCount), { minLength: 2, maxLength: runCount }),
        2
      )
    })
  },
  { weight: 1, arbitrary: record({ _tag: constant("Expire" as const), limit: mostly(constant(1_000), constant(1)) }) },
  {
    weight: 2,
    arbitrary: record({
      _tag: constant("Fork" as const),
      source: anyone,
      fork: integer({ min: runCount + childCount + 1, max: runCount + childCount + forkCount }),
      seq: integer({ min: 0, max: 6 }),
      queue: option(index(2)),
      priority: option(index(2))
    })
  },
  {
    weight: 2,
    arbitrary: record({
      _tag: constant("Limit" as const),
      queue: index(2),
      change: record({ ...limits, paused: mostly(constant(false), constant(true), 3) }, { requiredKeys: [] })
    })
  },
  {
    weight: 1,
    arbitrary: record({ _tag: constant("Define" as const), queue: index(2), settings: record(limits) })
  },
  {
    weight: 1,
    arbitrary: record({
      _tag: constant("Hold" as const),
      workflow: index(2),
      paused: mostly(constant(false), constant(true), 1)
    })
  },
  {
    weight: 1,
    arbitrary: record({
      _tag: constant("Read" as const),
      runs: uniqueArray(anyone, { minLength: 1, maxLength: 4 }),
      from: index(5),
      limit: index(4)
    })
  },
  { weight: 4, arbitrary: record({ _tag: constant("Find" as const), sought, limit: integer({ min: 1, max: 5 }) }) },
  {
    weight: 1,
    arbitrary: record({
      _tag: constant("Retain" as const),
      rules: array(
        record({
          workflow: index(2),
          statuses: uniqueArray(
            constantFrom<FinalStatus>("completed", "failed", "cancelled", "terminated", "exhausted"),
            {
              minLength: 1,
              maxLength: 3
            }
          ),
          older: constantFrom(0, 50, 500, Infinity)
        }),
        { minLength: 1, maxLength: 2 }
      ),
      limit: index(4)
    })
  }
)

const pass = record({
  _tag: constant("Pass" as const),
  millis: constantFrom(10, 50, 100, 500)
})

const transaction = record({
  _tag: constant("Transaction" as const),
  operations: array(operation, { minLength: 1, maxLength: 4 }),
  fails: boolean()
})

/** What every sequence begins with, so that there is something to work on. */
const opening: ReadonlyArray<Command> = [
  ...scheduleOpening,
  ...[0, 1].map((worker): Command => ({
    _tag: "Heartbeat",
    who: { worker, incarnation: 0 },
    lease: 1_005,
    info: worker
  })),
  { _tag: "Enqueue", runs: [0, 1, 2, 3, 4, 5].map((run) => ({ run, delay: null })), claim: null }
]

/** Any sequence of operations, time passing between them; some of them in transactions, of which some fail. */
export const commands: FastCheck.Arbitrary<ReadonlyArray<Command>> = array(
  oneof<Array<FastCheck.WeightedArbitrary<Command>>>(
    { weight: 40, arbitrary: operation },
    { weight: 4, arbitrary: pass },
    { weight: 2, arbitrary: constant({ _tag: "Resend" }) },
    { weight: 3, arbitrary: transaction }
  ),
  { minLength: 1, maxLength: 80, size: "max" }
).map((sequence) => [...opening, ...sequence])
