/**
 * Reads a page of a run's journal, which ends with the entry that reaches the bound of an answer.
 *
 * Indexes: `runs_pkey`, `journal_pkey`. Locks: none.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb } from "../../Verb.js"
import { MAX_BYTES, MAX_ITEMS } from "../shared/bounds.js"
import { boundedEntries, decodeEntry, entryFields } from "../shared/entries.js"
import { millis } from "../shared/expressions.js"
import { sql } from "../sql.js"

/** $1 run, $2 from, $3 limit */
export const history: Verb = {
  name: "history",
  parameters: 3,
  text: (t) =>
    sql`
      SELECT ${millis(t.now)} AS now, (
        SELECT json_agg(json_build_array(${entryFields}, j.worker, j.epoch) ORDER BY j.seq)::text
        FROM (SELECT r.first_seq FROM ${t.runs} r WHERE r.id = $1::text) r
        CROSS JOIN LATERAL (
          ${boundedEntries(t, "$1::text", "greatest($2::int, r.first_seq)", `least($3::int, ${MAX_ITEMS})`)}
        ) j
        WHERE j.earlier < ${MAX_BYTES}
      ) AS entries
    `
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.HistoryEntry>> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Row.list(row, "entries").map((each) => ({
      ...decodeEntry(each),
      worker: Row.text(each, 7),
      epoch: Row.integer(each, 8)
    }))
  }
}
