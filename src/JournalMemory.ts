/**
 * The storage driver that keeps everything in this process's memory: for tests, and the oracle that the SQL driver is
 * compared with. Nothing survives the process.
 *
 * Every operation is one synchronous step, so operations never interleave. Time is the `Clock` of the fiber that calls,
 * so `TestClock` drives it.
 *
 * `transaction` lets one caller at a time in: while a transaction is open, operations of fibers outside it wait until
 * it ends, so that they neither see what may be undone nor are undone with it. Fibers forked inside a transaction
 * belong to it while it is open. A transaction inside a transaction is a savepoint: undone alone when it fails. As with
 * one database connection, a transaction that waits for an operation of a fiber outside it waits for ever.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import { claim } from "./internal/journalMemory/claim.js"
import { commit } from "./internal/journalMemory/commit.js"
import * as Control from "./internal/journalMemory/control.js"
import * as Leases from "./internal/journalMemory/leases.js"
import { fork } from "./internal/journalMemory/fork.js"
import { enqueue } from "./internal/journalMemory/enqueue.js"
import * as Find from "./internal/journalMemory/find.js"
import { deliver, publish } from "./internal/journalMemory/messages.js"
import * as Queues from "./internal/journalMemory/queues.js"
import * as Schedules from "./internal/journalMemory/schedules.js"
import * as Read from "./internal/journalMemory/read.js"
import * as Store from "./internal/journalMemory/Store.js"
import * as Workers from "./internal/journalMemory/workers.js"
import type { Answer, Hint, Millis } from "./driver/JournalDriver.js"
import { Journal } from "./Journal.js"
import { JournalDriver } from "./driver/JournalDriver.js"

/** A transaction that is open: what fibers outside it wait for. */
type Transaction = Deferred.Deferred<void>

/** The transaction that a fiber was started in. */
class Current extends Context.Tag("perdure/JournalMemory/Current")<Current, Transaction>() {}

/**
 * A new, empty journal in memory.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * import * as JournalMemory from "perdure/JournalMemory"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const driver = yield* JournalMemory.make
 *   const { value } = yield* driver.get(["no-such-run"])
 *   return value.length // 0
 * })
 */
