/**
 * A preflight check: reports every problem of a process's configuration at once, before anything runs. It needs no
 * database: the layers of workflows, workers and queues are built on a journal on which nothing starts.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { ConfigurationInvalid } from "./Errors.js"
import * as Problems from "./internal/process/Problem.js"
import * as Process from "./internal/process/Process.js"
import type { Registrations } from "./internal/process/Registrations.js"
import { Journal } from "./Journal.js"
import * as JournalMemory from "./JournalMemory.js"

/**
 * The kinds of problem.
 *
 * - `BadDefinition`: a name or an option of a workflow.
 * - `TwoHandlers`, `TwoSignals`, `TwoWorkers`, `TwoQueues`, `TwoSchedules`: two of one name that differ.
 * - `BadOption`: an option of a worker, a queue, a schedule or another layer.
 * - `QueueNotServed`: runs of a workflow, or of its continuation, would wait on a queue that no worker of the process
 *   serves and no `RunQueue.layer` defines. A process without workers, which only starts runs, has no such problem.
 * - `NoSuchWorkflow`: a continuation's workflow has no handler in the process.
 * - `LayerFailed`: a layer cannot be built; `detail` says why.
 *
 * @since 0.1.0
 * @category models
 */
export const ProblemCode = Problems.ProblemCode

/**
 * A problem: its code, the place (for example `workflow "Fulfil" version "1"`), the detail, and the cure.
 *
 * @since 0.1.0
 * @category models
 */
export const Problem = Problems.Problem

/**
 * @since 0.1.0
 * @category models
 */
export type Problem = typeof Problem.Type

/**
 * The result of a check: plain data that can be printed as JSON.
 *
 * @since 0.1.0
 * @category models
 */
export const Report = Schema.Struct({
  /** Whether there is no problem. */
  ok: Schema.Boolean,
  problems: Schema.Array(Problem),
  /** The workflows that were checked. */
  workflows: Schema.Array(Schema.Struct({ name: Schema.String, version: Schema.String }))
})

/**
 * @since 0.1.0
 * @category models
 */
export type Report = typeof Report.Type

const reportOf = (registrations: Registrations, more: ReadonlyArray<Problem> = []): Report => {
  const problems = [...registrations.check(), ...more]
  return { ok: problems.length === 0, problems, workflows: registrations.list() }
}

/**
 * The problems of what is built on this journal now, for a health check of a running process. Problems of definitions
 * and options have kept the process from starting, so they do not appear here.
 *
 * @since 0.1.0
 * @category checks
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Check from "perdure/Check"
 *
 * const isHealthy = Effect.map(Check.report, ({ ok }) => ok)
 * ```
 */
export const report: Effect.Effect<Report, never, Journal> = Effect.map(
  Journal,
  ({ process }) => reportOf(process.registrations)
)

/** A journal whose process notes problems, and on which no worker starts. */
const checking: Layer.Layer<Journal> = Layer.map(Layer.fresh(JournalMemory.layer), (context) => {
  const journal = Context.get(context, Journal)
  return Context.add(context, Journal, { ...journal, process: Process.makeChecking(journal.process) })
})

/**
 * Checks the layers of a process: those of its workflows, workers and queues, merged. Pass the layer that needs a
 * `Journal`, before you provide one.
 *
 * @since 0.1.0
 * @category checks
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Check from "perdure/Check"
 * import * as Worker from "perdure/Worker"
 * import * as Workflow from "perdure/Workflow"
 *
 * const Mail = Workflow.make("Mail", { payload: {}, queue: "mails" })
 * const Main = Layer.merge(Mail.toLayer(() => Effect.void), Worker.layer({ queues: ["mail"], concurrency: 0 }))
 *
 * const both = Effect.map(Check.run(Main), ({ problems }) => problems.map(({ code }) => code))
 * // ["BadOption", "QueueNotServed"]
 * ```
 */
export const run = <A, E, R>(layer: Layer.Layer<A, E, R>): Effect.Effect<Report, never, Exclude<R, Journal>> =>
  Effect.scoped(Effect.gen(function*() {
    const journal = yield* Layer.build(checking)
    const { process } = Context.get(journal, Journal)
    // The layer requires the journal, and what the caller provides.
    const built = yield* Effect.exit(Effect.provide(Layer.build(layer), journal))
    const failed = Exit.isSuccess(built) ? [] : [
      {
        code: "LayerFailed",
        place: "the layers",
        detail: Cause.pretty(built.cause),
        cure: "fix what the detail says, then check again: layers that were not built may have problems, too"
      } as const
    ]
    return reportOf(process.registrations, failed)
  }))

/**
 * Like `run`, but fails with `ConfigurationInvalid`, which lists every problem. With `NodeRuntime.runMain`, a script
 * then exits with a code that is not zero.
 *
 * @since 0.1.0
 * @category checks
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Check from "perdure/Check"
 * import * as Workflow from "perdure/Workflow"
 *
 * const Mail = Workflow.make("Mail", { payload: {} })
 *
 * // NodeRuntime.runMain(preflight)
 * const preflight = Check.orFail(Mail.toLayer(() => Effect.void))
 * ```
 */
export const orFail = <A, E, R>(
  layer: Layer.Layer<A, E, R>
): Effect.Effect<Report, ConfigurationInvalid, Exclude<R, Journal>> =>
  Effect.flatMap(run(layer), (found) =>
    found.ok
      ? Effect.succeed(found)
      : new ConfigurationInvalid({
        what: "the check of all layers",
        problems: found.problems.map(Problems.problemText)
      }))
