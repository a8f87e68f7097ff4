import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { Journal } from "perdure/Journal"
import * as Worker from "perdure/Worker"
import { gated, inFlight, Job } from "./fixtures/gated.js"

describe("a run paused while a step executes, on PGlite", () => {
  it.scopedLive(
    "finishes and journals the step, then stops; resumed, it continues after it",
    () =>
      Effect.gen(function*() {
        const gates = yield* gated
        const context = yield* Layer.build(
          Layer.mergeAll(gates.live, Worker.layer()).pipe(
            Layer.provideMerge(Journal.layer()),
            Layer.provide(PgliteJournal.layer())
          )
        )
        yield* Effect.provide(
          Effect.gen(function*() {
            const run = yield* Job.start({})
            const until = (status: string) =>
              Effect.repeat(run.record, {
                until: (record) => record.status === status,
                schedule: Schedule.spaced("10 millis")
              })
            yield* inFlight(run, gates, until)
          }),
          context
        )
      }),
    60_000
  )
})
