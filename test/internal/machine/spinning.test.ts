/**
 * Programs that wait by yielding are stopped, at the same place in each replay. The tests of machines use a small
 * budget.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Ref from "effect/Ref"
import { NotDurable } from "perdure/Errors"
import * as Workflow from "perdure/Workflow"
import { notDurableWire, voidWire } from "../../../src/internal/codec/exits.js"
import type { Machine } from "../../../src/internal/machine/Machine.js"
import type { MachineEntry } from "../../../src/internal/machine/Op.js"
import { RUN_ENTRY } from "../../../src/internal/machine/Op.js"
import { makeWorld, shown, soon } from "../../fixtures/world.js"
import { machineOf, n, START, value } from "../../replay/replaying.js"
import { largePrograms } from "./largePrograms.js"

const budget = 150_000

largePrograms({ budget, elements: 5_000 })

const done = (op: number, name: string, result: number): MachineEntry => ({
  op,
  kind: "step",
  name,
  exit: { kind: "success", data: result, text: JSON.stringify(result) },
  at: START
})

const spin = Effect.withSpan(Effect.forever(Effect.yieldNow()), "spinning")

const defectOf = (machine: Machine): MachineEntry => ({
  op: RUN_ENTRY,
  kind: "defect",
  name: "Stuck",
  exit: notDurableWire(new NotDurable({ problem: "Stuck", place: machine.stuck ?? assert.fail("not stuck") }), -1),
  at: START
})

const cancel: MachineEntry = { op: RUN_ENTRY, kind: "cancel", name: "cancel", exit: voidWire, at: START }

const ops = (machine: Machine) => [...machine.pending.values()].map(({ id, name }) => `${id} ${name}`)

const assertSpun = (machine: Machine) => {
  const { exit } = machine
  assert.isTrue(exit !== undefined && Exit.isFailure(exit) && String(exit.cause).includes("where it spins"))
}

describe("a program that spins", () => {
  it("beside a step is stuck at a named place, its finalizers run, and a replay repeats that", () => {
    const program = Effect.gen(function*() {
      const flag = yield* Ref.make(false)
      yield* Effect.addFinalizer(() => Effect.asVoid(value("final", 1)))
      yield* n(1)
      yield* Effect.fork(Effect.zipRight(n(2), Ref.set(flag, true)))
      yield* Effect.withSpan(Effect.repeat(Ref.get(flag), { until: (isSet) => isSet }), "poll")
    })
    const first = machineOf(program, { budget })
    first.start([])
    assert.isUndefined(first.machine.stuck)
    first.machine.deliver(done(0, "n1", 1))
    assert.match(first.machine.stuck ?? "", /run run, in span "poll", after step "n1" \(op 0\), where it spins/)
    const defect = defectOf(first.machine)
    first.machine.deliver(defect)
    const again = machineOf(program, { budget })
    assert.isUndefined(again.start([done(0, "n1", 1), defect]))
    for (const { machine } of [first, again]) {
      assert.deepStrictEqual(ops(machine), ["2 final"])
      assert.isUndefined(machine.stuck)
      machine.deliver(done(2, "final", 1))
      assertSpun(machine)
    }
  })

  it("does not continue when another entry is delivered before its defect", () => {
    const began: Array<string> = []
    const program = Effect.gen(function*() {
      yield* Effect.fork(Effect.zipRight(n(1), Effect.sync(() => began.push("after n1"))))
      yield* spin
    })
    const { machine, start } = machineOf(program, { budget })
    start([])
    const defect = defectOf(machine)
    assert.isUndefined(machine.deliver(done(0, "n1", 1)))
    assert.deepStrictEqual(began, [])
    machine.deliver(defect)
    assertSpun(machine)
    const again = machineOf(program, { budget })
    assert.isUndefined(again.start([done(0, "n1", 1), defect]))
    assertSpun(again.machine)
  })

  it("in daemons ends with the finalizers of its root", () => {
    const { machine, start } = machineOf(
      Effect.gen(function*() {
        yield* Effect.addFinalizer(() => Effect.asVoid(value("final", 1)))
        yield* Effect.forkDaemon(spin)
        yield* Effect.forkDaemon(spin)
        yield* Effect.sleep("1 day")
      }),
      { budget }
    )
    start([])
    machine.deliver(defectOf(machine))
    assert.deepStrictEqual(ops(machine), ["1 final"])
    assert.isUndefined(machine.exit)
    machine.deliver(done(1, "final", 1))
    assertSpun(machine)
  })

  it("in its finalizers ends with the first defect; after a cancel it is stuck", () => {
    const program = Effect.ensuring(spin, Effect.zipRight(value("final", 1), spin))
    const first = machineOf(program, { budget })
    first.start([])
    const defect = defectOf(first.machine)
    first.machine.deliver(defect)
    assert.isUndefined(first.machine.exit)
    first.machine.deliver(done(0, "final", 1))
    assertSpun(first.machine)
    assert.isUndefined(first.machine.stuck)

    const again = machineOf(program, { budget })
    assert.isUndefined(again.start([cancel, done(0, "final", 1)]))
    assert.isUndefined(again.machine.exit)
    again.machine.deliver(defectOf(again.machine))
    assertSpun(again.machine)
  })

  it("can be cancelled before its defect is delivered", () => {
    const { machine, start } = machineOf(spin, { budget })
    start([])
    machine.deliver(cancel)
    assert.isTrue(machine.exit !== undefined && Exit.isInterrupted(machine.exit))
  })
})

describe("a run that spins", () => {
  it.scoped("ends with a defect that names the cure, and its worker serves other runs", () =>
    Effect.gen(function*() {
      const Poll = Workflow.make("Poll", { payload: {} })
      const world = yield* makeWorld()
      yield* world.launch(Poll.toLayer(() => Effect.zipRight(Effect.orDie(n(1)), spin)))
      const run = yield* world.use(Poll.start({}))
      const error = yield* soon(Effect.flip(run.result))
      assert.include(error.message, "after step \"n1\"")
      assert.include(error.message, "wait by a Deferred, a Queue, a Signal or a sleep, not by yielding")
      assert.deepStrictEqual(shown(yield* world.history(run.id)), ["step n1", "defect Stuck"])
    }))
})
