/**
 * Plays commands on one driver, keeping what a worker would know from its answers. Two players of the same commands
 * ask the same, as long as their drivers answer the same, up to ordinals.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { JournalError } from "perdure/Errors"
import type * as Driver from "perdure/JournalDriver"
import { entries, value } from "../contract/Fixture.js"
import { soughtAlone } from "./Command.js"
import type { Command, Move, Operation, Work } from "./Command.js"
import * as Normal from "./normal.js"
import * as Pool from "./pool.js"
import * as Schedules from "./schedules.js"

/** What the player knows of a run that it has claimed. */
interface Holding {
  readonly id: string
  readonly epoch: number
  readonly nextSeq: number
  readonly seen: number
  readonly unread: ReadonlyArray<number>
  /** Tokens of the children that it has started. */
  readonly tokens: ReadonlyArray<string>
}

interface Claimed extends Omit<Effect.Effect.Success<ReturnType<Driver.JournalDriver["claim"]>>["value"], "runs"> {
  readonly runs: ReadonlyArray<ReturnType<typeof Normal.claimed>>
}

type Played = Effect.Effect<unknown, JournalError>

/** Why a transaction is undone. */
const undone = "undone"

export class Player {
  private readonly driver: Driver.JournalDriver
  private readonly prefix: string
  /** Runs that it holds, as far as it knows, by id. */
  private held: ReadonlyMap<string, Holding> = new Map()
  /** What it held once. */
  private past: ReadonlyArray<Holding> = []
  private last: Played = Effect.succeed("nothing to send again")

  constructor(driver: Driver.JournalDriver, prefix: string) {
    this.driver = driver
    this.prefix = prefix
  }

  /** The driver's answer to a command, without what drivers are free in. */
  play(command: Command): Played {
    switch (command._tag) {
      case "Pass":
        return Effect.succeed("time passes")
      case "Resend":
        return Effect.suspend(() => this.last)
      case "Transaction":
        return this.transaction(command.operations, command.fails)
      default:
        return this.operate(command)
    }
  }

