/**
 * Signals: typed messages into a run. A signal that nobody waits for yet is kept; several of one name are received in
 * the order in which they came; one with an id that the run remembers is kept once.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Inspectable } from "effect/Inspectable"
import * as Option from "effect/Option"
import type { Pipeable } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import type { CurrentRunInfo } from "./CurrentRun.js"
import { CurrentRun, dieOfMisuse, insideOrOutside } from "./CurrentRun.js"
import { type JournalError, Misuse, type ValueInvalid, type ValueTooLarge } from "./Errors.js"
import { dueAt } from "./internal/util/time.js"
import { encodeSignal, payloadOfSignal } from "./internal/codec/messages.js"
import { makeIncarnation } from "./internal/codec/ids.js"
import type { Decode } from "./internal/codec/exits.js"
import { canBeStored, idProblem } from "./internal/options/names.js"
import { invariant, makeValue } from "./internal/util/value.js"
import type { AnySchema } from "./internal/codec/wire.js"
import { codecOf } from "./internal/codec/wire.js"
import { Journal } from "./Journal.js"
import type { Disposition } from "./driver/JournalDriver.js"
import { Limits } from "./Limits.js"
import { sendFromRun } from "./Run.js"

/**
 * What became of a signal.
 *
 * - `Delivered`: the run was suspended waiting for it, and goes on.
 * - `Buffered`: it is kept until the run receives it.
 * - `Duplicate`: the run remembers a signal of that id. Nothing changed.
 * - `Expired`: the run has ended, or waits no more for this signal (`receiveWithin`). Nothing was kept.
 * - `InvalidPayload`: the payload does not fit the signal's schema or limit. Nothing was sent.
 * - `NoSuchRun`: there is no run of that id.
 *
 * @since 0.1.0
 * @category models
 */
export type SendResult = Data.TaggedEnum<{
  Delivered: {}
  Buffered: {}
  Duplicate: {}
  Expired: {}
  InvalidPayload: { readonly error: ValueInvalid | ValueTooLarge }
  NoSuchRun: {}
}>

/**
 * @since 0.1.0
 * @category constructors
 */
export const SendResult = Data.taggedEnum<SendResult>()

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("perdure/Signal")

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * A signal of whatever payload.
 *
 * @since 0.1.0
 * @category models
 */
export interface Any {
  readonly [TypeId]: unknown
  readonly name: string
}

/**
 * A definition of a signal with payload `A`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Signal<in out A> extends Pipeable, Inspectable {
  readonly [TypeId]: { readonly _A: Types.Invariant<A> }
  readonly name: string
  /** Wait durably for the next signal of this name. */
  readonly receive: Effect.Effect<A, never, CurrentRun>
  /**
   * Wait at most so long. When the time is over without a signal, the window closes: senders are told `Expired` from then
   * on, until the run continues as new. So nothing of this name can come any more: receiving it again dies with `Misuse`,
   * and so does a `receive` of another fiber that still waits then. (A `receiveWithin` of another fiber still gives `None`
   * at its own time.)
   *
   * To ask again and again, use `Effect.timeoutOption(signal.receive, duration)`, which leaves the window open.
   */
  readonly receiveWithin: (duration: Duration.DurationInput) => Effect.Effect<Option.Option<A>, never, CurrentRun>
  /**
   * Send to a run. Inside a workflow, the signal leaves with the run's commit and its result is journaled.
   *
   * With `id`, sending twice is sending once: the run remembers the ids of its signals, of all names together, also
   * beyond its end. But it remembers them within a generation: `continueAsNew` forgets the ids of signals that were
   * received, and one that is sent again after it is received again. Where that matters, put the id into the payload and
   * carry the ids that were handled on to the next generation, or handle the signal so that twice does no harm.
   */
  readonly send: (
    runId: string,
    payload: A,
    options?: { readonly id?: string }
  ) => Effect.Effect<SendResult, JournalError, Journal>
}

/**
 * Whether a value is a definition of a signal.
 *
 * @since 0.1.0
 * @category guards
 */
