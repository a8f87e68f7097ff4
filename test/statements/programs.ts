/** Programs whose statements are counted. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Published from "perdure/Published"
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

const Progress = Published.make("progress", Schema.Number)

const Part = Workflow.make("Part", { payload: { n: Schema.Number }, success: Schema.Number })

const KeyedPart = Workflow.make("KeyedPart", { payload: { n: Schema.Number }, key: ({ n }) => `key ${n}` })

/** Uses each kind of durable operation; its second generation ends. */
export const Everything = Workflow.make("Everything", { payload: { generation: Schema.Number } })

export const EverythingLive = Everything.toLayer(({ generation }) =>
  Effect.gen(function*() {
    yield* Step.run("first", Effect.void)
    yield* Progress.publish(generation)
    yield* Step.run("second", Effect.void)
    yield* KeyedPart.start({ n: 1 }, { detached: true })
    yield* Step.run("third", Effect.void)
    yield* KeyedPart.execute({ n: 2 })
    const child = yield* Part.start({ n: generation })
    yield* Go.send(child.id, { value: 1 })
    yield* child.result
    yield* Effect.forEach([1, 2], (n) => Part.start({ n }), { discard: true })
    if (generation === 0) return yield* Everything.continueAsNew({ generation: 1 })
  })
)

export const PartsLive = Layer.merge(
  Part.toLayer(({ n }) => Effect.map(Go.receive, ({ value }) => n + value)),
  KeyedPart.toLayer(() => Step.run("step", Effect.void))
)
