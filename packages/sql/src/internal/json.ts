/** Parameters as JSON text. */
import type { Millis } from "perdure/JournalDriver"

/** JSON has no infinity; the database reads this text as one. */
export const encodeInstant = (millis: Millis): number | string => Number.isFinite(millis) ? millis : "Infinity"
