/**
 * Operation of many runs: queues with limits, keys, deadlines, pauses, forks, search, the record of controls, and more
 * about workers.
 *
 * - `runs.fresh` is true until the first claim. A fresh run with a key is not in `runs_claim`: it waits for its key, in
 *   `runs_waiting`. From its first claim to its end it is in `runs_holding`, and counts for its key's limit by that
 *   alone: no counter exists that could be wrong.
 * - `queues` has a row for each queue that was ever defined or served. Claims from a queue with limits, and only those,
 *   lock it. `stamp` counts them, so that a claim that waited learns that its snapshot is too old.
 * - `turns` has the keys that can start a run, in key order. Only the owner of the lock on the queue's row changes it.
 *   All others add key notices (`key_notices` is append-only): look at this key again.
 * - `held` has the paused workflows. `controls` records what was done to runs, by whom and why.
 */
import type { Tables } from "../Tables.js"

const id = "text COLLATE \"C\""

const live = "status NOT IN ('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted')"

/**
 * Inserts rows of no real queue. These tables are small most of the time, and can be large a second later. A plan that
 * was made while they were small would read them whole, and lives on in prepared statements. With these rows they are
 * never that small.
 */
const ballast = (table: string, size: number, columns: string, values: string): string =>
  `INSERT INTO ${table} (${columns}, queue)
SELECT ${values} FROM (SELECT lpad(i::text, ${size}, '0') AS filler FROM generate_series(1, 400) AS i) AS x`

const busy = "autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0.05"

export const statements = (t: Tables): ReadonlyArray<string> => [
  `ALTER TABLE ${t.runs}
  ADD COLUMN fresh boolean NOT NULL DEFAULT true,
  ADD COLUMN expires_at timestamptz,
  ADD COLUMN key ${id},
  ADD COLUMN pause text`,
  `UPDATE ${t.runs} SET fresh = false WHERE started_at IS NOT NULL`,
  `DROP INDEX ${t.quoted}.runs_claim`,
  `CREATE INDEX runs_claim ON ${t.runs} (queue, fresh, workflow, version, priority, available_at, id)
  WHERE status IN ('pending', 'suspended') AND (key IS NULL OR NOT fresh)`,
  `DROP INDEX ${t.quoted}.runs_holder`,
  `CREATE INDEX runs_holder ON ${t.runs} (queue, worker, incarnation) WHERE worker IS NOT NULL`,
  `CREATE INDEX runs_waiting ON ${t.runs} (queue, key, priority, available_at, id)
  WHERE key IS NOT NULL AND fresh AND status = 'pending'`,
  `CREATE INDEX runs_holding ON ${t.runs} (queue, key) WHERE key IS NOT NULL AND NOT fresh AND ${live}`,
  `CREATE INDEX runs_parked ON ${t.runs} (queue) WHERE status IN ('paused', 'diverged') AND NOT fresh`,
  `CREATE INDEX runs_shelved ON ${t.runs} (queue) WHERE status IN ('paused', 'diverged') AND fresh`,
  `CREATE INDEX runs_deadline ON ${t.runs} (expires_at) WHERE expires_at IS NOT NULL AND fresh AND ${live}`,
  `CREATE INDEX runs_finished ON ${t.runs} (workflow, status, finished_at, id) WHERE finished_at IS NOT NULL`,
  `ALTER TABLE ${t.inputs}
  ADD COLUMN source_seq integer,
  ADD COLUMN tags text[],
  ADD COLUMN attributes jsonb,
  ADD COLUMN source ${id},
  ADD COLUMN seed text`,
  `CREATE INDEX inputs_created ON ${t.inputs} (workflow, created_at, run)`,
  `CREATE INDEX inputs_root ON ${t.inputs} (root) WHERE depth > 0`,
  `CREATE INDEX inputs_source ON ${t.inputs} (source) WHERE source IS NOT NULL`,
  `CREATE INDEX inputs_tags ON ${t.inputs} USING gin (tags) WHERE tags IS NOT NULL`,
  `CREATE INDEX inputs_attributes ON ${t.inputs} USING gin (attributes jsonb_path_ops) WHERE attributes IS NOT NULL`,
  `CREATE TABLE ${t.queues} (
  stamp bigint NOT NULL DEFAULT 0,
  arrival double precision NOT NULL DEFAULT 0,
  rate_millis double precision,
  pause_at timestamptz,
  priority integer NOT NULL DEFAULT 0,
  concurrency integer,
  admission integer,
  key_concurrency integer,
  rate_limit integer,
  rate_burst integer,
  paused boolean NOT NULL DEFAULT false,
  name ${id} NOT NULL,
  definition text,
  pause_by text,
  pause_reason text,
  CONSTRAINT queues_pkey PRIMARY KEY (name)
) WITH (fillfactor = 50, ${busy})`,
  `CREATE TABLE ${t.turns} (
  at timestamptz NOT NULL,
  served timestamptz NOT NULL,
  priority integer NOT NULL,
  queue ${id} NOT NULL,
  key ${id} NOT NULL,
  workflow ${id} NOT NULL,
  version ${id} NOT NULL,
  CONSTRAINT turns_pkey PRIMARY KEY (queue, key, priority)
) WITH (fillfactor = 70, ${busy})`,
  ballast(
    t.turns,
    500,
    "at, served, priority, workflow, version, key",
    "'infinity', '-infinity', 0, '', '', x.filler, ''"
  ),
  `CREATE INDEX turns_order ON ${t.turns} (queue, workflow, version, priority, at, key)`,
  `CREATE TABLE ${t.keyNotices} (
  at timestamptz NOT NULL,
  size integer NOT NULL,
  freed boolean NOT NULL,
  queue ${id} NOT NULL,
  keys text[] COLLATE "C" NOT NULL
) WITH (${busy})`,
  // Each in a queue of its own, with a name longer than any real one: else one queue would seem to have all notices.
  ballast(t.keyNotices, 1100, "at, size, freed, keys", "'infinity', 1, false, ARRAY[left(x.filler, 600)], x.filler"),
  `CREATE INDEX key_notices_order ON ${t.keyNotices} (queue, at)`,
  `CREATE TABLE ${t.held} (
  at timestamptz NOT NULL,
  workflow ${id} NOT NULL,
  requested_by text,
  reason text,
  CONSTRAINT held_pkey PRIMARY KEY (workflow)
)`,
  `CREATE TABLE ${t.controls} (
  at timestamptz NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  run ${id} NOT NULL,
  action text NOT NULL,
  requested_by text,
  reason text,
  detail text,
  CONSTRAINT controls_pkey PRIMARY KEY (run, at, id)
)`,
  `ALTER TABLE ${t.workers}
  ADD COLUMN started_at timestamptz,
  ADD COLUMN beat_at timestamptz,
  ADD COLUMN info text,
  ADD COLUMN ping text,
  ADD COLUMN pong text`,
  `CREATE TABLE ${t.samples} (
  at timestamptz NOT NULL,
  worker ${id} NOT NULL,
  incarnation ${id} NOT NULL,
  info text NOT NULL,
  CONSTRAINT samples_pkey PRIMARY KEY (worker, at, incarnation)
)`,
  `CREATE INDEX samples_at ON ${t.samples} (at)`,
  `CREATE TABLE ${t.singletons} (
  workflow ${id} NOT NULL,
  key ${id} NOT NULL,
  run ${id} NOT NULL,
  CONSTRAINT singletons_pkey PRIMARY KEY (workflow, key)
) WITH (fillfactor = 70, ${busy})`,
  `CREATE INDEX singletons_run ON ${t.singletons} (run)`
]
