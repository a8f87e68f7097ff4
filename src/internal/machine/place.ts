/** Where a fiber of a run is, for error messages. */
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { MachineEntry } from "./Op.js"

/** Innermost spans that a message names. */
const SHOWN_SPANS = 5

/** The run, the spans of the fiber, and the entry that was delivered last. */
export const placeOf = (
  label: string,
  fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined,
  lastEntry: MachineEntry | undefined
): string => {
  const spans: Array<string> = []
  let span = fiber?.currentSpan
  while (span !== undefined && span._tag === "Span" && spans.length < SHOWN_SPANS) {
    spans.push(`"${span.name}"`)
    span = Option.getOrUndefined(span.parent)
  }
  return [
    label,
    ...(spans.length > 0 ? [`in span ${spans.join(" of ")}`] : []),
    lastEntry === undefined
      ? "before its first entry"
      : `after ${lastEntry.kind} "${lastEntry.name}" (op ${lastEntry.op})`
  ].join(", ")
}
