/**
 * Reads the paused workflows.
 *
 * Table: `held`, which is tiny. Locks: none.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { sql } from "../sql.js"

/** No parameters */
export const pausedWorkflows: Verb = {
  name: "workflows_paused",
  parameters: 0,
  text: (t) =>
    sql`
      SELECT ${millis(t.now)} AS now, (
        SELECT json_agg(json_build_array(h.workflow, ${
      millis("h.at")
    }, h.requested_by, h.reason) ORDER BY h.workflow)::text
        FROM ${t.held} h
      ) AS workflows
    `
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.PausedWorkflow>> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Row.list(row, "workflows").map((each) => ({
      name: Row.text(each, 0),
      at: Row.number(each, 1),
      by: Row.textOrNull(each, 2),
      reason: Row.textOrNull(each, 3)
    }))
  }
}
