/** Runs step bodies: on the normal runtime, with the real clock and the services of the workflow's fiber. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { JournalService } from "../../Journal.js"
import type { CommitResult, WorkerRef } from "../../driver/JournalDriver.js"
import type { Op } from "../machine/Op.js"
import { runForkWith } from "../util/runtime.js"
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

/** Rolls the transaction back: its body failed or was interrupted, or its commit was refused. */
class RolledBack {
  readonly _tag = "RolledBack"
}

const isRolledBack = (cause: Cause.Cause<unknown>): boolean =>
  Option.exists(Cause.failureOption(cause), (error) => error instanceof RolledBack)

/**
 * Run a body and write its entry in one transaction.
 *
 * | outcome                                      | what follows                                            |
 * |----------------------------------------------|---------------------------------------------------------|
 * | the transaction is committed                 | the hold continues from the entry                       |
 * | the body failed: rolled back                 | the failure is written as the entry, as for any step    |
 * | the commit was unseen: rolled back           | the run is handed back without the entry                |
 * | the outcome is unknown after the commit      | the hold is lost; the next claim reads the journal      |
 * | storage failed before the commit             | the run is handed back; the next claim runs the step    |
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
  const work = Effect.gen(function*() {
    bodyExit = yield* Effect.onExit(body, (exit) => close(exit) ?? Effect.void).pipe(Effect.exit)
    const draftCommit = Exit.isSuccess(bodyExit) ? hold.transactionDone(op, bodyExit) : undefined
    if (draftCommit === undefined) return yield* Effect.fail(new RolledBack())
    isDelivered = true
    const [first] = yield* journal.commit({ worker, commits: [draftCommit.commit] })
    result = first
    return first?._tag === "Applied" ? first : yield* Effect.fail(new RolledBack())
  })
  const settled = Effect.uninterruptibleMask((restore) =>
    // The yield lets the hold get this fiber before the body ends, which in memory can be immediately.
    Effect.map(Effect.zipRight(Effect.yieldNow(), Effect.exit(restore(journal.transaction(work)))), (exit) => {
      hold.transactionOver(op)
      if (Exit.isSuccess(exit)) return hold.committed(exit.value)
      if (isDelivered) return result?._tag === "Unseen" ? hold.handBackDurable() : lost(hold)
      // Storage that fails while the body runs is not a failure of the step: the next claim of the run tries again.
      const failure = isRolledBack(exit.cause) && bodyExit !== undefined && Exit.isFailure(bodyExit)
        ? bodyExit
        : undefined
      if (failure === undefined && !Exit.isInterrupted(exit)) return hold.handBack()
      if (failure !== undefined) hold.bodyDone(op, failure)
      hold.advance()
    })
  )
  return runForkWith(settled, context, hold.outsideRefs(fiberRefs))
}
