/** Random commands: sequences of operations over the pool, with repetitions, transactions and time between them. */
import * as FastCheck from "effect/FastCheck"
import type { MessageKind } from "perdure/JournalDriver"
import { FinalStatus, RunStatus } from "perdure/JournalDriver"
import type { Command, CommitSpec, Conditions, FilterSpec, Index, Operation, TransitionSpec } from "./Command.js"
import { childCount, forkCount, messageCount, runCount } from "./pool.js"
import { scheduleOpening, scheduleOperation } from "./scheduleCommands.js"

const { array, boolean, constant, constantFrom, integer, oneof, option, record, subarray, uniqueArray } = FastCheck

const index = (count: number) => integer({ min: 0, max: count - 1 })

/** `usual`, `times` as often as `rare`. */
const mostly = <A>(usual: FastCheck.Arbitrary<A>, rare: FastCheck.Arbitrary<A>, times = 5): FastCheck.Arbitrary<A> =>
  oneof({ weight: times, arbitrary: usual }, { weight: 1, arbitrary: rare })

const delay = mostly(constantFrom(-10, 0, 10, 50), constantFrom(500, Infinity), 3)
const who = record({ worker: index(2), incarnation: mostly(constant(0), constant(1)) })
const kind = mostly<MessageKind>(constant("signal"), constantFrom("child", "callback", "cancel", "defect"), 3)
const anyone = mostly(index(runCount), integer({ min: runCount, max: runCount + childCount + forkCount }), 3)

const start = record({ run: index(runCount), delay: mostly(constant(null), delay, 2) })

const message = record({ to: anyone, id: index(messageCount) })

const errorCodes = ["Bad", "Oops", "v"]

/** Values, failures and defects, as JSON. */
const exitValues = [
  "{ \"v\": 1 }",
  "{ \"_tag\": \"Bad\" }",
  "{ \"name\": \"Oops\" }",
  "{ \"name\": \"Oops\", \"runtimeError\": { \"_tag\": \"Bad\" } }"
]

const transition: FastCheck.Arbitrary<TransitionSpec> = oneof(
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
      value: option(constantFrom(...exitValues)),
      errorCode: option(constantFrom(...errorCodes))
    })
  },
  { weight: 2, arbitrary: record({ _tag: constant("Continue" as const), payload: index(3) }) },
  { weight: 1, arbitrary: constant({ _tag: "Diverge" as const }) },
  { weight: 2, arbitrary: record({ _tag: constant("Release" as const), delay }) }
)

const skew = mostly(constant(0), constantFrom(-1, 1), 25)

const commit: FastCheck.Arbitrary<CommitSpec> = record({
  target: integer({ min: 0, max: 1_000 }),
  epochSkew: skew,
  seqSkew: skew,
  entries: index(4),
  consumed: index(3),
  children: array(record({ run: index(childCount), delay: option(delay), attached: boolean() }), { maxLength: 2 }),
  messages: array(message, { maxLength: 3 }),
  published: array(index(2), { maxLength: 2 }),
  closes: mostly<ReadonlyArray<Index>>(constant([]), uniqueArray(index(2), { minLength: 1, maxLength: 2 }), 8),
  readsInbox: mostly(constant(true), constant(false)),
  transition
})

const versions = ["1", "2"]

const texts = ["EXPECTED", "\"v\": 1", "oops"]

const ago = constantFrom(0, 10, 50, 500)

const conditions: { readonly [Name in keyof Conditions]: FastCheck.Arbitrary<Conditions[Name]> } = {
  version: constantFrom(...versions),
  statuses: uniqueArray(constantFrom(...RunStatus.literals), { maxLength: 4 }),
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

/** Filters with one condition each, on values that runs often have. The player uses them at the end of a sequence. */
export const singleConditions: ReadonlyArray<FilterSpec> = [
  ...versions.map((version) => ({ version })),
  ...RunStatus.literals.map((status) => ({ statuses: [status] })),
  ...numbers(2).flatMap((n) => [{ queues: [n] }, { key: n }]),
  ...numbers(3).flatMap((n) => [{ tags: [n] }, { idempotencyKey: n }, { attribute: { n } }]),
  ...numbers(runCount).flatMap((n) => [{ parent: n }, { source: n }, { root: n }]),
  ...[0, 50].flatMap((
    at
  ) => [{ createdFrom: at }, { createdBefore: at }, { finishedFrom: at }, { finishedBefore: at }]),
  ...errorCodes.map((errorCode) => ({ errorCode })),
  ...texts.map((text) => ({ text }))
].map((by) => ({ workflows: [0, 1], ...by }))

/** At most three conditions, so that a search often finds runs. */
const sought: FastCheck.Arbitrary<FilterSpec> = record({
  workflows: mostly(constant([0, 1]), array(index(2), { maxLength: 1 })),
  all: record(conditions),
  by: subarray(Object.keys(conditions), { maxLength: 3 })
}).map(({ all, by, workflows }) => ({
  workflows,
  ...Object.fromEntries(Object.entries(all).filter(([name]) => by.includes(name)))
}))

const limit = (max: number) => mostly(constant(null), integer({ min: 0, max }), 1)

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
      claim: option(record({ worker: index(2), incarnation: constant(0), capacity: index(3) }))
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
      hot: constantFrom("none" as const, "current" as const, "stale" as const)
    })
  },
  {
    weight: 14,
    arbitrary: record({
      _tag: constant("Commit" as const),
      who,
      commits: array(commit, { minLength: 1, maxLength: 4 })
    })
  },
  {
    weight: 5,
    arbitrary: record({ _tag: constant("Deliver" as const), messages: array(message, { minLength: 1, maxLength: 4 }) })
  },
  // Never a sum of the times that pass: the contract leaves open whether a lease is valid at the instant of its end.
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
      _tag: constant("ChangeQueue" as const),
      queue: index(2),
      change: record({ ...limits, paused: mostly(constant(false), constant(true), 3) }, { requiredKeys: [] })
    })
  },
  {
    weight: 1,
    arbitrary: record({ _tag: constant("DefineQueue" as const), queue: index(2), settings: record(limits) })
  },
  {
    weight: 1,
    arbitrary: record({
      _tag: constant("PauseWorkflow" as const),
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
            constantFrom(...FinalStatus.literals),
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

/** The start of every sequence: schedules, two workers and six runs. */
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

/** Sequences of commands. Some operations are in transactions, and some transactions fail. */
export const commands: FastCheck.Arbitrary<ReadonlyArray<Command>> = array(
  oneof<Array<FastCheck.WeightedArbitrary<Command>>>(
    { weight: 40, arbitrary: operation },
    { weight: 4, arbitrary: pass },
    { weight: 2, arbitrary: constant({ _tag: "Repeat" }) },
    { weight: 3, arbitrary: transaction }
  ),
  { minLength: 1, maxLength: 80, size: "max" }
).map((sequence) => [...opening, ...sequence])
