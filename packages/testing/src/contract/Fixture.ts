/**
 * The fixture of a case: names that no other case uses, because test files share databases; a worker whose lease does
 * not run out; and short forms of the driver's verbs. By default each run has its own queue, so a claim finds that run
 * or nothing.
 */
import { assert } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { randomUUID } from "node:crypto"
import type * as Driver from "perdure/JournalDriver"
import { AnswerBounds, JournalDriver } from "perdure/JournalDriver"
import type { JournalError } from "perdure/Errors"

/** One rule of the contract as a test. It fails, or dies of an assertion, if the driver breaks the rule. */
export interface Case {
  readonly name: string
  readonly run: Effect.Effect<void, unknown, JournalDriver>
}

/** The instant at which every case starts. It needs more than 32 bits, like real instants. */
export const start = 1_700_000_000_000

/** The duration of a lease that outlasts every case. */
export const longLease = 1_000_000_000_000

export type ClaimRequest = Parameters<JournalDriver["claim"]>[0]

type Result<A> = Effect.Effect<A, JournalError>

/** A run that a worker holds. */
export interface Held {
  readonly id: string
  readonly queue: string
  readonly epoch: number
  readonly nextSeq: number
  readonly seen: number
}

export const success = (value: unknown): Driver.EncodedExit => ({ kind: "success", value: JSON.stringify(value) })

export const finish = (
  exit: Driver.EncodedExit = success("done"),
  status: Driver.FinishStatus = "completed",
  errorCode: string | null = null
): Driver.Transition => ({ _tag: "Finish", status, exit, errorCode })

export const suspend = (until: Driver.Millis, ...waiting: ReadonlyArray<string>): Driver.Transition => ({
  _tag: "Suspend",
  until,
  waiting
})

/** A success of a little more than a third of what one answer holds. */
export const large = success("x".repeat(Math.ceil(AnswerBounds.bytes / 3)))

/** `count` entries of finished steps. */
export const entries = (from: number, count: number): ReadonlyArray<Driver.Entry> =>
  Array.from({ length: count }, (_, index) => {
    const seq = from + index
    return { seq, op: seq, kind: "step", name: `step-${seq}`, exit: success(seq), at: start + seq }
  })

export const commitOf = (held: Held, change: Partial<Driver.RunCommit> = {}): Driver.RunCommit => ({
  run: held.id,
  epoch: held.epoch,
  from: held.nextSeq,
  entries: [],
  consumed: [],
  children: [],
  messages: [],
  published: [],
  closes: [],
  seen: held.seen,
  transition: null,
  ...change
})

let messages = 0

/** A message that has a payload. */
type PayloadMessage = Extract<Driver.NewMessage, { readonly payload: Driver.Json }>

/** A signal with a unique id. */
export const signal = (to: string, name: string, change: Partial<PayloadMessage> = {}): PayloadMessage => ({
  to,
  kind: "signal",
  name,
  id: `message-${++messages}`,
  payload: `{"n":${messages}}`,
  ...change
})

/** A message of any kind, with an id of its own. */
export const message = (kind: Driver.MessageKind, to: string, name: string): Driver.NewMessage => {
  const head = { to, name, id: `message-${++messages}` }
  switch (kind) {
    case "cancel":
      return { ...head, kind, by: `by-${messages}`, reason: null }
    case "child":
      return { ...head, kind, child: `child-${messages}`, ending: { status: "expired", exit: null, endCause: null } }
    default:
      return { ...head, kind, payload: `{"n":${messages}}` }
  }
}

/** The payload of a message that has one. */
export const payloadOf = (content: Driver.MessageContent): Driver.Json | null =>
  "payload" in content ? content.payload : null

/** The end of the child that a message reports. */
export const endingOf = (content: Driver.MessageContent) =>
  content.kind === "child" ? { child: content.child, ...content.ending } : null

export const value = <A, E, R>(answer: Effect.Effect<Driver.Answer<A>, E, R>): Effect.Effect<A, E, R> =>
  Effect.map(answer, (answered) => answered.value)

