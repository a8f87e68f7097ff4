import { dice } from "@perdure/testing/simulation/Dice"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashSet from "effect/HashSet"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as Tracer from "effect/Tracer"
import { CurrentRun } from "perdure/CurrentRun"
import { NotDurable } from "perdure/Errors"
import * as Workflow from "perdure/Workflow"
import { notDurableWire, voidWire } from "../../../src/internal/codec/exits.js"
import type { Machine } from "../../../src/internal/machine/Machine.js"
import type { MachineEntry } from "../../../src/internal/machine/Op.js"
import { RUN_ENTRY } from "../../../src/internal/machine/Op.js"
import { type Durable, live, machineOf, n, START, value } from "../../replay/replaying.js"

const text = (result: string | number): MachineEntry["exit"] => ({
  kind: "success",
  data: result,
  text: JSON.stringify(result)
})

const done = (op: number, name: string, result: string | number, at = START): MachineEntry => ({
  op,
  kind: "step",
  name,
  exit: text(result),
  at
})

const ops = (machine: Machine): ReadonlyArray<string> =>
  [...machine.pending.values()].map(({ id, kind, name }) => `${id} ${kind} ${name}`)

const two = Effect.zip(n(1), n(2), { concurrent: true })

describe("an op", () => {
  it("is numbered in the order of requests", () => {
    const { machine, start } = machineOf(
      Effect.forEach([1, 2, 3, 4], (i) => Effect.zipLeft(n(i), Effect.sleep(i)), { concurrency: 2 })
    )
    start([])
    assert.deepStrictEqual(ops(machine), ["0 step n1", "1 step n2"])
    assert.isUndefined(machine.deliver(done(1, "n2", 2)))
    assert.deepStrictEqual(ops(machine), ["0 step n1", "2 timer sleep"])
    assert.isUndefined(machine.deliver(done(0, "n1", 1)))
    assert.deepStrictEqual(ops(machine), ["2 timer sleep", "3 timer sleep"])
  })

  it("is in the outbox once when it is requested and once when it is cancelled", () => {
    const { machine, start } = machineOf(Effect.race(n(1), n(2)))
    start([])
    assert.deepStrictEqual(machine.takeOutbox().requested.map(({ id }) => id), [0, 1])
    machine.deliver(done(1, "n2", 2))
    const { cancelled, requested } = machine.takeOutbox()
    assert.deepStrictEqual([requested.length, cancelled.map(({ id }) => id)], [0, [0]])
    assert.deepStrictEqual(machine.exit, Exit.succeed(2))
  })
})

describe("replay", () => {
  it("requests only the ops that are still pending", () => {
    const { machine, start } = machineOf(Effect.zip(two, n(3)))
    assert.isUndefined(start([done(1, "n2", 2), done(0, "n1", 1)]))
    assert.deepStrictEqual(machine.takeOutbox().requested.map(({ id, name }) => [id, name]), [[2, "n3"]])
  })

  it("takes the time from the entries", () => {
    const now = Effect.flatMap(n(1), () => Clock.currentTimeMillis)
    const { machine, start } = machineOf(Effect.zip(Clock.currentTimeMillis, now))
    start([done(0, "n1", 1, START + 12_345)])
    assert.deepStrictEqual(machine.exit, Exit.succeed([START, START + 12_345]))
  })

  it("repeats the random numbers and UUIDs of the run; another run has others", () => {
    const program: Durable<unknown> = Effect.gen(function*() {
      const { uuid } = yield* CurrentRun
      return [yield* Random.nextInt, yield* uuid, yield* n(1), yield* Random.next, yield* uuid]
    })
    const exitOf = (id: string) => {
      const { machine, start } = machineOf(program, { id })
      start([done(0, "n1", 1)])
      return JSON.stringify(machine.exit)
    }
    assert.strictEqual(exitOf("a"), exitOf("a"))
    assert.notStrictEqual(exitOf("a"), exitOf("b"))
    assert.match(exitOf("a"), /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/)
  })

  it("of 10,000 entries takes four times the work of 2,500", () => {
    const loop = (count: number): Durable<number> =>
      Effect.iterate(0, { while: (i) => i < count, body: (i) => Effect.zipRight(n(1), Effect.succeed(i + 1)) })
    const work = (count: number): number => {
      const { machine, start } = machineOf(loop(count))
      let operations = 0
      const scheduler = Reflect.get(machine, "scheduler") as { shouldYield: (fiber: never) => number | false }
      const ask = scheduler.shouldYield.bind(scheduler)
      // Effect calls this before each operation of a fiber.
      scheduler.shouldYield = (fiber) => {
        operations++
        return ask(fiber)
      }
      start(Array.from({ length: count }, (_, op) => done(op, "n1", 1, START + op)))
      assert.deepStrictEqual(machine.exit, Exit.succeed(count))
      return operations
    }
    const ratio = work(10_000) / work(2_500)
    assert.isAbove(ratio, 3.9)
    assert.isBelow(ratio, 4.1)
  })
})

