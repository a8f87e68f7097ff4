/**
 * Exits on the wire: `success | failure | defect | interrupt`, each with plain JSON data. A `Cause` tree is never
 * stored: the first failure counts, then the first defect, then interruption.
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
import type { AnySchema } from "./wire.js"
import { byteLength, codecOf, shown, storable, stringify } from "./wire.js"

/** An exit as JSON: the data that the machine reads, and the text that storage keeps. */
export interface WireExit {
  readonly kind: EncodedExit["kind"]
  /** JSON data; undefined for void and for interruption. */
  readonly data: unknown
  /** `data` as JSON text; null for undefined. */
  readonly text: string | null
}

/** Reads an exit back; the left side says why it does not match its schema. */
export type Decode = (exit: WireExit) => Either.Either<Effect.Effect<unknown, unknown>, string>

/** Writes an exit. A value that cannot be written becomes a defect that says why. */
export type Encode = (exit: Exit.Exit<unknown, unknown>) => WireExit

/** The two directions of an exit, for one pair of schemas. */
export interface ExitCodec {
  readonly encode: Encode
  readonly decode: Decode
  readonly limitBytes: number
}

const runtimeErrors = codecOf(RuntimeError)

/** Longest text of a defect that is kept. */
const DEFECT_TEXT = 8192

const clean = (given: unknown, absent?: string): string => {
  const text = typeof given === "string" ? given : given === undefined && absent !== undefined ? absent : shown(given)
  return storable(text.slice(0, DEFECT_TEXT))
}

/** A defect as JSON data: the runtime's own errors whole, others by name, message and stack. Takes whatever was thrown. */
export const encodeDefect = (defect: unknown): object =>
  Either.getOrElse(
    Either.try(() => encodeShown(defect)),
    () => ({ name: "Defect", message: "a defect that cannot be shown" })
  )

const encodeShown = (defect: unknown): object => {
  if (Predicate.isTagged(defect, "JournalError") || isRuntimeError(defect)) {
    const encoded = runtimeErrors.encode(defect, "defect")
    if (Either.isRight(encoded)) return { runtimeError: encoded.right }
  }
  if (defect instanceof Error) {
    return { name: clean(defect.name, "Error"), message: clean(defect.message), stack: clean(defect.stack, "") }
  }
  return { name: "Defect", message: clean(defect) }
}

const isRuntimeError = (value: unknown): boolean =>
  value instanceof Error && RuntimeError.members.some((member) => value instanceof member)

/** A stored defect, as the error that a program dies with. */
export const decodeDefect = (value: unknown): unknown => {
  if (Predicate.hasProperty(value, "runtimeError")) {
    const decoded = runtimeErrors.decode(value.runtimeError, "defect")
    if (Either.isRight(decoded)) return decoded.right
  }
  const text = (key: string): string | undefined =>
    Predicate.hasProperty(value, key) && Predicate.isString(value[key]) ? value[key] : undefined
  const error = new Error(text("message") ?? Inspectable.toStringUnknown(value))
  error.name = text("name") ?? "Defect"
  const stack = text("stack")
  if (stack !== undefined && stack !== "") error.stack = stack
  return error
}

/** One line about a stored defect. */
export const describeDefect = (value: unknown): string => {
  const defect = decodeDefect(value)
  return defect instanceof Error ? `${defect.name}: ${defect.message}` : Inspectable.toStringUnknown(defect)
}

const wire = (kind: WireExit["kind"], data: unknown, text: string | null): WireExit => ({ kind, data, text })

export const interruptWire: WireExit = wire("interrupt", undefined, null)

export const voidWire: WireExit = wire("success", undefined, null)

export const defectWire = (defect: unknown): WireExit => {
  const data = encodeDefect(defect)
  return wire("defect", data, JSON.stringify(data))
}

/** The defect of a run that was seen to do what cannot be durable, with the number of the fiber that did it. */
export const notDurableWire = (defect: NotDurable, fiber: number): WireExit => {
  const data = { ...encodeDefect(defect), fiber }
  return wire("defect", data, JSON.stringify(data))
}

export const makeExitCodec = (options: {
  readonly success: AnySchema
  readonly failure: AnySchema
  /** For messages, for example `result of step reserve`. */
  readonly what: string
  readonly limitBytes: number
}): ExitCodec => {
  const { limitBytes, what } = options
  const success = codecOf(options.success)
  const failure = codecOf(options.failure)
  const write = (kind: "success" | "failure", encoded: Either.Either<unknown, unknown>): WireExit => {
    if (Either.isLeft(encoded)) return defectWire(encoded.left)
    if (encoded.right === undefined) return wire(kind, undefined, null)
    const text = stringify(encoded.right, what, limitBytes)
    return Either.isLeft(text) ? defectWire(text.left) : wire(kind, encoded.right, text.right)
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
    decode: (exit) => {
      switch (exit.kind) {
        case "success":
          return Either.mapBoth(success.decode(exit.data, what), { onLeft: readable, onRight: Effect.succeed })
        case "failure":
          return Either.mapBoth(
            Either.orElse(
              failure.decode(exit.data, what),
              (left) => Either.mapLeft(runtimeErrors.decode(exit.data, what), () => left)
            ),
            { onLeft: readable, onRight: Effect.fail }
          )
        case "defect":
          return Either.right(Effect.die(decodeDefect(exit.data)))
        case "interrupt":
          return Either.right(Effect.interrupt)
      }
    }
  }
}

const readable = (error: ValueUnreadable): string => error.message

/** How storage has it. */
export const toEncoded = (exit: WireExit): EncodedExit => ({ kind: exit.kind, value: exit.text })

/** Back from storage. The text was written by `stringify`, or by SQL that writes valid JSON. */
export const fromEncoded = (exit: EncodedExit): WireExit =>
  wire(exit.kind, exit.value === null ? undefined : JSON.parse(exit.value), exit.value)

/** An exit that ended otherwise than this codec can tell, for example of a run that was terminated. */
export const exitOf = (
  codec: ExitCodec,
  encoded: EncodedExit
): Either.Either<Effect.Effect<unknown, unknown>, string> => codec.decode(fromEncoded(encoded))

/** Bytes that an exit takes on the wire. */
export const wireBytes = (exit: WireExit): number => exit.text === null ? 0 : byteLength(exit.text)

export type AnyExit = Exit.Exit<unknown, unknown>
