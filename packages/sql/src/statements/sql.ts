/**
 * How statements are written: template strings that keep their layout when they are put into each other, so that the
 * text which the server gets can be read.
 */

const NEWLINE = "\n"

const marginOf = (line: string): string => /^ */.exec(line)?.[0] ?? ""

const isBlank = (line: string): boolean => line.trim() === ""

/** Marks the place of a value in a template. */
const PLACE = "\u0000"

/**
 * SQL text. The margin of the template is removed, and a value of several lines is indented like the line that it is
 * in. A line that consists of empty values is left out.
 */
export const sql = (strings: TemplateStringsArray, ...values: ReadonlyArray<string>): string => {
  const lines = strings.join(PLACE).split(NEWLINE)
  const first = lines[0] ?? ""
  // A template begins after a line break, or is one line.
  const body = isBlank(first) && lines.length > 1 ? lines.slice(1) : lines
  const last = body.at(-1) ?? ""
  const kept = isBlank(last) && body.length > 1 ? body.slice(0, -1) : body
  const margin = Math.min(...kept.filter((line) => !isBlank(line)).map((line) => marginOf(line).length))
  const remaining = values.values()
  return kept.flatMap((line) => {
    const indent = marginOf(line).slice(margin)
    const parts = line.slice(margin).split(PLACE)
    const filled = parts.map((part, index) => {
      if (index === 0) return part
      const value: string = remaining.next().value ?? ""
      return value.replaceAll(NEWLINE, NEWLINE + indent) + part
    }).join("")
    return parts.length > 1 && isBlank(filled) ? [] : [filled]
  }).join(NEWLINE)
}

/** A part of a WITH that is computed once. */
export const part = (name: string, body: string): string =>
  sql`
    ${name} AS MATERIALIZED (
      ${body}
    )
  `

/** A part of a recursive WITH that refers to itself. */
export const recursion = (name: string, body: string): string =>
  sql`
    ${name} AS (
      ${body}
    )
  `

/** A part that writes. It runs to its end whether or not another part reads it. */
export const change: (name: string, body: string) => string = recursion

/** A query after its parts, in order. */
export const withParts = (parts: ReadonlyArray<string>, query: string): string => `WITH ${parts.join(", ")}\n${query}`

/** A query after its parts, of which some are recursions. */
export const withRecursive = (parts: ReadonlyArray<string>, query: string): string =>
  `WITH RECURSIVE ${parts.join(", ")}\n${query}`

/** Appends conditions to another one, each with AND. Returns an empty string for an empty list. */
export const and = (conditions: ReadonlyArray<string>): string => conditions.map((each) => ` AND ${each}`).join("")

/** Queries whose rows are put together. */
export const unionAll = (queries: ReadonlyArray<string>): string => queries.join("\nUNION ALL\n")
