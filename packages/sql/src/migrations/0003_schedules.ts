/**
 * Schedules. A row says when its schedule is due (`due_at`), or for which run it waits (`run`, if `waits`). To the
 * database, the settings and the state are text. A process reads the rows whose `needs` it has. A write names the
 * `revision` that it replaces, and is in one transaction with the runs that it starts.
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
