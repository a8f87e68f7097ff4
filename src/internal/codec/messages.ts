/** The payloads of messages: signals, cancels and completions of callbacks. */
import type * as Either from "effect/Either"
import type { EncodedExit, Json, Message } from "../../driver/JournalDriver.js"
import type { ValueInvalid, ValueTooLarge } from "../../Errors.js"
import type { WireExit } from "./exits.js"
import { fromEncoded, successWire } from "./exits.js"
import type { AnySchema } from "./wire.js"
import { encodeText } from "./wire.js"

/** The definition of a signal, without its types. */
export interface SignalShape {
  readonly name: string
  readonly schema: AnySchema
}

/** The role of the payload in error messages. */
export const payloadOfSignal = (name: string): string => `payload of signal ${name}`

export const encodeSignal = (
  { name, schema }: SignalShape,
  payload: unknown,
  limitBytes: number
): Either.Either<Json, ValueInvalid | ValueTooLarge> => encodeText(schema, payload, payloadOfSignal(name), limitBytes)

/** The name of the caller that cancels a run, and the reason. */
export const encodeCancel = (
  request: { readonly by?: string | null | undefined; readonly reason?: string | null | undefined } | undefined
): Json => JSON.stringify({ by: request?.by ?? null, reason: request?.reason ?? null })

export const encodeCompletion = (exit: EncodedExit): Json => JSON.stringify(exit)

/** A JSON value as a success. */
export const wireOfText = (text: Json): WireExit => successWire(JSON.parse(text), text)

/** A message as the exit of the op that receives it. The completion of a callback is an exit; other messages are values. */
export const wireOfMessage = ({ kind, payload }: Message): WireExit => {
  if (kind !== "callback") return wireOfText(payload)
  const exit: EncodedExit = JSON.parse(payload)
  return fromEncoded(exit)
}

/** A message to the run itself as the exit of the run's entry. */
export const wireOfRunMessage = ({ kind, payload }: Message): WireExit => ({
  ...wireOfText(payload),
  kind: kind === "defect" ? "defect" : "success"
})
