/**
 * Each function of `Effect` with fibers, time or concurrency, in a program of steps. `coverage.test.ts` compares the
 * list with the exports of the installed version.
 */
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Request from "effect/Request"
import * as RequestResolver from "effect/RequestResolver"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Supervisor from "effect/Supervisor"
import { CurrentRun } from "perdure/CurrentRun"
import { type Durable, n, value } from "./replaying.js"

const items = [1, 2, 3, 4, 5]

const unbounded = { concurrency: "unbounded" } as const

/** A step, then a sleep that is longer for larger numbers. */
const slow = (i: number) => Effect.zipLeft(n(i), Effect.sleep(i * 20))

const odd = (i: number) => Effect.filterOrFail(n(i), (m) => m % 2 === 1, (m) => `${m} is even`)

const counted = (program: (count: Effect.Effect<number>) => Durable<unknown>): Durable<unknown> =>
  Effect.flatMap(Ref.make(0), (ref) => program(Ref.updateAndGet(ref, (m) => m + 1)))

interface Get extends Request.Request<number, never> {
  readonly _tag: "Get"
  readonly id: number
}

const Get = Request.tagged<Get>("Get")

export const effectCases: Record<string, () => Durable<unknown>> = {
  "forEach, unbounded": () => Effect.forEach(items, slow, unbounded),
  "forEach, bounded": () => Effect.forEach(items, (i) => Effect.zipRight(slow(i), n(i * 10)), { concurrency: 2 }),
  "forEach, inherited": () => Effect.withConcurrency(Effect.forEach(items, slow, { concurrency: "inherit" }), 3),
  "forEach, the first failure": () => Effect.either(Effect.forEach(items, odd, unbounded)),
  "forEach, discarded": () => Effect.forEach(items, slow, { concurrency: 3, discard: true }),
  "all": () => Effect.all({ a: slow(3), b: slow(1), c: n(2) }, unbounded),
  "all, every exit": () =>
    Effect.map(Effect.all(items.map(odd), { mode: "either", concurrency: 2 }), (all) => all.map((each) => each._tag)),
  "all, validated": () => Effect.either(Effect.all(items.map(odd), { mode: "validate", concurrency: 2 })),
  "allWith": () => Effect.allWith({ concurrency: 2 })([slow(2), slow(1), n(3)]),
  "allSuccesses": () => Effect.allSuccesses(items.map(odd), unbounded),
  "bindAll": () => Effect.bindAll(Effect.Do, () => ({ a: slow(2), b: n(1) }), unbounded),
  "exists": () => Effect.exists(items, (i) => Effect.map(slow(i), (m) => m === 3), unbounded),
  "filter": () => Effect.filter(items, (i) => Effect.map(slow(i), (m) => m > 2), unbounded),
  "mergeAll": () => Effect.mergeAll(items.map(slow), "", (text, i) => `${text}${i}`, unbounded),
  "reduceEffect": () => Effect.reduceEffect(items.map(slow), Effect.succeed(0), (sum, i) => sum * 3 + i, unbounded),
  "partition": () => Effect.partition(items, odd, unbounded),
  "replicateEffect": () => Effect.replicateEffect(slow(1), 4, { concurrency: 2 }),
  "validateAll": () => Effect.either(Effect.validateAll(items, odd, unbounded)),
  "validateFirst": () => Effect.validateFirst(items, odd, { concurrency: 2 }),
  "validate": () => Effect.either(Effect.validate(odd(2), odd(4), { concurrent: true })),
  "validateWith": () => Effect.validateWith(slow(2), slow(1), (a, b) => a - b, { concurrent: true }),
  "zip": () => Effect.zip(slow(2), slow(1), { concurrent: true }),
  "zipLeft": () => Effect.zipLeft(slow(2), slow(1), { concurrent: true }),
  "zipRight": () => Effect.zipRight(slow(2), slow(1), { concurrent: true }),
  "zipWith": () => Effect.zipWith(slow(2), slow(1), (a, b) => a - b, { concurrent: true }),
  "race": () => Effect.race(slow(2), Effect.zipLeft(n(1), n(3))),
  "race, one fails": () => Effect.race(Effect.zipRight(n(1), Effect.fail("no")), slow(2)),
  "raceAll": () => Effect.raceAll([Effect.delay(value("x", 1), 10), value("y", 2), value("z", 3)]),
  "raceFirst, with a failure": () => Effect.either(Effect.raceFirst(Effect.zipRight(n(1), Effect.fail("no")), n(2))),
  "raceWith": () =>
    Effect.raceWith(slow(1), slow(2), {
      onSelfDone: (exit, fiber) => Effect.as(Fiber.await(fiber), `self ${exit._tag}`),
      onOtherDone: (exit, fiber) => Effect.as(Fiber.interrupt(fiber), `other ${exit._tag}`)
    }),
  "compensation of a race's loser": () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      yield* Effect.race(
        Effect.onInterrupt(Effect.zipLeft(n(1), Effect.never), () =>
          Effect.map(value("undo", "undone"), (v) => log.push(v))),
        Effect.zipLeft(n(2), Effect.sleep(200))
      )
      return log
    }),
  "firstSuccessOf": () => Effect.firstSuccessOf([odd(2), odd(4), odd(5)]),
  "timeout": () => Effect.either(Effect.timeout(slow(2), "30 millis")),
  "timeout of the uninterruptible": () =>
    Effect.either(Effect.timeout(Effect.uninterruptible(Effect.zipLeft(n(1), Effect.sleep(50))), "20 millis")),
  "timeoutOption": () => Effect.timeoutOption(slow(2), "50 millis"),
  "timeoutFail": () => Effect.either(Effect.timeoutFail(slow(2), { duration: "60 millis", onTimeout: () => "late" })),
  "timeoutFailCause": () =>
    Effect.exit(
      Effect.timeoutFailCause(slow(2), {
        duration: 60,
        onTimeout: () => Exit.causeOption(Exit.fail("late")).pipe(Option.getOrThrow)
      })
    )
      .pipe(Effect.map(({ _tag }) => _tag)),
  "timeoutTo": () => Effect.timeoutTo(slow(2), { duration: 60, onTimeout: () => "late", onSuccess: (m) => `${m}` }),
  "sleep": () => Effect.sleep("30 days"),
  "delay": () => Effect.delay(n(1), "1 hour"),
  "disconnect": () => Effect.timeoutOption(Effect.disconnect(Effect.zipLeft(n(1), Effect.sleep("1 hour"))), "1 minute"),
  "fork": () => Effect.flatMap(Effect.fork(slow(1)), (fiber) => Effect.zip(n(2), Fiber.join(fiber))),
  "fork, interrupted": () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const fiber = yield* Effect.fork(
        Effect.ensuring(slow(4), Effect.map(value("ensured", "ensured"), (v) => log.push(v)))
      )
      yield* slow(1)
      yield* Fiber.interrupt(fiber)
      return log
    }),
  "forkAll": () => Effect.flatMap(Effect.forkAll(items.map(slow)), Fiber.join),
  "forkDaemon": () =>
    Effect.gen(function*() {
      const done = yield* Deferred.make<number>()
      yield* Effect.forkDaemon(Effect.flatMap(n(7), (v) => Deferred.succeed(done, v)))
      return yield* Deferred.await(done)
    }),
  "forkIn": () =>
    Effect.flatMap(Scope.make(), (scope) =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkIn(slow(3), scope)
        yield* n(1)
        yield* Scope.close(scope, Exit.void)
        return (yield* Fiber.await(fiber))._tag
      })),
  "forkScoped": () => Effect.scoped(Effect.zipRight(Effect.forkScoped(slow(2)), slow(1))),
  "forkWithErrorHandler": () =>
    Effect.flatMap(Deferred.make<unknown>(), (seen) =>
      Effect.zipRight(
        Effect.forkWithErrorHandler(odd(2), (error) => Deferred.succeed(seen, error)),
        Deferred.await(seen)
      )),
  "fromFiber": () => Effect.flatMap(Effect.fork(slow(1)), Effect.fromFiber),
  "fromFiberEffect": () => Effect.fromFiberEffect(Effect.fork(slow(1))),
  "ensuringChild": () =>
    Effect.ensuringChild(Effect.zipRight(Effect.fork(slow(3)), n(1)), (fiber) => Effect.asVoid(Fiber.await(fiber))),
  "ensuringChildren": () =>
    Effect.ensuringChildren(
      Effect.zipRight(Effect.fork(slow(3)), n(1)),
      (children) => Effect.zipRight(n(children.length), Fiber.interruptAll(children))
    ),
  "awaitAllChildren": () => Effect.awaitAllChildren(Effect.zipRight(Effect.fork(slow(3)), n(1))),
  "daemonChildren": () => Effect.zipRight(Effect.daemonChildren(Effect.fork(slow(1))), slow(2)),
  "supervised": () =>
    Effect.gen(function*() {
      const supervisor = yield* Supervisor.track
      yield* Effect.supervised(Effect.zipRight(Effect.fork(slow(4)), n(1)), supervisor)
      return (yield* supervisor.value).length
    }),
  "scheduleForked": () =>
    counted((count) =>
      Effect.gen(function*() {
        yield* Effect.scheduleForked(Effect.zipRight(n(1), count), Schedule.spaced("1 hour"))
        yield* Effect.sleep("5 hours")
        return yield* count
      })
    ),
  "retry": () =>
    counted((count) =>
      Effect.retry(Effect.flatMap(Effect.zipRight(n(1), count), (m) => m < 4 ? Effect.fail(m) : Effect.succeed(m)), {
        schedule: Schedule.jittered(Schedule.exponential("1 second")),
        times: 10
      })
    ),
  "retryOrElse": () =>
    Effect.retryOrElse(
      Effect.zipRight(n(1), Effect.fail("no")),
      Schedule.recurs(2),
      (error) => value("else", `else ${error}`)
    ),
  "repeat": () =>
    counted((count) =>
      Effect.repeat(Effect.zipRight(n(1), count), Schedule.compose(Schedule.spaced("1 day"), Schedule.recurs(5)))
    ),
  "repeatOrElse": () =>
    counted((count) =>
      Effect.repeatOrElse(
        Effect.flatMap(Effect.zipRight(n(1), count), (m) => m > 2 ? Effect.fail(m) : Effect.succeed(m)),
        Schedule.spaced("1 hour"),
        (error, option) => Effect.succeed(error * 10 + Option.getOrElse(option, () => -1))
      )
    ),
  "schedule": () =>
    counted((count) =>
      Effect.schedule(Effect.zipRight(n(1), count), Schedule.fixed("1 hour").pipe(Schedule.upTo("4 hours")))
    ),
  "scheduleFrom": () => counted((count) => Effect.scheduleFrom(Effect.zipRight(n(1), count), 0, Schedule.recurs(3))),
  "once": () =>
    Effect.flatMap(Effect.once(slow(1)), (once) => Effect.all([once, once, once], { ...unbounded, discard: true })),
  "cached": () =>
    Effect.flatMap(
      Effect.cached(slow(1)),
      (cached) => Effect.all([cached, cached, Effect.delay(cached, 500)], unbounded)
    ),
  "cachedWithTTL": () =>
    Effect.flatMap(
      Effect.cachedWithTTL(n(1), "1 minute"),
      (cached) => Effect.all([cached, cached, Effect.delay(cached, "2 minutes")], unbounded)
    ),
  "cachedInvalidateWithTTL": () =>
    Effect.flatMap(
      Effect.cachedInvalidateWithTTL(n(1), "1 hour"),
      ([cached, invalidate]) =>
        Effect.all([cached, Effect.zipRight(Effect.sleep(200), invalidate), Effect.delay(cached, 400)], unbounded)
    ),
  "cachedFunction": () =>
    Effect.flatMap(
      Effect.cachedFunction((i: number) => slow(i)),
      (get) => Effect.all([get(1), get(2), get(1), get(2)], unbounded)
    ),
  "makeSemaphore": () =>
    Effect.gen(function*() {
      const semaphore = yield* Effect.makeSemaphore(2)
      const log: Array<number> = []
      yield* Effect.forEach(items, (i) => semaphore.withPermits(1)(Effect.map(slow(i), (v) => log.push(v))), unbounded)
      return log
    }),
  "unsafeMakeSemaphore": () =>
    Effect.suspend(() => {
      const semaphore = Effect.unsafeMakeSemaphore(1)
      return Effect.forEach(items, (i) => semaphore.withPermitsIfAvailable(1)(slow(i)), unbounded)
    }),
  "makeLatch": () =>
    Effect.gen(function*() {
      const latch = yield* Effect.makeLatch()
      const fiber = yield* Effect.fork(latch.whenOpen(n(2)))
      yield* slow(1)
      yield* latch.open
      return yield* Fiber.join(fiber)
    }),
  "unsafeMakeLatch": () =>
    Effect.suspend(() => {
      const latch = Effect.unsafeMakeLatch(false)
      return Effect.zip(Effect.zipRight(latch.await, n(2)), Effect.zipRight(slow(1), latch.release), {
        concurrent: true
      })
    }),
  "intoDeferred": () =>
    Effect.flatMap(
      Deferred.make<number>(),
      (deferred) => Effect.zip(Deferred.await(deferred), Effect.intoDeferred(slow(1), deferred), { concurrent: true })
    ),
  "async": () => Effect.zip(n(1), Effect.async<number>((resume) => resume(Effect.succeed(2))), { concurrent: true }),
  "yieldNow, alternately": () =>
    Effect.gen(function*() {
      const order: Array<number> = []
      const yielding = (i: number) =>
        Effect.zipRight(Effect.repeatN(Effect.zipRight(Effect.yieldNow(), Effect.sync(() => order.push(i))), 2), n(i))
      yield* Effect.forEach([1, 2, 3], yielding, unbounded)
      return order
    }),
  "interruptible inside uninterruptibleMask": () =>
    Effect.timeoutOption(
      Effect.uninterruptibleMask((restore) => Effect.zipRight(n(1), Effect.exit(restore(slow(9))))),
      100
    ),
  "acquireReleaseInterruptible": () =>
    Effect.scoped(
      Effect.acquireReleaseInterruptible(Effect.timeoutOption(slow(2), 100), () => Effect.asVoid(value("release", 1)))
    ),
  "interruptWith": () =>
    Effect.map(Effect.exit(Effect.zipRight(n(1), Effect.interruptWith(FiberId.none))), ({ _tag }) => _tag),
  "scopes acquired in parallel": () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const resource = (i: number) =>
        Effect.acquireRelease(slow(i), () => Effect.map(value(`release ${i}`, `released ${i}`), (v) => log.push(v)))
      yield* Effect.ignore(
        Effect.scoped(Effect.zipRight(Effect.all([resource(1), resource(2), resource(3)], unbounded), Effect.fail("x")))
      )
      return log
    }),
  "parallelFinalizers": () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const finalizer = (i: number) =>
        Effect.addFinalizer(() => Effect.map(value(`final ${i}`, `final ${i}`), (v) => log.push(v)))
      yield* Effect.scoped(Effect.parallelFinalizers(Effect.all([finalizer(1), finalizer(2), finalizer(3)])))
      return log
    }),
  "request batching": () => {
    const resolver = RequestResolver.contextFromServices(CurrentRun)(
      RequestResolver.fromEffect((request: Get) => Effect.map(n(request.id), (id) => id * 2))
    )
    return Effect.forEach([1, 2, 3], (id) => Effect.request(Get({ id }), resolver), {
      batching: true,
      concurrency: "unbounded"
    })
  },
  "request caching": () => {
    const resolver = RequestResolver.contextFromServices(CurrentRun)(
      RequestResolver.makeBatched((requests: ReadonlyArray<Get>) =>
        Effect.flatMap(
          n(requests.length),
          () => Effect.forEach(requests, (request) => Request.succeed(request, request.id), { discard: true })
        )
      )
    )
    const get = (id: number) =>
      Effect.withRequestCaching(Effect.withRequestBatching(Effect.request(Get({ id }), resolver), true), true)
    return Effect.flatMap(Request.makeCache({ capacity: 10, timeToLive: "1 hour" }), (cache) =>
      Effect.withRequestCache(
        Effect.zip(
          Effect.forEach([1, 2, 1], get, { batching: true }),
          Effect.forEach([2, 3], get, { concurrency: "unbounded" })
        ),
        cache
      ))
  },
  "20,000 operations without a step": () =>
    Effect.zipLeft(Effect.iterate(0, { while: (i) => i < 20_000, body: (i) => Effect.succeed(i + 1) }), n(1)),
  "Chunk results": () => Effect.map(Effect.forEach(items, slow, unbounded), Chunk.fromIterable)
}
