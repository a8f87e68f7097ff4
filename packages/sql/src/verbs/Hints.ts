/**
 * Hints to this process, immediately, and to other processes by NOTIFY, off the path of the operation.
 *
 * A hint inside a transaction must not go out before the commit. The driver's own `transaction` keeps such hints until
 * it has committed. In a transaction that the user started, hints go out by NOTIFY only, which the database holds back
 * until COMMIT; this process receives them like any other.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import type { JournalError } from "perdure/Errors"
import type { Hint } from "perdure/JournalDriver"
import { isInside } from "../internal/transaction.js"
import { Listener } from "../Listener.js"
import * as Notify from "../statements/hints/notify.js"
import type { Query } from "./Query.js"

/** Hints that wait for the commit of the transaction that the fiber is in. */
class DeferredHints extends Context.Tag("@perdure/sql/Hints/DeferredHints")<DeferredHints, Array<Hint>>() {}

/** Hints that one NOTIFY statement sends, at most. */
const NOTIFY_BATCH_SIZE = 500

const keyOf = (hint: Hint): string => Object.values(hint).join("\u0000")

const distinct = (hints: Iterable<Hint>): ReadonlyArray<Hint> => [
  ...new Map(Array.from(hints, (hint) => [keyOf(hint), hint])).values()
]

export interface Hints {
  readonly stream: Stream.Stream<Hint>
  /** Ids of the workers of this process, which need no NOTIFY. */
  readonly localWorkers: Set<string>
  /** Publishes in this process the hints that a statement has sent to other processes itself. */
  readonly publishLocally: (hints: ReadonlyArray<Hint>) => Effect.Effect<void>
  /** Publishes in this process, and sends `remote` (by default the same hints) to other processes. */
  readonly publish: (hints: ReadonlyArray<Hint>, remote?: ReadonlyArray<Hint>) => Effect.Effect<void, JournalError>
  /**
   * The parameters `origin` and `local workers` of statements that send notifications. In a transaction this process
   * must receive them too, so both are empty.
   */
  readonly senderParameters: (inTransaction: boolean) => readonly [origin: string, localWorkers: string]
  /** Keeps the hints of `self` until `transaction` has succeeded. */
  readonly afterCommit: <A, E, R, E2>(
    transaction: (
      self: Effect.Effect<A, E, Exclude<R, DeferredHints>>
    ) => Effect.Effect<A, E2, Exclude<R, DeferredHints>>,
    self: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E2, Exclude<R, DeferredHints>>
}

export const make = (channel: string, query: Query): Effect.Effect<Hints, never, Scope.Scope> =>
  Effect.gen(function*() {
    const origin = yield* Effect.sync(() => randomUUID())
    const localWorkers = new Set<string>()
    const localJson = () => JSON.stringify([...localWorkers])
    const hints = yield* PubSub.unbounded<Hint>()
    const outbox = yield* Queue.unbounded<Hint>()
    const offer = (all: ReadonlyArray<Hint>) => {
      for (const hint of all) hints.unsafeOffer(hint)
    }
    const notify = (from: string, local: string, some: ReadonlyArray<Hint>) =>
      some.length === 0
        ? Effect.void
        : query(Notify.notify, [Notify.encode(from, some), local], () => undefined)

    const sendSome = Queue.takeBetween(outbox, 1, NOTIFY_BATCH_SIZE).pipe(
      Effect.flatMap((some) => notify(origin, localJson(), distinct(some))),
      // A lost hint does no harm: other processes also poll.
      Effect.catchAll((error) => Effect.logDebug("Hints to other processes were not sent", error))
    )
    yield* Effect.forkScoped(Effect.forever(sendSome))

    const listener = yield* Effect.serviceOption(Listener)
    if (Option.isSome(listener)) {
      yield* listener.value.listen(channel).pipe(
        Stream.runForEach((payload) =>
          Effect.sync(() => {
            const hint = Notify.decode(origin, payload)
            if (hint !== null) offer([hint])
          })
        ),
        Effect.repeat(Schedule.spaced("1 second")),
        Effect.forkScoped
      )
    }

    const publishLocally: Hints["publishLocally"] = (all) =>
      all.length === 0 ? Effect.void : Effect.contextWith((context: Context.Context<never>) => {
        const deferred = Context.getOption(context, DeferredHints)
        if (Option.isSome(deferred)) deferred.value.push(...all)
        else if (!isInside(context)) offer(all)
      })

    const isForOthers = (hint: Hint) =>
      (hint._tag !== "Inbox" && hint._tag !== "Ping") || !localWorkers.has(hint.worker)

    return {
      stream: Stream.fromPubSub(hints),
      localWorkers,
      publishLocally,
      publish: (all, remote = all) =>
        all.length === 0 ? Effect.void : Effect.contextWithEffect((context: Context.Context<never>) => {
          if (isInside(context)) return Effect.zipRight(publishLocally(all), notify("", "[]", remote))
          offer(all)
          for (const hint of remote.filter(isForOthers)) outbox.unsafeOffer(hint)
          return Effect.void
        }),
      senderParameters: (inTransaction) => inTransaction ? ["", "[]"] : [origin, localJson()],
      afterCommit: (transaction, self) =>
        Effect.suspend(() => {
          const deferred: Array<Hint> = []
          return Effect.tap(
            transaction(Effect.provideService(self, DeferredHints, deferred)),
            () => publishLocally(deferred)
          )
        })
    }
  })
