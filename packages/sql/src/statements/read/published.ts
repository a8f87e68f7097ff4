/**
 * Reads the published values of a run.
 *
 * Index: `published_pkey`. Locks: none.
 */
import * as Row from "../../internal/Row.js"
import type { Verb } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { sql } from "../sql.js"

/** $1 run */
export const published: Verb = {
  name: "published",
  parameters: 1,
  text: (t) =>
    sql`
      SELECT ${millis(t.now)} AS now, (
        SELECT json_agg(json_build_array(p.key, p.value, p.version, ${millis("p.at")}) ORDER BY p.key)::text
        FROM ${t.published} p WHERE p.run = $1::text
      ) AS published
    `
}

export const decode = (rows: ReadonlyArray<Row.Fields>) => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Row.list(row, "published").map((each) => ({
      key: Row.text(each, 0),
      value: Row.text(each, 1),
      version: Row.integer(each, 2),
      at: Row.instant(each, 3)
    }))
  }
}
