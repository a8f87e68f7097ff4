/**
 * Hints to this process, at once, and to others, off the path.
 *
 * Inside a transaction nothing is true yet. There, hints are kept until the driver's own `transaction` has committed;
 * for a transaction that the user began, they go out by NOTIFY alone, which the database holds back until COMMIT.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { JournalError } from "perdure/Errors"
import type { Hint } from "perdure/JournalDriver"
import { Listener } from "../Listener.js"
import { decode } from "../statements/notify.js"

/** Hints that wait for the end of the transaction that the fiber is in. */
export class Kept extends Context.Tag("@perdure/sql/Hints/Kept")<Kept, Array<Hint>>() {}

/** At most so many hints in one NOTIFY statement. */
const most = 500

const keyOf = (hint: Hint): string => Object.values(hint).join("\u0000")

const distinct = (hints: Iterable<Hint>): ReadonlyArray<Hint> => [
  ...new Map(Array.from(hints, (hint) => [keyOf(hint), hint])).values()
]

export interface Hints {
  readonly stream: Stream.Stream<Hint>
  /** Tell this process. */
  readonly publish: (hints: ReadonlyArray<Hint>) => void
  /** Tell other processes, soon. Hints that queue up meanwhile go out together. */
  readonly send: (hints: ReadonlyArray<Hint>) => void
}

/**
 * `origin` is how this driver knows its own notices; `notify` sends some. Without a `Listener`, hints of other processes
 * are not heard.
 */
export const make = (
  channel: string,
  origin: string,
  notify: (hints: ReadonlyArray<Hint>) => Effect.Effect<void, JournalError>
): Effect.Effect<Hints, never, Scope.Scope> =>
  Effect.gen(function*() {
    const hints = yield* PubSub.unbounded<Hint>()
    const outbox = yield* Queue.unbounded<Hint>()
    const publish = (all: ReadonlyArray<Hint>) => {
      for (const hint of all) hints.unsafeOffer(hint)
    }
    const sendSome = Queue.takeBetween(outbox, 1, most).pipe(
      Effect.flatMap((some) => notify(distinct(some))),
      // They are hints: others poll.
      Effect.catchAll((error) => Effect.logDebug("Hints to other processes were not sent", error))
    )
    yield* Effect.forkScoped(Effect.forever(sendSome))
    const listener = yield* Effect.serviceOption(Listener)
    if (Option.isSome(listener)) {
      yield* listener.value.listen(channel).pipe(
        Stream.runForEach((payload) =>
          Effect.sync(() => {
            const hint = decode(origin, payload)
            if (hint !== null) publish([hint])
          })
        ),
        Effect.repeat(Schedule.spaced("1 second")),
        Effect.forkScoped
      )
    }
    return {
      stream: Stream.fromPubSub(hints),
      publish,
      send: (all) => {
        for (const hint of all) outbox.unsafeOffer(hint)
      }
    }
  })
