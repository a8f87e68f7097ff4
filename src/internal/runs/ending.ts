/** The end of a run, read as the exit of its workflow. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { ResultError } from "../../Errors.js"
import { RunEnded, ValueUnreadable } from "../../Errors.js"
import type { ReadableEnding } from "../codec/endings.js"
import type { ExitCodec } from "../codec/exits.js"
import { decodeExit, describeDefect, fromEncoded } from "../codec/exits.js"

/** What a handle needs of the run's workflow. */
export interface RunReader {
  readonly name: string
  readonly exit: ExitCodec
}

/** The typed exit of a run that completed or failed. Every other end fails with `RunEnded`. */
export const readEnding = <A, E>(
  { exit: codec, name }: RunReader,
  runId: string,
  { detail, exit, status }: ReadableEnding
): Effect.Effect<A, E | ResultError> => {
  const ended = (status: RunEnded["status"], detail: string) =>
    Effect.fail(new RunEnded({ runId, workflow: name, status, detail }))
  if (status !== "completed" && status !== "failed") return ended(status, detail ?? "")
  if (exit === null) return ended("failed", "no exit is stored")
  if (exit.kind === "defect") return ended("failed", describeDefect(fromEncoded(exit).data))
  return Either.match(decodeExit(codec, exit), {
    onLeft: (problem) => Effect.fail(new ValueUnreadable({ what: `result of run ${runId}`, detail: problem })),
    // The codec has checked the value against the workflow's schemas, whose types these are.
    onRight: (effect) => effect as Effect.Effect<A, E | ResultError>
  })
}
