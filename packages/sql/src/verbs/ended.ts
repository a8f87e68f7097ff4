/** Hints of statements that end or wake runs. */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../internal/Row.js"
import * as Deliver from "../statements/deliver.js"

export const hints = (row: Row.Fields): ReadonlyArray<Driver.Hint> => [
  ...Deliver.hints(row),
  ...Row.texts(row, "changed").map((run): Driver.Hint => ({ _tag: "Changed", run }))
]