describe("a divergence", () => {
  const diverges = (program: Durable<unknown>, journal: ReadonlyArray<MachineEntry>) =>
    machineOf(program).start(journal)

  it("is reported for an op with another name", () => {
    assert.deepInclude(diverges(n(1), [done(0, "n2", 2)]), {
      reason: "mismatch",
      delivered: 0,
      journal: { op: 0, kind: "step", name: "n2" },
      program: { op: 0, kind: "step", name: "n1" }
    })
  })

  it("is reported for an op of another kind", () => {
    assert.strictEqual(diverges(Effect.sleep(1), [done(0, "sleep", 1)])?.reason, "mismatch")
  })

  it("is reported for an op that the program does not wait for", () => {
    const divergence = diverges(Effect.zipRight(n(1), n(2)), [done(0, "n1", 1), done(5, "n9", 1)])
    assert.deepInclude(divergence, { reason: "mismatch", delivered: 1, program: null })
    assert.include(divergence?.detail ?? "", "step \"n2\" (op 1)")
  })

  it("is reported for entries after the end of the program", () => {
    const divergence = diverges(n(1), [done(0, "n1", 1), done(1, "n2", 2)])
    assert.deepInclude(divergence, { reason: "ended", delivered: 1 })
    assert.include(divergence?.detail ?? "", "success")
  })

  it("is reported for a value that does not match its schema", () => {
    const divergence = diverges(value("n1", 1), [{
      ...done(0, "n1", 1),
      exit: { kind: "success", data: { no: 1 }, text: "{}" }
    }])
    assert.strictEqual(divergence?.reason, "undecodable")
    assert.include(divergence?.detail ?? "", "result of step n1")
  })
})

const cancelEntry: MachineEntry = { op: RUN_ENTRY, kind: "cancel", name: "cancel", exit: text("by hand"), at: START }

describe("a cancel entry", () => {
  it("interrupts the program, whose finalizers can run steps", () => {
    const program = Effect.acquireUseRelease(n(1), () => Effect.sleep("1 day"), () => value("release", 1))
    const { machine, start } = machineOf(program)
    start([done(0, "n1", 1), cancelEntry])
    assert.isUndefined(machine.exit)
    assert.deepStrictEqual(ops(machine), ["2 step release"])
    machine.deliver(done(2, "release", 1))
    assert.isTrue(machine.exit !== undefined && Exit.isInterrupted(machine.exit))
  })

  it("takes effect after an uninterruptible region", () => {
    const { machine, start } = machineOf(Effect.zipRight(Effect.uninterruptible(n(1)), n(2)))
    start([cancelEntry])
    assert.deepStrictEqual(ops(machine), ["0 step n1"])
    machine.deliver(done(0, "n1", 1))
    assert.isTrue(machine.exit !== undefined && Exit.isInterrupted(machine.exit))
  })
})

