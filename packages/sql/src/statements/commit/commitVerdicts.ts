/**
 * Explains why commits were not applied by `commitOwn`. Reads the current rows: what refused a commit does not go away,
 * so a commit that looks as if it could be applied is reported as unseen, that is, to be tried again.
 *
 * Index: `runs_pkey`. Locks: none.
 */
import * as Row from "../../internal/Row.js"
import type { Verb } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { byIndexIfAny } from "../shared/planner.js"
import { sql } from "../sql.js"
import { placeColumns } from "./request.js"
import { LOST, REPEATED, UNSEEN } from "./shape.js"

/** $1 headers of commits */
export const commitVerdicts: Verb = {
  name: "commit_verdicts",
  parameters: 1,
  text: (t) => {
    const run = `SELECT r.status, r.epoch, r.next_seq, r.last_from, r.last_mark FROM ${t.runs} r WHERE r.id = a.run`
    return sql`
      SELECT ${millis(t.now)} AS now, (
        SELECT string_agg(
          CASE
            WHEN r.epoch = a.epoch AND r.last_from = a."from" AND r.last_mark = a.mark
              AND (a.n > 0 OR a.move IS NOT NULL) THEN '${REPEATED}'
            WHEN r.status = 'running' AND r.epoch = a.epoch AND r.next_seq = a."from" THEN '${UNSEEN}'
            ELSE '${LOST}'
          END, '' ORDER BY a.i)
        FROM json_to_recordset($1::json) AS a(${placeColumns}, move text)
        ${byIndexIfAny(run, "r")}
      ) AS verdicts
    `
  }
}

/** The verdict on each commit, as a digit. */
export const decode = (rows: ReadonlyArray<Row.Fields>): string => Row.text(Row.first(rows), "verdicts")
