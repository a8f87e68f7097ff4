/**
 * Reads the controls of a run: what is recorded, and the cancels in its inbox.
 *
 * Indexes: `controls_pkey`, `inbox_pkey`. Locks: none.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { sql } from "../sql.js"

/** $1 run */
export const controls: Verb = {
  name: "controls",
  parameters: 1,
  text: (t) =>
    sql`
      SELECT ${millis(t.now)} AS now, (
        SELECT json_agg(
          json_build_array(c.action, c.requested_by, c.reason, ${millis("c.at")}, c.detail)
          ORDER BY c.at, c.number NULLS LAST, c.ordinal
        )::text
        FROM (
          SELECT c.action, c.requested_by, c.reason, c.at, c.detail, c.number, NULL::int AS ordinal
          FROM ${t.controls} c WHERE c.run = $1::text
          UNION ALL
          SELECT 'cancel', m.requested_by, m.reason, m.at, NULL, NULL, m.ordinal
          FROM ${t.inbox} m WHERE m.run = $1::text AND m.kind = 'cancel'
        ) c
      ) AS controls
    `
}

const actions: ReadonlySet<Driver.ControlAction> = new Set<Driver.ControlAction>([
  "pause",
  "resume",
  "cancel",
  "terminate",
  "retry",
  "fork"
])

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.Control>> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Row.list(row, "controls").map((each) => ({
      action: Row.oneOf(each, 0, actions),
      by: Row.textOrNull(each, 1),
      reason: Row.textOrNull(each, 2),
      at: Row.instant(each, 3),
      related: Row.textOrNull(each, 4)
    }))
  }
}
