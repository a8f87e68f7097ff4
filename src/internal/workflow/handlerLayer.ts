/** The layer of a workflow's handler: it declares the workflow to the process, and stores the queues that it names. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type { CurrentRun } from "../../CurrentRun.js"
import type { ConfigurationInvalid, JournalError } from "../../Errors.js"
import { TimedOut } from "../../Errors.js"
import { Journal } from "../../Journal.js"
import { Limits } from "../../Limits.js"
import type { ExitCodec } from "../codec/exits.js"
import type { QueueReference } from "../options/queues.js"
import { isQueueDefinition } from "../options/queues.js"
import type { WorkflowRegistration } from "../process/Registration.js"
import type { Shape } from "../process/Shape.js"
import { withGuardedLoggers } from "../util/guard.js"
import { runForkWith } from "../util/runtime.js"
import type { Link } from "./continuations.js"
import { checkLinks, linkedTo, makeContinuations } from "./continuations.js"
import { makeOpen } from "./program.js"
import { checkQueue, defineQueue } from "./queueDefinition.js"

interface HandlerParts<R> {
  readonly shape: Shape
  /** The queue as the definition names it. */
  readonly queue: QueueReference | undefined
  readonly links: ReadonlyArray<Link>
  readonly handler: (payload: unknown) => Effect.Effect<unknown, unknown, R>
  readonly exitCodec: (limitBytes: number) => ExitCodec
  readonly isContinueAsNew: (value: unknown) => boolean
}

export const handlerLayer = <R>(
  handling: HandlerParts<R>
): Layer.Layer<never, ConfigurationInvalid | JournalError, Journal | Exclude<R, CurrentRun | Scope.Scope>> =>
  Layer.scopedDiscard(Effect.gen(function*() {
    const { exitCodec, handler, isContinueAsNew, links, shape } = handling
    const { name, options, version } = shape
    const context = yield* Effect.context<Exclude<R, CurrentRun | Scope.Scope>>()
    const fiberRefs = yield* Effect.getFiberRefs
    const limits = yield* Limits
    const { timeout } = options
    const limited = timeout === undefined ? handler : (payload: unknown) =>
      Effect.timeoutFail(handler(payload), {
        duration: timeout,
        onTimeout: () => new TimedOut({ what: `workflow ${name}`, millis: Duration.toMillis(timeout) })
      })
    const exit = exitCodec(limits.payloadBytes)
    const logging = withGuardedLoggers(fiberRefs)
    const registration: WorkflowRegistration = {
      name,
      version,
      queue: options.queue,
      // Options with problems are never used: `admit` refuses them.
      stepMillis: shape.problems.length > 0 ? Infinity : Duration.toMillis(options.stepTimeout ?? Duration.infinity),
      shape,
      // Options are checked as they are: they may come from code without types.
      signals: Array.isArray(options.signals) ? options.signals.filter(Predicate.isNotNullable) : [],
      continuations: linkedTo(links),
      problems: [...shape.problems, ...checkLinks(name, links)],
      log: (line) => void runForkWith(line, context, logging),
      open: makeOpen({
        continuations: makeContinuations({ links, context, fiberRefs: logging, codec: exit }),
        shape,
        exit,
        journalBytes: limits.journalBytes,
        context,
        fiberRefs,
        isContinueAsNew,
        // `Effect.scoped` and the machine's context supply what the layer's context leaves out.
        handler: (payload) => Effect.scoped(limited(payload) as Effect.Effect<unknown, unknown>)
      })
    }
    const { admit, registrations } = (yield* Journal).process
    const queues = [handling.queue, ...links.map((link) => link.options?.queue)].filter(isQueueDefinition)
    // Nothing is stored for a definition that is refused, and no run is claimed before its queue has its limits.
    yield* admit([...registrations.problemsOf(registration), ...queues.flatMap(checkQueue)])
    for (const queue of queues) yield* defineQueue(queue, "workflow")
    yield* Effect.suspend(() => admit(registrations.problemsOf(registration)))
    yield* registrations.addWorkflow(registration)
  }))