  /** All that the driver shows. */
  get everything(): Played {
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
        (now) => Effect.forEach(soughtAlone, (sought) => this.find(Pool.filter(this.prefix, now, sought), 5))
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

  /** Leave nothing behind that a later reaper would find. */
  get retire(): Played {
    const workers = [0, 1].flatMap((worker) => [0, 1].map((incarnation) => ({ worker, incarnation })))
    return Effect.forEach(workers, (who) => value(this.driver.retire(Pool.worker(this.prefix, who))))
  }

  private operate(operation: Operation): Played {
    return Effect.flatMap(this.prepare(operation), (request) => {
      this.last = request
      return request
    })
  }

  private transaction(operations: ReadonlyArray<Operation>, fails: boolean): Played {
    return Effect.suspend(() => {
      const { held, past } = this
      const answers: Array<unknown> = []
      const all = Effect.forEach(
        operations,
        (operation) => Effect.map(this.operate(operation), (answer) => answers.push(answer)),
        { discard: true }
      )
      return this.driver.transaction(fails ? Effect.zipRight(all, Effect.fail(undone)) : all).pipe(
        Effect.catchIf((error) => error === undone, () =>
          Effect.sync(() => {
            this.held = held
            this.past = past
          })),
        Effect.catchIf((error) => typeof error === "string", Effect.die),
        Effect.map(() => answers)
      )
    })
  }

  /** The request that an operation is, given what the player knows now. It can be sent more than once. */
  private prepare(operation: Operation): Effect.Effect<Played, JournalError> {
    const { driver, prefix } = this
    return Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<Played, JournalError> => {
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
            claim: claim === null ? null : { worker: Pool.worker(prefix, claim), slots: claim.slots }
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
            this.choose(operation.works, now),
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
        case "Limit": {
          const { change, queue } = operation
          return Effect.succeed(
            value(driver.changeQueue({ name: Pool.queue(prefix, queue), change, by: `${queue}`, reason: null }))
          )
        }
        case "Define": {
          const { queue, settings } = operation
          const request = { name: Pool.queue(prefix, queue), definition: JSON.stringify(settings), settings }
          return Effect.succeed(value(driver.defineQueue(request)))
        }
        case "Hold": {
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

  private hot(which: "none" | "known" | "stale"): ReadonlyMap<string, number> {
    if (which === "none") return new Map()
    return new Map(this.past.map(({ id, nextSeq }) => [id, which === "known" ? nextSeq : Math.max(0, nextSeq - 1)]))
  }

  private enqueue(request: Parameters<Driver.JournalDriver["enqueue"]>[0]): Played {
    return Effect.map(value(this.driver.enqueue(request)), (answers) => {
      for (const answer of answers) {
        if (answer._tag === "Started" && answer.epoch !== null) {
          this.hold({ id: answer.id, epoch: answer.epoch, nextSeq: 0, seen: 0, unread: [], tokens: [] })
        }
      }
      return answers
    })
  }

  /** Drivers are free in how many claims it takes, as long as they say that there is more. */
  private claim(request: Parameters<Driver.JournalDriver["claim"]>[0]): Effect.Effect<Claimed, JournalError> {
    return Effect.flatMap(value(this.driver.claim(request)), ({ runs, ...rest }) => {
      for (const { epoch, id, inbox, nextSeq, seen } of runs) {
        this.hold({ id, epoch, nextSeq, seen, unread: inbox.map(({ ordinal }) => ordinal), tokens: this.tokens(id) })
      }
      const claimed = { ...rest, runs: runs.map(Normal.claimed) }
      const limit = request.limit - runs.length
      return rest.more && runs.length > 0 && limit > 0
        ? Effect.map(this.claim({ ...request, limit }), (then) => ({ ...then, runs: [...claimed.runs, ...then.runs] }))
        : Effect.succeed(claimed)
    })
  }

  private commit(request: Parameters<Driver.JournalDriver["commit"]>[0]): Played {
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

  private read({ from, limit, runs }: Extract<Operation, { readonly _tag: "Read" }>): Played {
    const { driver, prefix } = this
    const ids = runs.map((n) => Pool.runId(prefix, n))
    return Effect.all({
      get: Effect.map(value(driver.get(ids)), Normal.records),
      await: Effect.map(value(driver.await(ids)), Normal.records),
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

  /** All pages, and how many runs there should be on them. */
  private find(filter: Driver.RunFilter, limit: number): Played {
    const page = (after: Driver.RunCursor | null): Effect.Effect<ReadonlyArray<unknown>, JournalError> =>
      Effect.flatMap(value(this.driver.find({ filter, after, limit })), ({ next, runs }) => {
        const shown = runs.map(Normal.record)
        return next === null ? Effect.succeed(shown) : Effect.map(page(next), (more) => [...shown, next, ...more])
      })
    return Effect.all({ pages: page(null), counts: value(this.driver.count(filter)) })
  }

  /** The commits that works are: of different runs, made from what is known of them. */
  private choose(
    works: ReadonlyArray<Work>,
    now: number
  ): Effect.Effect<ReadonlyArray<Driver.RunCommit>, JournalError> {
    const chosen = new Map<string, readonly [Holding, Work]>()
    const held = [...this.held.values()]
    for (const work of works) {
      const from = work.target % 16 === 0 && this.past.length > 0 ? this.past : held
      const holding = from[(work.target >> 4) % Math.max(1, from.length)]
      if (holding !== undefined && !chosen.has(holding.id)) chosen.set(holding.id, [holding, work])
    }
    const continuing = new Set([...chosen].flatMap(([id, [, { move }]]) => move._tag === "Continue" ? [id] : []))
    return Effect.forEach(
      chosen.values(),
      ([holding, work]) =>
        Effect.map(work.looks ? this.look(holding) : Effect.succeed(holding), (known) => {
          const commit = this.make(known, work, now)
          return { ...commit, messages: commit.messages.filter(({ to }) => !continuing.has(to)) }
        })
    )
  }

  private look(holding: Holding): Effect.Effect<Holding, JournalError> {
    return Effect.map(value(this.driver.inbox([{ run: holding.id, after: 0 }])), (inboxes) => {
      const [inbox] = inboxes
      // It may have been deleted since.
      if (inbox === undefined) return holding
      const { messages, seen } = inbox
      return { ...holding, seen, unread: messages.map(({ ordinal }) => ordinal) }
    })
  }

  private make(holding: Holding, work: Work, now: number): Driver.RunCommit {
    const { prefix } = this
    const from = holding.nextSeq + work.seqSkew
    const children = work.children.map(({ attached, delay, run }): Driver.NewRun => ({
      ...Pool.newRun(prefix, now, { run: Pool.childNumber(run), delay }),
      parent: { id: holding.id, token: Pool.token(run), attached },
      root: holding.id,
      depth: 1
    }))
    const started = children.map(({ parent }) => parent?.token ?? "")
    return {
      run: holding.id,
      epoch: holding.epoch + work.epochSkew,
      from,
      entries: entries(from, work.entries).map((entry) =>
        entry.seq % 3 === 2 ? { ...entry, op: -1, exit: { ...entry.exit, value: null } } : entry
      ),
      consumed: holding.unread.slice(0, work.consumed),
      children,
      messages: work.messages.map((each) => Pool.newMessage(prefix, each)),
      published: work.published.map((n) => ({ key: `p-${n}`, value: `${from}` })),
      closes: work.closes.map(Pool.signalName),
      seen: holding.seen,
      transition: this.transition(work.move, [...holding.tokens, ...started], now)
    }
  }

  private transition(move: Move, tokens: ReadonlyArray<string>, now: number): Driver.Transition | null {
    switch (move._tag) {
      case "Stay":
        return null
      case "Suspend":
        return {
          _tag: "Suspend",
          until: now + move.delay,
          waiting: move.waiting.map(({ kind, name }) => `${kind}:${Pool.signalName(name)}`)
        }
      case "SuspendForChildren":
        return { _tag: "Suspend", until: now + move.delay, waiting: tokens.map((token) => `child:${token}`) }
      case "Finish": {
        const kinds = {
          completed: "success",
          failed: move.isDefect ? "defect" : "failure",
          cancelled: "interrupt"
        } as const
        return { _tag: "Finish", status: move.status, exit: { kind: kinds[move.status], value: move.value } }
      }
      case "Continue":
        return { _tag: "Continue", payload: `{ "again": ${move.payload} }`, at: now }
      case "Diverge":
        return { _tag: "Diverge", detail: "{ \"expected\": 1 }" }
      case "Release":
        return { _tag: "Release", at: now + move.delay }
    }
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
    return this.past.findLast((holding) => holding.id === id)?.tokens ?? []
  }

  private hold(holding: Holding): void {
    this.drop(holding.id)
    this.held = new Map([...this.held, [holding.id, holding]])
  }

  private drop(id: string): void {
    const holding = this.held.get(id)
    if (holding === undefined) return
    this.past = [...this.past, holding]
    this.held = new Map([...this.held].filter(([other]) => other !== id))
  }
}
