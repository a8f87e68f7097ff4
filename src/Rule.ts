/**
 * Rules that check options, for packages that bring layers of their own: a storage, a server. A table of rules is tied
 * to its options interface by the compiler: an option without a rule, or a rule without an option, does not compile.
 *
 * @since 0.2.0
 */
export type {
  /**
   * Complete sentences, each with the place, the value and the cure. Empty: the value is valid.
   *
   * @since 0.2.0
   * @category models
   */
  Problems,
  /**
   * Lists the problems of a value that should be an `A`.
   *
   * @since 0.2.0
   * @category models
   */
  Rule,
  /**
   * A rule for each option of an interface, also for those that may be left out.
   *
   * @since 0.2.0
   * @category models
   */
  Table
} from "./internal/options/Rule.js"

export {
  /**
   * Whether a rule accepts a value.
   *
   * @since 0.2.0
   * @category rules
   */
  accepts,
  /**
   * An array, each item of which fits a rule.
   *
   * @since 0.2.0
   * @category rules
   */
  arrayOf,
  /**
   * `true` or `false`.
   *
   * @since 0.2.0
   * @category rules
   */
  boolean,
  /**
   * An integer, at most 2,147,483,647 by default: the largest count that every storage can hold.
   *
   * @since 0.2.0
   * @category rules
   */
  count,
  /**
   * A duration. Bounds are in milliseconds and inclusive; `max: Infinity` allows an infinite one.
   *
   * @since 0.2.0
   * @category rules
   */
  duration,
  /**
   * A value that fits either of two rules.
   *
   * @since 0.2.0
   * @category rules
   */
  either,
  /**
   * An object of options, one rule for each option of the interface. Unknown options are problems.
   *
   * @since 0.2.0
   * @category rules
   */
  fields,
  /**
   * A function. Its parameters and result cannot be checked.
   *
   * @since 0.2.0
   * @category rules
   */
  func,
  /**
   * A `DateTime` or `Date` that every storage can hold. Bounds are in milliseconds since the epoch.
   *
   * @since 0.2.0
   * @category rules
   */
  instant,
  /**
   * One of some strings.
   *
   * @since 0.2.0
   * @category rules
   */
  oneOf,
  /**
   * One value that fits a rule, or an array of at least one.
   *
   * @since 0.2.0
   * @category rules
   */
  oneOrMore,
  /**
   * A value that may be left out.
   *
   * @since 0.2.0
   * @category rules
   */
  optional,
  /**
   * An object whose keys are data.
   *
   * @since 0.2.0
   * @category rules
   */
  recordOf,
  /**
   * A rule, and problems of values that it accepts, for example of two options that exclude each other.
   *
   * @since 0.2.0
   * @category rules
   */
  refine,
  /**
   * A rule for all values that a function accepts. `expected` completes the sentence `"x" must be …`.
   *
   * @since 0.2.0
   * @category rules
   */
  rule,
  /**
   * A string, with bounds in characters, or in bytes that storage can hold.
   *
   * @since 0.2.0
   * @category rules
   */
  string
} from "./internal/options/Rule.js"

export {
  /**
   * Fails with `ConfigurationInvalid`, which lists all problems, if there is at least one. `what` names the options,
   * for example `the options of PgJournal.layer`.
   *
   * @since 0.2.0
   * @category outcomes
   * @example
   * ```ts
   * import type * as Duration from "effect/Duration"
   * import * as Effect from "effect/Effect"
   * import * as Layer from "effect/Layer"
   * import * as Rule from "perdure/Rule"
   *
   * interface Options {
   *   readonly port: number
   *   readonly timeout?: Duration.DurationInput
   * }
   *
   * const options = Rule.fields<Options>({
   *   port: Rule.count({ min: 1, max: 65_535 }),
   *   timeout: Rule.optional(Rule.duration())
   * })
   *
   * const layer = (given: Options) =>
   *   Layer.effectDiscard(Effect.zipRight(
   *     Rule.requireConfiguration("the options of Server.layer", options.problems(given, "")),
   *     Effect.log(`listening on ${given.port}`)
   *   ))
   * ```
   */
  requireConfiguration
} from "./internal/options/policy.js"