/** The item of a list that must have exactly one. */
export const only = <A>(items: ReadonlyArray<A>): A => {
  assert.strictEqual(items.length, 1, `one item, of ${JSON.stringify(items)}`)
  return items[0] as A
}

export class Fixture {
  readonly driver: JournalDriver
  readonly prefix: string
  readonly worker: Driver.WorkerRef
  readonly workflow: { readonly name: string; readonly version: string }

  constructor(driver: JournalDriver, prefix: string) {
    this.driver = driver
    this.prefix = prefix
    this.worker = { id: `${prefix}-worker`, incarnation: `${prefix}-1` }
    this.workflow = { name: `${prefix}-workflow`, version: "1" }
  }

  id(name: string): string {
    return `${this.prefix}-${name}`
  }

  newRun(name: string, change: Partial<Driver.NewRun> = {}): Driver.NewRun {
    const id = this.id(name)
    return {
      id,
      workflow: this.workflow.name,
      version: this.workflow.version,
      queue: `${id}-queue`,
      priority: 0,
      payload: `{"run":"${name}"}`,
      idempotencyKey: null,
      availableAt: null,
      parent: null,
      root: id,
      depth: 0,
      key: null,
      expiresAt: null,
      tags: [],
      attributes: {},
      singleton: null,
      ...change
    }
  }

  /** A child with the token `token-<name>`. */
  newChild(parent: Held, name: string, change: Partial<Driver.NewRun> = {}): Driver.NewRun {
    const link = { id: parent.id, token: `token-${name}`, attached: true }
    return this.newRun(name, { parent: link, root: parent.id, depth: 1, ...change })
  }

  enqueue(...runs: ReadonlyArray<Driver.NewRun>): Result<ReadonlyArray<Driver.EnqueueResult>> {
    return value(this.driver.enqueue({ runs, claim: null }))
  }

  claimAnswer(queues: ReadonlyArray<string>, change: Partial<ClaimRequest> = {}) {
    return value(this.driver.claim({
      worker: this.worker,
      workflows: [this.workflow],
      queues,
      limit: 100,
      hot: new Map(),
      ...change
    }))
  }

  claim(
    queues: ReadonlyArray<string>,
    change: Partial<ClaimRequest> = {}
  ): Result<ReadonlyArray<Driver.ClaimedRun>> {
    return Effect.map(this.claimAnswer(queues, change), (answer) => answer.runs)
  }

  /** Claims the one run of a queue, which must be available. */
  claimOne(run: { readonly queue: string }, change: Partial<ClaimRequest> = {}): Result<Driver.ClaimedRun> {
    return Effect.map(this.claim([run.queue], change), only)
  }

  /** Inserts and claims a run. */
  running(name: string, change: Partial<Driver.NewRun> = {}, worker?: Driver.WorkerRef): Result<Driver.ClaimedRun> {
    const run = this.newRun(name, change)
    const request = {
      workflows: [{ name: run.workflow, version: run.version }],
      ...(worker === undefined ? {} : { worker })
    }
    return Effect.zipRight(this.enqueue(run), this.claimOne(run, request))
  }

  /** Inserts, claims and suspends a run. Returns the run as it was claimed. */
  suspended(name: string, until: Driver.Millis, ...waiting: ReadonlyArray<string>): Result<Driver.ClaimedRun> {
    return Effect.tap(this.running(name), (held) => this.apply(held, { transition: suspend(until, ...waiting) }))
  }

  commitAll(commits: ReadonlyArray<Driver.RunCommit>): Result<ReadonlyArray<Driver.CommitResult>> {
    return value(this.driver.commit({ worker: this.worker, commits }))
  }

  commit(held: Held, change: Partial<Driver.RunCommit> = {}): Result<Driver.CommitResult> {
    return Effect.map(this.commitAll([commitOf(held, change)]), only)
  }

  /** Makes a commit that must be applied. Returns the held run after it, with the dispositions of its messages. */
  apply(
    held: Held,
    change: Partial<Driver.RunCommit> = {}
  ): Result<Held & { readonly dispositions: ReadonlyArray<Driver.Disposition> }> {
    return Effect.map(this.commit(held, change), (committed) => {
      assert.strictEqual(committed._tag, "Applied")
      const dispositions = committed._tag === "Applied" ? committed.dispositions : []
      return { ...held, nextSeq: held.nextSeq + (change.entries?.length ?? 0), dispositions }
    })
  }

