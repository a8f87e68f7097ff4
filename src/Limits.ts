/**
 * Ceilings that keep one run from harming the rest. All have defaults; a Layer changes them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"

/**
 * @since 0.1.0
 * @category models
 */
export interface LimitsOptions {
  /** Encoded payload, success or failure of a run, in bytes of UTF-8. Default 1 MiB. */
  readonly payloadBytes: number
  /** Encoded result of a step, in bytes of UTF-8. Default 1 MiB. */
  readonly stepResultBytes: number
  /** Encoded payload of a signal, in bytes of UTF-8. Default 64 KiB. */
  readonly signalBytes: number
  /** Generations of children below a run that has no parent. Default 10. */
  readonly childDepth: number
  /** Children that one run may start (between two `continueAsNew`). Default 1,000. */
  readonly children: number
}

/** The defaults. */
const defaults: LimitsOptions = {
  payloadBytes: 1024 * 1024,
  stepResultBytes: 1024 * 1024,
  signalBytes: 64 * 1024,
  childDepth: 10,
  children: 1000
}

/**
 * The limits in force, with defaults; no layer is needed.
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
  /** Change some limits for everything that this layer is provided to. */
  static layer(options: Partial<LimitsOptions>): Layer.Layer<never> {
    return Layer.succeed(Limits, { ...defaults, ...options }) as Layer.Layer<never>
  }
}
