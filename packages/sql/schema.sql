-- Perdure's journal in the schema "perdure". Generated from packages/sql/src/migrations: do not edit.
-- Creates the schema, or upgrades it. It can be applied again at any time.
BEGIN;

SET TRANSACTION ISOLATION LEVEL READ COMMITTED;

SELECT pg_advisory_xact_lock(hashtextextended('perdure:perdure', 0));

DO $perdure$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'perdure') THEN
    CREATE SCHEMA "perdure";
  END IF;
  IF EXISTS (
    SELECT FROM pg_tables WHERE schemaname = 'perdure' AND tablename IN ('runs', 'inputs', 'journal', 'inbox', 'published', 'workers', 'queues', 'turns', 'key_notices', 'held', 'controls', 'samples', 'singletons', 'schedules', 'migrations')
  ) AND NOT EXISTS (
    SELECT FROM information_schema.columns
    WHERE table_schema = 'perdure' AND table_name = 'migrations' AND column_name = 'breaking'
  ) THEN
    RAISE EXCEPTION 'the schema perdure has tables of another application with names of Perdure''s tables'
      USING HINT = 'Use a schema of its own for Perdure.';
  END IF;
END
$perdure$;

CREATE TABLE IF NOT EXISTS "perdure"."migrations" (
  id integer PRIMARY KEY,
  name text NOT NULL,
  breaking boolean NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);

DO $perdure$
BEGIN
  IF EXISTS (SELECT FROM "perdure"."migrations" WHERE breaking AND id > 7) THEN
    RAISE EXCEPTION 'the schema perdure has a breaking migration that this script lacks'
      USING HINT = 'Use the script of a newer version.';
  END IF;
END
$perdure$;

DO $perdure$
BEGIN
  IF EXISTS (SELECT FROM "perdure"."migrations" WHERE id = 1) THEN
    RETURN;
  END IF;
CREATE TABLE "perdure"."runs" (
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
  id text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL,
  queue text COLLATE "C" NOT NULL,
  workflow text COLLATE "C" NOT NULL,
  version text COLLATE "C" NOT NULL,
  worker text COLLATE "C",
  incarnation text COLLATE "C",
  waiting text[] NOT NULL DEFAULT '{}',
  closed text[] NOT NULL DEFAULT '{}',
  last_answer text,
  exit_kind text,
  exit_value text,
  detail text,
  CONSTRAINT runs_pkey PRIMARY KEY (id) WITH (fillfactor = 80)
) WITH (fillfactor = 60, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_threshold = 50000, autovacuum_analyze_threshold = 5000, autovacuum_analyze_scale_factor = 0.05);
CREATE INDEX runs_claim ON "perdure"."runs" (queue, workflow, version, priority, available_at, id)
  WHERE status IN ('pending', 'suspended');
