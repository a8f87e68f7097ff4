/**
 * Exits as JSON.
 *
 * | form          | holds                                        | used by                              |
 * |---------------|----------------------------------------------|--------------------------------------|
 * | `Exit`        | a value, or a `Cause`                        | programs                             |
 * | `WireExit`    | `data` (JSON) and `text` (its JSON text)     | the machine and the draft of a run   |
 * | `EncodedExit` | JSON text                                    | the driver                           |
 *
 * A `Cause` tree is never stored. Its first failure counts; without one its first defect; without one interruption.
 * What failed beside it, the stack and the causes are kept, bounded: with a defect in its data, with a failure under
 * one more key of its data.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { NotDurable, ValueUnreadable } from "../../Errors.js"
import type { EncodedExit } from "../../driver/JournalDriver.js"
import { isFields, storable } from "../util/show.js"
import {
  decodeDefect,
  describeDefect,
  encodeDefect,
  encodeDefectOf,
  encodeOrigin,
  isRuntimeError,
  restoreOrigin,
  runtimeErrors
} from "./defects.js"
import type { AnySchema, Codec } from "./wire.js"
import { codecOf, stringify } from "./wire.js"

export { decodeDefect, describeDefect, encodeDefect } from "./defects.js"

export type AnyExit = Exit.Exit<unknown, unknown>

export interface WireExit {
  readonly kind: EncodedExit["kind"]
  /** JSON data; undefined for void and for interruption. */
  readonly data: unknown
  /** `data` as JSON text; null for undefined. */
  readonly text: string | null
}

/** Reads an exit. The left side says why it does not match its schema. */
export type Decode = (exit: WireExit) => Either.Either<Effect.Effect<unknown, unknown>, string>

/** Writes an exit. A value that cannot be written becomes a defect that says why. */
export type Encode = (exit: AnyExit) => WireExit

/** Both directions, for one pair of schemas. */
export interface ExitCodec {
  readonly encode: Encode
  readonly decode: Decode
  /** A failure or a defect as a string, without secrets. */
  readonly describe: (exit: WireExit) => string
  readonly limitBytes: number
}

const wireOf = (kind: WireExit["kind"], data: unknown, text: string | null): WireExit => ({ kind, data, text })

const wireOfDefectData = (data: object): WireExit => wireOf("defect", data, JSON.stringify(data))

export const interruptWire: WireExit = wireOf("interrupt", undefined, null)

export const voidWire: WireExit = wireOf("success", undefined, null)

/** The failure of a receive whose time limit passed. */
export const failureVoidWire: WireExit = wireOf("failure", undefined, null)

export const defectWire = (defect: unknown): WireExit => wireOfDefectData(encodeDefect(defect))

/** The defect of a run that waited for something outside the journal. `fiber` is the number of the fiber that did. */
export const notDurableWire = (defect: NotDurable, fiber: number): WireExit =>
  wireOfDefectData({ ...encodeDefect(defect), fiber })

/**
 * The code by which a failed run can be found: the `_tag` of its failure, the `_tag` of the runtime's error that ended
 * it, or the name of its defect.
 */
export const errorCodeOf = ({ data, kind }: WireExit): string | null => {
  switch (kind) {
    case "failure":
      return codeIn(data, "_tag")
    case "defect":
      return codeIn(Predicate.hasProperty(data, "runtimeError") ? data.runtimeError : null, "_tag") ??
        codeIn(data, "name")
    default:
      return null
  }
}

const codeIn = (data: unknown, field: string): string | null =>
  Predicate.hasProperty(data, field) && Predicate.isString(data[field]) ? storable(data[field]) : null

/** The success `data` whose JSON text is `text`. */
export const successWire = (data: unknown, text: string): WireExit => wireOf("success", data, text)

/** The key, in the data of a failure, of its stack, its causes and what failed beside it. */
const ORIGIN_KEY = "perdure:origin"

const withoutOrigin = (data: unknown): { readonly value: unknown; readonly origin: unknown } => {
  if (!isFields(data) || !(ORIGIN_KEY in data)) return { value: data, origin: undefined }
  const { [ORIGIN_KEY]: origin, ...value } = data
  return { value, origin }
}

