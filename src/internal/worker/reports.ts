/**
 * The log lines about what failed in a run: one for each failed attempt of a step, one for each run that failed or was
 * parked. They name the run, the workflow and the step, and never hold encoded values.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { ClaimedRun, Transition } from "../../driver/JournalDriver.js"
import { decodeDefect } from "../codec/defects.js"
import type { WireExit } from "../codec/exits.js"
import type { Op } from "../machine/Op.js"

type RunNames = Pick<ClaimedRun, "id" | "workflow" | "version">

const about = ({ id, version, workflow }: RunNames) => ({ run: id, workflow, version })

/**
 * A finished attempt, if it failed: by its body, or because its result cannot be stored. An interrupted body is no
 * failure.
 */
export const attemptReport = (
  run: RunNames,
  { data, name }: Op,
  exit: Exit.Exit<unknown, unknown>,
  { data: stored, kind }: WireExit
): Effect.Effect<void> | undefined => {
  if (kind !== "failure" && kind !== "defect") return undefined
  const cause = exit._tag === "Failure" && kind === "failure" ? exit.cause : Cause.die(decodeDefect(stored))
  const attempt = data._tag === "Step" ? data.attempt : undefined
  return Effect.logWarning("an attempt of a step failed", cause).pipe(
    Effect.annotateLogs({ ...about(run), step: name, attempt })
  )
}

/** A commit that ended the hold, if the run failed of `failure` or was parked. */
export const endReport = (
  run: RunNames,
  transition: Transition,
  failure: Cause.Cause<unknown> | undefined
): Effect.Effect<void> | undefined => {
  if (transition._tag === "Diverge") {
    const { detail } = transition
    return Effect.annotateLogs(Effect.logError("a run was parked as diverged"), { ...about(run), detail })
  }
  return transition._tag === "Finish" && transition.status === "failed" && failure !== undefined
    ? Effect.annotateLogs(Effect.logError("a run failed", failure), about(run))
    : undefined
}
