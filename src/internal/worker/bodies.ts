/** Runs step bodies: on the normal runtime, with the real clock and the services of the workflow's fiber. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import { JournalError, Misuse, TimedOut } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { CommitResult, WorkerRef } from "../../driver/JournalDriver.js"
import type { Op } from "../machine/Op.js"
import { runForkWith } from "../util/runtime.js"
import { sleep } from "../util/timers.js"
import type { DraftCommit } from "./Draft.js"
import type { Hold } from "./Hold.js"
import type { BodyFiber } from "./PendingWork.js"
import type { RunningBodies } from "./RunningBodies.js"

/** A body that keeps the event loop busy for longer, from its start to its first wait, is reported. */
const BUSY_MILLIS = 1_000

export interface BodyLimits {
  /** The time limit of steps without another one. `Infinity`: none. */
  readonly stepMillis: number
  /** How long a body may take to end after its time limit. */
  readonly interruptMillis: number
}

interface Limit {
  readonly millis: number
  readonly cause: Cause.Cause<TimedOut>
}

/**
 * The time limit of a step: its own, else its workflow's, else the worker's. Its own one is a failure that the step
 * declares. The others are defects, which no program has to expect.
 */
const limitOf = (hold: Hold, op: Op, own: number | undefined, limits: BodyLimits): Limit | undefined => {
  const millis = own ?? Math.min(hold.stepMillis, limits.stepMillis)
  if (millis === Infinity) return undefined
  const error = new TimedOut({ what: `step ${op.name}`, millis })
  return { millis, cause: own === undefined ? Cause.die(error) : Cause.fail(error) }
}

/**
 * Runs a body; `done` gets its exit. A body that exceeds its time limit is interrupted. If it ignores that, `done` gets
 * the exit without it: the body and its finalizers continue, and are reported.
 */
export const runBody = ({ bodies, done, hold, limits, op }: {
  readonly hold: Hold
  readonly op: Op
  readonly done: (exit: Exit.Exit<unknown, unknown>) => void
  readonly bodies: RunningBodies
  readonly limits: BodyLimits
}): BodyFiber => {
  if (op.data._tag !== "Step") throw new Error(`op ${op.id} is not a step`)
  const { body, close, context, timeoutMillis } = op.data
  const { id } = hold
  const fiberRefs = hold.outsideRefs(op.data.fiberRefs)
  let watch: Fiber.RuntimeFiber<void> | undefined = undefined
  let timedOut: Exit.Exit<never, TimedOut> | undefined
  let isDone = false
  const finish = (exit: Exit.Exit<unknown, unknown>) => {
    if (isDone) return
    isDone = true
    watch?.unsafeInterruptAsFork(FiberId.none)
    done(timedOut ?? exit)
  }
  const running = bodies.start(id, op.name)
  const fiber = runForkWith(body, context, fiberRefs)
  const busyMillis = bodies.now() - running.since
  if (busyMillis > BUSY_MILLIS) runForkWith(logBusy(op, id, busyMillis), context, fiberRefs)
  fiber.addObserver((exit) => {
    // After the time limit, also the finalizers must end within the grace.
    if (timedOut === undefined) watch?.unsafeInterruptAsFork(FiberId.none)
    const closing = close(exit)
    const closed = () => {
      bodies.end(running)
      finish(exit)
    }
    if (closing === undefined) closed()
    else runForkWith(closing, context, fiberRefs).addObserver(closed)
  })
  const limit = isDone ? undefined : limitOf(hold, op, timeoutMillis, limits)
  if (limit === undefined) return fiber
  const { interruptMillis } = limits
  const interruption = Effect.sync(() => {
    timedOut = Exit.failCause(limit.cause)
    fiber.unsafeInterruptAsFork(FiberId.none)
  })
  const giveUp = Effect.suspend(() => {
    bodies.abandon(running)
    return Effect.zipRight(logAbandoned(op, id, interruptMillis), Effect.sync(() => finish(Exit.void)))
  })
  watch = runForkWith(
    sleep(limit.millis).pipe(
      Effect.zipRight(interruption),
      Effect.zipRight(sleep(interruptMillis)),
      Effect.zipRight(giveUp)
    ),
    context,
    fiberRefs
  )
  return fiber
}

