/**
 * The journal's operations on values: a value is encoded by its definition's schema before it is stored, and decoded
 * after it is read. What a definition or a limit does not allow fails before storage is asked.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Disposition, EncodedExit, Json, NewMessage } from "../../driver/JournalDriver.js"
import type { JournalError, ValueInvalid, ValueTooLarge, ValueUnreadable } from "../../Errors.js"
import { Limits } from "../../Limits.js"
import { withDetail } from "../codec/endings.js"
import type { SignalShape } from "../codec/messages.js"
import { cancelContent, encodeCompletion, encodeSignal } from "../codec/messages.js"
import type { PublishedShape } from "../codec/published.js"
import { decodePublished, encodePublished } from "../codec/published.js"
import type { Operations } from "./operations.js"

/** The verbs that read records, whose details are made of fields above the driver. */
export type RecordOperations = Pick<Operations, "get" | "await" | "find">

/** Reads records with the details of runs that were ended from outside. */
export const makeRecordOperations = (operations: RecordOperations): RecordOperations => ({
  get: (runs) => Effect.map(operations.get(runs), (records) => records.map(withDetail)),
  await: (runs) => Effect.map(operations.await(runs), (records) => records.map(withDetail)),
  find: (request) => Effect.map(operations.find(request), ({ next, runs }) => ({ next, runs: runs.map(withDetail) }))
})

/** A run to be cancelled, who asks for it and why. */
export interface CancelRequest {
  readonly run: string
  readonly by?: string | null | undefined
  readonly reason?: string | null | undefined
}

export interface ValueOperations {
  /** Deliver a signal to a run, at most once for each `id`. */
  readonly sendSignal: (
    signal: SignalShape,
    message: { readonly run: string; readonly id: string; readonly payload: unknown }
  ) => Effect.Effect<Disposition, ValueInvalid | ValueTooLarge | JournalError>
  /** Deliver the completion of a callback to the place in a run that waits for it. */
  readonly complete: (
    callback: { readonly run: string; readonly place: string },
    exit: EncodedExit
  ) => Effect.Effect<Disposition, JournalError>
  /** Ask runs to end. Answers are in the order of the requests. */
  readonly cancel: (requests: ReadonlyArray<CancelRequest>) => Effect.Effect<ReadonlyArray<Disposition>, JournalError>
  /** Interrupt suspended runs whose fibers woke outside of an activation. `defect` is the encoded reason. */
  readonly reportStrays: (
    strays: ReadonlyArray<{ readonly run: string; readonly defect: Json }>
  ) => Effect.Effect<void, JournalError>
  /** Set a published value of a run from outside of it. False if the run has ended or does not exist. */
  readonly publish: (
    published: PublishedShape,
    run: string,
    value: unknown
  ) => Effect.Effect<boolean, ValueInvalid | ValueTooLarge | JournalError>
  /** A run's published value, with how often it was published. */
  readonly published: (
    published: PublishedShape,
    run: string
  ) => Effect.Effect<
    Option.Option<{ readonly value: unknown; readonly version: number }>,
    ValueUnreadable | JournalError
  >
}

export const makeValueOperations = (operations: Operations): ValueOperations => {
  const deliver = (message: NewMessage) =>
    Effect.map(operations.deliver([message]), ([disposition]) => disposition ?? "NoSuchRun")
  return {
    sendSignal: (signal, { id, payload, run }) =>
      Effect.flatMap(Limits, (limits) =>
        Effect.flatMap(
          encodeSignal(signal, payload, limits.signalBytes),
          (text) => deliver({ to: run, kind: "signal", name: signal.name, id, payload: text })
        )),
    complete: ({ place, run }, exit) =>
      deliver({ to: run, kind: "callback", name: place, id: `callback/${place}`, payload: encodeCompletion(exit) }),
    cancel: (requests) =>
      requests.length === 0 ? Effect.succeed([]) : operations.deliver(requests.map(({ run, ...request }) => ({
        to: run,
        name: "cancel",
        id: "cancel",
        ...cancelContent(request)
      }))),
    reportStrays: (strays) =>
      Effect.asVoid(operations.deliver(strays.map(({ defect, run }) => ({
        to: run,
        kind: "defect",
        name: "StrayWakeUp",
        id: "defect",
        payload: defect
      })))),
    publish: (published, run, value) =>
      Effect.flatMap(Limits, (limits) =>
        Effect.flatMap(
          encodePublished(published, value, limits.payloadBytes),
          (text) => operations.publish({ run, key: published.key, value: text })
        )),
    published: (published, run) =>
      Effect.flatMap(operations.published(run), (values) => {
        const found = values.find((value) => value.key === published.key)
        return found === undefined
          ? Effect.succeedNone
          : Effect.map(
            decodePublished(published, found.value),
            (value) => Option.some({ value, version: found.version })
          )
      })
  }
}
