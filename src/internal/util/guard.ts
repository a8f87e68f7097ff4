/**
 * Loggers and metrics of the user that throw. They lose the line or the count that they threw for, the first exception
 * of each culprit is reported, and the program that logged continues. A program must not depend on them: a replay is
 * silent.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as HashSet from "effect/HashSet"
import * as List from "effect/List"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { shown } from "./show.js"

export type Loggers = HashSet.HashSet<Logger.Logger<unknown, unknown>>

const reported = new WeakSet<object>()

/** Runs what must not throw for its caller. The first exception of a culprit goes to `report`. */
const guarded = <A>(culprit: object, run: () => A, report: (error: unknown) => void): A | undefined => {
  const result = Either.try({ try: run, catch: (error) => error })
  if (Either.isRight(result)) return result.right
  if (reported.has(culprit)) return undefined
  reported.add(culprit)
  // What cannot be reported anywhere is dropped: the program must continue.
  Either.try(() => report(result.left))
  return undefined
}

const line = (message: string, error: unknown, date: Date): Logger.Logger.Options<unknown> => ({
  message: `${message}: ${shown(error)}`,
  cause: Cause.empty,
  logLevel: LogLevel.Error,
  date,
  fiberId: FiberId.none,
  context: FiberRefs.empty(),
  spans: List.empty(),
  annotations: HashMap.empty()
})

/** One logger for all of these. Where one throws, another one says so. */
const guardLogger = (loggers: Loggers): Logger.Logger<unknown, void> =>
  Logger.make<unknown, void>((options) => {
    for (const logger of loggers) {
      guarded(logger, () => logger.log(options), (error) => {
        const text = "a logger throws: it loses lines. The first exception is"
        const others = HashSet.remove(loggers, logger)
        const reporters = HashSet.size(others) > 0 ? others : HashSet.make(Logger.defaultLogger)
        for (const other of reporters) other.log(line(text, error, options.date))
      })
    }
  })

const guardedLoggers = new WeakMap<Loggers, Loggers>()

/** Loggers of which none throws. */
export const guardLoggers = (loggers: Loggers): Loggers => {
  const stored = guardedLoggers.get(loggers)
  if (stored !== undefined) return stored
  const made = HashSet.make<[Logger.Logger<unknown, unknown>]>(guardLogger(loggers))
  guardedLoggers.set(loggers, made)
  // They are guarded already.
  guardedLoggers.set(made, made)
  return made
}

/** Fiber refs whose loggers do not throw. */
export const withGuardedLoggers = (refs: FiberRefs.FiberRefs): FiberRefs.FiberRefs =>
  FiberRefs.updateAs(refs, {
    fiberId: FiberId.none,
    fiberRef: FiberRef.currentLoggers,
    value: guardLoggers(FiberRefs.getOrDefault(refs, FiberRef.currentLoggers))
  })

/** An effect, and the fibers that it forks, with loggers that do not throw. */
export const guardingLoggers = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.locallyWith(self, FiberRef.currentLoggers, guardLoggers)

/** Calls a hook of a metric, or of a tracer. `at` is the time of the report, in milliseconds since the epoch. */
export const guardHook = <A>(what: string, culprit: object, at: () => number, call: () => A): A | undefined =>
  guarded(
    culprit,
    call,
    (error) =>
      Logger.defaultLogger.log(
        line(`a ${what} throws: it loses updates. The first exception is`, error, new Date(at()))
      )
  )
