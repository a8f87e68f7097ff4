/**
 * Published values: what a run shows to the outside while it executes (progress, a status line). They are written with
 * the run's commits, so a value is never ahead of the journal.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Inspectable } from "effect/Inspectable"
import * as Option from "effect/Option"
import type { Pipeable } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { CurrentRun, dieOfMisuse, outsideOnly } from "./CurrentRun.js"
import type { JournalError, NoSuchRun, ValueInvalid, ValueTooLarge, ValueUnreadable } from "./Errors.js"
import { Misuse } from "./Errors.js"
import type { AnyPublished } from "./internal/options/published.js"
import { PublishedTypeId } from "./internal/options/published.js"
import { id } from "./internal/options/names.js"
import { runNews } from "./internal/runs/news.js"
import { makeValue } from "./internal/util/value.js"
import { encodePublished } from "./internal/codec/published.js"
import { Journal } from "./Journal.js"
import { Limits } from "./Limits.js"

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: typeof PublishedTypeId = PublishedTypeId

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * A published value of any type.
 *
 * @since 0.2.0
 * @category models
 */
export interface Any extends AnyPublished, Pipeable, Inspectable {
  readonly schema: Schema.Schema.AnyNoContext
}

/**
 * The type of a published value.
 *
 * @since 0.2.0
 * @category types
 */
export type Value<P extends Any> = P["schema"]["Type"]

/**
 * A definition of a published value with schema `S`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Published<S extends Schema.Schema.AnyNoContext> extends Any {
  readonly schema: S
  /** Publishes a value from inside the workflow. It replaces the previous one. */
  readonly publish: (value: S["Type"]) => Effect.Effect<void, ValueInvalid | ValueTooLarge, CurrentRun>
  /**
   * Publishes a value of a run from outside of it: from the body of a long step, or from an operator's program. Inside
   * the caller's own SQL transaction it becomes visible when that commits. False if the run has ended. Outside of
   * workflows, and in steps.
   */
  readonly publishFor: (
    runId: string,
    value: S["Type"]
  ) => Effect.Effect<boolean, ValueInvalid | ValueTooLarge | JournalError, Journal>
  /** The run's value, if it has published one. Outside of workflows, and in steps. */
  readonly get: (runId: string) => Effect.Effect<Option.Option<S["Type"]>, ValueUnreadable | JournalError, Journal>
  /**
   * The run's values from now on, the present one first. Ends with the run. Values in quick succession may be left out.
   * Outside of workflows, and in steps.
   */
  readonly changes: (runId: string) => Stream.Stream<S["Type"], ValueUnreadable | NoSuchRun | JournalError, Journal>
}

/**
 * Whether a value is a definition of a published value.
 *
 * @since 0.1.0
 * @category guards
 */
export const isPublished = (u: unknown): u is Any => Predicate.hasProperty(u, TypeId)

/**
 * Defines a published value.
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
export const make = <S extends Schema.Schema.AnyNoContext>(key: string, schema: S): Published<S> => {
  const shape = { key, schema }
  const [problem] = id.problems(key, "key of published value")

  const read = Effect.fnUntraced(function*(runId: string) {
    if (problem !== undefined) return yield* Effect.die(new Misuse({ detail: problem }))
    const journal = yield* Journal
    return yield* journal.published(shape, runId)
  })

  return {
    ...makeValue({ _id: "perdure/Published", key }),
    [TypeId]: TypeId,
    key,
    schema,
    publish: (value) =>
      Effect.flatMap(
        CurrentRun,
        (current) =>
          problem !== undefined ?
            dieOfMisuse(current, problem) :
            Effect.flatMap(Limits, (limits) =>
              Either.map(
                encodePublished(shape, value, limits.payloadBytes),
                (text) => current.machine.publish(key, text)
              ))
      ),
    publishFor: (runId, value) =>
      outsideOnly("Published.publishFor", () =>
        Effect.gen(function*() {
          if (problem !== undefined) return yield* Effect.die(new Misuse({ detail: problem }))
          const journal = yield* Journal
          return yield* journal.publish(shape, runId, value)
        })),
    get: (runId) => outsideOnly("Published.get", () => Effect.map(read(runId), Option.map(({ value }) => value))),
    changes: (runId) =>
      Stream.unwrap(
        outsideOnly("Published.changes", () =>
          Effect.map(Journal, ({ process: { watch } }) =>
            runNews(watch, runId).pipe(
              Stream.mapEffect((ended) => Effect.map(read(runId), (value) => ({ value, ended }))),
              Stream.takeUntil(({ ended }) => ended),
              Stream.filterMap(({ value }) => value),
              // Not every change of the run is a change of this value.
              Stream.changesWith((a, b) => a.version === b.version),
              Stream.map(({ value }) => value)
            )))
      )
  }
}
