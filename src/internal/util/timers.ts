/**
 * Sleeps and time limits of any length. The platform's timers hold fewer than 2³¹ milliseconds (24.8 days), and Effect
 * takes a longer sleep for an infinite one. Code of this project that sleeps as long as an option says uses these.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** The longest timer of the platform. */
const MAX_TIMER_MILLIS = 2_147_483_647

/** As `Effect.sleep`. */
export const sleep = (duration: Duration.DurationInput): Effect.Effect<void> => {
  const millis = Duration.toMillis(duration)
  if (millis <= MAX_TIMER_MILLIS) return Effect.sleep(duration)
  return millis === Infinity
    ? Effect.never
    : Effect.zipRight(Effect.sleep(MAX_TIMER_MILLIS), Effect.suspend(() => sleep(millis - MAX_TIMER_MILLIS)))
}

/** As `Effect.timeoutOption`. */
export const timeoutOption = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  duration: Duration.DurationInput
): Effect.Effect<Option.Option<A>, E, R> =>
  Duration.toMillis(duration) <= MAX_TIMER_MILLIS
    ? Effect.timeoutOption(self, duration)
    : Effect.raceFirst(Effect.asSome(self), Effect.as(sleep(duration), Option.none()))

/** As `Effect.timeoutFail`. */
export const timeoutFail = <A, E, R, E2>(
  self: Effect.Effect<A, E, R>,
  options: { readonly duration: Duration.DurationInput; readonly onTimeout: () => E2 }
): Effect.Effect<A, E | E2, R> =>
  Duration.toMillis(options.duration) <= MAX_TIMER_MILLIS
    ? Effect.timeoutFail(self, options)
    : Effect.raceFirst(self, Effect.zipRight(sleep(options.duration), Effect.failSync(options.onTimeout)))
