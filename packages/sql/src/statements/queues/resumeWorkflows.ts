/**
 * Resumes workflows.
 *
 * Index: `held_pkey`. Locks: the rows of the workflows, in order of name.
 */
import * as Row from "../../internal/Row.js"
import type { Verb } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { decodeNames } from "../shared/names.js"
import { change, part, sql, withParts } from "../sql.js"

/** Queues that are hinted, at most. Workers of other queues poll. */
const HINTED_QUEUES = "1000"

/** $1 workflows */
export const resumeWorkflows: Verb = {
  name: "workflows_resume",
  parameters: 1,
  text: (t) =>
    withParts(
      [
        part(
          "locked_workflows",
          sql`
            SELECT h.workflow FROM ${t.held} h
            WHERE h.workflow IN (SELECT json_array_elements_text($1::json) COLLATE "C")
            ORDER BY h.workflow FOR UPDATE
          `
        ),
        change(
          "resumed_workflows",
          `DELETE FROM ${t.held} h USING locked_workflows l WHERE h.workflow = l.workflow RETURNING h.workflow`
        )
      ],
      sql`
        SELECT ${millis(t.now)} AS now,
          (SELECT json_agg(workflow ORDER BY workflow)::text FROM resumed_workflows) AS names,
          -- Any of them may have runs of these workflows.
          (
            SELECT json_agg(k.name)::text
            FROM (
              SELECT k.name FROM ${t.queues} k WHERE EXISTS (SELECT FROM resumed_workflows) LIMIT ${HINTED_QUEUES}
            ) k
          ) AS queues
      `
    )
}

export const decode = (rows: ReadonlyArray<Row.Fields>) => ({
  ...decodeNames(rows),
  queues: Row.texts(Row.first(rows), "queues")
})