const logBusy = (op: Op, run: string, millis: number) =>
  Effect.logWarning(
    `step ${op.name} of run ${run} kept the event loop busy for ${
      Math.round(millis)
    } ms: meanwhile the worker sends no ` +
      `heartbeat and executes nothing else, and other workers take its runs when its lease runs out. Divide the work, ` +
      `or compute in a worker thread`
  )

const logAbandoned = (op: Op, run: string, millis: number) =>
  Effect.logError(
    `step ${op.name} of run ${run} ignores its interruption: its run continues with TimedOut, but its body still ` +
      `executes ${millis} ms after its time limit. Make it interruptible: use the AbortSignal of Effect.tryPromise`
  )

/** How long a run waits after storage failed in a transaction of its step, in milliseconds. */
const PAUSE_MILLIS = 1_000

/** Rolls the transaction back: its body failed or was interrupted, or its commit was not applied. */
class RolledBack {
  readonly _tag = "RolledBack"
}

const isRolledBack = (cause: Cause.Cause<unknown>): boolean =>
  Option.exists(Cause.failureOption(cause), (error) => error instanceof RolledBack)

/** The failure of storage that ended a transaction, if it is known. */
const storageError = (cause: Cause.Cause<unknown>): JournalError | undefined =>
  Option.getOrUndefined(Option.filter(Cause.failureOption(cause), (error) => error instanceof JournalError))

/** Whether the database has rolled the transaction back for sure. */
const isRefusal = ({ code, retryable }: JournalError): boolean =>
  !retryable || code === "Refused" || code === "Conflict"

/** The exit of a step whose transaction the database will never commit. */
const refusalExit = ({ code, detail, operation }: JournalError): Exit.Exit<never> =>
  Exit.die(new JournalError({ code, operation, detail, retryable: false }))

/** The exit of a step whose transaction changed its own run, so that the run cannot take the step's entry. */
const ownRunExit = (hold: Hold, op: Op): Exit.Exit<never> =>
  Exit.die(
    new Misuse({
      detail: `the body of transaction step ${op.name} of run ${hold.id} ended or released its own run, ` +
        `which was rolled back: fail the step or use Run.cancel instead, or control the run from outside of the step`
    })
  )

/**
 * Run a body and write its entry in one transaction.
 *
 * | outcome                                       | what follows                                              |
 * |-----------------------------------------------|-----------------------------------------------------------|
 * | the transaction is committed                  | the hold continues from the entry                         |
 * | the body failed: rolled back                  | the failure is written as the entry, as for any step      |
 * | the commit was unseen                         | the entry is committed without what the program did next  |
 * | the database will never commit: rolled back   | the refusal is written as the entry                       |
 * | the body ended its own run: rolled back       | the same; the fence refuses it if the run was really lost |
 * | conflict, full disk: rolled back              | the run is handed back; the next claim runs the step      |
 * | the outcome is unknown after the commit       | the hold is lost; the next claim reads the journal        |
 * | storage failed before the commit              | the run is handed back; the next claim runs the step      |
 *
 * Each outcome that runs the body again is logged.
 */
