/**
 * Locks singleton keys, and inserts those that no run has. The first statement of a start with such keys.
 *
 * Index: `singletons_pkey`. Locks: rows of `singletons`, in order of workflow and key, until the transaction ends. A
 * transaction that has locked a live run never waits for a row of `singletons`.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { change, sql, withParts } from "../sql.js"
import { singletonKey } from "./singletons.js"

/** $1 workflows, keys and runs */
export const singletonAcquire: Verb = {
  name: "singleton_acquire",
  parameters: 1,
  text: (t) =>
    withParts(
      [
        change(
          "key_holders",
          sql`
            INSERT INTO ${t.singletons} AS s (workflow, key, run)
            SELECT a.workflow, a.key, a.run
            FROM json_to_recordset($1::json) AS a(workflow text, key text, run text)
            ORDER BY a.workflow COLLATE "C", a.key COLLATE "C"
            -- Locks the row and changes nothing.
            ON CONFLICT (workflow, key) DO UPDATE SET run = s.run
            RETURNING s.workflow, s.key, s.run
          `
        )
      ],
      sql`
        SELECT ${millis(t.now)} AS now,
          (SELECT json_agg(json_build_array(h.workflow, h.key, h.run))::text FROM key_holders h) AS holders
      `
    )
}

/** The run that has each key. */
export const decode = (
  rows: ReadonlyArray<Row.Fields>
): { readonly now: Driver.Millis; readonly holders: ReadonlyMap<string, string> } => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    holders: new Map(
      Row.list(row, "holders").map((each) => [singletonKey(Row.text(each, 0), Row.text(each, 1)), Row.text(each, 2)])
    )
  }
}
