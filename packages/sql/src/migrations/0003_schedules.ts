/**
 * Schedules: a row for each, which says when it is due (`due_at`), or which run it waits for (`run`, if `waits`). What it does
 * and when is text to the database. A process asks for what it can take by `needs`. Only who has seen the row as it is
 * replaces it (`revision`), in one transaction with the runs that it starts.
 */
import type { Tables } from "../Tables.js"

const id = "text COLLATE \"C\""

export const statements = (t: Tables): ReadonlyArray<string> => [
  `CREATE TABLE ${t.schedules} (
  due_at timestamptz NOT NULL,
  seen_at timestamptz NOT NULL,
  revision bigint NOT NULL DEFAULT 1,
  waits boolean NOT NULL,
  name ${id} NOT NULL,
  needs ${id} NOT NULL,
  run ${id},
  settings text NOT NULL,
  state text NOT NULL,
  definition text,
  CONSTRAINT schedules_pkey PRIMARY KEY (name)
) WITH (fillfactor = 70, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0.05)`,
  `CREATE INDEX schedules_due ON ${t.schedules} (needs, due_at, name) WHERE due_at < 'infinity'`,
  `CREATE INDEX schedules_waiting ON ${t.schedules} (needs, name) WHERE waits`
]
