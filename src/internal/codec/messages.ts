/** The content of messages: signals, cancels, completions of callbacks, ends of children. */
import type * as Either from "effect/Either"
import type { EncodedExit, Json, Message } from "../../driver/JournalDriver.js"
import type { ValueInvalid, ValueTooLarge } from "../../Errors.js"
import { detailOf } from "./endings.js"
import type { WireExit } from "./exits.js"
import { fromEncoded, successWire } from "./exits.js"
import type { AnySchema } from "./wire.js"
import { storable } from "../util/show.js"
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

/** The caller that cancels a run, and the reason, with characters replaced that no storage can hold. */
export const cancelContent = (
  request: { readonly by?: string | null | undefined; readonly reason?: string | null | undefined } | undefined
) => {
  const { by, reason } = request ?? {}
  return {
    kind: "cancel" as const,
    by: typeof by === "string" ? storable(by) : null,
    reason: typeof reason === "string" ? storable(reason) : null
  }
}

export const encodeCompletion = (exit: EncodedExit): Json => JSON.stringify(exit)

/** A message as the exit of the op, or of the run, that receives it. */
export const wireOfMessage = (message: Message): WireExit => {
  switch (message.kind) {
    case "signal":
      return fromEncoded({ kind: "success", value: message.payload })
    case "defect":
      return fromEncoded({ kind: "defect", value: message.payload })
    case "callback": {
      const exit: EncodedExit = JSON.parse(message.payload)
      return fromEncoded(exit)
    }
    case "cancel":
      return wireOfData({ by: message.by, reason: message.reason })
    case "child": {
      const { endCause, exit, status } = message.ending
      // The message was sent when the child ended.
      const explained = endCause === null ? {} : { detail: detailOf(endCause, message.at) }
      return wireOfData({ run: message.child, status, exit, ...explained })
    }
  }
}

const wireOfData = (data: object): WireExit => successWire(data, JSON.stringify(data))
