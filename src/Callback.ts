/**
 * Callbacks: work that another system or a person finishes. A workflow makes a token, passes it on (by mail, to a
 * webhook) and waits. The holder of the token completes or fails it, once.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Inspectable } from "effect/Inspectable"
import type { Pipeable } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { CurrentRun, outsideOnly } from "./CurrentRun.js"
import type { JournalError } from "./Errors.js"
import { ValueInvalid, ValueTooLarge } from "./Errors.js"
import { decodeDefect, makeExitCodec, toEncoded } from "./internal/codec/exits.js"
import type { AnySchema } from "./internal/codec/wire.js"
import { makeValue } from "./internal/util/value.js"
import { Journal } from "./Journal.js"
import { Limits } from "./Limits.js"

/**
 * The result of a completion.
 *
 * - `Accepted`: it is kept until the run waits for it. (After `continueAsNew` the run waits for the tokens of the new
 *   generation only.)
 * - `Duplicate`: the token was completed before. Nothing changed.
 * - `Expired`: the run has ended.
 * - `NoSuchRun`: the token names no run.
 *
 * @since 0.1.0
 * @category models
 */
export type Completion = "Accepted" | "Duplicate" | "Expired" | "NoSuchRun"

/**
 * A token that was made, and the wait for its completion.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pending<out A, out E> {
  readonly token: string
  /** Waits durably for the completion. Several fibers may wait, and again. */
  readonly result: Effect.Effect<A, E, CurrentRun>
}

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("perdure/Callback")

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * A callback of any types.
 *
 * @since 0.2.0
 * @category models
 */
export interface Any extends Pipeable, Inspectable {
  readonly [TypeId]: TypeId
  readonly name: string
  readonly successSchema: AnySchema
  readonly errorSchema: AnySchema
}

/**
 * The success of a callback.
 *
 * @since 0.2.0
 * @category types
 */
export type Success<C extends Any> = C["successSchema"]["Type"]

/**
 * The failure of a callback.
 *
 * @since 0.2.0
 * @category types
 */
export type Failure<C extends Any> = C["errorSchema"]["Type"]

/**
 * A definition of a callback with success schema `S` and error schema `E`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Callback<S extends AnySchema, E extends AnySchema> extends Any {
  readonly successSchema: S
  readonly errorSchema: E
  /** A new token of the current run. It is the same on each replay, and ends with `continueAsNew`. */
  readonly create: Effect.Effect<Pending<S["Type"], E["Type"]>, never, CurrentRun>
  /** Completes a token. Outside of workflows, and in steps. */
  readonly succeed: (
    token: string,
    value: S["Type"]
  ) => Effect.Effect<Completion, ValueInvalid | ValueTooLarge | JournalError, Journal>
  /** Fails a token with the callback's own error. Outside of workflows, and in steps. */
  readonly fail: (
    token: string,
    error: E["Type"]
  ) => Effect.Effect<Completion, ValueInvalid | ValueTooLarge | JournalError, Journal>
}

/**
 * Whether a value is a definition of a callback.
 *
 * @since 0.1.0
 * @category guards
 */
export const isCallback = (u: unknown): u is Any => Predicate.hasProperty(u, TypeId)

/**
 * Defines a callback. Omitted `success` means `void`, omitted `error` means `never`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import * as Callback from "perdure/Callback"
 * import * as Step from "perdure/Step"
 *
 * const Payment = Callback.make("Payment", { success: Schema.Struct({ cents: Schema.Number }) })
 *
 * const pay = Effect.gen(function*() {
 *   const payment = yield* Payment.create
 *   yield* Step.run("ask for payment", Effect.log(`pay with ${payment.token}`))
 *   return yield* payment.result
 * })
 *
 * const paid = (token: string) => Payment.succeed(token, { cents: 100 })
 * ```
 */
export const make = <S extends AnySchema = typeof Schema.Void, E extends AnySchema = typeof Schema.Never>(
  name: string,
  options?: { readonly success?: S; readonly error?: E }
): Callback<S, E> => {
  const what = `completion of callback ${name}`
  // What is left out has these types, as the defaults of the type parameters say.
  const success = (options?.success ?? Schema.Void) as S
  const failure = (options?.error ?? Schema.Never) as E
  const codec = (limitBytes: number) => makeExitCodec({ success, failure, what, limitBytes, excess: "refuse" })
  const reader = codec(Infinity)

  const complete = (token: string, exit: Exit.Exit<unknown, unknown>) =>
    Effect.gen(function*() {
      const limits = yield* Limits
      const wire = codec(limits.payloadBytes).encode(exit)
      if (wire.kind === "defect" || wire.kind === "interrupt") {
        const defect = decodeDefect(wire.data)
        return yield* defect instanceof ValueInvalid || defect instanceof ValueTooLarge
          ? defect
          : new ValueInvalid({ what, detail: "the value cannot be encoded" })
      }
      const parsed = parseToken(token)
      if (parsed === undefined) return "NoSuchRun" as const
      const journal = yield* Journal
      const disposition = yield* journal.complete({ run: parsed.run, place: parsed.place }, toEncoded(wire))
      return disposition === "Delivered" || disposition === "Buffered" ? "Accepted" : disposition
    })

  return {
    ...makeValue({ _id: "perdure/Callback", name }),
    [TypeId]: TypeId,
    name,
    successSchema: success,
    errorSchema: failure,
    create: Effect.map(CurrentRun, ({ generation, id, machine }) => {
      const place = `${generation}:${machine.takeKey()}`
      return {
        token: makeToken(id, place),
        result: Effect.flatMap(
          CurrentRun,
          (current) =>
            current.machine.requestOnce<S["Type"], E["Type"]>({ _tag: "Callback", token: place }, name, reader.decode)
        )
      }
    }),
    succeed: (token, value) => outsideOnly("Callback.succeed", () => complete(token, Exit.succeed(value))),
    fail: (token, error) => outsideOnly("Callback.fail", () => complete(token, Exit.fail(error)))
  }
}

/** A token is opaque to users. It holds the run's id and the place in the run that waits. */
const makeToken = (run: string, place: string): string => `cb_${run}_${place}`

const parseToken = (token: string): { readonly run: string; readonly place: string } | undefined => {
  const match = /^cb_(.+)_(\d+:\d+)$/.exec(token)
  return match?.[1] === undefined || match[2] === undefined ? undefined : { run: match[1], place: match[2] }
}
