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
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Exit from "effect/Exit"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { NotDurable, ValueUnreadable } from "../../Errors.js"
import { RuntimeError } from "../../Errors.js"
import type { EncodedExit } from "../../driver/JournalDriver.js"
import { shown, storable } from "../util/show.js"
import type { AnySchema } from "./wire.js"
import { codecOf, stringify } from "./wire.js"

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
  readonly limitBytes: number
}

const runtimeErrors = codecOf(RuntimeError)

/** Longest stored string of a defect, in UTF-16 units. */
const DEFECT_STRING_LENGTH = 8192

const defectString = (value: unknown, absent?: string): string => {
  const string = typeof value === "string" ? value : value === undefined && absent !== undefined ? absent : shown(value)
  return storable(string.slice(0, DEFECT_STRING_LENGTH))
}

const isRuntimeError = (value: unknown): boolean =>
  value instanceof Error && RuntimeError.members.some((member) => value instanceof member)

const defectData = (defect: unknown): object => {
  if (Predicate.isTagged(defect, "JournalError") || isRuntimeError(defect)) {
    const encoded = runtimeErrors.encode(defect, "defect")
    if (Either.isRight(encoded)) return { runtimeError: encoded.right }
  }
  if (defect instanceof Error) {
    return {
      name: defectString(defect.name, "Error"),
      message: defectString(defect.message),
      stack: defectString(defect.stack, "")
    }
  }
  return { name: "Defect", message: defectString(defect) }
}

/** Any thrown value as JSON data: errors of the runtime whole, other values by name, message and stack. */
export const encodeDefect = (defect: unknown): object =>
  Either.getOrElse(
    Either.try(() => defectData(defect)),
    () => ({ name: "Defect", message: "a defect that cannot be shown" })
  )

/** The error that a program dies with, from the data of a stored defect. */
export const decodeDefect = (data: unknown): unknown => {
  if (Predicate.hasProperty(data, "runtimeError")) {
    const decoded = runtimeErrors.decode(data.runtimeError, "defect")
    if (Either.isRight(decoded)) return decoded.right
  }
  const field = (name: string): string | undefined =>
    Predicate.hasProperty(data, name) && Predicate.isString(data[name]) ? data[name] : undefined
  const error = new Error(field("message") ?? Inspectable.toStringUnknown(data))
  error.name = field("name") ?? "Defect"
  const stack = field("stack")
  if (stack !== undefined && stack !== "") error.stack = stack
  return error
}

/** The name and message of a stored defect. */
export const describeDefect = (data: unknown): string => {
  const defect = decodeDefect(data)
  return defect instanceof Error ? `${defect.name}: ${defect.message}` : Inspectable.toStringUnknown(defect)
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

const messageOf = (error: ValueUnreadable): string => error.message

export const makeExitCodec = (options: {
  readonly success: AnySchema
  readonly failure: AnySchema
  /** The role of the value in error messages, for example `result of step reserve`. */
  readonly what: string
  readonly limitBytes: number
}): ExitCodec => {
  const { limitBytes, what } = options
  const success = codecOf(options.success)
  const failure = codecOf(options.failure)
  const write = (kind: "success" | "failure", encoded: Either.Either<unknown, unknown>): WireExit => {
    if (Either.isLeft(encoded)) return defectWire(encoded.left)
    if (encoded.right === undefined) return wireOf(kind, undefined, null)
    const text = stringify(encoded.right, what, limitBytes)
    return Either.isLeft(text) ? defectWire(text.left) : wireOf(kind, encoded.right, text.right)
  }
  return {
    limitBytes,
    encode: (exit) => {
      if (exit._tag === "Success") return write("success", success.encode(exit.value, what))
      const error = Cause.failureOption(exit.cause)
      if (Option.isSome(error)) {
        const encoded = failure.encode(error.value, what)
        return write(
          "failure",
          Either.isLeft(encoded) && isRuntimeError(error.value) ? runtimeErrors.encode(error.value, what) : encoded
        )
      }
      return Cause.isInterruptedOnly(exit.cause) ? interruptWire : defectWire(Cause.squash(exit.cause))
    },
    decode: ({ data, kind }) => {
      switch (kind) {
        case "success":
          return Either.mapBoth(success.decode(data, what), { onLeft: messageOf, onRight: Effect.succeed })
        case "failure":
          return Either.mapBoth(
            Either.orElse(
              failure.decode(data, what),
              (left) => Either.mapLeft(runtimeErrors.decode(data, what), () => left)
            ),
            { onLeft: messageOf, onRight: Effect.fail }
          )
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
