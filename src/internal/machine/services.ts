/**
 * The default services of runs: a clock that stands still between entries, random numbers from the run's seed, and a
 * console, a tracer, loggers and metrics that are silent during replay.
 *
 * All runs share one set of services. The fibers of a run execute only inside its activations, which are synchronous,
 * so the services use the run of the current activation. Outside of activations they do nothing.
 */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashSet from "effect/HashSet"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as Tracer from "effect/Tracer"
import type { Loggers } from "../util/guard.js"
import { guardHook, guardLoggers } from "../util/guard.js"

/** The part of a run that the services use. */
export interface RunState {
  /** The time of the entry that was delivered last, in milliseconds since the epoch. */
  readonly now: number
  /** True while journaled entries are delivered: the program has logged, traced and counted this before. */
  readonly replaying: boolean
  readonly random: Random.Random
  readonly sleepUntil: (due: number) => Effect.Effect<void>
}

const noRun: RunState = {
  now: 0,
  replaying: false,
  random: Random.make("no run"),
  sleepUntil: () => Effect.never
}

let current: RunState = noRun

/** Run `activation`, which is synchronous, with the services of this run. */
export const actingAs = (run: RunState, activation: () => void): void => {
  const before = current
  current = run
  try {
    activation()
  } finally {
    current = before
  }
}

const now = () => current.now

const nanos = () => BigInt(Math.floor(current.now)) * 1_000_000n

const clock: Clock.Clock = {
  [Clock.ClockTypeId]: Clock.ClockTypeId,
  unsafeCurrentTimeMillis: () => current.now,
  unsafeCurrentTimeNanos: nanos,
  currentTimeMillis: Effect.sync(() => current.now),
  currentTimeNanos: Effect.sync(nanos),
  sleep: (duration) =>
    Effect.suspend(() => {
      const millis = Duration.toMillis(duration)
      return millis <= 0 ? Effect.yieldNow() : current.sleepUntil(current.now + millis)
    })
}

const random: Random.Random = {
  [Random.RandomTypeId]: Random.RandomTypeId,
  next: Effect.suspend(() => current.random.next),
  nextBoolean: Effect.suspend(() => current.random.nextBoolean),
  nextInt: Effect.suspend(() => current.random.nextInt),
  nextRange: (min, max) => Effect.suspend(() => current.random.nextRange(min, max)),
  nextIntBetween: (min, max) => Effect.suspend(() => current.random.nextIntBetween(min, max)),
  shuffle: (elements) => Effect.suspend(() => current.random.shuffle(elements))
}

const silentTracer = Context.get(DefaultServices.liveServices, Tracer.Tracer)

const makeTracer = (outer: Tracer.Tracer): Tracer.Tracer =>
  Tracer.make({
    span: (...args) =>
      (current.replaying ? undefined : guardHook("tracer", outer, now, () => outer.span(...args))) ??
        silentTracer.span(...args),
    context: (f, fiber) => outer.context(f, fiber)
  })

const unlessReplaying =
  <Args extends ReadonlyArray<unknown>>(f: (...args: Args) => Effect.Effect<void>) => (...args: Args) =>
    Effect.suspend(() => current.replaying ? Effect.void : f(...args))

const makeConsole = (outer: Console.Console): Console.Console => ({
  [Console.TypeId]: Console.TypeId,
  assert: unlessReplaying(outer.assert),
  clear: unlessReplaying(() => outer.clear)(),
  count: unlessReplaying(outer.count),
  countReset: unlessReplaying(outer.countReset),
  debug: unlessReplaying(outer.debug),
  dir: unlessReplaying(outer.dir),
  dirxml: unlessReplaying(outer.dirxml),
  error: unlessReplaying(outer.error),
  group: unlessReplaying(outer.group),
  groupEnd: unlessReplaying(() => outer.groupEnd)(),
  info: unlessReplaying(outer.info),
  log: unlessReplaying(outer.log),
  table: unlessReplaying(outer.table),
  time: unlessReplaying(outer.time),
  timeEnd: unlessReplaying(outer.timeEnd),
  timeLog: unlessReplaying(outer.timeLog),
  trace: unlessReplaying(outer.trace),
  warn: unlessReplaying(outer.warn),
  unsafe: outer.unsafe
})

const makeLoggers = (outer: Loggers): Loggers => {
  const guarded = guardLoggers(outer)
  return HashSet.make(Logger.make<unknown, void>((options) => {
    if (current.replaying) return
    for (const logger of guarded) logger.log(options)
  }))
}

// Each metric caches its hook, so the hooks check for replay.
const registry = Metric.globalMetricRegistry
const getHook = registry.get.bind(registry)
registry.get = (key) => {
  const hook = getHook(key)
  return {
    ...hook,
    // Outside of activations, a hook that throws fails its caller, as without Perdure.
    update: (input) => {
      if (current === noRun) return hook.update(input)
      if (!current.replaying) guardHook("metric", hook, now, () => hook.update(input))
    },
    modify: (input) => {
      if (current === noRun) return hook.modify(input)
      if (!current.replaying) guardHook("metric", hook, now, () => hook.modify(input))
    }
  }
}

/** By the fiber refs of the handler. */
const insideRefsCache = new WeakMap<FiberRefs.FiberRefs, FiberRefs.FiberRefs>()

/** The fiber refs of a handler's runs: those of the handler, with the services above. */
export const insideRefs = (base: FiberRefs.FiberRefs): FiberRefs.FiberRefs => {
  const cached = insideRefsCache.get(base)
  if (cached !== undefined) return cached
  const outer = FiberRefs.getOrDefault(base, DefaultServices.currentServices)
  const services = outer.pipe(
    Context.add(Clock.Clock, clock),
    Context.add(Random.Random, random),
    Context.add(Tracer.Tracer, makeTracer(Context.get(outer, Tracer.Tracer))),
    Context.add(Console.Console, makeConsole(Context.get(outer, Console.Console)))
  )
  const refs = FiberRefs.updateManyAs(base, {
    forkAs: FiberId.none,
    entries: [
      [DefaultServices.currentServices, [[FiberId.none, services]]],
      [FiberRef.currentLoggers, [[FiberId.none, makeLoggers(FiberRefs.getOrDefault(base, FiberRef.currentLoggers))]]]
    ]
  })
  insideRefsCache.set(base, refs)
  return refs
}

const replacedServices = [Clock.Clock.key, Console.Console.key, Random.Random.key, Tracer.Tracer.key] as const

/** The fiber refs for a step body: those of the run's fiber, with the services of the handler. */
export const outsideRefs = (inside: FiberRefs.FiberRefs, base: FiberRefs.FiberRefs): FiberRefs.FiberRefs => {
  const services = new Map(FiberRefs.getOrDefault(inside, DefaultServices.currentServices).unsafeMap)
  const outer = FiberRefs.getOrDefault(base, DefaultServices.currentServices).unsafeMap
  for (const key of replacedServices) services.set(key, outer.get(key))
  return FiberRefs.updateManyAs(inside, {
    forkAs: FiberId.none,
    entries: [
      [DefaultServices.currentServices, [[FiberId.none, Context.unsafeMake(services)]]],
      [FiberRef.currentScheduler, [[FiberId.none, FiberRefs.getOrDefault(base, FiberRef.currentScheduler)]]],
      [FiberRef.currentLoggers, [[FiberId.none, guardLoggers(FiberRefs.getOrDefault(base, FiberRef.currentLoggers))]]]
    ]
  })
}
