/** The outcomes of changes in bulk, and their totals. */
import type { Disposition } from "../../driver/JournalDriver.js"

/** Public as `Runs.UnchangedReason`, which says what each one means. */
export type UnchangedReason =
  | "Ended"
  | "NoSuchRun"
  | "AlreadyCancelled"
  | "AlreadyRetried"
  | "OtherStatus"
  | "Compensated"

/** Public as `Runs.Unchanged`. */
export type Unchanged = { readonly [Reason in UnchangedReason]?: number }

/** The outcome of the change of one run. */
export type Outcome = "Changed" | UnchangedReason

interface Totals {
  readonly matched: number
  readonly changed: number
  readonly unchanged: Unchanged
}

export const none: Totals = { matched: 0, changed: 0, unchanged: {} }

/** The totals with those of a batch. */
export const add = (before: Totals, outcomes: ReadonlyArray<Outcome>): Totals => {
  const unchanged: { -readonly [Reason in UnchangedReason]?: number } = { ...before.unchanged }
  let { changed } = before
  for (const outcome of outcomes) {
    if (outcome === "Changed") changed++
    else unchanged[outcome] = (unchanged[outcome] ?? 0) + 1
  }
  return { matched: before.matched + outcomes.length, changed, unchanged }
}

/** The outcome of a cancel, by the disposition of its message. */
export const ofCancel: Readonly<Record<Disposition, Outcome>> = {
  Delivered: "Changed",
  Buffered: "Changed",
  Duplicate: "AlreadyCancelled",
  Expired: "Ended",
  NoSuchRun: "NoSuchRun"
}
