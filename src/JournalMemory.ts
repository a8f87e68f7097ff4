/**
 * The storage driver that keeps everything in the memory of its process, for tests. It is also the oracle that the SQL
 * driver is compared with. Its data ends with the process.
 *
 * Every verb is one synchronous step, so verbs never interleave. The driver's time is the `Clock` of the calling fiber,
 * so `TestClock` controls it.
 *
 * One transaction is open at a time. While it is open, verbs of fibers outside it wait until it ends, so they neither
 * see changes that may be rolled back nor are rolled back with it. Fibers that were forked inside the transaction
 * belong to it while it is open. A transaction inside a transaction is a savepoint: it is rolled back alone if it
 * fails. As with one database connection, a transaction that waits for a verb of a fiber outside it never ends.
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
import type { Hint, Millis } from "./driver/JournalDriver.js"
import { JournalDriver } from "./driver/JournalDriver.js"
import * as Changes from "./internal/journalMemory/changes.js"
import * as Control from "./internal/journalMemory/control.js"
import type { Operate } from "./internal/journalMemory/operate.js"
import * as Queues from "./internal/journalMemory/queues.js"
import * as Runs from "./internal/journalMemory/runs.js"
import * as Schedules from "./internal/journalMemory/schedules.js"
import * as Search from "./internal/journalMemory/search.js"
import * as Store from "./internal/journalMemory/Store.js"
import * as Workers from "./internal/journalMemory/workers.js"
import { Journal } from "./Journal.js"

/** An open transaction, as a deferred that is done when the transaction ends. */
type Transaction = Deferred.Deferred<void>

/** The transaction that a fiber was forked in. */
class CurrentTransaction
  extends Context.Tag("perdure/JournalMemory/CurrentTransaction")<CurrentTransaction, Transaction>()
{}

/**
 * Makes a driver with an empty journal.
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

  const publishHints = () => {
    for (const hint of store.hints.splice(0)) hints.unsafeOffer(hint)
  }

  const isInside = (context: Context.Context<never>) =>
    open !== null && Option.contains(Context.getOption(context, CurrentTransaction), open)

  /** Executes a function once no other transaction is open. The check and the function are one synchronous step. */
  const whenAlone = <A>(run: (now: Millis, inside: boolean) => A): Effect.Effect<A> =>
    Effect.withFiberRuntime((fiber) => {
      const inside = isInside(fiber.currentContext)
      if (open !== null && !inside) return Effect.zipRight(Deferred.await(open), whenAlone(run))
      const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
      // Whole milliseconds, as the estimate of a process: a fraction could be due here, and not there.
      return Effect.succeed(run(Math.floor(clock.unsafeCurrentTimeMillis()), inside))
    })

  const operate: Operate = (run) =>
    whenAlone((now, inside) => {
      const value = run(store, now, inside)
      if (!inside) publishHints()
      return { now, value }
    })

  const transaction = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        restore(whenAlone((_now, inside) => inside)),
        (nested) => {
          // Another fiber may have opened a transaction in the meantime.
          if (!nested && open !== null) return restore(transaction(self))
          const current = nested && open !== null ? open : Deferred.unsafeMake<void>(FiberId.none)
          if (!nested) {
            open = current
            store.undo = []
          }
          const savepoint = Changes.savepoint(store)
          return Effect.onExit(restore(Effect.provideService(self, CurrentTransaction, current)), (exit) =>
            Effect.sync(() => {
              if (Exit.isFailure(exit))
                Changes.rollback(store, savepoint)
              if (nested)
                return
              open = null
              store.undo = null
              publishHints()
              Deferred.unsafeDone(current, Exit.void)
            }))
        }
      )
    )

  return JournalDriver.of({
    ...Runs.make(operate),
    ...Control.make(operate),
    ...Search.make(operate),
    ...Queues.make(operate),
    ...Schedules.make(operate),
    ...Workers.make(operate),
    transaction,
    inTransaction: Effect.contextWith(isInside),
    hints: Stream.fromPubSub(hints)
  })
})

/**
 * The memory driver as a layer. Each build of the layer has its own, empty journal.
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
 * A journal in memory, for unit tests and experiments. Its data ends with the process.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as JournalMemory from "perdure/JournalMemory"
 * import * as Worker from "perdure/Worker"
 * import * as Workflow from "perdure/Workflow"
 *
 * const Mail = Workflow.make("Mail", { payload: {} })
 *
 * const Test = Layer.mergeAll(Mail.toLayer(() => Effect.void), Worker.layerTest()).pipe(
 *   Layer.provideMerge(JournalMemory.layer)
 * )
 * ```
 */
export const layer: Layer.Layer<Journal> = Layer.provide(
  // No hint is ever lost, so waiters need not poll. Under `TestClock`, a poll would make each of them wake up.
  Layer.orDie(Journal.layer({ pollInterval: "365 days" })),
  layerDriver
)
