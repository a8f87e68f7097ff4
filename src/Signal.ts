/**
 * Signals: typed messages into a run. A signal that no fiber waits for yet is kept. Signals of one name are received in
 * the order in which they came. A signal with an id that the run remembers is kept once.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Inspectable } from "effect/Inspectable"
import * as Option from "effect/Option"
import type { Pipeable } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import type { CurrentRunInfo } from "./CurrentRun.js"
import { CurrentRun, dieOfMisuse, insideOrOutside } from "./CurrentRun.js"
import type { Disposition } from "./driver/JournalDriver.js"
import { type JournalError, Misuse, type ValueInvalid, type ValueTooLarge } from "./Errors.js"
import type { InputOf } from "./internal/codec/construct.js"
import { declaredSchema, makeConstruct, structOf } from "./internal/codec/construct.js"
import type { Decode } from "./internal/codec/exits.js"
import { makeIncarnation } from "./internal/codec/ids.js"
import { encodeSignal, payloadOfSignal } from "./internal/codec/messages.js"
import { decodeData } from "./internal/codec/wire.js"
import type { SentContent } from "./internal/machine/Op.js"
import { canBeStored, id as idRule } from "./internal/options/names.js"
import { optional } from "./internal/options/Rule.js"
import type { AnySignal } from "./internal/options/signals.js"
import { SignalTypeId } from "./internal/options/signals.js"
import { sendFromRun } from "./internal/runs/outgoing.js"
import { dueAt } from "./internal/util/time.js"
import { makeValue } from "./internal/util/value.js"
import { Journal } from "./Journal.js"
import { Limits } from "./Limits.js"

/**
 * The result of sending a signal.
 *
 * - `Delivered`: the run was suspended and waited for it. It continues.
 * - `Buffered`: it is kept until the run receives it.
 * - `Duplicate`: the run remembers a signal of that id. Nothing changed.
 * - `Expired`: the run has ended, or no longer waits for this signal (`receiveWithin`). Nothing was kept.
 * - `NoSuchRun`: no run of that id exists.
 *
 * @since 0.1.0
 * @category models
 */
export type SendResult = Disposition

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: typeof SignalTypeId = SignalTypeId

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * A signal of any payload.
 *
 * @since 0.1.0
 * @category models
 */
export interface Any extends AnySignal, Pipeable, Inspectable {
  readonly payloadSchema: Schema.Schema.Any
}

/**
 * The payload that a run receives.
 *
 * @since 0.2.0
 * @category types
 */
export type Payload<S extends Any> = S["payloadSchema"]["Type"]

/**
 * @since 0.2.0
 * @category models
 */
export interface SendOptions {
  /** Sending twice with one id is sending once. Default: a new id. */
  readonly id?: string
}

/**
 * A definition of a signal with payload schema `P`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Signal<P extends Schema.Schema.Any> extends Any {
  readonly payloadSchema: P
  /** Waits durably for the next signal of this name. */
  readonly receive: Effect.Effect<P["Type"], never, CurrentRun>
  /**
   * Waits for at most this duration. If no signal comes in time, the window closes: until the run continues as new,
   * senders get `Expired`. So no signal of this name can come any more: receiving it again dies with `Misuse`, and so
   * does the `receive` of another fiber that still waits. (The `receiveWithin` of another fiber still returns `None` at
   * its own time.)
   *
   * To ask again and again, use `Effect.timeoutOption(signal.receive, duration)`, which leaves the window open.
   */
  readonly receiveWithin: (
    duration: Duration.DurationInput
  ) => Effect.Effect<Option.Option<P["Type"]>, never, CurrentRun>
  /**
   * Sends to a run. Inside a workflow, the signal leaves with the run's commit, and the result is journaled.
   *
   * With `id`, sending twice is sending once: the run remembers the ids of its signals, of all names together, also
   * after its end. `continueAsNew` forgets the ids of signals that were received, so a signal that is sent again after
   * it is received again. Where that matters, put the id into the payload and carry the handled ids to the next
   * generation, or make handling the signal idempotent.
   *
   * Fails with `ValueInvalid` or `ValueTooLarge` if the payload does not fit the signal's schema or limit. Nothing is
   * sent then.
   */
  readonly send: (
    runId: string,
    payload: InputOf<P>,
    options?: SendOptions
  ) => Effect.Effect<SendResult, ValueInvalid | ValueTooLarge | JournalError, Journal>
}

/**
 * Whether a value is a definition of a signal.
 *
 * @since 0.1.0
 * @category guards
 */