  deliver(...sent: ReadonlyArray<Driver.NewMessage>): Result<ReadonlyArray<Driver.Disposition>> {
    return value(this.driver.deliver(sent))
  }

  find(id: string): Result<ReadonlyArray<Driver.RunRecord>> {
    return value(this.driver.get([id]))
  }

  findByIdempotencyKey(workflow: string, idempotencyKey: string): Result<ReadonlyArray<Driver.RunRecord>> {
    const filter = { workflows: [workflow], idempotencyKey }
    return Effect.map(value(this.driver.find({ filter, after: null, limit: 10 })), ({ runs }) => runs)
  }

  record(run: { readonly id: string }): Result<Driver.RunRecord> {
    return Effect.map(this.find(run.id), only)
  }

  status(run: { readonly id: string }): Result<Driver.RunStatus> {
    return Effect.map(this.record(run), (record) => record.status)
  }

  history(run: { readonly id: string }): Result<ReadonlyArray<Driver.HistoryEntry>> {
    return value(this.driver.history({ run: run.id, from: 0, limit: 10_000 }))
  }

  /** The unread messages of a run; empty for an unknown run. */
  messages(run: { readonly id: string }): Result<ReadonlyArray<Driver.Message>> {
    return Effect.map(
      value(this.driver.inbox([{ run: run.id, after: 0 }])),
      (found) => found.flatMap(({ messages }) => messages)
    )
  }

  /** The inbox of one run beyond an ordinal. */
  inbox(run: { readonly id: string }, after = 0) {
    return Effect.map(value(this.driver.inbox([{ run: run.id, after }])), only)
  }

  published(run: { readonly id: string }) {
    return value(this.driver.published(run.id))
  }

  /** Everything that can be read of a run. It is equal before and after a request that must change nothing. */
  everything(run: { readonly id: string }) {
    return Effect.all({
      record: this.find(run.id),
      history: this.history(run),
      messages: this.messages(run),
      published: this.published(run)
    })
  }

  heartbeat(worker: Driver.WorkerRef, leaseMillis: number) {
    return value(this.driver.heartbeat({ worker, leaseMillis, info: null }))
  }

  /** Registers another worker. */
  workerWith(name: string, leaseMillis: number): Result<Driver.WorkerRef> {
    const worker = { id: this.id(name), incarnation: `${this.id(name)}-1` }
    return Effect.as(this.heartbeat(worker, leaseMillis), worker)
  }

  /** Reaps until no run is left to reap. */
  reapAll(maxCrashes = 1_000_000): Result<void> {
    const once = value(this.driver.reap({ limit: 1_000, maxCrashes }))
    return Effect.asVoid(Effect.repeat(once, { while: ({ exhausted, released }) => released + exhausted > 0 }))
  }

  /** Reaps the runs that other cases left, at an instant after every lease. */
  get sweep(): Result<void> {
    return TestClock.setTime(start + 1_000_000_000).pipe(
      Effect.zipRight(this.reapAll()),
      Effect.zipRight(TestClock.setTime(start))
    )
  }
}

/** A case with its own fixture. */
export const check = (name: string, body: (t: Fixture) => Effect.Effect<void, unknown, Scope.Scope>): Case => ({
  name,
  run: Effect.gen(function*() {
    yield* TestClock.setTime(start)
    const driver = yield* JournalDriver
    const t = new Fixture(driver, yield* Effect.sync(() => randomUUID().slice(0, 13)))
    yield* t.heartbeat(t.worker, longLease)
    yield* body(t)
  }).pipe(Effect.scoped)
})

/** The result of a claim when no run is available, now or later. */
export const nothing = { runs: [], nextDue: null, more: false, limited: false }

export const now = Clock.currentTimeMillis

export const pass = (millis: number): Effect.Effect<void> => TestClock.adjust(millis)