export const runTransaction = (options: {
  readonly hold: Hold
  readonly op: Op
  readonly journal: JournalService
  readonly worker: WorkerRef
  readonly lost: (hold: Hold) => void
  readonly bodies: RunningBodies
  readonly limits: BodyLimits
}): BodyFiber => {
  const { bodies, hold, journal, limits, lost, op, worker } = options
  if (op.data._tag !== "Step") throw new Error(`op ${op.id} is not a step`)
  const { close, context, fiberRefs, timeoutMillis } = op.data
  const limit = limitOf(hold, op, timeoutMillis, limits)
  // A transaction is over only when its body is, so a body that ignores its interruption is waited for.
  const body = limit === undefined
    ? op.data.body
    : Effect.raceFirst(op.data.body, Effect.zipRight(sleep(limit.millis), Effect.failCause(limit.cause)))
  const running = bodies.start(hold.id, op.name)
  let bodyExit: Exit.Exit<unknown, unknown> | undefined
  let isDelivered = false
  let result: CommitResult | undefined
  const write = (draftCommit: DraftCommit | undefined) =>
    draftCommit === undefined
      ? Effect.succeed(undefined)
      : Effect.map(journal.commit({ worker, commits: [draftCommit.commit] }), ([first]) => result = first)
  const work = Effect.gen(function*() {
    bodyExit = yield* Effect.onExit(body, (exit) => close(exit) ?? Effect.void).pipe(Effect.exit)
    const draftCommit = Exit.isSuccess(bodyExit) ? hold.transactionDone(op, bodyExit) : undefined
    if (draftCommit === undefined) return yield* Effect.fail(new RolledBack())
    isDelivered = true
    const first = yield* write(draftCommit)
    // A message came before a decision that follows the step. The step alone decides nothing.
    const last = first?._tag === "Unseen" ? yield* write(hold.transactionAlone(op, bodyExit)) : first
    return last?._tag === "Applied" ? last : yield* Effect.fail(new RolledBack())
  })
  const logged = (message: string, error: JournalError | undefined) =>
    Effect.logWarning(message).pipe(
      Effect.annotateLogs({ run: hold.id, step: op.name, ...(error === undefined ? {} : { error: error.message }) })
    )
  /** The body succeeded, and its commit was not acknowledged. */
  const undone = (cause: Cause.Cause<unknown>) => {
    const error = storageError(cause)
    if (error === undefined) {
      if (result?._tag !== "Lost") return Effect.sync(() => hold.handBackDurable())
      return Effect.sync(() => hold.transactionRefused(op, ownRunExit(hold, op)))
    }
    if (!error.retryable) return Effect.sync(() => hold.transactionRefused(op, refusalExit(error)))
    return isRefusal(error)
      ? Effect.zipRight(
        logged("the database rolled back the transaction of a step, which will run again", error),
        Effect.sync(() => hold.handBackDurable(error.code === "Conflict" ? 0 : PAUSE_MILLIS))
      )
      : Effect.zipRight(
        logged("it is unknown whether the transaction of a step was committed: the next claim reads it", error),
        Effect.sync(() => lost(hold))
      )
  }
  const settled = Effect.uninterruptibleMask((restore) =>
    // The yield lets the hold get this fiber before the body ends, which in memory can be immediately.
    Effect.flatMap(Effect.zipRight(Effect.yieldNow(), Effect.exit(restore(journal.transaction(work)))), (exit) => {
      bodies.end(running)
      hold.transactionOver(op)
      if (Exit.isSuccess(exit)) return Effect.sync(() => hold.committed(exit.value))
      if (isDelivered) return undone(exit.cause)
      const failure = isRolledBack(exit.cause) && bodyExit !== undefined && Exit.isFailure(bodyExit)
        ? bodyExit
        : undefined
      // Storage that fails while the body runs is not a failure of the step: the next claim of the run tries again.
      if (failure === undefined && !Exit.isInterrupted(exit)) {
        const error = storageError(exit.cause)
        return Effect.zipRight(
          logged("storage failed in the transaction of a step, which will run again", error),
          Effect.sync(() => hold.handBack(error?.code === "Conflict" ? 0 : PAUSE_MILLIS))
        )
      }
      return Effect.sync(() => {
        if (failure !== undefined) hold.bodyDone(op, failure)
        hold.advance()
      })
    })
  )
  return runForkWith(settled, context, hold.outsideRefs(fiberRefs))
}
