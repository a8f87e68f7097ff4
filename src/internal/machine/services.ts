/**
 * The default services of runs: a clock that stands still between entries, random numbers from the run's seed, and a
 * console, a tracer, loggers and metrics that are silent while the run is replayed.
 *
 * A run's fibers run only inside its activations, which are synchronous, so one set of services serves all runs: it asks
 * which run is being activated. Outside of activations it stands for nobody and does nothing.
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

/** What the services need to know of a run. */
export interface RunState {
  /** Milliseconds since the epoch: the time of the entry delivered last. */
  readonly now: number
  /** True while journaled entries are delivered: what the program says now it has said before. */
  readonly replaying: boolean
  readonly random: Random.Random
  readonly sleepUntil: (due: number) => Effect.Effect<void>
}

const nobody: RunState = {
  now: 0,
  replaying: false,
  random: Random.make("nobody"),
  sleepUntil: () => Effect.never
}

let current: RunState = nobody

/** Run `activation`, which is synchronous, as this run. */
export const actingAs = (run: RunState, activation: () => void): void => {
  const before = current
  current = run
  try {
    activation()
  } finally {
    current = before
  }
}

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
    span: (name, parent, context, links, startTime, kind, options) =>
      (current.replaying ? silentTracer : outer).span(name, parent, context, links, startTime, kind, options),
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

const makeLoggers = (
  outer: HashSet.HashSet<Logger.Logger<unknown, unknown>>
): HashSet.HashSet<Logger.Logger<unknown, unknown>> =>
  HashSet.make(Logger.make<unknown, void>((options) => {
    if (current.replaying) return
    for (const logger of outer) logger.log(options)
  }))

// Each metric caches its hook, so the hooks themselves have to ask.
const registry = Metric.globalMetricRegistry
const lookUp = registry.get.bind(registry)
registry.get = (key) => {
  const hook = lookUp(key)
  return {
    ...hook,
    update: (input) => current.replaying ? undefined : hook.update(input),
    modify: (input) => current.replaying ? undefined : hook.modify(input)
  }
}

const known = new WeakMap<FiberRefs.FiberRefs, FiberRefs.FiberRefs>()

/** The fiber refs of a handler's runs: the handler's, with the services above. */
export const insideRefs = (base: FiberRefs.FiberRefs): FiberRefs.FiberRefs => {
  const made = known.get(base)
  if (made !== undefined) return made
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
  known.set(base, refs)
  return refs
}

const replaced = [Clock.Clock.key, Console.Console.key, Random.Random.key, Tracer.Tracer.key] as const

/** The refs of a run's fiber with those services taken out again: for what runs outside of the machine. */
export const outsideRefs = (inside: FiberRefs.FiberRefs, base: FiberRefs.FiberRefs): FiberRefs.FiberRefs => {
  const services = new Map(FiberRefs.getOrDefault(inside, DefaultServices.currentServices).unsafeMap)
  const outer = FiberRefs.getOrDefault(base, DefaultServices.currentServices).unsafeMap
  for (const key of replaced) services.set(key, outer.get(key))
  return FiberRefs.updateManyAs(inside, {
    forkAs: FiberId.none,
    entries: [
      [DefaultServices.currentServices, [[FiberId.none, Context.unsafeMake(services)]]],
      [FiberRef.currentScheduler, [[FiberId.none, FiberRefs.getOrDefault(base, FiberRef.currentScheduler)]]],
      [FiberRef.currentLoggers, [[FiberId.none, FiberRefs.getOrDefault(base, FiberRef.currentLoggers)]]]
    ]
  })
}
