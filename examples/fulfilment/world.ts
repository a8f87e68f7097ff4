/**
 * The outside services, which no journal can roll back: a payment provider, a carrier, a mail server. They are slow,
 * they lose requests and responses, and they recognize a repeated request by its idempotency key. What they execute is
 * recorded.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Step from "perdure/Step"
import { Events, type Service } from "./events.js"

/** A service did not respond. It may have executed the request or not: the caller repeats it under the same key. */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", { service: Schema.String }) {}

export class World extends Context.Tag("fulfilment/World")<World, {
  /** Events that the body of the current step has begun. Every body starts with it. */
  readonly executing: (subject: string) => Effect.Effect<void, never, Step.Current>
  /** Fails from time to time, as a service does that cannot be reached. */
  readonly flaky: (service: string) => Effect.Effect<void, Unreachable>
  /** Sends a request to a service; returns the idempotency key under which the service executed it. */
  readonly request: (service: Service, subject: string) => Effect.Effect<string, Unreachable, Step.Current>
}>() {
  /** `loss` is the share of requests that are lost, and of responses that are lost. */
  static layer(options: { readonly loss: number }): Layer.Layer<World, never, Events> {
    return Layer.effect(
      World,
      Effect.map(Events, ({ append }) => {
        const executing = (subject: string) =>
          Effect.flatMap(
            Step.Current,
            ({ attempt, idempotencyKey: key, name: step }) =>
              append({ _tag: "Execution", process: process.pid, subject, step, key, attempt })
          )
        const flaky = (service: string) =>
          Effect.flatMap(Random.next, (luck) => luck < options.loss ? new Unreachable({ service }) : Effect.void)
        const latency = Effect.flatMap(Random.nextIntBetween(2, 30), (millis) => Effect.sleep(Duration.millis(millis)))

        const request = (service: Service, subject: string) =>
          Effect.gen(function*() {
            const { idempotencyKey } = yield* Step.Current
            yield* executing(subject)
            yield* latency
            yield* flaky(service)
            yield* append({ _tag: "Request", service, subject, key: idempotencyKey })
            yield* latency
            yield* flaky(service)
            return idempotencyKey
          })

        return { executing, flaky, request }
      })
    )
  }
}