export const isSignal = (u: unknown): u is Any => Predicate.hasProperty(u, TypeId)

/**
 * Defines a signal.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import * as Signal from "perdure/Signal"
 *
 * const Approval = Signal.make("Approval", { payload: { by: Schema.String } })
 *
 * const approve = (runId: string) => Approval.send(runId, { by: "ann" })
 * ```
 */
export const make: {
  <Fields extends Schema.Struct.Fields>(
    name: string,
    options: { readonly payload: Fields }
  ): Signal<Schema.Struct<Fields>>
  <P extends Schema.Schema.AnyNoContext>(name: string, options: { readonly payload: P }): Signal<P>
} = <P extends Schema.Schema.Any>(
  name: string,
  options: { readonly payload: Schema.Struct.Fields | Schema.Schema.AnyNoContext }
): Signal<P> => {
  const schema = structOf(options.payload)
  const shape = { name, schema }
  const construct = makeConstruct(schema)

  const decode: Decode = (exit) =>
    exit.kind === "failure"
      ? Either.right(Effect.succeedNone)
      : Either.mapBoth(decodeData(schema, exit.data, payloadOfSignal(name)), {
        onLeft: (error) => error.message,
        onRight: (value) => Effect.succeedSome(value)
      })

  const receive = (due: (now: number) => number | null) =>
    Effect.flatMap(
      CurrentRun,
      (current) =>
        current.machine.isClosed(name)
          ? refused(current)
          : current.machine.request<Option.Option<P["Type"]>, never>(
            { _tag: "Receive", due: due(current.machine.now) },
            name,
            decode
          )
    )

  /** The end of a receive that no signal can reach any more. */
  const refused = ({ id, workflow }: CurrentRunInfo): Effect.Effect<never> =>
    Effect.die(
      new Misuse({
        detail:
          `run ${id} of workflow ${workflow} waits for signal ${name}, whose window a receiveWithin has closed: ` +
          `it ended without a signal, and senders get Expired since then. Use Effect.timeoutOption of receive, which ` +
          `leaves the window open, another signal, or continueAsNew`
      })
    )

  const problemOf = (id: string | undefined): string | undefined =>
    [...idRule.problems(name, "name of signal"), ...optional(idRule).problems(id, `id of a signal ${name}`)][0]

  /**
   * Sends from inside a run. Without an id of the caller's, only this run sends under the id, before a crash and after
   * it.
   */
  const sendInside = (
    current: CurrentRunInfo,
    message: { readonly to: string; readonly content: SentContent },
    id?: string
  ) =>
    id !== undefined
      ? sendFromRun(current, { ...message, name, id: `signal/${id}` })
      : Effect.map(
        sendFromRun(current, {
          ...message,
          name,
          id: `${current.id}/${current.generation}/${current.machine.takeKey()}`
        }),
        (disposition) => disposition === "Duplicate" ? "Buffered" : disposition
      )

  return {
    ...makeValue({ _id: "perdure/Signal", name }),
    [TypeId]: TypeId,
    name,
    payloadSchema: declaredSchema<P>(schema),
    receive: Effect.flatMap(
      receive(() => null),
      Option.match({
        onNone: () => Effect.dieMessage(`signal ${name} timed out without a limit`),
        onSome: Effect.succeed
      })
    ),
    receiveWithin: (duration) =>
      Effect.flatMap(
        CurrentRun,
        (current) =>
          Effect.tap(receive((now) => dueAt(now + Duration.toMillis(duration))), (received) => {
            if (Option.isNone(received)) current.machine.closeWindow(name, refused(current))
            return Effect.void
          })
      ),
    send: (runId, input, sendOptions) =>
      Effect.suspend(() => {
        const id = sendOptions?.id
        const problem = problemOf(id)
        const payload = construct(input)
        return insideOrOutside(
          (current) =>
            problem !== undefined ? dieOfMisuse(current, problem) : Effect.flatMap(Limits, (limits) =>
              Effect.flatMap(
                encodeSignal(shape, payload, limits.signalBytes),
                (text): Effect.Effect<SendResult> =>
                  canBeStored(runId)
                    ? sendInside(current, { to: runId, content: { kind: "signal", payload: text } }, id)
                    : Effect.succeed("NoSuchRun")
              )),
          () =>
            problem !== undefined ?
              Effect.die(new Misuse({ detail: problem })) :
              Effect.flatMap(Journal, (journal) =>
                journal.sendSignal(shape, {
                  run: runId,
                  id: id === undefined ? makeIncarnation() : `signal/${id}`,
                  payload
                }))
        )
      })
  }
}
