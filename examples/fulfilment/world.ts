/**
 * The world outside, which no journal can roll back: a payment provider, a carrier, a mail server. They are slow, they
 * lose requests and answers, and they remember what they were asked: each process appends to a file of its own what
 * reached them, and which steps it executed. The audit at the end reads these files.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Step from "perdure/Step"

export const Service = Schema.Literal("charge", "refund", "label", "hand over", "receipt")
export type Service = typeof Service.Type

export const Event = Schema.Union(
  /** A step's body began. */
  Schema.TaggedStruct("Execution", {
    run: Schema.String,
    step: Schema.String,
    key: Schema.String,
    attempt: Schema.Int
  }),
  /** A service did what it was asked: for an order or a parcel, under an idempotency key. */
  Schema.TaggedStruct("Deed", { service: Service, subject: Schema.String, key: Schema.String })
)
export type Event = typeof Event.Type

const EventLine = Schema.parseJson(Event)

/** The other side did not answer. Perhaps it did what it was asked, perhaps not: ask again, under the same key. */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", { service: Schema.String }) {}

export class World extends Context.Tag("fulfilment/World")<World, {
  /** Write down that the current step's body has begun. Goes first in every body. */
  readonly executing: Effect.Effect<void, never, Step.Current>
  /** Now and then the other side is away. */
  readonly flaky: (service: string) => Effect.Effect<void, Unreachable>
  /** Ask a service for something; it answers the idempotency key that it knows the deed by. */
  readonly ask: (service: Service, subject: string) => Effect.Effect<string, Unreachable, Step.Current>
  /** How many bodies this process has begun. */
  readonly executions: () => number
}>() {
  /** `folder` takes the files; `loss` is the share of requests, and of answers, that get lost. */
  static layer(options: { readonly folder: string; readonly loss: number }): Layer.Layer<World> {
    return Layer.scoped(
      World,
      Effect.gen(function*() {
        const file = path.join(options.folder, `world-${process.pid}.jsonl`)
        const descriptor = yield* Effect.acquireRelease(
          Effect.sync(() => fs.openSync(file, "a")),
          (opened) => Effect.sync(() => fs.closeSync(opened))
        )
        // One write a line: what was written outlives this process, however it ends.
        const append = (event: Event) =>
          Effect.sync(() => void fs.writeSync(descriptor, Schema.encodeSync(EventLine)(event) + "\n"))
        let executions = 0

        const executing = Effect.flatMap(Step.Current, ({ attempt, idempotencyKey, name, runId }) => {
          executions++
          return append({ _tag: "Execution", run: runId, step: name, key: idempotencyKey, attempt })
        })
        const flaky = (service: string) =>
          Effect.flatMap(Random.next, (luck) => luck < options.loss ? new Unreachable({ service }) : Effect.void)
        const latency = Effect.flatMap(Random.nextIntBetween(2, 30), (millis) => Effect.sleep(Duration.millis(millis)))

        const ask = (service: Service, subject: string) =>
          Effect.gen(function*() {
            const { idempotencyKey } = yield* Step.Current
            yield* executing
            yield* latency
            yield* flaky(service)
            yield* append({ _tag: "Deed", service, subject, key: idempotencyKey })
            yield* latency
            yield* flaky(service)
            return idempotencyKey
          })

        return { executing, flaky, ask, executions: () => executions }
      })
    )
  }
}

/** All that was written down, by all processes. A line that its process did not live to finish is left out. */
export const events = (folder: string): Effect.Effect<ReadonlyArray<Event>> =>
  Effect.sync(() => {
    const decode = Schema.decodeOption(EventLine)
    return fs.readdirSync(folder)
      .filter((name) => name.startsWith("world-"))
      .flatMap((name) => fs.readFileSync(path.join(folder, name), "utf8").split("\n"))
      .flatMap((line) => {
        const event = decode(line)
        return event._tag === "Some" ? [event.value] : []
      })
  })
