/**
 * How runs ended, as readers and parents get it. A driver stores what ended a run from outside as fields; here they
 * become the JSON text of the detail.
 */
import type { EncodedExit, EndCause, FinalStatus, Json, Millis, RunRecord } from "../../driver/JournalDriver.js"

/** An ending with its detail in place of its `endCause`. */
export interface ReadableEnding {
  readonly status: FinalStatus
  readonly exit: EncodedExit | null
  readonly detail: Json | null
}

/** The detail of a run that was ended from outside. `at` is the instant of its end. */
export const detailOf = (endCause: EndCause, at: Millis | null): Json => {
  switch (endCause._tag) {
    case "Terminated":
      return JSON.stringify({ by: endCause.by, reason: endCause.reason })
    case "Exhausted":
      return JSON.stringify({ crashes: endCause.crashes, worker: endCause.worker, at })
  }
}

/** A record, or a part of it, as readers get it: with the detail of its `endCause`. */
export const withDetail = <A extends Pick<RunRecord, "endCause" | "finishedAt" | "detail">>(record: A): A =>
  record.endCause === null ? record : { ...record, detail: detailOf(record.endCause, record.finishedAt) }
