/** Machines that are forgotten while they wait, and what they leave in the process. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { globalValue } from "effect/GlobalValue"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import { voidWire } from "../../../src/internal/codec/exits.js"
import { collect, collectedAll } from "../../fixtures/garbage.js"
import { type Durable, machineOf, n, START, value } from "../../replay/replaying.js"

/** The root fibers that Effect keeps. */
export const roots = (): Set<unknown> =>
  globalValue(Symbol.for("effect/FiberScope/Global"), () => ({ roots: new Set() })).roots

const Go = Signal.make("Go", { payload: {} })

/** Programs that wait. */
export const waits: Record<string, () => Durable<unknown>> = {
  "a step": () => n(1),
  "a timer": () => Effect.sleep("30 days"),
  "a signal": () => Go.receive,
  "a signal, with a limit": () => Go.receiveWithin("1 day"),
  "never, in a race": () => Effect.race(Effect.never, Effect.sleep("1 day")),
  "bounded forEach": () => Effect.forEach([1, 2, 3, 4], n, { concurrency: 2 }),
  "unbounded forEach": () => Effect.forEach([1, 2, 3, 4], n, { concurrency: "unbounded" }),
  "daemons": () => Effect.zipRight(Effect.forkDaemon(Effect.forever(Effect.sleep("1 hour"))), Effect.sleep("1 day")),
  "children that are joined": () => Effect.flatMap(Effect.fork(n(1)), Fiber.join),
  "a resource": () => Effect.acquireUseRelease(Effect.void, () => n(1), () => Effect.asVoid(value("release", 1))),
  "a finalizer": () =>
    Effect.zipRight(Effect.addFinalizer(() => Effect.asVoid(value("final", 1))), Effect.sleep("1 day")),
  "a queue and a deferred": () =>
    Effect.gen(function*() {
      const queue = yield* Queue.bounded<number>(1)
      const done = yield* Deferred.make<number>()
      yield* Effect.fork(Effect.forever(Effect.flatMap(n(1), (v) => queue.offer(v))))
      yield* Effect.fork(Effect.forever(queue.take))
      return yield* Effect.race(Deferred.await(done), Effect.sleep("1 day"))
    }),
  "a stream": () => Stream.runDrain(Stream.mapEffect(Stream.range(1, 9), n, { concurrency: 3, unordered: true })),
  "a timeout": () => Effect.timeoutOption(Effect.uninterruptible(n(1)), "1 day"),
  "a retried step": () => Effect.retry(Step.run("fails", Effect.void), { times: 3 })
}

const programs = Object.values(waits)

/** The count of intervals that keep the process alive. */
export const intervals = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length

export const memorySuite = (machines: number): void => {
  describe("each forgotten machine", () => {
    it(`of ${machines} uses no memory`, { timeout: 300_000 }, () => {
      let collected = 0
      const registry = new FinalizationRegistry<undefined>(() => void collected++)
      const before = { roots: roots().size, intervals: intervals() }
      const lives = (count: number) => {
        for (let i = 0; i < count; i++) {
          const program = programs[i % programs.length]
          if (program === undefined) continue
          const { machine, start } = machineOf(program(), { id: `run ${i}` })
          start([])
          // Some machines are one step further.
          const [op] = machine.pending.values()
          if (i % 3 === 0 && op?.data._tag === "Timer")
            machine.deliver({ op: op.id, kind: op.kind, name: op.name, exit: voidWire, at: START })
          registry.register(machine, undefined)
          machine.forget()
        }
      }
      lives(2_000)
      collect()
      const heap = process.memoryUsage().heapUsed
      lives(machines)
      collect()
      const grown = process.memoryUsage().heapUsed - heap
      assert.strictEqual(roots().size, before.roots)
      assert.strictEqual(intervals(), before.intervals)
      // A machine takes 15 to 20 KB: the test would notice a thousand that remain.
      assert.isBelow(grown, 16 * 1024 * 1024)
      return collectedAll(() => collected, machines)
    })
  })
}
