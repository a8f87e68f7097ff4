/**
 * A player executes commands on one driver, and keeps what a worker would have read. Two players of the same commands
 * send equal requests as long as their drivers return equal results, up to ordinals.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { JournalError } from "perdure/Errors"
import type * as Driver from "perdure/JournalDriver"
import { value } from "../contract/Fixture.js"
import type { Command, CommitSpec, Operation } from "./Command.js"
import { singleConditions } from "./commands.js"
import { commitOf, type HeldRun } from "./commits.js"
import * as Normal from "./normal.js"
import * as Pool from "./pool.js"
import * as Schedules from "./schedules.js"

interface ClaimResult extends Omit<Driver.VerbValues["claim"], "runs"> {
  readonly runs: ReadonlyArray<ReturnType<typeof Normal.claimedRun>>
}

type Outcome = Effect.Effect<unknown, JournalError>

/** The failure of a transaction that is to be rolled back. */
const ROLLED_BACK = "rolled back"

export class Player {
  private readonly driver: Driver.JournalDriver
  private readonly prefix: string
  /** The runs that the player holds, by id, until a result shows that it does not. */
  private held: ReadonlyMap<string, HeldRun> = new Map()
  /** Runs that it no longer holds, in order. */
  private past: ReadonlyArray<HeldRun> = []
  private last: Outcome = Effect.succeed("no request to repeat")

  constructor(driver: Driver.JournalDriver, prefix: string) {
    this.driver = driver
    this.prefix = prefix
  }

  /** The driver's result of a command, without what the contract leaves open. */
  play(command: Command): Outcome {
    switch (command._tag) {
      case "Pass":
        return Effect.succeed("time passes")
      case "Repeat":
        return Effect.suspend(() => this.last)
      case "Transaction":
        return this.transaction(command.operations, command.fails)
      default:
        return this.operate(command)
    }
  }

  /** Everything that can be read from the driver. */
  get everything(): Outcome {
    const ids = Pool.runs.map((n) => Pool.runId(this.prefix, n))
    const { driver } = this
    const workers = [0, 1].map((worker) => Pool.worker(this.prefix, { worker, incarnation: 0 }).id)
    const queues = [0, 1].map((n) => Pool.queue(this.prefix, n))
    return Effect.all({
      records: Effect.map(value(driver.get(ids)), Normal.records),
      workers: Effect.forEach(workers, (id) =>
        Effect.all([
          value(driver.workers({ id, after: null, limit: 2 })),
          value(driver.samples({ worker: id, limit: 10 }))
        ])),
      queues: value(driver.queues(queues)),
      counts: value(driver.queueCounts({ names: queues, limit: 5 })),
      paused: Effect.map(
        value(driver.pausedWorkflows()),
        (workflows) => workflows.filter(({ name }) => name.startsWith(this.prefix))
      ),
      found: Effect.flatMap(
        Clock.currentTimeMillis,
        (now) => Effect.forEach(singleConditions, (sought) => this.find(Pool.filter(this.prefix, now, sought), 5))
      ),
      schedules: Schedules.everything(driver, this.prefix),
      runs: Effect.forEach(ids, (run) =>
        Effect.all({
          history: value(driver.history({ run, from: 0, limit: 10_000 })),
          inbox: Effect.map(value(driver.inbox([{ run, after: 0 }])), Normal.inboxes),
          published: Effect.map(value(driver.published(run)), Normal.published),
          controls: value(driver.controls(run))
        }))
    })
  }

  /** Releases every run, so that a later sequence cannot reap one. */
  get retire(): Outcome {
    const workers = [0, 1].flatMap((worker) => [0, 1].map((incarnation) => ({ worker, incarnation })))
    return Effect.forEach(workers, (who) => value(this.driver.retire(Pool.worker(this.prefix, who))))
  }

  private operate(operation: Operation): Outcome {
    return Effect.flatMap(this.prepare(operation), (request) => {
      this.last = request
      return request
    })
  }

