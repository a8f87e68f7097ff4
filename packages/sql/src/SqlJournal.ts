/**
 * The journal driver over a `SqlClient` of Postgres (15 or newer) or PGlite. Each operation is one statement; see
 * `statements/`.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import { JournalError } from "perdure/Errors"
import type * as Driver from "perdure/JournalDriver"
import { JournalDriver } from "perdure/JournalDriver"
import { applyBatch, Plain } from "./internal/commits.js"
import * as ControlVerbs from "./internal/ControlVerbs.js"
import * as FindingVerbs from "./internal/FindingVerbs.js"
import * as Hints from "./internal/Hints.js"
import { Limited } from "./internal/Limited.js"
import * as QueueVerbs from "./internal/QueueVerbs.js"
import * as ScheduleVerbs from "./internal/ScheduleVerbs.js"
import * as Migrations from "./Migrations.js"
import type * as Row from "./internal/Row.js"
import type { Tools } from "./internal/Tools.js"
import * as Singletons from "./internal/singletons.js"
import { fromSqlError } from "./SqlErrors.js"
import * as Brought from "./statements/brought.js"
import * as Claim from "./statements/claim.js"
import { claimLimited } from "./statements/claimLimited.js"
import { batches } from "./statements/commitRequest.js"
import * as Deliver from "./statements/deliver.js"
import * as Enqueue from "./statements/enqueue.js"
import * as Inbox from "./statements/inbox.js"
import * as Notify from "./statements/notify.js"
import * as Publish from "./statements/publish.js"
import * as Read from "./statements/read.js"
import * as Reap from "./statements/reap.js"
import * as Release from "./statements/release.js"
import * as Tables from "./Tables.js"
import { isInside, transactionally } from "./internal/transaction.js"
import * as WorkerVerbs from "./internal/WorkerVerbs.js"
import { type ClockSource, type Statement, statement, type Verb } from "./Verb.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface SqlJournalOptions {
  /** The schema of the tables. Default `perdure`. */
  readonly schema?: string
  /** Whose clock decides what is due: the database's (default), or the calling fiber's `Clock` (for tests). */
  readonly clock?: ClockSource
  /** Bring the schema up to date at start (default), or only check that it is. */
  readonly migrate?: boolean
}

const corrupt = (operation: string, cause: unknown): JournalError =>
  new JournalError({
    code: "Corrupt",
    operation,
    detail: cause instanceof Error ? cause.message : String(cause),
    retryable: false,
    cause
  })

/** How often rows that were inserted at the same time by somebody else are asked for again. */
const attempts = 5