const messageOf = (error: ValueUnreadable): string => error.message

export const makeExitCodec = (options: {
  readonly success: AnySchema
  readonly failure: AnySchema
  /** The role of the value in error messages, for example `result of step reserve`. */
  readonly what: string
  readonly limitBytes: number
  /** Keys of a value that its schema does not declare. Default: they are dropped. */
  readonly excess?: "drop" | "refuse"
}): ExitCodec => {
  const { limitBytes, what } = options
  const encodeBy = ({ encode, encodeResult }: Codec) => options.excess === "refuse" ? encode : encodeResult
  const success = codecOf(options.success)
  const failure = codecOf(options.failure)
  const write = (kind: "success" | "failure", codec: Codec, value: unknown): WireExit => {
    const encoded = encodeBy(codec)(value, what)
    if (Either.isLeft(encoded)) return defectWire(encoded.left)
    if (encoded.right === undefined) return wireOf(kind, undefined, null)
    const text = stringify(encoded.right, what, limitBytes)
    if (Either.isLeft(text)) return defectWire(text.left)
    // The program is given what a replay reads, not the objects of the body.
    return wireOf(kind, codec.isAsStored(encoded.right) ? encoded.right : JSON.parse(text.right), text.right)
  }
  const writeFailure = (cause: Cause.Cause<unknown>, error: unknown): WireExit => {
    const isUndeclared = isRuntimeError(error) && Either.isLeft(encodeBy(failure)(error, what))
    const written = write("failure", isUndeclared ? runtimeErrors : failure, error)
    // The program dies of an error that it may not fail with: that error is the one to be found.
    if (written.kind === "defect" && isFields(written.data)) {
      return wireOfDefectData({ ...written.data, suppressed: [encodeDefect(error)] })
    }
    if (written.kind !== "failure" || !isFields(written.data)) return written
    const origin = encodeOrigin(cause, error)
    if (origin === undefined) return written
    const data = { ...written.data, [ORIGIN_KEY]: origin }
    const text = stringify(data, what, limitBytes)
    return Either.isLeft(text) ? written : wireOf("failure", data, text.right)
  }
  return {
    limitBytes,
    describe: ({ data, kind }) =>
      kind === "defect"
        ? describeDefect(data)
        : failure.isSecret
        ? "its failure is not shown, because its schema has Redacted values"
        : JSON.stringify(withoutOrigin(data).value) ?? "",
    encode: (exit) => {
      if (exit._tag === "Success") return write("success", success, exit.value)
      const error = Cause.failureOption(exit.cause)
      if (Option.isSome(error)) return writeFailure(exit.cause, error.value)
      return Cause.isInterruptedOnly(exit.cause) ? interruptWire : wireOfDefectData(encodeDefectOf(exit.cause))
    },
    decode: ({ data, kind }) => {
      switch (kind) {
        case "success":
          return Either.mapBoth(success.decode(data, what), { onLeft: messageOf, onRight: Effect.succeed })
        case "failure": {
          const { origin, value } = withoutOrigin(data)
          return Either.mapBoth(
            Either.orElse(
              failure.decode(value, what),
              (left) => Either.mapLeft(runtimeErrors.decode(value, what), () => left)
            ),
            {
              onLeft: messageOf,
              onRight: (error) => {
                if (origin !== undefined) restoreOrigin(error, origin)
                return Effect.fail(error)
              }
            }
          )
        }
        case "defect":
          return Either.right(Effect.die(decodeDefect(data)))
        case "interrupt":
          return Either.right(Effect.interrupt)
      }
    }
  }
}

export const toEncoded = (exit: WireExit): EncodedExit => ({ kind: exit.kind, value: exit.text })

/** `exit` comes from storage: its text was written by `stringify`, or by SQL that writes valid JSON. */
export const fromEncoded = (exit: EncodedExit): WireExit =>
  wireOf(exit.kind, exit.value === null ? undefined : JSON.parse(exit.value), exit.value)

/** Reads a stored exit. The left side says why it does not match its schema. */
export const decodeExit = (
  codec: ExitCodec,
  encoded: EncodedExit
): Either.Either<Effect.Effect<unknown, unknown>, string> => codec.decode(fromEncoded(encoded))
