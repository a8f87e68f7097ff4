/**
 * Published values: what a run shows to the outside while it goes on (progress, a status line). Written with the run's
 * commits, so a value is never ahead of the journal.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { CurrentRun } from "./CurrentRun.js"
import type { JournalError, ValueInvalid, ValueTooLarge, ValueUnreadable } from "./Errors.js"
import { NoSuchRun } from "./Errors.js"
import { isFinal } from "./internal/RunWatch.js"
import { decodeText, encodeText } from "./internal/wire.js"
import { Journal } from "./Journal.js"
import { Limits } from "./Limits.js"

/**
 * A definition of a published value of type `A`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Published<A> {
  readonly key: string
  /** Publish a value from inside the workflow; it replaces the one before. */
  readonly publish: (value: A) => Effect.Effect<void, ValueInvalid | ValueTooLarge, CurrentRun>
  /** The run's value, if it has published one. */
  readonly get: (runId: string) => Effect.Effect<Option.Option<A>, ValueUnreadable | JournalError, Journal>
  /** The run's values from now on, the present one first; ends with the run. Values in quick succession may be left out. */
  readonly changes: (runId: string) => Stream.Stream<A, ValueUnreadable | NoSuchRun | JournalError, Journal>
}

/**
 * Define a published value.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as Schema from "effect/Schema"
 * import * as Published from "perdure/Published"
 *
 * const Progress = Published.make("progress", Schema.Number)
 * const half = Progress.publish(0.5)
 * ```
 */
export const make = <S extends Schema.Schema.AnyNoContext>(key: string, schema: S): Published<S["Type"]> => {
  const what = `published value ${key}`

  const read = Effect.fnUntraced(function*(runId: string) {
    const journal = yield* Journal
    const values = yield* journal.ask(journal.driver.published(runId))
    const found = values.find((value) => value.key === key)
    if (found === undefined) return Option.none()
    const value = yield* decodeText(schema, found.value, what)
    return Option.some({ value, version: found.version })
  })

  return {
    key,
    publish: (value) =>
      Effect.flatMap(
        CurrentRun,
        ({ machine }) =>
          Effect.flatMap(Limits, (limits) =>
            Either.map(encodeText(schema, value, what, limits.payloadBytes), (text) =>
              machine.publish(key, text)))
      ),
    get: (runId) => Effect.map(read(runId), Option.map(({ value }) => value)),
    changes: (runId) =>
      Stream.unwrap(Effect.map(Journal, ({ watch }) =>
        // Each piece of news about the run is a reason to look; equal versions are shown once.
        Stream.asyncPush<boolean, NoSuchRun | JournalError>((emit) =>
          Effect.acquireRelease(
            Effect.sync(() =>
              watch.listen(runId, (news) => {
                switch (news._tag) {
                  case "Missing":
                    return emit.fail(new NoSuchRun({ runId }))
                  case "Broken":
                    return emit.fail(news.error)
                  case "Ended":
                    return emit.single(true)
                  case "Seen":
                    return emit.single(isFinal(news.record.status))
                }
              })
            ),
            (stop) => Effect.sync(stop)
          ), { bufferSize: 1, strategy: "sliding" }).pipe(
            Stream.mapEffect((ended) => Effect.map(read(runId), (value) => ({ value, ended }))),
            Stream.takeUntil(({ ended }) => ended),
            Stream.filterMap(({ value }) => value),
            Stream.changesWith((a, b) => a.version === b.version),
            Stream.map(({ value }) => value)
          )))
  }
}
