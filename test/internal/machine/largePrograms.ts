/** Programs that run many tasks in one activation and do not spin. */
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { type Durable, machineOf } from "../../replay/replaying.js"

/** A budget of tasks must suffice for one concurrent stream of a thirtieth as many elements. */
export const largePrograms = ({ budget, elements }: { readonly budget: number; readonly elements: number }): void => {
  const programs: Record<string, Durable<unknown>> = {
    [`a stream of ${elements} elements`]: Stream.runDrain(
      Stream.mapEffect(Stream.range(1, elements), (i) => Effect.succeed(i), { concurrency: 4 })
    ),
    [`${elements / 10} fibers`]: Effect.flatMap(
      Effect.replicateEffect(Effect.fork(Effect.yieldNow()), elements / 10),
      (fibers) => Fiber.joinAll(Chunk.fromIterable(fibers))
    )
  }
  describe(`a program within a budget of ${budget} tasks`, () => {
    it.each(Object.entries(programs))("with %s does not count as spinning", (_, program) => {
      const { machine, start } = machineOf(program, { budget })
      start([])
      assert.isTrue(machine.exit !== undefined && Exit.isSuccess(machine.exit))
    })
  })
}
