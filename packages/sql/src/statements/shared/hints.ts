/** Columns that several statements return, for the hints that follow from what they changed. */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"

/** What a statement that has nothing to say of a kind leaves out. */
const absent = { ready: null, held: null, changed: null }

/**
 * Hints of a statement that wakes or ends runs: `ready` has queues with claimable runs, `held` pairs of holder and run
 * with a new message, `changed` runs that a caller awaits.
 */
export const decodeHints = (given: Row.Fields): ReadonlyArray<Driver.Hint> => {
  const row: Row.Fields = { ...absent, ...given }
  return [
    ...Row.texts(row, "ready").map((queue): Driver.Hint => ({ _tag: "Ready", queue })),
    ...Row.list(row, "held").map((each): Driver.Hint => ({
      _tag: "Inbox",
      worker: Row.text(each, 0),
      run: Row.text(each, 1)
    })),
    ...Row.texts(row, "changed").map((run): Driver.Hint => ({ _tag: "Changed", run }))
  ]
}
