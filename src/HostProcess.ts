/**
 * The description of a process: where it runs, its versions, its memory and its load. Only this module of the core uses
 * Node's `process`. Without it (in a browser, in a sandbox) the description has only the version of Perdure.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Either from "effect/Either"

/**
 * The version of Perdure.
 *
 * @since 0.1.0
 * @category constants
 */
export const version = "0.1.0"

/**
 * The description of a process. `load` has shares of the time since the last description: `eventLoop` is between 0 and
 * 1, and `cpu` is 2 for a process that uses two cores.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProcessInfo {
  /** The name of the host. */
  readonly host?: string
  readonly pid?: number
  /** For example `node v22.3.0`. */
  readonly runtime?: string
  /** The version of Perdure. */
  readonly version: string
  readonly memory?: { readonly rssBytes: number; readonly heapBytes: number }
  readonly load?: { readonly cpu: number; readonly eventLoop: number }
}

interface Usage {
  readonly cpuMicros: number
  readonly loopActive: number
  readonly loopTotal: number
}

/** Shares of a shorter time have no meaning. */
const MIN_SHARE_MILLIS = 100

const round = (share: number): number => Math.round(share * 1000) / 1000

const describer = (): () => ProcessInfo => {
  let before: Usage = { cpuMicros: 0, loopActive: 0, loopTotal: 0 }
  let load = { cpu: 0, eventLoop: 0 }
  const host = Either.getOrUndefined(Either.try(() => globalThis.process.getBuiltinModule("node:os").hostname()))
  const measure = (): ProcessInfo => {
    const { process } = globalThis
    const { heapUsed, rss } = process.memoryUsage()
    const cpu = process.cpuUsage()
    // Not the global one: in a project with the types of a browser, that has another type.
    const { performance } = process.getBuiltinModule("node:perf_hooks")
    const { active, idle } = performance.eventLoopUtilization()
    const usage = { cpuMicros: cpu.user + cpu.system, loopActive: active, loopTotal: active + idle }
    const millis = usage.loopTotal - before.loopTotal
    if (millis >= MIN_SHARE_MILLIS) {
      load = {
        cpu: round((usage.cpuMicros - before.cpuMicros) / 1000 / millis),
        eventLoop: round((usage.loopActive - before.loopActive) / millis)
      }
      before = usage
    }
    return {
      ...(host === undefined ? {} : { host }),
      pid: process.pid,
      runtime: `node ${process.version}`,
      version,
      memory: { rssBytes: rss, heapBytes: heapUsed },
      load
    }
  }
  return () => Either.getOrElse(Either.try(measure), () => ({ version }))
}

/**
 * How a worker describes its process in each heartbeat. Provide another service to report more or less.
 *
 * @since 0.1.0
 * @category references
 * @example
 * ```ts
 * import * as Layer from "effect/Layer"
 * import { HostProcess, version } from "perdure/HostProcess"
 *
 * // Reports no memory and no load.
 * const quiet = Layer.succeed(HostProcess, { describe: () => ({ version }) })
 * ```
 */
export class HostProcess extends Context.Reference<HostProcess>()("perdure/HostProcess", {
  defaultValue: (): { readonly describe: () => ProcessInfo } => ({ describe: describer() })
}) {}
