/** Options as they are, whatever their type says: types are no promise for what comes out of a configuration. */
import { isFields, show, storable } from "../util/show.js"
import { millisOf } from "../util/time.js"

export { isFields, show } from "../util/show.js"

/** What is wrong with keys that nobody knows: an option that is misspelled must not go unheard. */
export const strangers = (place: string, value: object, known: ReadonlyArray<string>): ReadonlyArray<string> =>
  Object.keys(value).filter((key) => !known.includes(key)).map((key) =>
    `${place}${show(key)} is no option, there are ${known.join(", ")}: leave it out, or mend its name`
  )

/** The largest count that every storage has. */
const MOST = 2_147_483_647

/** Reads options, and notes all that is wrong with them: what is read counts if nothing is. */
export class Reading {
  readonly problems: Array<string> = []

  note(problem: string | undefined): void {
    if (problem !== undefined) this.problems.push(storable(problem))
  }

  /** Those of a value that may be left out. */
  fields(name: string, value: unknown): Readonly<Record<string, unknown>> {
    if (value === undefined) return {}
    if (isFields(value)) return value
    this.note(`${name} is ${show(value)}, it must be an object: leave it out, or mend it`)
    return {}
  }

  /** The same, of which all are known. */
  known(name: string, value: unknown, place: string, known: ReadonlyArray<string>): Readonly<Record<string, unknown>> {
    const fields = this.fields(name, value)
    for (const problem of strangers(place, fields, known)) this.note(problem)
    return fields
  }

  count(name: string, value: unknown, standard: number, least: number, most = MOST): number {
    if (value === undefined) return standard
    if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value
    this.note(`${name} is ${show(value)}, it must be an integer from ${least} to ${most}`)
    return standard
  }

  /** Milliseconds. */
  span(name: string, value: unknown, standard: number, least: number): number {
    if (value === undefined) return standard
    const millis = millisOf(value)
    if (millis !== undefined && Number.isFinite(millis) && millis >= least) return millis
    this.note(
      `${name} is ${show(value)}, it must be a finite duration of at least ${least} ms, such as "1 minute"`
    )
    return standard
  }
}