export const make: Effect.Effect<JournalDriver> = Effect.gen(function*() {
  const store = Store.make()
  const hints = yield* PubSub.unbounded<Hint>()
  let open: Transaction | null = null

  const flush = () => {
    if (store.hints.length > 0) { for (const hint of store.hints.splice(0)) hints.unsafeOffer(hint) }
  }

  const isInside = (context: Context.Context<never>) =>
    open !== null && Option.contains(Context.getOption(context, Current), open)

  /**
   * Do something at once if no transaction is open or the caller is inside it, else when it has ended. Nothing comes
   * between the look and the deed.
   */
  const whenOpen = <A>(run: (now: Millis, inside: boolean) => A): Effect.Effect<A> =>
    Effect.withFiberRuntime((fiber) => {
      const inside = isInside(fiber.currentContext)
      if (open !== null && !inside) return Effect.zipRight(Deferred.await(open), whenOpen(run))
      const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
      return Effect.succeed(run(clock.unsafeCurrentTimeMillis(), inside))
    })

  const operation = <A>(run: (now: Millis, inside: boolean) => A): Effect.Effect<Answer<A>> =>
    whenOpen((now, inside) => {
      const value = run(now, inside)
      if (!inside) flush()
      return { now, value }
    })

  const transaction = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        restore(whenOpen((_now, inside) => inside)),
        (nested) => {
          // Another fiber may have opened a transaction between the wait and here.
          if (!nested && open !== null) return restore(transaction(self))
          const current = nested && open !== null ? open : Deferred.unsafeMake<void>(FiberId.none)
          if (!nested) {
            open = current
            store.undo = []
          }
          const mark = Store.mark(store)
          return Effect.onExit(restore(Effect.provideService(self, Current, current)), (exit) =>
            Effect.sync(() => {
              if (Exit.isFailure(exit)) Store.rollback(store, mark)
              if (nested) return
              open = null
              store.undo = null
              flush()
              Deferred.unsafeDone(current, Exit.void)
            }))
        }
      )
    )

  return JournalDriver.of({
    queues: (names) => operation(() => Queues.queues(store, names)),
    queueCounts: (request) => operation((now) => Queues.counts(store, now, request)),
    ensureQueues: (names) => operation(() => Queues.ensure(store, names)),
    defineQueue: (request) => operation((now) => Queues.define(store, now, request)),
    changeQueue: (request) => operation((now) => Queues.alter(store, now, request)),
    pauseWorkflows: (request) => operation((now) => Queues.pauseWorkflows(store, now, request)),
    resumeWorkflows: (workflows) => operation(() => Queues.resumeWorkflows(store, workflows)),
    pausedWorkflows: () => operation(() => Queues.pausedWorkflows(store)),
    enqueue: (request) =>
      operation((now, inside) => enqueue(store, now, inside ? { ...request, claim: null } : request)),
    claim: (request) => operation((now) => claim(store, now, request)),
    commit: (request) => operation((now) => commit(store, now, request)),
    deliver: (messages) => operation((now) => messages.map((message) => deliver(store, now, message))),
    inbox: (requests) => operation(() => Read.inbox(store, requests)),
    ...Workers.make(store, operation),
    reconcile: (request) => operation((now) => Leases.reconcile(store, now, request)),
    retire: (worker) => operation((now) => Leases.retire(store, now, worker)),
    reap: (request) => operation((now) => Leases.reap(store, now, request)),
    terminate: (request) => operation((now) => Control.terminate(store, now, request)),
    pause: (request) => operation((now) => Control.pause(store, now, request)),
    resume: (request) => operation((now) => Control.resume(store, now, request)),
    expire: (request) => operation((now) => Control.expire(store, now, request)),
    fork: (request) => operation((now) => fork(store, now, request)),
    controls: (run) => operation(() => Control.controls(store, run)),
    get: (runs) => operation(() => Read.get(store, runs)),
    await: (runs) => operation(() => Read.awaitRuns(store, runs)),
    history: (request) => operation(() => Read.history(store, request)),
    messages: (request) => operation(() => Read.messages(store, request)),
    published: (run) => operation(() => Read.published(store, run)),
    find: (request) => operation(() => Find.find(store, request)),
    count: (filter) => operation(() => Find.count(store, filter)),
    retain: (request) => operation((now) => Find.retain(store, now, request)),
    publish: (request) => operation((now) => publish(store, now, request)),
    schedules: (request) => operation(() => Schedules.schedules(store, request)),
    dueSchedules: (request) => operation((now) => Schedules.due(store, now, request)),
    writeSchedules: (request) => operation((now) => Schedules.write(store, now, request)),
    removeSchedules: (request) => operation(() => Schedules.remove(store, request)),
    seeSchedules: (names) => operation((now) => Schedules.see(store, now, names)),
    transaction,
    inTransaction: Effect.contextWith(isInside),
    hints: Stream.fromPubSub(hints)
  })
})

/**
 * A journal in memory as the storage driver, one for each time the layer is built.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * import * as JournalMemory from "perdure/JournalMemory"
 * import { JournalDriver } from "perdure/JournalDriver"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const driver = yield* JournalDriver
 *   const { now } = yield* driver.get([])
 *   return now // the Clock's
 * }).pipe(Effect.provide(JournalMemory.layerDriver))
 */
export const layerDriver: Layer.Layer<JournalDriver> = Layer.effect(JournalDriver, make)

/**
 * A journal in memory: for unit tests and for trying things out. Nothing survives the process.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Journal> = Layer.provide(
  // Its hints are complete, so that there is no need to poll: under `TestClock`, months pass in a few steps.
  Journal.layer({ pollInterval: "365 days" }),
  layerDriver
)
