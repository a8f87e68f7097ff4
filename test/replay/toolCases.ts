/** The other modules of Effect for concurrency, state and time, each in a program of steps. */
import * as Cache from "effect/Cache"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberHandle from "effect/FiberHandle"
import * as FiberMap from "effect/FiberMap"
import * as FiberSet from "effect/FiberSet"
import * as KeyedPool from "effect/KeyedPool"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import * as Pool from "effect/Pool"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as RateLimiter from "effect/RateLimiter"
import * as RcMap from "effect/RcMap"
import * as RcRef from "effect/RcRef"
import * as Ref from "effect/Ref"
import * as Reloadable from "effect/Reloadable"
import * as Resource from "effect/Resource"
import * as Schedule from "effect/Schedule"
import * as ScopedCache from "effect/ScopedCache"
import * as ScopedRef from "effect/ScopedRef"
import * as STM from "effect/STM"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as SynchronizedRef from "effect/SynchronizedRef"
import * as TPriorityQueue from "effect/TPriorityQueue"
import * as TPubSub from "effect/TPubSub"
import * as TQueue from "effect/TQueue"
import * as TRef from "effect/TRef"
import * as TSemaphore from "effect/TSemaphore"
import * as Context from "effect/Context"
import { type Durable, n, value } from "./replaying.js"

const unbounded = { concurrency: "unbounded" } as const

const slow = (i: number) => Effect.zipLeft(n(i), Effect.sleep(i * 20))

const numbers = (from: number, to: number) => Stream.range(from, to)

const collect = <A, E, R>(stream: Stream.Stream<A, E, R>) =>
  Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray)

const steps = (from: number, to: number) => Stream.mapEffect(numbers(from, to), slow)

/** Repeats a step on a schedule, and tells how often it did, and for how long. */
const ticking = (schedule: Schedule.Schedule<unknown>) => (): Durable<unknown> =>
  Effect.gen(function*() {
    const ticks = yield* Ref.make(0)
    const [time] = yield* Effect.timed(
      Effect.repeat(Effect.zipRight(value("tick", 1), Ref.update(ticks, (m) => m + 1)), schedule)
    )
    return [yield* Ref.get(ticks), Duration.toMillis(time)]
  })

const resource = (name: string) =>
  Effect.acquireRelease(value(`acquire ${name}`, name), () => Effect.asVoid(value(`release ${name}`, name)))

class Service extends Context.Tag("test/Service")<Service, { readonly version: number }>() {}

