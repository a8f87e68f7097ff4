/**
 * Set a published value of a run from outside of it.
 *
 * Indexes: `runs_pkey` to lock, `published_pkey` by ON CONFLICT. Locks: the run's row, so that no value comes after its end.
 */
import * as Row from "../internal/Row.js"
import type { Verb } from "../Verb.js"
import { finals, millis } from "./words.js"

/** $1 run, $2 key, $3 value */
export const publish: Verb = {
  name: "publish",
  parameters: 3,
  text: (t) =>
    `WITH locked AS MATERIALIZED (
    SELECT r.id, r.status, r.awaited FROM ${t.runs} r WHERE r.id = $1::text FOR UPDATE
  ), live AS MATERIALIZED (
    SELECT l.id, l.awaited FROM locked l WHERE l.status NOT IN ${finals}
  ), written AS (
    INSERT INTO ${t.published} (at, version, run, key, value)
    SELECT ${t.now}, 1, l.id, $2::text, $3::text FROM live l
    ON CONFLICT (run, key) DO UPDATE
    SET value = excluded.value, version = published.version + 1, at = excluded.at
  )
  SELECT ${millis(t.now)} AS now, EXISTS (SELECT FROM live) AS published,
    coalesce((SELECT awaited FROM live), false) AS awaited`
}

export const decode = (rows: ReadonlyArray<Row.Fields>) => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: Row.flag(row, "published"), awaited: Row.flag(row, "awaited") }
}
