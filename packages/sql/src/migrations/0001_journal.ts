/**
 * The tables of the journal.
 *
 * - `runs` is hot: claims, commits and deliveries change its rows. The first columns have a fixed width, so that they
 *   are read without passing over text. A commit after which the run is still running changes no indexed column (a HOT
 *   update); the pages keep room for that.
 * - `inputs` has what each run was started with. Only continue-as-new changes it.
 * - `journal` and `inbox` are append-only; the only column that changes is `inbox.consumed`.
 * - A run has a worker exactly while it is running. The predicate of `runs_holder` is on the worker: with one on
 *   `status`, the planner might look for a commit's run among all running ones.
 * - No foreign keys and no sequences exist: every row is found by its run's id.
 *
 * Autovacuum of the growing tables waits for some thousand changes. After an ANALYZE of an almost empty table, the
 * planner would prefer to scan it, in plans of prepared statements that live on. It takes a table that was never
 * analyzed to have at least ten pages, for which it prefers the indexes.
 */
import type { Tables } from "../Tables.js"

const id = "text COLLATE \"C\""

const growing = "autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.05, " +
  "autovacuum_vacuum_insert_threshold = 50000, autovacuum_analyze_threshold = 5000, " +
  "autovacuum_analyze_scale_factor = 0.05"

export const statements = (t: Tables): ReadonlyArray<string> => [
  `CREATE TABLE ${t.runs} (
  available_at timestamptz NOT NULL,
  claimed_at timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  last_mark bigint NOT NULL DEFAULT 0,
  last_from integer NOT NULL DEFAULT -1,
  priority integer NOT NULL,
  epoch integer NOT NULL,
  generation integer NOT NULL DEFAULT 0,
  first_seq integer NOT NULL DEFAULT 0,
  next_seq integer NOT NULL DEFAULT 0,
  inbox_seq integer NOT NULL,
  unread integer NOT NULL,
  crashes integer NOT NULL DEFAULT 0,
  awaited boolean NOT NULL DEFAULT false,
  id ${id} NOT NULL,
  status ${id} NOT NULL,
  queue ${id} NOT NULL,
  workflow ${id} NOT NULL,
  version ${id} NOT NULL,
  worker ${id},
  incarnation ${id},
  waiting text[] NOT NULL DEFAULT '{}',
  closed text[] NOT NULL DEFAULT '{}',
  last_answer text,
  exit_kind text,
  exit_value text,
  detail text,
  CONSTRAINT runs_pkey PRIMARY KEY (id) WITH (fillfactor = 80)
) WITH (fillfactor = 60, ${growing})`,
  `CREATE INDEX runs_claim ON ${t.runs} (queue, workflow, version, priority, available_at, id)
  WHERE status IN ('pending', 'suspended')`,
  `CREATE INDEX runs_holder ON ${t.runs} (worker, incarnation) WHERE worker IS NOT NULL`,
  `CREATE TABLE ${t.inputs} (
  created_at timestamptz NOT NULL,
  depth integer NOT NULL,
  generation integer NOT NULL DEFAULT 0,
  attached boolean,
  run ${id} NOT NULL,
  workflow ${id} NOT NULL,
  idempotency_key ${id},
  parent_id ${id},
  parent_token text,
  root ${id} NOT NULL,
  payload text NOT NULL,
  CONSTRAINT inputs_pkey PRIMARY KEY (run)
) WITH (${growing})`,
  `CREATE UNIQUE INDEX inputs_key ON ${t.inputs} (workflow, idempotency_key) WHERE idempotency_key IS NOT NULL`,
  `CREATE INDEX inputs_parent ON ${t.inputs} (parent_id) WHERE parent_id IS NOT NULL`,
  `CREATE TABLE ${t.journal} (
  at timestamptz NOT NULL,
  seq integer NOT NULL,
  op integer NOT NULL,
  epoch integer NOT NULL,
  run ${id} NOT NULL,
  worker text NOT NULL,
  kind text NOT NULL,
  name text NOT NULL,
  exit_kind text NOT NULL,
  exit_value text,
  CONSTRAINT journal_pkey PRIMARY KEY (run, seq)
) WITH (${growing})`,
  `CREATE TABLE ${t.inbox} (
  at timestamptz NOT NULL,
  ordinal integer NOT NULL,
  consumed boolean NOT NULL DEFAULT false,
  run ${id} NOT NULL,
  id ${id} NOT NULL,
  kind text NOT NULL,
  name text NOT NULL,
  payload text NOT NULL,
  CONSTRAINT inbox_pkey PRIMARY KEY (run, ordinal)
) WITH (fillfactor = 90, ${growing})`,
  `CREATE UNIQUE INDEX inbox_id ON ${t.inbox} (run, id)`,
  `CREATE INDEX inbox_unread ON ${t.inbox} (run, ordinal) WHERE NOT consumed`,
  `CREATE TABLE ${t.published} (
  at timestamptz NOT NULL,
  version integer NOT NULL,
  run ${id} NOT NULL,
  key ${id} NOT NULL,
  value text NOT NULL,
  CONSTRAINT published_pkey PRIMARY KEY (run, key)
) WITH (fillfactor = 80, ${growing})`,
  `CREATE TABLE ${t.workers} (
  lease_until timestamptz NOT NULL,
  idle boolean NOT NULL DEFAULT false,
  id ${id} NOT NULL,
  incarnation ${id} NOT NULL,
  queues text[] NOT NULL DEFAULT '{}',
  CONSTRAINT workers_pkey PRIMARY KEY (id)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0)`
]