export const toolCases: Record<string, () => Durable<unknown>> = {
  // --- queues ---
  "Queue.bounded": () =>
    Effect.gen(function*() {
      const queue = yield* Queue.bounded<number>(1)
      yield* Effect.fork(Effect.forEach([1, 2, 3, 4], (i) => Effect.flatMap(n(i), (v) => queue.offer(v)), unbounded))
      return yield* Effect.replicateEffect(Effect.zipLeft(queue.take, n(9)), 4)
    }),
  "Queue.sliding": () =>
    Effect.gen(function*() {
      const queue = yield* Queue.sliding<number>(2)
      yield* Effect.forEach([1, 2, 3, 4], (i) => Effect.flatMap(slow(i), (v) => queue.offer(v)), unbounded)
      return yield* queue.takeAll
    }),
  "Queue.dropping": () =>
    Effect.gen(function*() {
      const queue = yield* Queue.dropping<number>(2)
      yield* Effect.forEach([4, 3, 2, 1], (i) => Effect.flatMap(slow(i), (v) => queue.offer(v)), unbounded)
      return yield* queue.takeAll
    }),
  "Queue, several takers, shut down": () =>
    Effect.gen(function*() {
      const queue = yield* Queue.unbounded<number>()
      const log: Array<string> = []
      const takers = yield* Effect.forEach(["a", "b"], (who) =>
        Effect.fork(Effect.forever(Effect.flatMap(queue.take, (i) =>
          Effect.map(slow(i), () =>
            log.push(`${who}${i}`))))))
      yield* Effect.forEach([1, 2, 3], (i) =>
        Effect.flatMap(n(i), (v) =>
          queue.offer(v)), unbounded)
      yield* Effect.sleep(1000)
      yield* queue.shutdown
      yield* Effect.forEach(takers, Fiber.await)
      return log
    }),
  "PubSub": () =>
    Effect.scoped(Effect.gen(function*() {
      const hub = yield* PubSub.unbounded<number>()
      const sub = yield* hub.subscribe
      yield* Effect.fork(Effect.forEach([1, 2, 3], (i) => Effect.flatMap(n(i), (v) => hub.publish(v))))
      return [yield* sub.take, yield* sub.take, yield* sub.take]
    })),
  "PubSub.bounded, two subscribers": () =>
    Effect.scoped(Effect.gen(function*() {
      const hub = yield* PubSub.bounded<number>({ capacity: 1, replay: 1 })
      const [a, b] = [yield* hub.subscribe, yield* hub.subscribe]
      const take = (sub: Queue.Dequeue<number>) => Effect.forEach([1, 2, 3], () => Effect.tap(sub.take, slow))
      return yield* Effect.all([
        take(a),
        take(b),
        Effect.forEach([1, 2, 3], (i) => Effect.flatMap(n(i), (v) => hub.publish(v)))
      ], unbounded)
    })),
  "Mailbox": () =>
    Effect.gen(function*() {
      const box = yield* Mailbox.make<number>()
      yield* Effect.fork(
        Effect.zipRight(Effect.forEach([1, 2, 3], (i) => Effect.flatMap(n(i), (v) => box.offer(v))), box.end)
      )
      const taken: Array<number> = []
      for (let isDone = false; !isDone;) {
        const [some, done] = yield* box.takeAll
        taken.push(...some)
        isDone = done
      }
      return taken
    }),
  "Deferred, many waiters": () =>
    Effect.flatMap(
      Deferred.make<number>(),
      (deferred) =>
        Effect.all([
          ...[1, 2, 3].map((i) => Effect.zip(Deferred.await(deferred), n(i))),
          Effect.flatMap(slow(4), (v) => Deferred.succeed(deferred, v))
        ], unbounded)
    ),

  // --- sets of fibers ---
  "FiberSet": () =>
    Effect.scoped(Effect.gen(function*() {
      const set = yield* FiberSet.make()
      const out: Array<number> = []
      for (let i = 0; i < 4; i++) yield* FiberSet.run(set, Effect.map(slow(i), (v) => out.push(v)))
      yield* FiberSet.awaitEmpty(set)
      return out
    })),
  "FiberMap": () =>
    Effect.scoped(Effect.gen(function*() {
      const map = yield* FiberMap.make<string>()
      const out: Array<number> = []
      for (const i of [3, 1, 2]) yield* FiberMap.run(map, `key ${i % 2}`, Effect.map(slow(i), (v) => out.push(v)))
      yield* FiberMap.awaitEmpty(map)
      return out
    })),
  "FiberHandle": () =>
    Effect.scoped(Effect.gen(function*() {
      const handle = yield* FiberHandle.make()
      const out: Array<number> = []
      yield* FiberHandle.run(handle, Effect.map(slow(5), (v) => out.push(v)))
      yield* n(1)
      yield* FiberHandle.run(handle, Effect.map(slow(2), (v) => out.push(v)))
      yield* FiberHandle.awaitEmpty(handle)
      return out
    })),

  // --- state ---
  "SubscriptionRef": () =>
    Effect.gen(function*() {
      const ref = yield* SubscriptionRef.make(0)
      const seen = yield* Effect.fork(ref.changes.pipe(Stream.takeUntil((v) => v >= 3), Stream.runDrain))
      for (const i of [1, 2, 3]) {
        yield* n(i)
        yield* Effect.yieldNow()
        yield* SubscriptionRef.set(ref, i)
      }
      return yield* Fiber.join(seen)
    }),
  "SynchronizedRef": () =>
    Effect.flatMap(
      SynchronizedRef.make(0),
      (ref) =>
        Effect.forEach([1, 2, 3], (i) =>
          SynchronizedRef.updateAndGetEffect(ref, (m) => Effect.map(slow(i), (v) => m * 2 + v)), unbounded)
    ),
  "STM retry": () =>
    Effect.gen(function*() {
      const count = yield* TRef.make(0)
      const waiter = yield* Effect.fork(
        STM.commit(STM.flatMap(TRef.get(count), (m) => m < 3 ? STM.retry : STM.succeed(m)))
      )
      yield* Effect.forEach([1, 2, 3], (i) =>
        Effect.zipRight(slow(i), STM.commit(TRef.update(count, (m) => m + 1))), unbounded)
      return yield* Fiber.join(waiter)
    }),
  "TQueue, TPriorityQueue": () =>
    Effect.gen(function*() {
      const queue = yield* TQueue.bounded<number>(1)
      const sorted = yield* TPriorityQueue.empty<number>((a, b) => a < b ? -1 : a > b ? 1 : 0)
      yield* Effect.fork(
        Effect.forEach([3, 1, 2], (i) => Effect.flatMap(slow(i), (v) => TQueue.offer(queue, v)), unbounded)
      )
      for (let i = 0; i < 3; i++) yield* Effect.flatMap(TQueue.take(queue), (v) => TPriorityQueue.offer(sorted, v))
      return yield* TPriorityQueue.takeAll(sorted)
    }),
  "TSemaphore, TPubSub": () =>
    Effect.scoped(Effect.gen(function*() {
      const semaphore = yield* TSemaphore.make(1)
      const hub = yield* TPubSub.unbounded<number>()
      const sub = yield* TPubSub.subscribeScoped(hub)
      yield* Effect.forEach([3, 1, 2], (i) =>
        TSemaphore.withPermit(Effect.flatMap(slow(i), (v) => TPubSub.publish(hub, v)), semaphore), unbounded)
      return yield* TQueue.takeAll(sub)
    })),

  // --- shared and limited resources ---
  "RateLimiter": () =>
    Effect.scoped(Effect.gen(function*() {
      const limit = yield* RateLimiter.make({ limit: 2, interval: "1 second" })
      return yield* Effect.forEach([1, 2, 3, 4, 5], (i) => limit(n(i)), unbounded)
    })),
  "RateLimiter, fixed window": () =>
    Effect.scoped(Effect.gen(function*() {
      const limit = yield* RateLimiter.make({ limit: 2, interval: "1 second", algorithm: "fixed-window" })
      return yield* Effect.forEach([1, 2, 3, 4, 5], (i) => limit(n(i)), unbounded)
    })),
  "Cache": () =>
    Effect.flatMap(
      Cache.make({ capacity: 2, timeToLive: "1 minute", lookup: (i: number) => slow(i) }),
      (cache) =>
        Effect.all(
          [cache.get(1), cache.get(1), cache.get(2), Effect.delay(cache.get(1), "2 minutes"), cache.get(3)],
          unbounded
        )
    ),
  "ScopedCache": () =>
    Effect.scoped(Effect.flatMap(
      ScopedCache.make({ capacity: 2, timeToLive: "1 minute", lookup: (i: number) => resource(`r${i}`) }),
      (cache) => Effect.forEach([1, 2, 1, 3], (i) => Effect.scoped(cache.get(i)), { concurrency: 2 })
    )),
  "Pool": () =>
    Effect.scoped(Effect.gen(function*() {
      let made = 0
      const pool = yield* Pool.make({ acquire: Effect.suspend(() => resource(`r${++made}`)), size: 2 })
      return yield* Effect.forEach([1, 2, 3, 4], (i) => Effect.scoped(Effect.zip(pool.get, slow(i))), unbounded)
    })),
  "Pool.makeWithTTL": () =>
    Effect.scoped(Effect.gen(function*() {
      let made = 0
      const pool = yield* Pool.makeWithTTL({
        acquire: Effect.suspend(() => resource(`r${++made}`)),
        min: 1,
        max: 3,
        timeToLive: "1 minute"
      })
      const used = yield* Effect.forEach([1, 2, 3], (i) => Effect.scoped(Effect.zip(pool.get, slow(i))), unbounded)
      yield* Effect.sleep("5 minutes")
      return [used, yield* Effect.scoped(pool.get)]
    })),
  "KeyedPool": () =>
    Effect.scoped(Effect.gen(function*() {
      const pool = yield* KeyedPool.make({ acquire: (key: string) => resource(key), size: 1 })
      return yield* Effect.forEach(["a", "b", "a"], (key) =>
        Effect.scoped(Effect.zip(KeyedPool.get(pool, key), slow(1))), unbounded)
    })),
  "RcRef": () =>
    Effect.scoped(Effect.gen(function*() {
      const ref = yield* RcRef.make({ acquire: resource("shared"), idleTimeToLive: "1 minute" })
      const used = yield* Effect.forEach(
        [1, 2, 3],
        (i) => Effect.scoped(Effect.zip(RcRef.get(ref), slow(i))),
        unbounded
      )
      yield* Effect.sleep("5 minutes")
      return [used, yield* Effect.scoped(RcRef.get(ref))]
    })),
  "RcMap": () =>
    Effect.scoped(Effect.gen(function*() {
      const map = yield* RcMap.make({ lookup: (key: string) => resource(key), idleTimeToLive: "1 minute" })
      const used = yield* Effect.forEach(["a", "b", "a"], (key) =>
        Effect.scoped(Effect.zip(RcMap.get(map, key), slow(2))), unbounded)
      yield* Effect.sleep("5 minutes")
      return [used, yield* Effect.scoped(RcMap.get(map, "a"))]
    })),
  "ScopedRef": () =>
    Effect.scoped(Effect.gen(function*() {
      const ref = yield* ScopedRef.fromAcquire(resource("first"))
      yield* ScopedRef.set(ref, resource("second"))
      return yield* ScopedRef.get(ref)
    })),
  "Resource.auto": () =>
    Effect.scoped(Effect.gen(function*() {
      let made = 0
      const auto = yield* Resource.auto(Effect.suspend(() => n(++made)), Schedule.spaced("1 hour"))
      yield* Effect.sleep("150 minutes")
      return yield* Resource.get(auto)
    })),
  "Reloadable": () =>
    Effect.gen(function*() {
      let version = 0
      const layer = Layer.effect(Service, Effect.suspend(() => Effect.map(n(++version), (v) => ({ version: v }))))
      return yield* Effect.gen(function*() {
        const before = yield* Reloadable.get(Service)
        yield* Effect.sleep("90 minutes")
        return [before, yield* Reloadable.get(Service)]
      }).pipe(Effect.provide(Reloadable.auto(Service, { layer, schedule: Schedule.spaced("1 hour") })))
    }),

  // --- schedules ---
  "Schedule.spaced": ticking(Schedule.intersect(Schedule.spaced("1 day"), Schedule.recurs(4))),
  "Schedule.fixed": ticking(Schedule.intersect(Schedule.fixed("80 millis"), Schedule.recurs(4))),
  "Schedule.windowed": ticking(Schedule.intersect(Schedule.windowed("1 minute"), Schedule.recurs(4))),
  "Schedule.exponential, jittered": ticking(
    Schedule.intersect(Schedule.jittered(Schedule.exponential("1 second")), Schedule.recurs(4))
  ),
  "Schedule.fibonacci": ticking(Schedule.intersect(Schedule.fibonacci("1 second"), Schedule.recurs(4))),
  "Schedule.cron": ticking(Schedule.intersect(Schedule.cron("0 4 * * *"), Schedule.recurs(3))),
  "Schedule.dayOfWeek": ticking(Schedule.intersect(Schedule.dayOfWeek(3), Schedule.recurs(2))),
  "Schedule.union": ticking(
    Schedule.intersect(
      Schedule.union(Schedule.exponential("1 minute"), Schedule.spaced("2 minutes")),
      Schedule.recurs(4)
    )
  ),
  "Schedule.upTo": ticking(Schedule.spaced("1 minute").pipe(Schedule.upTo("5 minutes"))),
  "Schedule.andThen": ticking(
    Schedule.andThen(Schedule.recurs(2), Schedule.intersect(Schedule.spaced("1 hour"), Schedule.recurs(2)))
  ),

  // --- streams ---
  "Stream.mapEffect, ordered": () =>
    collect(Stream.tap(Stream.mapEffect(numbers(1, 6), slow, { concurrency: 3 }), () => Effect.sleep(5))),
  "Stream.mapEffect, unordered": () =>
    collect(Stream.mapEffect(numbers(1, 8), slow, { concurrency: 4, unordered: true })),
  "Stream.flatMap, concurrent": () =>
    collect(Stream.flatMap(numbers(1, 4), (i) => steps(i, i + 1), { concurrency: 2 })),
  "Stream.flatMap, switch": () =>
    collect(Stream.flatMap(steps(1, 3), (i) => steps(i * 10, i * 10 + 1), { switch: true })),
  "Stream.merge": () => collect(Stream.merge(steps(1, 3), steps(4, 6))),
  "Stream.mergeAll": () => collect(Stream.mergeAll([steps(1, 2), steps(3, 4), steps(5, 6)], { concurrency: 2 })),
  "Stream.zipLatest": () => collect(Stream.zipLatest(steps(1, 3), steps(4, 5))),
  "Stream.debounce": () =>
    collect(
      Stream.debounce(
        Stream.mapEffect(numbers(1, 6), (i) => Effect.zipLeft(n(i), Effect.sleep(i % 2 === 1 ? 10 : 500))),
        "100 millis"
      )
    ),
  "Stream.throttle": () =>
    collect(Stream.throttle(steps(1, 4), { cost: Chunk.size, units: 1, duration: "1 second", strategy: "shape" })),
  "Stream.groupedWithin": () =>
    Effect.map(collect(Stream.groupedWithin(steps(1, 6), 3, "100 millis")), (all) => all.map(Chunk.toReadonlyArray)),
  "Stream.buffer": () => collect(Stream.tap(Stream.buffer(steps(1, 4), { capacity: 2 }), slow)),
  "Stream.broadcast": () =>
    Effect.scoped(
      Effect.flatMap(Stream.broadcast(steps(1, 3), 2, 4), ([a, b]) =>
        Effect.all([collect(a), collect(Stream.tap(b, slow))], unbounded))
    ),
  "Stream.share": () =>
    Effect.scoped(
      Effect.flatMap(Stream.share(steps(1, 3), { capacity: "unbounded" }), (shared) =>
        Effect.all([collect(shared), collect(shared)], unbounded))
    ),
  "Stream.partition": () =>
    Effect.scoped(
      Effect.flatMap(
        Stream.partition(steps(1, 4), (i) => i % 2 === 0),
        ([odd, even]) => Effect.all([collect(odd), collect(even)], unbounded)
      )
    ),
  "Stream.groupByKey": () =>
    collect(
      Stream.groupByKey(steps(1, 5), (i) => i % 2).pipe((grouped) => grouped.grouped, Stream.map(([key]) => key))
    ),
  "Stream.interruptWhen": () => collect(Stream.interruptWhen(steps(1, 9), Effect.sleep(150))),
  "Stream.haltAfter, timeout": () => collect(Stream.timeout(Stream.haltAfter(steps(1, 9), "200 millis"), "90 millis")),
  "Stream.fromSchedule, tick": () =>
    collect(
      Stream.mapEffect(
        Stream.take(Stream.zip(Stream.fromSchedule(Schedule.spaced("1 hour")), Stream.tick("1 minute")), 3),
        () => n(1)
      )
    ),
  "Stream.aggregateWithin": () =>
    collect(Stream.retry(Stream.repeat(steps(1, 2), Schedule.recurs(1)), Schedule.recurs(1))),
  "Stream.race": () => collect(Stream.race(steps(1, 2), Stream.fromEffect(n(7)))),
  "Stream.runForEachScoped": () => Effect.scoped(Stream.runForEachScoped(steps(1, 3), slow)),

  "Exit of a scope with a failing finalizer": () =>
    Effect.map(
      Effect.exit(Effect.scoped(Effect.zipRight(
        Effect.addFinalizer(() => Effect.zipRight(n(1), Effect.die("no"))),
        n(2)
      ))),
      Exit.isFailure
    )
}
