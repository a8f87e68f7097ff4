/**
 * Limits that keep one run from harming the others. All have defaults; a Layer changes them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ConfigurationInvalid } from "./Errors.js"
import { requireConfiguration } from "./internal/options/policy.js"
import { count, fields, optional } from "./internal/options/Rule.js"

/**
 * The limits.
 *
 * @since 0.1.0
 * @category models
 */
export interface LimitsOptions {
  /** The JSON of a payload, a success or a failure of a run, in bytes of UTF-8. Default 1 MiB. */
  readonly payloadBytes: number
  /** The JSON of the result of a step, in bytes of UTF-8. Default 1 MiB. */
  readonly stepResultBytes: number
  /** The JSON of the payload of a signal, in bytes of UTF-8. Default 64 KiB. */
  readonly signalBytes: number
  /**
   * The journal of one generation of a run, in bytes: each entry counts for its value and 256 bytes. Default 256 MiB.
   */
  readonly journalBytes: number
  /** Levels of children below a root run. Default 10. */
  readonly childDepth: number
  /** Children that one run can start in a generation, that is, between two `continueAsNew`. Default 1,000. */
  readonly children: number
}

const defaults: LimitsOptions = {
  payloadBytes: 1024 * 1024,
  stepResultBytes: 1024 * 1024,
  signalBytes: 64 * 1024,
  journalBytes: 256 * 1024 * 1024,
  childDepth: 10,
  children: 1_000
}

const limitsOptions = fields<Partial<LimitsOptions>>({
  payloadBytes: optional(count({ min: 1 })),
  stepResultBytes: optional(count({ min: 1 })),
  signalBytes: optional(count({ min: 1 })),
  journalBytes: optional(count({ min: 1 })),
  childDepth: optional(count({ min: 0 })),
  children: optional(count({ min: 0 }))
})

const withDefaults = (options: Partial<LimitsOptions>): LimitsOptions => ({
  payloadBytes: options.payloadBytes ?? defaults.payloadBytes,
  stepResultBytes: options.stepResultBytes ?? defaults.stepResultBytes,
  signalBytes: options.signalBytes ?? defaults.signalBytes,
  journalBytes: options.journalBytes ?? defaults.journalBytes,
  childDepth: options.childDepth ?? defaults.childDepth,
  children: options.children ?? defaults.children
})

/**
 * The limits in force. Without a layer, the defaults.
 *
 * @since 0.1.0
 * @category tags
 * @example
 * ```ts
 * import { Limits } from "perdure/Limits"
 *
 * const Generous = Limits.layer({ payloadBytes: 8 * 1024 * 1024 })
 * ```
 */
export class Limits extends Context.Reference<Limits>()("perdure/Limits", {
  defaultValue: (): LimitsOptions => defaults
}) {
  /** Changes some limits for the effects and layers that it is provided to. Fails with `ConfigurationInvalid`. */
  static layer(options: Partial<LimitsOptions>): Layer.Layer<never, ConfigurationInvalid> {
    const checked = requireConfiguration("the options of Limits.layer", limitsOptions.problems(options, ""))
    const layer = Layer.effect(Limits, Effect.map(checked, () => withDefaults(options)))
    // A reference needs no layer, so that nothing has it in its requirements.
    return layer as Layer.Layer<never, ConfigurationInvalid>
  }
}