describe("a program that waits for something outside the journal", () => {
  it("is stuck, and the place is named", () => {
    const { machine, start } = machineOf(
      Effect.zipRight(
        n(1),
        Effect.withSpan(Effect.flatMap(Deferred.make<number>(), (never) => Deferred.await(never)), "waiting")
      )
    )
    start([])
    assert.isUndefined(machine.stuck)
    machine.deliver(done(0, "n1", 1))
    assert.include(machine.stuck ?? "", "run run, in span \"waiting\", after step \"n1\" (op 0)")
  })

  it("is reported as a stray wake-up when it wakes, and does not continue", () => {
    const outside = Deferred.unsafeMake<string>(FiberId.none)
    const { machine, start, strays } = machineOf(Effect.zipRight(n(1), Effect.zip(Deferred.await(outside), n(2))))
    start([done(0, "n1", 1)])
    Deferred.unsafeDone(outside, Effect.succeed("woken"))
    assert.lengthOf(strays, 1)
    assert.include(strays[0] ?? "", "after step \"n1\"")
    assert.strictEqual(machine.pending.size, 0)
  })

  it("is found by a replay even if its fiber started synchronously and was never scheduled", () => {
    const outside = Deferred.unsafeMake<string>(FiberId.none)
    const interrupted: Array<string> = []
    const program = (outside: Deferred.Deferred<string>) =>
      Effect.gen(function*() {
        const runtime = yield* Effect.runtime<never>()
        const waiting = Effect.onInterrupt(Deferred.await(outside), () => Effect.sync(() => interrupted.push("daemon")))
        // Starts inside the program, on its scheduler, as a root.
        Runtime.runFork(runtime)(waiting)
        return yield* Effect.sleep("1 day")
      })
    const first = machineOf(program(outside))
    let fiber = -1
    Object.assign(first.machine.options, { onStray: (stray: { readonly fiber: number }) => void (fiber = stray.fiber) })
    first.start([])
    Deferred.unsafeDone(outside, Effect.succeed("woken"))
    assert.isAtLeast(fiber, 0)
    const exit = notDurableWire(new NotDurable({ problem: "StrayWakeUp", place: "there" }), fiber)
    const defect: MachineEntry = { op: RUN_ENTRY, kind: "defect", name: "StrayWakeUp", exit, at: START }
    first.machine.deliver(defect)
    assert.deepStrictEqual(interrupted.splice(0), ["daemon"])
    assert.isUndefined(machineOf(program(Deferred.unsafeMake(FiberId.none))).start([defect]))
    assert.deepStrictEqual(interrupted, ["daemon"])
  })

  it("ends with the defect, and a replay finds its fiber by number", () => {
    const outside = Deferred.unsafeMake<string>(FiberId.none)
    const program = () =>
      Effect.ensuring(
        Effect.race(Effect.zipRight(n(1), Deferred.await(outside)), Effect.sleep("1 day")),
        value("final", 1)
      )
    const first = machineOf(program())
    let fiber = -1
    Object.assign(first.machine.options, { onStray: (stray: { readonly fiber: number }) => void (fiber = stray.fiber) })
    first.start([done(0, "n1", 1)])
    Deferred.unsafeDone(outside, Effect.succeed("woken"))
    assert.isAtLeast(fiber, 0)
    const defect: MachineEntry = {
      op: RUN_ENTRY,
      kind: "defect",
      name: "StrayWakeUp",
      exit: notDurableWire(new NotDurable({ problem: "StrayWakeUp", place: "there" }), fiber),
      at: START
    }
    first.machine.deliver(defect)
    const again = machineOf(program())
    assert.isUndefined(again.start([done(0, "n1", 1), defect]))
    for (const { machine } of [first, again]) {
      assert.deepStrictEqual(ops(machine), ["2 step final"])
      machine.deliver(done(2, "final", 1))
      const exit = machine.exit
      assert.isTrue(exit !== undefined && Exit.isFailure(exit) && String(exit.cause).includes("there"))
    }
  })
})

