/** Messages that a run sends: they leave with its commit, and the entry holds their disposition. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { CurrentRunInfo } from "../../CurrentRun.js"
import type { Disposition } from "../../driver/JournalDriver.js"
import type { SentContent } from "../machine/Op.js"

export const sendFromRun = (
  current: CurrentRunInfo,
  message: {
    readonly to: string
    readonly id: string
    readonly name: string
    readonly content: SentContent
  }
): Effect.Effect<Disposition> => {
  const { name, ...data } = message
  return current.machine.request<Disposition, never>(
    { _tag: "Send", ...data },
    name,
    (exit) =>
      Either.mapBoth(decodeDisposition(exit.data), { onLeft: (error) => error.message, onRight: Effect.succeed })
  )
}

const decodeDisposition = Schema.decodeUnknownEither(
  Schema.Literal("Delivered", "Buffered", "Duplicate", "Expired", "NoSuchRun")
)
