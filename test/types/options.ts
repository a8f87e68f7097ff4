/** A table of rules that differs from its interface does not compile. */
import { count, fields, oneOf, optional, string } from "../../src/internal/options/Rule.js"

interface Options {
  readonly name: string
  readonly size?: number
  readonly mode?: "join" | "refuse"
}

const table = {
  name: string(),
  size: optional(count({ min: 1 })),
  mode: optional(oneOf("join", "refuse"))
}

export const tables = () => {
  fields<Options>(table)
  // @ts-expect-error: Property 'mode' is missing
  fields<Options>({ name: string(), size: optional(count({ min: 1 })) })
  // @ts-expect-error: 'sise' does not exist
  fields<Options>({ ...table, sise: string() })
  // @ts-expect-error: Type 'Rule<string | undefined>' is not assignable
  fields<Options>({ ...table, size: optional(string()) })
  // @ts-expect-error: Type 'Rule<string | undefined>' is not assignable to type 'Rule<string>'
  fields<Options>({ ...table, name: optional(string()) })
  // @ts-expect-error: Type 'Rule<"join" | undefined>' is not assignable
  fields<Options>({ ...table, mode: optional(oneOf("join")) })
  // @ts-expect-error: Type 'Rule<number>' is not assignable to type 'Rule<number | undefined>'
  fields<Options>({ ...table, size: count({ min: 1 }) })
}
