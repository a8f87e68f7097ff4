/** Cron strings. Effect's `Cron` parses them; the slots are computed here, as for any wall clock. */
import * as Cron from "effect/Cron"
import * as Either from "effect/Either"
import type { Match } from "./model.js"

const aliases: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *"
}

export const aliasNames = Object.keys(aliases)

export interface ParsedCron {
  readonly cron: Cron.Cron
  /** How days of the month and days of the week match if the caller does not say it. */
  readonly match: Match
}

/** The left side says why the string is not a cron string. */
export const parseCron = (text: string): Either.Either<ParsedCron, string> => {
  // Lower case, because Effect's parser compares the names of days and months in the locale of the machine.
  const given = text.trim().toLowerCase()
  const expression = given.startsWith("@") ? aliases[given] : given
  if (expression === undefined) return Either.left(`the aliases are ${aliasNames.join(", ")}`)
  const [dayOfWeek, , dayOfMonth] = expression.split(/\s+/).toReversed()
  // As in crontabs: a day matches either field, unless one of them starts with a star.
  const match = [dayOfWeek, dayOfMonth].some((field) => field?.startsWith("*")) ? "both" : "either"
  return Either.mapBoth(Cron.parse(expression), {
    onLeft: ({ input, message }) => `${message}, at "${input}"`,
    onRight: (cron) => ({ cron, match })
  })
}
