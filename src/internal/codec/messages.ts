/** The payloads of messages: of signals, of cancels and of a callback's completion. */
import type * as Either from "effect/Either"
import type { EncodedExit, Json } from "../../driver/JournalDriver.js"
import type { ValueInvalid, ValueTooLarge } from "../../Errors.js"
import type { AnySchema } from "./wire.js"
import { encodeText } from "./wire.js"

/** A signal's definition without its types. */
export interface SignalShape {
  readonly name: string
  readonly schema: AnySchema
}

/** What errors call the payload of a signal. */
export const payloadOfSignal = (name: string): string => `payload of signal ${name}`

export const encodeSignal = (
  { name, schema }: SignalShape,
  payload: unknown,
  limitBytes: number
): Either.Either<Json, ValueInvalid | ValueTooLarge> => encodeText(schema, payload, payloadOfSignal(name), limitBytes)

/** Who cancels a run, and why. */
export const encodeCancel = (
  request: { readonly by?: string | null | undefined; readonly reason?: string | null | undefined } | undefined
): Json => JSON.stringify({ by: request?.by ?? null, reason: request?.reason ?? null })

export const encodeCompletion = (exit: EncodedExit): Json => JSON.stringify(exit)
