/** Who asks for a change, and why. Public as `Run.Attribution`. */
import type { Rule, Table } from "./Rule.js"
import { fields, optional, string } from "./Rule.js"

export interface Attribution {
  /** Who asks: at most 1,000 characters. */
  readonly by?: string
  /** Why: at most 1,000 characters. */
  readonly reason?: string
}

/** Both are stored with the change, and read with it each time. */
const MAX_NOTE_CHARACTERS = 1_000

const explanation = optional(string({ max: MAX_NOTE_CHARACTERS }))

/** For options that extend `Attribution`. */
export const attributionTable: Table<Attribution> = { by: explanation, reason: explanation }

export const attribution: Rule<Attribution> = fields(attributionTable)
