/** The rules of options that several modules share. */
import * as Rule from "perdure/Rule"

export const dataDir: Rule.Rule<string> = Rule.rule(
  "the path of a folder",
  (value) => typeof value === "string" && value !== "" && !value.includes("\u0000")
)
