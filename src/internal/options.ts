/** Options as they are, whatever their type says: types are no promise for what comes out of a configuration. */
import * as Predicate from "effect/Predicate"
import { shown, storable } from "./wire.js"

/** How much of a bad value is shown. */
const SHOWN = 200

export const show = (value: unknown): string => storable(shown(value)).slice(0, SHOWN)

/** A map, a list or a text has contents that are no fields: whoever reads its fields would find nothing said. */
export const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Predicate.isIterable(value)

/** What is wrong with keys that nobody knows: an option that is misspelled must not go unheard. */
export const strangers = (place: string, value: object, known: ReadonlyArray<string>): ReadonlyArray<string> =>
  Object.keys(value).filter((key) => !known.includes(key)).map((key) =>
    `${place}${show(key)} is no option, there are ${known.join(", ")}: leave it out, or mend its name`
  )