/**
 * The driver, over the `SqlClient` of the environment; it hears other processes if there is a `Listener`.
 *
 * Fails with `SchemaVersion` if the database's schema cannot be used, with `Refused` for a bad schema name, and as any
 * operation does if the database is not there.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: SqlJournalOptions = {},
  /** How many transactions may be open at once; others wait for one to end. */
  maxTransactions = Number.MAX_SAFE_INTEGER
): Effect.Effect<JournalDriver, JournalError, SqlClient.SqlClient | Scope.Scope> =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const tables = yield* Tables.make(options.schema ?? "perdure")
    const clock = options.clock ?? "database"
    yield* options.migrate === false ? Migrations.check(tables) : Migrations.migrate(tables)

    const statements = new Map<string, Statement>()
    const prepared = (verb: Verb): Statement => {
      const known = statements.get(verb.name)
      if (known !== undefined) return known
      const made = statement(verb, tables, clock)
      statements.set(verb.name, made)
      return made
    }

    const run = (operation: string, { text }: Statement, parameters: ReadonlyArray<unknown>) =>
      Effect.mapError(
        sql.unsafe<Row.Fields>(text, parameters).withoutTransform,
        (error) => fromSqlError(operation, error)
      )

    /** Send one statement, and read its rows strictly. */
    const ask = <A>(
      verb: Verb,
      parameters: ReadonlyArray<unknown>,
      decode: (rows: ReadonlyArray<Row.Fields>) => A,
      operation = verb.name
    ): Effect.Effect<A, JournalError> => {
      const known = prepared(verb)
      const rows = known.clocked
        ? Effect.flatMap(Clock.currentTimeMillis, (now) => run(operation, known, [...parameters, now]))
        : run(operation, known, parameters)
      return Effect.flatMap(rows, (found) =>
        Effect.try({ try: () => decode(found), catch: (cause) => corrupt(operation, cause) }))
    }

    const permits = yield* Effect.makeSemaphore(maxTransactions)

    const origin = yield* Effect.sync(() =>
      randomUUID()
    )
    /** Ids of the workers of this process: they are told directly. */
    const local = new Set<string>()
    const plain = new Plain()
    const limits = new Limited()
    const localJson = () => JSON.stringify([...local])
    const notify = (from: string, to: string, hints: ReadonlyArray<Driver.Hint>) =>
      hints.length === 0 ? Effect.void : ask(Notify.notify, [Notify.encode(from, hints), to], () => undefined)
    const hints = yield* Hints.make(tables.schema, origin, (some) => notify(origin, localJson(), some))

    const elsewhere = (all: ReadonlyArray<Driver.Hint>) =>
      all.filter((hint) => (hint._tag !== "Inbox" && hint._tag !== "Ping") || !local.has(hint.worker))

    /** Tell this process what was told to others by the statement itself. */
    const tell = (all: ReadonlyArray<Driver.Hint>): Effect.Effect<void> =>
      all.length === 0 ? Effect.void : Effect.contextWith((context: Context.Context<never>) => {
        const kept = Context.getOption(context, Hints.Kept)
        if (Option.isSome(kept)) kept.value.push(...all)
        else if (!isInside(context)) hints.publish(all)
      })

    /** Tell this process, and others. */
    const tellAll = (
      all: ReadonlyArray<Driver.Hint>,
      remote: ReadonlyArray<Driver.Hint> = all
    ): Effect.Effect<void, JournalError> =>
      all.length === 0 ? Effect.void : Effect.contextWithEffect((context: Context.Context<never>) => {
        if (isInside(context)) return Effect.zipRight(tell(all), notify("", "[]", remote))
        hints.publish(all)
        hints.send(elsewhere(remote))
        return Effect.void
      })

    /** Origin and local workers, for statements that notify: inside a transaction we hear by NOTIFY like all others. */
    const notices = (inside: boolean): ReadonlyArray<string> => inside ? ["", "[]"] : [origin, localJson()]

    const inside = Effect.contextWith((context: Context.Context<never>) => isInside(context))

    const tools: Tools = { ask, inside, tell, tellAll, notices }

    const transaction = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | JournalError, R> =>
      Effect.flatMap(inside, (within) => {
        const kept: Array<Driver.Hint> = []
        const whole = Effect.tap(
          transactionally(sql, "transaction", Effect.provideService(self, Hints.Kept, kept)),
          () => tell(kept)
        )
        // One inside another is a savepoint on the same connection.
        return within ? whole : permits.withPermits(1)(whole)
      })

    const insertRound = (
      runs: ReadonlyArray<Driver.NewRun>,
      claim: { readonly worker: Driver.WorkerRef; readonly slots: number } | null,
      within: boolean
    ) => {
      const rows = JSON.stringify(runs.map((each, i) => Enqueue.encodeNewRun(i, each)))
      const parameters = [rows, ...notices(within)]
      const keyed = runs.some(({ key }) => key !== null)
      return claim === null || claim.slots <= 0
        ? ask(
          Enqueue.enqueue({ claiming: false, keyed }),
          parameters,
          (found) => Enqueue.decode(found, runs),
          "enqueue"
        )
        : ask(
          Enqueue.enqueue({ claiming: true, keyed }),
          [...parameters, claim.worker.id, claim.worker.incarnation, claim.slots],
          (found) => Enqueue.decode(found, runs),
          "enqueue"
        )
    }

    const enqueueAny: JournalDriver["enqueue"] = (request) =>
      Effect.gen(function*() {
        const within = yield* inside
        const worker = within ? null : request.claim?.worker ?? null
        if (worker !== null) local.add(worker.id)
        let slots = request.claim?.slots ?? 0
        let now: Driver.Millis = 0
        const answers = new Map<number, Driver.Enqueued>()
        let rounds: ReadonlyArray<ReadonlyArray<number>> = Enqueue.rounds(request.runs)
        for (let attempt = 0; attempt < attempts && rounds.length > 0; attempt++) {
          const again: Array<number> = []
          for (const round of rounds) {
            const runs = round.flatMap((index) => request.runs[index] ?? [])
            const answer = yield* insertRound(runs, worker === null ? null : { worker, slots }, within)
            now = answer.now
            for (const [position, enqueued] of answer.value.entries()) {
              const index = round[position] ?? 0
              if (enqueued === null) again.push(index)
              else {
                answers.set(index, enqueued)
                if (enqueued._tag === "Started" && enqueued.epoch !== null) slots--
              }
            }
          }
          rounds = again.length === 0 ? [] : [again]
        }
        if (rounds.length > 0) {
          return yield* new JournalError({
            code: "Conflict",
            operation: "enqueue",
            detail: "others insert the same runs again and again",
            retryable: true
          })
        }
        const queues = new Set<string>()
        const value = request.runs.flatMap((each, index) => {
          const answer = answers.get(index)
          if (answer?._tag === "Started" && answer.epoch === null) queues.add(each.queue)
          if (answer?._tag === "Started" && answer.epoch !== null) plain.note([each])
          return answer ?? []
        })
        yield* tell(Array.from(queues, (queue) => ({ _tag: "Ready", queue })))
        return { now, value }
      })

    const enqueueSingles = Singletons.make(tools, (runs) => enqueueAny({ runs, claim: null }))

    const enqueue: JournalDriver["enqueue"] = (request) =>
      request.runs.some(Singletons.isSingle)
        ? transaction(enqueueSingles(request.runs))
        : enqueueAny(request)

    const claim: JournalDriver["claim"] = (request) =>
      Effect.gen(function*() {
        const { held, limit, queues, worker, workflows } = request
        local.add(worker.id)
        const take = (verb: Verb) =>
          ask(
            verb,
            [
              Claim.encodeWorkflows(workflows),
              Claim.encodeQueues(queues),
              Math.max(0, limit),
              worker.id,
              worker.incarnation
            ],
            Claim.decode,
            "claim"
          )
        const first = limits.has(queues) ? null : yield* take(Claim.claim)
        const claimed = first !== null && !first.limited ? first : yield* take(claimLimited)
        limits.note(queues, claimed.limited)
        const wanted = claimed.taken.flatMap(({ firstSeq, run, stale, unread }) => {
          const journal = run.nextSeq > firstSeq && held.get(run.id) !== run.nextSeq
          return journal || stale || unread > 0 ? [{ run: run.id, journal }] : []
        })
        // Somebody may have looked for an idle worker just before this one was noted as such: look again.
        if (claimed.turnedIdle) yield* tell(queues.map((queue) => ({ _tag: "Ready", queue })))
        const brought = wanted.length === 0 ? [] : yield* ask(
          Brought.brought,
          [JSON.stringify(wanted)],
          Brought.decode,
          "claim"
        )
        plain.note(claimed.taken.map(({ run }) => run))
        const byId = new Map(brought.map((each) => [each.id, each]))
        return {
          now: claimed.now,
          value: {
            runs: claimed.taken.map(({ run }): Driver.ClaimedRun => {
              const more = byId.get(run.id)
              if (more === undefined) return run
              const { inbox, journal, payload, seen } = more
              return { ...run, payload, seen, journal, inbox }
            }),
            nextDue: claimed.nextDue,
            more: claimed.more,
            limited: claimed.capped
          }
        }
      })

    const commit: JournalDriver["commit"] = ({ commits, worker }) =>
      Effect.map(
        Effect.forEach(batches(commits), (batch) =>
          Effect.tap(applyBatch(ask, plain, worker, batch), ({ asleep, hints, idle }) =>
            tellAll(
              [...hints, ...asleep],
              idle ? hints : hints.filter((hint) => hint._tag !== "Ready")
            ))),
        (answers) => ({
          now: answers.at(-1)?.now ?? 0,
          value: answers.flatMap(({ value }) =>
            value
          )
        })
      )

    const deliver: JournalDriver["deliver"] = (messages) =>
      Effect.flatMap(inside, (within) =>
        Effect.map(
          Effect.tap(
            ask(Deliver.deliver, [Deliver.encode(messages), ...notices(within)], Deliver.decode),
            (answer) => tell(answer.hints)
          ),
          ({ now, value }) => ({ now, value })
        ))

    const release = (verb: Verb, parameters: ReadonlyArray<unknown>) =>
      Effect.tap(
        ask(verb, parameters, Release.decode),
        ({ queues }) => tellAll(queues.map((queue) => ({ _tag: "Ready", queue })))
      )

    const released = ({ now, released }: Release.Released) => ({ now, value: { released } })

    const unique = (ids: ReadonlyArray<string>): string => JSON.stringify([...new Set(ids)])

    return JournalDriver.of({
      ...FindingVerbs.make(tools),
      ...QueueVerbs.make(tools),
      ...ScheduleVerbs.make(tools),
      enqueue,
      claim,
      commit,
      deliver,
      inbox: (requests) => ask(Inbox.inbox, [Inbox.encode(requests)], Inbox.decode),
      ...WorkerVerbs.make(tools, local),
      reconcile: ({ claimedBefore, held, worker }) =>
        Effect.map(
          release(Release.reconcile, [worker.id, worker.incarnation, JSON.stringify(held), claimedBefore]),
          released
        ),
      retire: (worker) =>
        Effect.map(
          Effect.tap(
            release(Release.retire, [worker.id, worker.incarnation]),
            () => Effect.sync(() => local.delete(worker.id))
          ),
          released
        ),
      reap: ({ limit, maxCrashes }) =>
        Effect.map(
          Effect.tap(ask(Reap.reap, [limit, maxCrashes], Reap.decode), ({ row }) => tellAll(ControlVerbs.ended(row))),
          ({ now, value }) => ({ now, value })
        ),
      ...ControlVerbs.make(tools),
      get: (runs) => ask(Read.get, [unique(runs)], Read.decodeRecords),
      await: (runs) => ask(Read.await_, [unique(runs)], Read.decodeRecords),
      lookup: ({ key, workflow }) =>
        Effect.map(ask(Read.lookup, [workflow, key], Read.decodeRecords), ({ now, value }) => ({
          now,
          value: value[0] ?? null
        })),
      history: ({ from, limit, run }) => ask(Read.history, [run, from, limit], Read.decodeHistory),
      messages: ({ after, limit, run }) =>
        ask(Read.messages, [run, after, limit], (rows) => Read.decodeMessages(run, rows)),
      publish: ({ key, run, value }) =>
        Effect.map(
          Effect.tap(
            ask(Publish.publish, [run, key, value], Publish.decode),
            ({ awaited }) => awaited ? tellAll([{ _tag: "Changed", run }]) : Effect.void
          ),
          (answer) => ({ now: answer.now, value: answer.value })
        ),
      published: (run) => ask(Read.published, [run], Read.decodePublished),
      transaction,
      inTransaction: inside,
      hints: hints.stream
    })
  })

/**
 * The driver as a layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: SqlJournalOptions = {}
): Layer.Layer<JournalDriver, JournalError, SqlClient.SqlClient> => Layer.scoped(JournalDriver, make(options))
