/** What a workflow definition comes down to below its types. */
import type * as Duration from "effect/Duration"
import type { Attributes } from "../../driver/JournalDriver.js"
import type { AnySchema } from "../codec/wire.js"

/** A definition without its types. */
export interface Shape {
  readonly name: string
  readonly version: string
  readonly payloadSchema: AnySchema
  readonly options: {
    readonly queue: string
    readonly priority: number
    readonly idempotencyKey?: ((payload: never) => string) | undefined
    readonly key?: ((payload: never) => string) | undefined
    readonly timeout?: Duration.DurationInput | undefined
    readonly signals?: ReadonlyArray<{ readonly name: string }> | undefined
    readonly tags?: ReadonlyArray<string> | undefined
    readonly attributes?: ((payload: never) => Attributes) | undefined
    readonly singleton?: {
      readonly key: (payload: never) => string
      readonly mode: "join" | "refuse"
    } | undefined
    readonly debounce?: {
      readonly key: (payload: never) => string
      readonly quiet: Duration.DurationInput
      readonly maxWait?: Duration.DurationInput
    } | undefined
  }
}
