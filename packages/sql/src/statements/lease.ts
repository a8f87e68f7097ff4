/**
 * Register a worker or renew its lease.
 *
 * Index: `workers_pkey`. Locks: the worker's row.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../internal/Row.js"
import type { Verb } from "../Verb.js"
import { millis } from "./words.js"

/** $1 worker, $2 incarnation, $3 lease in milliseconds */
export const heartbeat: Verb = {
  name: "heartbeat",
  parameters: 3,
  text: (t) =>
    `WITH before AS MATERIALIZED (
    SELECT w.lease_until FROM ${t.workers} w WHERE w.id = $1::text FOR UPDATE
  ), held AS (
    INSERT INTO ${t.workers} AS w (id, incarnation, lease_until)
    -- Reads \`before\`, so that the row is looked at before it is changed.
    SELECT $1::text, $2::text, ${t.now} + $3::float8 * interval '1 millisecond' FROM (SELECT count(*) FROM before) looked
    ON CONFLICT (id) DO UPDATE
    SET lease_until = excluded.lease_until, incarnation = excluded.incarnation,
      idle = w.idle AND w.incarnation = excluded.incarnation
    WHERE w.incarnation = excluded.incarnation OR w.lease_until <= ${t.now}
    RETURNING w.id
  )
  SELECT ${millis(t.now)} AS now, EXISTS (SELECT FROM held) AS held,
    coalesce((SELECT lease_until <= ${t.now} FROM before), false) AS lapsed`
}

type Lease = { readonly _tag: "Held"; readonly lapsed: boolean } | { readonly _tag: "Taken" }

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<Lease> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Row.flag(row, "held") ? { _tag: "Held", lapsed: Row.flag(row, "lapsed") } : { _tag: "Taken" }
  }
}