CREATE INDEX runs_holder ON "perdure"."runs" (worker, incarnation) WHERE worker IS NOT NULL;
CREATE TABLE "perdure"."inputs" (
  created_at timestamptz NOT NULL,
  depth integer NOT NULL,
  generation integer NOT NULL DEFAULT 0,
  attached boolean,
  run text COLLATE "C" NOT NULL,
  workflow text COLLATE "C" NOT NULL,
  idempotency_key text COLLATE "C",
  parent_id text COLLATE "C",
  parent_token text,
  root text COLLATE "C" NOT NULL,
  payload text NOT NULL,
  CONSTRAINT inputs_pkey PRIMARY KEY (run)
) WITH (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_threshold = 50000, autovacuum_analyze_threshold = 5000, autovacuum_analyze_scale_factor = 0.05);
CREATE UNIQUE INDEX inputs_key ON "perdure"."inputs" (workflow, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX inputs_parent ON "perdure"."inputs" (parent_id) WHERE parent_id IS NOT NULL;
CREATE TABLE "perdure"."journal" (
  at timestamptz NOT NULL,
  seq integer NOT NULL,
  op integer NOT NULL,
  epoch integer NOT NULL,
  run text COLLATE "C" NOT NULL,
  worker text NOT NULL,
  kind text NOT NULL,
  name text NOT NULL,
  exit_kind text NOT NULL,
  exit_value text,
  CONSTRAINT journal_pkey PRIMARY KEY (run, seq)
) WITH (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_threshold = 50000, autovacuum_analyze_threshold = 5000, autovacuum_analyze_scale_factor = 0.05);
CREATE TABLE "perdure"."inbox" (
  at timestamptz NOT NULL,
  ordinal integer NOT NULL,
  consumed boolean NOT NULL DEFAULT false,
  run text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  kind text NOT NULL,
  name text NOT NULL,
  payload text NOT NULL,
  CONSTRAINT inbox_pkey PRIMARY KEY (run, ordinal)
) WITH (fillfactor = 90, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_threshold = 50000, autovacuum_analyze_threshold = 5000, autovacuum_analyze_scale_factor = 0.05);
CREATE UNIQUE INDEX inbox_id ON "perdure"."inbox" (run, id);
CREATE INDEX inbox_unread ON "perdure"."inbox" (run, ordinal) WHERE NOT consumed;
CREATE TABLE "perdure"."published" (
  at timestamptz NOT NULL,
  version integer NOT NULL,
  run text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  value text NOT NULL,
  CONSTRAINT published_pkey PRIMARY KEY (run, key)
) WITH (fillfactor = 80, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_threshold = 50000, autovacuum_analyze_threshold = 5000, autovacuum_analyze_scale_factor = 0.05);
CREATE TABLE "perdure"."workers" (
  lease_until timestamptz NOT NULL,
  idle boolean NOT NULL DEFAULT false,
  id text COLLATE "C" NOT NULL,
  incarnation text COLLATE "C" NOT NULL,
  queues text[] NOT NULL DEFAULT '{}',
  CONSTRAINT workers_pkey PRIMARY KEY (id)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);
INSERT INTO "perdure"."migrations" (id, name, breaking) VALUES (1, 'journal', true);
END
$perdure$;

DO $perdure$
BEGIN
  IF EXISTS (SELECT FROM "perdure"."migrations" WHERE id = 2) THEN
    RETURN;
  END IF;
ALTER TABLE "perdure"."runs"
  ADD COLUMN fresh boolean NOT NULL DEFAULT true,
  ADD COLUMN expires_at timestamptz,
  ADD COLUMN key text COLLATE "C",
  ADD COLUMN pause text;
UPDATE "perdure"."runs" SET fresh = false WHERE started_at IS NOT NULL;
DROP INDEX "perdure".runs_claim;
CREATE INDEX runs_claim ON "perdure"."runs" (queue, fresh, workflow, version, priority, available_at, id)
  WHERE status IN ('pending', 'suspended') AND (key IS NULL OR NOT fresh);
DROP INDEX "perdure".runs_holder;
CREATE INDEX runs_holder ON "perdure"."runs" (queue, worker, incarnation) WHERE worker IS NOT NULL;
CREATE INDEX runs_waiting ON "perdure"."runs" (queue, key, priority, available_at, id)
  WHERE key IS NOT NULL AND fresh AND status = 'pending';
CREATE INDEX runs_holding ON "perdure"."runs" (queue, key) WHERE key IS NOT NULL AND NOT fresh AND status NOT IN ('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted');
CREATE INDEX runs_parked ON "perdure"."runs" (queue) WHERE status IN ('paused', 'diverged') AND NOT fresh;
CREATE INDEX runs_shelved ON "perdure"."runs" (queue) WHERE status IN ('paused', 'diverged') AND fresh;
CREATE INDEX runs_deadline ON "perdure"."runs" (expires_at) WHERE expires_at IS NOT NULL AND fresh AND status NOT IN ('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted');
CREATE INDEX runs_finished ON "perdure"."runs" (workflow, status, finished_at, id) WHERE finished_at IS NOT NULL;
ALTER TABLE "perdure"."inputs"
  ADD COLUMN source_seq integer,
  ADD COLUMN tags text[],
  ADD COLUMN attributes jsonb,
  ADD COLUMN source text COLLATE "C",
  ADD COLUMN seed text;
CREATE INDEX inputs_created ON "perdure"."inputs" (workflow, created_at, run);
CREATE INDEX inputs_root ON "perdure"."inputs" (root) WHERE depth > 0;
CREATE INDEX inputs_source ON "perdure"."inputs" (source) WHERE source IS NOT NULL;
CREATE INDEX inputs_tags ON "perdure"."inputs" USING gin (tags) WHERE tags IS NOT NULL;
CREATE INDEX inputs_attributes ON "perdure"."inputs" USING gin (attributes jsonb_path_ops) WHERE attributes IS NOT NULL;
CREATE TABLE "perdure"."queues" (
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
  name text COLLATE "C" NOT NULL,
  definition text,
  pause_by text,
  pause_reason text,
  CONSTRAINT queues_pkey PRIMARY KEY (name)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0.05);
CREATE TABLE "perdure"."turns" (
  at timestamptz NOT NULL,
  served timestamptz NOT NULL,
  priority integer NOT NULL,
  queue text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  workflow text COLLATE "C" NOT NULL,
  version text COLLATE "C" NOT NULL,
  CONSTRAINT turns_pkey PRIMARY KEY (queue, key, priority)
) WITH (fillfactor = 70, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0.05);
INSERT INTO "perdure"."turns" (at, served, priority, workflow, version, key, queue)
SELECT 'infinity', '-infinity', 0, '', '', x.filler, '' FROM (SELECT lpad(i::text, 500, '0') AS filler FROM generate_series(1, 400) AS i) AS x;
CREATE INDEX turns_order ON "perdure"."turns" (queue, workflow, version, priority, at, key);
CREATE TABLE "perdure"."key_notices" (
  at timestamptz NOT NULL,
  size integer NOT NULL,
  freed boolean NOT NULL,
  queue text COLLATE "C" NOT NULL,
  keys text[] COLLATE "C" NOT NULL
) WITH (autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0.05);
INSERT INTO "perdure"."key_notices" (at, size, freed, keys, queue)
SELECT 'infinity', 1, false, ARRAY[left(x.filler, 600)], x.filler FROM (SELECT lpad(i::text, 1100, '0') AS filler FROM generate_series(1, 400) AS i) AS x;
CREATE INDEX key_notices_order ON "perdure"."key_notices" (queue, at);
CREATE TABLE "perdure"."held" (
  at timestamptz NOT NULL,
  workflow text COLLATE "C" NOT NULL,
  requested_by text,
  reason text,
  CONSTRAINT held_pkey PRIMARY KEY (workflow)
);
CREATE TABLE "perdure"."controls" (
  at timestamptz NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  run text COLLATE "C" NOT NULL,
  action text NOT NULL,
  requested_by text,
  reason text,
  detail text,
  CONSTRAINT controls_pkey PRIMARY KEY (run, at, id)
);
ALTER TABLE "perdure"."workers"
  ADD COLUMN started_at timestamptz,
  ADD COLUMN beat_at timestamptz,
  ADD COLUMN info text,
  ADD COLUMN ping text,
  ADD COLUMN pong text;
CREATE TABLE "perdure"."samples" (
  at timestamptz NOT NULL,
  worker text COLLATE "C" NOT NULL,
  incarnation text COLLATE "C" NOT NULL,
  info text NOT NULL,
  CONSTRAINT samples_pkey PRIMARY KEY (worker, at, incarnation)
);
CREATE INDEX samples_at ON "perdure"."samples" (at);
CREATE TABLE "perdure"."singletons" (
  workflow text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  run text COLLATE "C" NOT NULL,
  CONSTRAINT singletons_pkey PRIMARY KEY (workflow, key)
) WITH (fillfactor = 70, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX singletons_run ON "perdure"."singletons" (run);
INSERT INTO "perdure"."migrations" (id, name, breaking) VALUES (2, 'operations', true);
END
$perdure$;

DO $perdure$
BEGIN
  IF EXISTS (SELECT FROM "perdure"."migrations" WHERE id = 3) THEN
    RETURN;
  END IF;
CREATE TABLE "perdure"."schedules" (
  due_at timestamptz NOT NULL,
  seen_at timestamptz NOT NULL,
  revision bigint NOT NULL DEFAULT 1,
  waits boolean NOT NULL,
  name text COLLATE "C" NOT NULL,
  needs text COLLATE "C" NOT NULL,
  run text COLLATE "C",
  settings text NOT NULL,
  state text NOT NULL,
  definition text,
  CONSTRAINT schedules_pkey PRIMARY KEY (name)
) WITH (fillfactor = 70, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX schedules_due ON "perdure"."schedules" (needs, due_at, name) WHERE due_at < 'infinity';
CREATE INDEX schedules_waiting ON "perdure"."schedules" (needs, name) WHERE waits;
INSERT INTO "perdure"."migrations" (id, name, breaking) VALUES (3, 'schedules', false);
END
$perdure$;

DO $perdure$
BEGIN
  IF EXISTS (SELECT FROM "perdure"."migrations" WHERE id = 4) THEN
    RETURN;
  END IF;
ALTER TABLE "perdure"."inbox"
  ALTER COLUMN payload DROP NOT NULL,
  ADD COLUMN requested_by text,
  ADD COLUMN reason text,
  ADD COLUMN child text COLLATE "C",
  ADD COLUMN status text,
  ADD COLUMN exit_kind text,
  ADD COLUMN exit_value text,
  ADD COLUMN detail text;
UPDATE "perdure"."inbox"
SET payload = NULL, child = payload::json ->> 'run', status = payload::json ->> 'status',
  exit_kind = payload::json -> 'exit' ->> 'kind', exit_value = payload::json -> 'exit' ->> 'value'
WHERE kind = 'child' AND NOT consumed;
UPDATE "perdure"."inbox"
SET payload = NULL, requested_by = payload::json ->> 'by', reason = payload::json ->> 'reason'
WHERE kind = 'cancel';
INSERT INTO "perdure"."migrations" (id, name, breaking) VALUES (4, 'messages', true);
END
$perdure$;

DO $perdure$
BEGIN
  IF EXISTS (SELECT FROM "perdure"."migrations" WHERE id = 5) THEN
    RETURN;
  END IF;
ALTER TABLE "perdure"."controls" ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;
INSERT INTO "perdure"."migrations" (id, name, breaking) VALUES (5, 'controls', false);
END
$perdure$;

DO $perdure$
BEGIN
  IF EXISTS (SELECT FROM "perdure"."migrations" WHERE id = 6) THEN
    RETURN;
  END IF;
ALTER TABLE "perdure"."runs" ADD COLUMN error_code text;
UPDATE "perdure"."runs"
SET error_code = CASE
  WHEN exit_kind = 'failure' THEN exit_value::json ->> '_tag'
  ELSE coalesce(exit_value::json -> 'runtimeError' ->> '_tag', exit_value::json ->> 'name')
END
WHERE exit_kind IN ('failure', 'defect');
INSERT INTO "perdure"."migrations" (id, name, breaking) VALUES (6, 'error_codes', false);
END
$perdure$;

DO $perdure$
BEGIN
  IF EXISTS (SELECT FROM "perdure"."migrations" WHERE id = 7) THEN
    RETURN;
  END IF;
ALTER TABLE "perdure"."runs" ADD COLUMN ended_by text, ADD COLUMN end_reason text, ADD COLUMN crashed_worker text;
UPDATE "perdure"."runs"
SET detail = NULL, ended_by = detail::json ->> 'by', end_reason = detail::json ->> 'reason'
WHERE status = 'terminated' AND detail IS NOT NULL;
UPDATE "perdure"."runs"
SET detail = NULL, crashed_worker = detail::json ->> 'worker'
WHERE status = 'exhausted' AND detail IS NOT NULL;
ALTER TABLE "perdure"."inbox" ADD COLUMN crashes integer, ADD COLUMN crashed_worker text;
UPDATE "perdure"."inbox"
SET requested_by = detail::json ->> 'by', reason = detail::json ->> 'reason',
  crashes = (detail::json ->> 'crashes')::integer, crashed_worker = detail::json ->> 'worker'
WHERE kind = 'child' AND NOT consumed AND detail IS NOT NULL;
ALTER TABLE "perdure"."inbox" DROP COLUMN detail;
INSERT INTO "perdure"."migrations" (id, name, breaking) VALUES (7, 'end_causes', true);
END
$perdure$;

COMMIT;
