/** Runs step bodies: on the normal runtime, with the real clock and the services of the workflow's fiber. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { JournalError, Misuse } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { CommitResult, WorkerRef } from "../../driver/JournalDriver.js"
import type { Op } from "../machine/Op.js"
import { runForkWith } from "../util/runtime.js"
import type { DraftCommit } from "./Draft.js"
import type { Hold } from "./Hold.js"
import type { BodyFiber } from "./PendingWork.js"

/** Run a body; `done` gets its exit. */
export const runBody = (
  hold: Hold,
  op: Op,
  done: (exit: Exit.Exit<unknown, unknown>) => void
): BodyFiber => {
  if (op.data._tag !== "Step") throw new Error(`op ${op.id} is not a step`)
  const { body, close, context } = op.data
  const fiberRefs = hold.outsideRefs(op.data.fiberRefs)
  const fiber = runForkWith(body, context, fiberRefs)
  fiber.addObserver((exit) => {
    const closing = close(exit)
    if (closing === undefined) done(exit)
    else runForkWith(closing, context, fiberRefs).addObserver(() => done(exit))
  })
  return fiber
}

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
}): BodyFiber => {
  const { hold, journal, lost, op, worker } = options
  if (op.data._tag !== "Step") throw new Error(`op ${op.id} is not a step`)
  const { body, close, context, fiberRefs } = op.data
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
