/** Programs whose statements are counted. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"

export const Ten = Workflow.make("Ten", { payload: { n: Schema.Number } })

export const TenLive = Ten.toLayer(() =>
  Effect.forEach(Array.from({ length: 10 }, (_, i) => i), (i) => Step.run(`step ${i}`, Effect.yieldNow()), {
    discard: true
  })
)

export const Go = Signal.make("Go", { payload: { value: Schema.Number } })

export const Waits = Workflow.make("Waits", { payload: { n: Schema.Number }, success: Schema.Number })

export const WaitsLive = Waits.toLayer(({ n }) =>
  Effect.gen(function*() {
    yield* Step.run("before", Effect.void)
    const { value } = yield* Go.receive
    return n + value
  })
)

export const Naps = Workflow.make("Naps", { payload: { n: Schema.Number } })

export const NapsLive = Naps.toLayer(() => Effect.sleep("1 hour"))
