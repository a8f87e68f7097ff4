/**
 * The log lines about what failed in a run: one for each failed attempt of a step, one for each run that failed or was
 * parked. They name the run, the workflow and the step, and never hold encoded values.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { ClaimedRun } from "../../driver/JournalDriver.js"
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

export const failureReport = (run: RunNames, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logError("a run failed", cause), about(run))

/** `detail` is JSON text. */
export const divergenceReport = (run: RunNames, detail: string): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logError("a run was parked as diverged"), { ...about(run), detail })