describe("a patch", () => {
  const program: Durable<string> = Effect.flatMap(
    n(1),
    () => Effect.flatMap(Workflow.patched("p"), (patched) => patched ? value("new", "new") : value("old", "old"))
  )

  it("is taken by a run that reaches it for the first time, and written before the next entry", () => {
    const { machine, start } = machineOf(program)
    start([])
    machine.deliver(done(0, "n1", 1))
    assert.deepStrictEqual(ops(machine), ["1 step new"])
    assert.deepStrictEqual(machine.takeOutbox().patches.map(({ kind, name, op }) => [op, kind, name]), [[
      RUN_ENTRY,
      "patch",
      "p"
    ]])
  })

  it("is not taken by a replay of a run that passed it before", () => {
    const { machine, start } = machineOf(program)
    assert.isUndefined(start([done(0, "n1", 1), done(1, "old", "old")]))
    assert.deepStrictEqual(machine.exit, Exit.succeed("old"))
  })

  it("is taken by a replay whose journal has its entry", () => {
    const { entries, exit } = live(program, [], dice(1))
    assert.deepStrictEqual(entries.map(({ kind }) => kind), ["step", "patch", "step"])
    assert.strictEqual(live(program, entries, dice(1)).exit, exit)
  })
})

describe("the output of a program", () => {
  /** Collects the output of the services of the handler. */
  const recorder = () => {
    const output: Array<string> = []
    const record = (what: string) => Effect.sync(() => void output.push(what))
    const services = DefaultServices.liveServices.pipe(
      Context.add(Console.Console, {
        ...Context.get(DefaultServices.liveServices, Console.Console),
        log: (what: string) => record(`console ${what}`)
      }),
      Context.add(
        Tracer.Tracer,
        Tracer.make({
          context: (f) => f(),
          span: (name, parent, context, links, startTime, kind) => {
            output.push(`span ${name}`)
            return Context.get(DefaultServices.liveServices, Tracer.Tracer).span(
              name,
              parent,
              context,
              links,
              startTime,
              kind
            )
          }
        })
      )
    )
    const logger = Logger.make<unknown, void>(({ message }) => void output.push(`log ${String(message)}`))
    const refs = FiberRefs.updateManyAs(FiberRefs.empty(), {
      forkAs: FiberId.none,
      entries: [
        [DefaultServices.currentServices, [[FiberId.none, services]]],
        [FiberRef.currentLoggers, [[FiberId.none, HashSet.make(logger)]]]
      ]
    })
    return { output, refs }
  }

  const counter = Metric.counter("test/machine/output")

  const emit = (what: string) =>
    Effect.withSpan(
      Effect.zipRight(Effect.all([Effect.log(what), Console.log(what), Metric.increment(counter)]), n(1)),
      what
    )

  it("is silent during replay and resumes after it", () => {
    const { refs, output } = recorder()
    const counted = () => Effect.runSync(Metric.value(counter)).count
    const before = counted()
    const { machine, start } = machineOf(Effect.zipRight(emit("first"), emit("second")), { refs })
    start([done(0, "n1", 1)])
    assert.deepStrictEqual(output, [])
    assert.strictEqual(counted(), before)
    assert.deepStrictEqual(ops(machine), ["1 step n1"])
    machine.deliver(done(1, "n1", 1))
    assert.deepStrictEqual(output, [])

    const live = machineOf(Effect.zipRight(emit("first"), emit("second")), { refs })
    live.start([])
    assert.deepStrictEqual(output, ["span first", "log first", "console first"])
    live.machine.deliver(done(0, "n1", 1))
    assert.deepStrictEqual(output.slice(3), ["span second", "log second", "console second"])
    assert.strictEqual(counted(), before + 2)
  })
})

describe("a timer", () => {
  it("ends its sleep when its entry is delivered", () => {
    const { machine, start } = machineOf(Effect.sleep("1 minute"))
    start([])
    const [op] = machine.takeOutbox().requested
    assert.deepStrictEqual(op?.data, { _tag: "Timer", due: START + 60_000 })
    machine.deliver({ op: 0, kind: "timer", name: "sleep", exit: voidWire, at: START + 60_000 })
    assert.deepStrictEqual(machine.exit, Exit.void)
  })
})
