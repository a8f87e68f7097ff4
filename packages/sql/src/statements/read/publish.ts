/**
 * Sets a published value of a run from outside of it.
 *
 * Indexes: `runs_pkey` to lock, `published_pkey` by ON CONFLICT. Locks: the run's row, so that no value is published
 * after the run's end.
 */
import * as Row from "../../internal/Row.js"
import type { Verb } from "../../Verb.js"
import { finals, millis } from "../shared/expressions.js"
import { change, part, sql, withParts } from "../sql.js"

/** $1 run, $2 key, $3 value */
export const publish: Verb = {
  name: "publish",
  parameters: 3,
  text: (t) =>
    withParts(
      [
        part("locked_runs", `SELECT r.id, r.status, r.awaited FROM ${t.runs} r WHERE r.id = $1::text FOR UPDATE`),
        part("live_runs", `SELECT l.id, l.awaited FROM locked_runs l WHERE l.status NOT IN ${finals}`),
        change(
          "written_values",
          sql`
            INSERT INTO ${t.published} (at, version, run, key, value)
            SELECT ${t.now}, 1, l.id, $2::text, $3::text FROM live_runs l
            ON CONFLICT (run, key) DO UPDATE
            SET value = excluded.value, version = published.version + 1, at = excluded.at
          `
        )
      ],
      sql`
        SELECT ${millis(t.now)} AS now, EXISTS (SELECT FROM live_runs) AS published,
          coalesce((SELECT awaited FROM live_runs), false) AS awaited
      `
    )
}

export const decode = (rows: ReadonlyArray<Row.Fields>) => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: Row.flag(row, "published"), awaited: Row.flag(row, "awaited") }
}
