/** The driver keeps the text of a verb by its name, so each text must have a name of its own. */
import { assert, describe, it } from "@effect/vitest"
import { commit } from "../src/statements/commit.js"
import { commitOwn } from "../src/statements/commitOwn.js"
import type { Shape } from "../src/statements/commitParts.js"
import * as Tables from "../src/Tables.js"
import { statement, type Verb } from "../src/Verb.js"

const flags = [
  "consumed",
  "children",
  "messages",
  "published",
  "moves",
  "ends",
  "finishes",
  "continues",
  "frees",
  "keyed"
] as const

const shapes = Array.from({ length: 2 ** flags.length }, (_, bits): Shape => {
  const has = (flag: (typeof flags)[number]) => (bits & (1 << flags.indexOf(flag))) !== 0
  return {
    consumed: has("consumed"),
    children: has("children"),
    messages: has("messages"),
    published: has("published"),
    moves: has("moves"),
    ends: has("ends"),
    finishes: has("finishes"),
    continues: has("continues"),
    frees: has("frees"),
    keyed: has("keyed")
  }
})

const tables = Tables.unsafeMake("perdure")

const textsByName = (verbs: ReadonlyArray<Verb>) => {
  const texts = new Map<string, Set<string>>()
  for (const verb of verbs) {
    texts.set(verb.name, (texts.get(verb.name) ?? new Set()).add(statement(verb, tables, "database").text))
  }
  return [...texts].filter(([, all]) => all.size > 1).map(([name]) => name)
}

describe("the name of a commit", () => {
  it("tells all texts apart", () => {
    assert.deepStrictEqual(textsByName([...shapes.map(commit), ...shapes.map(commitOwn)]), [])
  })
})