export const isSignal = (u: unknown): u is Signal<unknown> => Predicate.hasProperty(u, TypeId)

/**
 * Define a signal.
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
  ): Signal<Types.Simplify<Schema.Struct.Type<Fields>>>
  <S extends Schema.Schema.AnyNoContext>(name: string, options: { readonly payload: S }): Signal<S["Type"]>
} = <A>(name: string, options: { readonly payload: Schema.Struct.Fields | Schema.Schema.AnyNoContext }): Signal<A> => {
  const schema: AnySchema = Schema.isSchema(options.payload)
    ? options.payload
    : Schema.Struct(options.payload as Record<string, Schema.Schema.AnyNoContext>)
  const codec = codecOf(schema)
  const shape = { name, schema }

  const decode: Decode = (exit) =>
    exit.kind === "failure"
      ? Either.right(Effect.succeedNone)
      : Either.mapBoth(codec.decode(exit.data, payloadOfSignal(name)), {
        onLeft: (error) => error.message,
        onRight: (value) => Effect.succeedSome(value)
      })

  const receive = (due: (now: number) => number | null) =>
    Effect.flatMap(
      CurrentRun,
      (current) =>
        current.machine.isClosed(name)
          ? refused(current)
          : current.machine.request<Option.Option<A>, never>(
            { _tag: "Receive", due: due(current.machine.now) },
            name,
            decode
          )
    )

  /** What becomes of a receive that nothing can reach any more. */
  const refused = ({ id, workflow }: CurrentRunInfo): Effect.Effect<never> =>
    Effect.die(
      new Misuse({
        detail:
          `run ${id} of workflow ${workflow} waits for signal ${name}, which a receiveWithin has closed: when its ` +
          `time was over without a signal, senders were told Expired. Use Effect.timeoutOption of receive, which leaves ` +
          `the signal open, another signal, or continueAsNew`
      })
    )

  const problemOf = (id: string | undefined): string | undefined =>
    idProblem("the name of signal", name) ??
      (id === undefined ? undefined : idProblem(`the id of a signal ${name},`, id))

  const results: Record<Disposition, SendResult> = {
    Delivered: SendResult.Delivered(),
    Buffered: SendResult.Buffered(),
    Duplicate: SendResult.Duplicate(),
    Expired: SendResult.Expired(),
    NoSuchRun: SendResult.NoSuchRun()
  }

  return {
    ...makeValue({ _id: "perdure/Signal", name }),
    [TypeId]: { _A: invariant<A>() },
    name,
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
    send: (runId, payload, sendOptions) =>
      Effect.flatMap(Limits, (limits) => {
        const problem = problemOf(sendOptions?.id)
        if (problem !== undefined) {
          return insideOrOutside(
            (current) => dieOfMisuse(current, problem),
            () => Effect.die(new Misuse({ detail: problem }))
          )
        }
        const text = encodeSignal(shape, payload, limits.signalBytes)
        if (Either.isLeft(text)) return Effect.succeed(SendResult.InvalidPayload({ error: text.left }))
        if (!canBeStored(runId)) return Effect.succeed(results.NoSuchRun)
        const message = { to: runId, name, payload: text.right }
        return Effect.map(
          insideOrOutside(
            (current) => {
              const { id } = sendOptions ?? {}
              if (id !== undefined) return sendFromRun(current, { ...message, message: "signal", id: `signal/${id}` })
              const own = `${current.id}/${current.generation}/${current.machine.takeKey()}`
              // Only this run sends under that id, before a crash and again after it.
              return Effect.map(
                sendFromRun(current, { ...message, message: "signal", id: own }),
                (disposition) => disposition === "Duplicate" ? "Buffered" : disposition
              )
            },
            () =>
              Effect.flatMap(Journal, (journal) =>
                Effect.orDie(journal.sendSignal(shape, {
                  run: runId,
                  id: sendOptions?.id === undefined ? makeIncarnation() : `signal/${sendOptions.id}`,
                  payload
                })))
          ),
          (disposition) => results[disposition]
        )
      })
  }
}
