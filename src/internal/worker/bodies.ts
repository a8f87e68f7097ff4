/** Running step bodies: on the normal runtime, with the real clock and the services that the workflow's fiber had. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { JournalService } from "../../Journal.js"
import type { CommitResult, WorkerRef } from "../../driver/JournalDriver.js"
import type { Op } from "../machine/Op.js"
import { runForkWith } from "../util/runtime.js"
import type { TakenDraft } from "./Draft.js"
import type { Hold } from "./Hold.js"

type BodyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** Run a body; `done` is told its exit. */
export const runBody = (
  hold: Hold,
  op: Op,
  done: (exit: Exit.Exit<unknown, unknown>) => void
): BodyFiber => {
  if (op.data._tag !== "Step") throw new Error(`op ${op.id} is no step`)
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

/** Rolls a transaction back: its body failed, was not wanted any more, or its commit was refused. */
class RolledBack {
  readonly _tag = "RolledBack"
}

const isRolledBack = (cause: Cause.Cause<unknown>): boolean =>
  Option.exists(Cause.failureOption(cause), (error) => error instanceof RolledBack)

/**
 * Run a body and write its entry in one transaction. A body that fails is rolled back, and its failure written as any
 * step's. If nothing was written for another reason, the run is handed back; if that is not known, it is dropped and
 * claimed anew: the journal knows.
 */
export const runTransaction = (options: {
  readonly hold: Hold
  readonly op: Op
  readonly journal: JournalService
  readonly worker: WorkerRef
  readonly lost: (hold: Hold) => void
}): BodyFiber => {
  const { hold, journal, lost, op, worker } = options
  if (op.data._tag !== "Step") throw new Error(`op ${op.id} is no step`)
  const { body, close, context, fiberRefs } = op.data
  let bodyExit: Exit.Exit<unknown, unknown> | undefined
  let delivered: TakenDraft | undefined
  let answered: CommitResult | undefined
  const work = Effect.gen(function*() {
    bodyExit = yield* Effect.onExit(body, (exit) => close(exit) ?? Effect.void).pipe(Effect.exit)
    const taken = Exit.isSuccess(bodyExit) ? hold.transactionDone(op, bodyExit) : undefined
    if (taken === undefined) return yield* Effect.fail(new RolledBack())
    delivered = taken
    const [answer] = yield* journal.commit({ worker, commits: [taken.commit] })
    answered = answer
    return answer?._tag === "Applied" ? answer : yield* Effect.fail(new RolledBack())
  })
  const settled = Effect.uninterruptibleMask((restore) =>
    // The hold must know this fiber before the body ends, which in memory may be at once.
    Effect.map(Effect.zipRight(Effect.yieldNow(), Effect.exit(restore(journal.transaction(work)))), (exit) => {
      hold.transactionOver(op)
      if (Exit.isSuccess(exit)) return hold.committed(exit.value)
      if (delivered !== undefined) return answered?._tag === "Unseen" ? hold.handBack(delivered) : lost(hold)
      // Storage that went away while the body ran is no failure of the step: it is tried again by whoever claims the run.
      const failure = isRolledBack(exit.cause) && bodyExit !== undefined && Exit.isFailure(bodyExit)
        ? bodyExit
        : undefined
      if (failure === undefined && !Exit.isInterrupted(exit)) return hold.handBack(undefined)
      if (failure !== undefined) hold.bodyDone(op, failure)
      hold.poke()
    })
  )
  return runForkWith(settled, context, hold.outsideRefs(fiberRefs))
}
