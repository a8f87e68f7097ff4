/**
 * The workloads: programs of the kinds that users run, with step bodies that do nothing, so that the runtime is
 * measured.
 */
import * as Array from "effect/Array"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Run from "perdure/Run"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { Journal } from "perdure/Journal"
import { emit, emitLatency, now, timed } from "./measure.js"

const Ok = Schema.Struct({ ok: Schema.Boolean })
const ok = Effect.succeed({ ok: true })
const Numbered = Schema.Struct({ n: Schema.Number })
const payload = Numbered

/** A workflow whose runs are numbered. */
export type NumberedWorkflow<
  S extends Schema.Schema.AnyNoContext,
  E extends Schema.Schema.AnyNoContext | Schema.Schema<never> = typeof Schema.Never
> = Workflow.Workflow<typeof Numbered, S, E>

export const OneStep = Workflow.make("bench/OneStep", { payload, success: Ok })
const TenSteps = Workflow.make("bench/TenSteps", { payload, success: Schema.Number })
const Waiting = Workflow.make("bench/Waiting", { payload })
const FanOut = Workflow.make("bench/FanOut", { payload: { children: Schema.Number }, success: Schema.Number })
const Nap = Workflow.make("bench/Nap", { payload: { millis: Schema.Number } })
const Go = Signal.make("bench/Go", { payload: {} })

export const handlers = Layer.mergeAll(
  OneStep.toLayer(() => Step.run("only", ok, { success: Ok })),
  TenSteps.toLayer(() =>
    Effect.gen(function*() {
      for (let i = 0; i < 10; i++) yield* Step.run(`step ${i}`, ok, { success: Ok })
      return 10
    })
  ),
  Waiting.toLayer(() => Effect.asVoid(Go.receive)),
  FanOut.toLayer(({ children }) =>
    Effect.map(
      Effect.forEach(Array.range(1, children), (n) => OneStep.execute({ n }), { concurrency: "unbounded" }),
      (results) => results.length
    )
  ),
  Nap.toLayer(({ millis }) => Effect.sleep(millis))
)

const BULK = 1000

/** Start many runs in statements of 1,000. */
const startMany = <A extends Schema.Schema.AnyNoContext, E extends Schema.Schema.AnyNoContext | Schema.Schema<never>>(
  workflow: NumberedWorkflow<A, E>,
  count: number
) =>
  Effect.map(
    Effect.forEach(
      Array.chunksOf(Array.makeBy(count, (n) => ({ n })), BULK),
      (payloads) => workflow.startAll(payloads)
    ),
    (runs) => runs.flat()
  )

/** Wait until the ends of all these runs are durable. */
const allEnded = (runs: ReadonlyArray<Run.Run<unknown, unknown>>) =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const { watch } = journal.process
    const done = Deferred.unsafeMake<void>(FiberId.none)
    const open = new Set(runs.map((run) => run.id))
    const ended = (id: string) => {
      open.delete(id)
      if (open.size === 0) Deferred.unsafeDone(done, Effect.void)
    }
    for (const { id } of runs) {
      const stop = watch.listen(id, (news) => {
        if (news._tag !== "Ended") return
        stop()
        ended(id)
      }, { known: true })
    }
    // Runs that ended before the first listener are read once.
    for (const page of Array.chunksOf([...open], BULK)) {
      for (const { finishedAt, id } of yield* journal.get(page)) if (finishedAt !== null) ended(id)
    }
    yield* Deferred.await(done)
  })

const throughput = <A extends Schema.Schema.AnyNoContext>(
  name: string,
  workflow: NumberedWorkflow<A>,
  count: number,
  steps: number
) =>
  Effect.gen(function*() {
    const [, millis] = yield* timed(Effect.flatMap(startMany(workflow, count), allEnded))
    yield* emit(name, count * steps / millis * 1000, steps === 1 ? "runs/s" : "steps/s")
    return count * steps / millis * 1000
  })

/** Everything, at a scale of 1 (Postgres) or less. */
export const all = (scale: number) =>
  Effect.gen(function*() {
    const scaled = (count: number) => Math.max(20, Math.round(count * scale))
    // Code and plans get warm first.
    yield* Effect.flatMap(startMany(OneStep, scaled(2000)), allEnded)
    yield* Effect.flatMap(startMany(TenSteps, scaled(500)), allEnded)

    const tenSteps = yield* throughput(`${scaled(2000)} runs of 10 steps`, TenSteps, scaled(2000), 10)
    yield* throughput(`${scaled(20_000)} runs of 1 step`, OneStep, scaled(20_000), 1)

    const starts = scaled(5000)
    const [started, startMillis] = yield* timed(
      Effect.forEach(Array.range(1, starts), (n) => OneStep.start({ n }, { delay: "1 hour" }), { concurrency: 64 })
    )
    yield* emit("start, one by one, 64 at a time", starts / startMillis * 1000, "runs/s")
    yield* Effect.forEach(started, (run) => run.terminate(), { concurrency: 16, discard: true })
    const [, bulkMillis] = yield* timed(
      Effect.forEach(Array.range(1, scaled(20)), () =>
        OneStep.startAll(Array.makeBy(BULK, (n) => ({ n })), { delay: "100 days" }))
    )
    yield* emit("start, 1,000 a statement", scaled(20) * BULK / bulkMillis * 1000, "runs/s")

    const latencies = yield* Effect.forEach(Array.range(1, 300), (n) =>
      timed(OneStep.execute({ n })))
    yield* emitLatency("start to result", latencies.map(([, millis]) => millis))

    const waiting = yield* startMany(Waiting, 200)
    yield* Effect.sleep("2 seconds")
    const answered = yield* Effect.forEach(waiting, (run) => timed(Effect.zipRight(Go.send(run.id, {}), run.result)))
    yield* emitLatency("signal to completion", answered.map(([, millis]) => millis))

    const [, fanOut] = yield* timed(FanOut.execute({ children: 500 }))
    yield* emit("fan-out to 500 children and back", fanOut, "ms")

    const nap = 2000
    const naps = yield* Nap.startAll(Array.makeBy(1000, () => ({ millis: nap })))
    const lastDue = now() + nap
    yield* allEnded(naps)
    yield* emit("1,000 timers: last due to last completed", now() - lastDue, "ms")
    return tenSteps
  })
