/** A forgotten machine leaves nothing in the process, whatever its state. */
import { assert, describe, it } from "@effect/vitest"
import { dice } from "@perdure/testing/simulation/Dice"
import * as Effect from "effect/Effect"
import { effectCases } from "../../replay/effectCases.js"
import { live, machineOf } from "../../replay/replaying.js"
import { toolCases } from "../../replay/toolCases.js"
import { intervals, memorySuite, roots, waits } from "./forgottenMachines.js"

memorySuite(5_000)

describe("a forgotten machine", () => {
  it.each(Object.entries(waits))(
    "that waits for %s leaves no root fiber, no interval, and runs no finalizer",
    (_, program) => {
      const before = { roots: roots().size, intervals: intervals() }
      const { machine, start, strays } = machineOf(program())
      start([])
      assert.isUndefined(machine.exit)
      assert.isAbove(machine.pending.size, 0)
      machine.takeOutbox()
      machine.forget()
      assert.strictEqual(roots().size, before.roots)
      assert.strictEqual(intervals(), before.intervals)
      // Deliveries have no effect.
      const outbox = machine.takeOutbox()
      assert.deepStrictEqual([outbox.requested, outbox.cancelled], [[], []])
      assert.deepStrictEqual(strays, [])
    }
  )

  it.each(Object.entries({ ...effectCases, ...toolCases }))(
    "leaves no root fiber and no interval after any entry: %s",
    (_, program) => {
      const { entries } = live(program(), [], dice(1))
      const before = { roots: roots().size, intervals: intervals() }
      for (let cut = 0; cut <= entries.length; cut++) {
        const { machine, start } = machineOf(program())
        assert.isUndefined(start(entries.slice(0, cut)))
        machine.forget()
        assert.deepStrictEqual({ roots: roots().size, intervals: intervals() }, before, `after ${cut} entries`)
      }
    }
  )

  it("is garbage collected only because it was forgotten", () => {
    const before = roots().size
    const { machine, start } = machineOf(Effect.sleep("1 day"))
    start([])
    assert.isAbove(roots().size, before)
    machine.forget()
    assert.strictEqual(roots().size, before)
  })
})
