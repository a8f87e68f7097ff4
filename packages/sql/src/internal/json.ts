/** Values in JSON parameters. */
import type { Millis } from "perdure/JournalDriver"

/** JSON has no infinity; the database reads this string as infinity. */
export const encodeInstant = (millis: Millis): number | string => Number.isFinite(millis) ? millis : "Infinity"