  private transaction(operations: ReadonlyArray<Operation>, fails: boolean): Outcome {
    return Effect.suspend(() => {
      const { held, past } = this
      const results: Array<unknown> = []
      const all = Effect.forEach(
        operations,
        (operation) => Effect.map(this.operate(operation), (result) => results.push(result)),
        { discard: true }
      )
      return this.driver.transaction(fails ? Effect.zipRight(all, Effect.fail(ROLLED_BACK)) : all).pipe(
        Effect.catchIf((error) => error === ROLLED_BACK, () =>
          Effect.sync(() => {
            this.held = held
            this.past = past
          })),
        Effect.catchIf((error) => typeof error === "string", Effect.die),
        Effect.map(() => results)
      )
    })
  }

  /** The request of an operation, from what the player has read. It can be executed more than once. */
  private prepare(operation: Operation): Effect.Effect<Outcome, JournalError> {
    const { driver, prefix } = this
    return Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<Outcome, JournalError> => {
      switch (operation._tag) {
        case "WriteSchedules":
        case "RemoveSchedules":
        case "SeeSchedules":
        case "DueSchedules":
        case "ReadSchedules":
          return Schedules.prepare(driver, prefix, now, operation)
        case "Enqueue": {
          const { claim } = operation
          return Effect.succeed(this.enqueue({
            runs: operation.runs.map((run) => Pool.newRun(prefix, now, run)),
            claim: claim === null ? null : { worker: Pool.worker(prefix, claim), capacity: claim.capacity }
          }))
        }
        case "Claim":
          return Effect.succeed(this.claim({
            worker: Pool.worker(prefix, operation.who),
            workflows: operation.workflows.map((n) => Pool.workflow(prefix, n)),
            queues: operation.queues.map((n) => Pool.queue(prefix, n)),
            limit: operation.limit,
            hot: this.hot(operation.hot)
          }))
        case "Commit":
          return Effect.map(
            this.commitsOf(operation.commits, now),
            (commits) => this.commit({ worker: Pool.worker(prefix, operation.who), commits })
          )
        case "Deliver": {
          const messages = operation.messages.map((each) => Pool.newMessage(prefix, each))
          const deliver = value(driver.deliver(messages))
          return Effect.succeed(Effect.map(deliver, (found) => Normal.dispositions(messages, found, new Set())))
        }
        case "Heartbeat": {
          const worker = Pool.worker(prefix, operation.who)
          return Effect.succeed(
            value(
              driver.heartbeat({
                worker,
                leaseMillis: operation.lease,
                info: operation.info === null ? null : `{ "n": ${operation.info} }`
              })
            )
          )
        }
        case "Ping": {
          const { id } = Pool.worker(prefix, { worker: operation.worker, incarnation: 0 })
          return Effect.succeed(value(driver.ping({ worker: id, nonce: `nonce-${operation.nonce}` })))
        }
        case "Pong": {
          const worker = Pool.worker(prefix, operation.who)
          return Effect.succeed(value(driver.pong({ worker, nonce: `nonce-${operation.nonce}` })))
        }
        case "Reconcile":
          return Effect.succeed(value(driver.reconcile({
            worker: Pool.worker(prefix, operation.who),
            held: operation.held.map((n) => Pool.runId(prefix, n)),
            claimedBefore: now + operation.before
          })))
        case "Retire":
          return Effect.succeed(value(driver.retire(Pool.worker(prefix, operation.who))))
        case "Reap":
          return Effect.succeed(value(driver.reap({ limit: 1_000, maxCrashes: operation.maxCrashes })))
        case "Terminate":
          return Effect.succeed(value(driver.terminate(this.control(operation.runs))))
        case "Pause":
          return Effect.succeed(value(driver.pause(this.control(operation.runs))))
        case "Resume":
          return Effect.succeed(value(driver.resume(this.control(operation.runs))))
        case "Expire":
          return Effect.succeed(value(driver.expire({ limit: operation.limit })))
        case "Fork":
          return Effect.succeed(value(driver.fork({
            source: Pool.runId(prefix, operation.source),
            seq: operation.seq,
            id: Pool.runId(prefix, operation.fork),
            queue: operation.queue === null ? null : Pool.queue(prefix, operation.queue),
            priority: operation.priority,
            action: operation.seq % 2 === 0 ? "fork" : "retry",
            by: null,
            reason: "agreement"
          })))
        case "ChangeQueue": {
          const { change, queue } = operation
          return Effect.succeed(
            value(driver.changeQueue({ name: Pool.queue(prefix, queue), change, by: `${queue}`, reason: null }))
          )
        }
        case "DefineQueue": {
          const { queue, settings } = operation
          const request = { name: Pool.queue(prefix, queue), definition: JSON.stringify(settings), settings }
          return Effect.succeed(value(driver.defineQueue(request)))
        }
        case "PauseWorkflow": {
          const workflows = [Pool.workflow(prefix, operation.workflow).name]
          return Effect.succeed(value(
            operation.paused
              ? driver.pauseWorkflows({ workflows, by: null, reason: "r" })
              : driver.resumeWorkflows(workflows)
          ))
        }
        case "Read":
          return Effect.succeed(this.read(operation))
        case "Find":
          return Effect.succeed(this.find(Pool.filter(prefix, now, operation.sought), operation.limit))
        case "Retain":
          return Effect.succeed(value(driver.retain({
            rules: operation.rules.map(({ older, statuses, workflow }) => ({
              workflow: Pool.workflow(prefix, workflow).name,
              statuses,
              olderThanMillis: older
            })),
            limit: operation.limit
          })))
      }
    })
  }

  private control(runs: ReadonlyArray<number>): Driver.ControlRequest {
    return { runs: runs.map((n) => Pool.runId(this.prefix, n)), by: "ann", reason: null }
  }

  private hot(which: "none" | "current" | "stale"): ReadonlyMap<string, number> {
    if (which === "none") return new Map()
    return new Map(this.past.map(({ id, nextSeq }) => [id, which === "current" ? nextSeq : Math.max(0, nextSeq - 1)]))
  }

  private enqueue(request: Driver.VerbRequest<"enqueue">): Outcome {
    return Effect.map(value(this.driver.enqueue(request)), (answers) => {
      for (const answer of answers) {
        if (answer._tag === "Started" && answer.epoch !== null) {
          this.hold({ id: answer.id, epoch: answer.epoch, nextSeq: 0, seen: 0, unread: [], tokens: [] })
        }
      }
      return answers
    })
  }

  /** Repeats the claim while the driver returns `more`: the contract leaves open how many claims it takes. */
  private claim(request: Driver.VerbRequest<"claim">): Effect.Effect<ClaimResult, JournalError> {
    return Effect.flatMap(value(this.driver.claim(request)), ({ runs, ...rest }) => {
      for (const { epoch, id, inbox, nextSeq, seen } of runs) {
        this.hold({ id, epoch, nextSeq, seen, unread: inbox.map(({ ordinal }) => ordinal), tokens: this.tokens(id) })
      }
      const claimed = { ...rest, runs: runs.map(Normal.claimedRun) }
      const limit = request.limit - runs.length
      return rest.more && runs.length > 0 && limit > 0
        ? Effect.map(this.claim({ ...request, limit }), (then) => ({ ...then, runs: [...claimed.runs, ...then.runs] }))
        : Effect.succeed(claimed)
    })
  }

  private commit(request: Driver.VerbRequest<"commit">): Outcome {
    return Effect.map(value(this.driver.commit(request)), (answers) => {
      for (const [index, commit] of request.commits.entries()) {
        if (answers[index]?._tag === "Applied") this.applied(commit)
        if (answers[index]?._tag === "Lost" && this.held.get(commit.run)?.epoch === commit.epoch) this.drop(commit.run)
      }
      const cancelled = new Set<string>()
      return answers.map((answer, index) =>
        answer._tag === "Applied"
          ? Normal.dispositions(request.commits[index]?.messages ?? [], answer.dispositions, cancelled)
          : answer
      )
    })
  }

  private read({ from, limit, runs }: Extract<Operation, { readonly _tag: "Read" }>): Outcome {
    const { driver, prefix } = this
    const ids = runs.map((n) => Pool.runId(prefix, n))
    return Effect.all({
      get: Effect.map(value(driver.get(ids)), Normal.records),
      await: Effect.map(value(driver.await(ids)), Normal.standings),
      inboxes: Effect.map(value(driver.inbox(ids.map((run) => ({ run, after: 0 })))), Normal.inboxes),
      byIdempotencyKey: Effect.forEach([0, 1, 2], (n) => {
        const filter = { workflows: [Pool.workflow(prefix, n).name], idempotencyKey: `key-${from % 3}` }
        return Effect.map(value(driver.find({ filter, after: null, limit: 10 })), ({ runs }) => Normal.records(runs))
      }),
      later: Effect.forEach(
        this.held.values(),
        ({ id, unread }) => Effect.map(value(driver.inbox([{ run: id, after: unread[0] ?? 0 }])), Normal.inboxes)
      ),
      history: Effect.forEach(ids, (run) => value(driver.history({ run, from, limit })))
    })
  }

  /** All pages of a search, and the counts. */
  private find(filter: Driver.RunFilter, limit: number): Outcome {
    const page = (after: Driver.RunCursor | null): Effect.Effect<ReadonlyArray<unknown>, JournalError> =>
      Effect.flatMap(value(this.driver.find({ filter, after, limit })), ({ next, runs }) => {
        const shown = runs.map(Normal.record)
        return next === null ? Effect.succeed(shown) : Effect.map(page(next), (more) => [...shown, next, ...more])
      })
    return Effect.all({ pages: page(null), counts: value(this.driver.count(filter)) })
  }

  /** The commits, each of another run, from what the player has read of the runs. */
  private commitsOf(
    specs: ReadonlyArray<CommitSpec>,
    now: number
  ): Effect.Effect<ReadonlyArray<Driver.RunCommit>, JournalError> {
    const targets = new Map<string, readonly [HeldRun, CommitSpec]>()
    const held = [...this.held.values()]
    for (const spec of specs) {
      const from = spec.target % 16 === 0 && this.past.length > 0 ? this.past : held
      const heldRun = from[(spec.target >> 4) % Math.max(1, from.length)]
      if (heldRun !== undefined && !targets.has(heldRun.id)) targets.set(heldRun.id, [heldRun, spec])
    }
    const continuing = new Set(
      [...targets].flatMap(([id, [, { transition }]]) => transition._tag === "Continue" ? [id] : [])
    )
    return Effect.forEach(
      targets.values(),
      ([heldRun, spec]) =>
        Effect.map(spec.readsInbox ? this.readInbox(heldRun) : Effect.succeed(heldRun), (read) => {
          const commit = commitOf(this.prefix, read, spec, now)
          return { ...commit, messages: commit.messages.filter(({ to }) => !continuing.has(to)) }
        })
    )
  }

  private readInbox(heldRun: HeldRun): Effect.Effect<HeldRun, JournalError> {
    return Effect.map(value(this.driver.inbox([{ run: heldRun.id, after: 0 }])), (inboxes) => {
      const [inbox] = inboxes
      // The run may have been deleted.
      if (inbox === undefined) return heldRun
      const { messages, seen } = inbox
      return { ...heldRun, seen, unread: messages.map(({ ordinal }) => ordinal) }
    })
  }

  private applied(commit: Driver.RunCommit): void {
    const before = this.held.get(commit.run)
    if (before === undefined || before.epoch !== commit.epoch) return
    this.hold({
      ...before,
      nextSeq: commit.from + commit.entries.length,
      seen: commit.seen,
      unread: before.unread.filter((ordinal) => !commit.consumed.includes(ordinal)),
      tokens: [...before.tokens, ...commit.children.map(({ parent }) => parent?.token ?? "")]
    })
    if (commit.transition !== null && commit.transition._tag !== "Continue") this.drop(commit.run)
  }

  private tokens(id: string): ReadonlyArray<string> {
    return this.past.findLast((heldRun) => heldRun.id === id)?.tokens ?? []
  }

  private hold(heldRun: HeldRun): void {
    this.drop(heldRun.id)
    this.held = new Map([...this.held, [heldRun.id, heldRun]])
  }

  private drop(id: string): void {
    const heldRun = this.held.get(id)
    if (heldRun === undefined) return
    this.past = [...this.past, heldRun]
    this.held = new Map([...this.held].filter(([other]) => other !== id))
  }
}
