/* perdure:fork:96fc3af8 */
WITH source_snapshot AS MATERIALIZED (
  SELECT r.next_seq, r.inbox_seq, r.generation FROM "perdure"."runs" r WHERE r.id = $1::text
), locked_source AS MATERIALIZED (
  SELECT r.*
  FROM (SELECT count(*) AS count FROM source_snapshot) snapshot
  CROSS JOIN LATERAL (
    SELECT r.id, r.queue, r.priority, r.workflow, r.version, r.key, r.generation, r.first_seq, r.next_seq, r.inbox_seq,
      r.started_at
    FROM "perdure"."runs" r WHERE r.id = $1::text FOR UPDATE
  ) r
  -- Always true: the snapshot is read before the row is locked.
  WHERE snapshot.count >= 0
), verdicts AS MATERIALIZED (
  SELECT l.*, CASE
      WHEN EXISTS (SELECT FROM "perdure"."inputs" n WHERE n.run = $3::text) THEN 'Existing'
      WHEN l.id IS NULL THEN 'NoSuchRun'
      WHEN (l.next_seq, l.inbox_seq, l.generation) IS DISTINCT FROM (s.next_seq, s.inbox_seq, s.generation) THEN 'Moved'
      WHEN $2::int NOT BETWEEN l.first_seq AND l.next_seq THEN 'OutOfRange'
      ELSE 'Forked'
    END AS verdict
  FROM (SELECT 1) one_row
  LEFT JOIN locked_source l ON true
  LEFT JOIN source_snapshot s ON true
), inserted_inputs AS (
  INSERT INTO "perdure"."inputs" (created_at, depth, run, workflow, root, payload, generation, tags, attributes, source,
    source_seq, seed)
  SELECT date_trunc('milliseconds', statement_timestamp()), 0, $3::text, n.workflow, $3::text, n.payload, n.generation, n.tags, n.attributes, j.id, $2::int,
    coalesce(n.seed, n.run)
  FROM verdicts j
  CROSS JOIN LATERAL (
    SELECT n.* FROM "perdure"."inputs" n WHERE n.run = j.id OFFSET 0
  ) n
  WHERE j.verdict = 'Forked'
  ON CONFLICT DO NOTHING
  RETURNING run
), sources AS MATERIALIZED (
  SELECT j.* FROM verdicts j JOIN inserted_inputs b ON true
), source_entries AS MATERIALIZED (
  SELECT e.*
  FROM sources s
  CROSS JOIN LATERAL (
    SELECT e.* FROM "perdure"."journal" e WHERE e.run = s.id AND e.seq >= s.first_seq AND e.seq < $2::int OFFSET 0
  ) e
), inserted_entries AS (
  INSERT INTO "perdure"."journal" (at, seq, op, epoch, run, worker, kind, name, exit_kind, exit_value)
  SELECT p.at, p.seq, p.op, p.epoch, $3::text, p.worker, p.kind, p.name, p.exit_kind, p.exit_value
  FROM source_entries p
), unread_signals AS MATERIALIZED (
  SELECT m.*, row_number() OVER (ORDER BY m.ordinal) AS place
  FROM (
    SELECT m.*, row_number() OVER (PARTITION BY m.name ORDER BY m.ordinal) AS place_of_name
    FROM sources s
    CROSS JOIN LATERAL (
      SELECT m.* FROM "perdure"."inbox" m WHERE m.run = s.id AND m.kind = 'signal' OFFSET 0
    ) m
  ) m
  LEFT JOIN (
    SELECT p.name, count(*) AS count FROM source_entries p
    WHERE p.kind = 'receive' AND p.exit_kind = 'success' GROUP BY 1
  ) received ON received.name = m.name
  WHERE m.place_of_name > coalesce(received.count, 0)
), inserted_messages AS (
  INSERT INTO "perdure"."inbox" (at, ordinal, run, id, kind, name, payload)
  SELECT u.at, u.place, $3::text, u.id, u.kind, u.name, u.payload FROM unread_signals u
), inserted_runs AS (
  INSERT INTO "perdure"."runs" (available_at, started_at, priority, epoch, generation, first_seq, next_seq, inbox_seq, unread,
    id, status, queue, workflow, version, key)
  SELECT date_trunc('milliseconds', statement_timestamp()), s.started_at, coalesce($5::int, s.priority), 0, s.generation, s.first_seq, $2::int, u.count, u.count,
    $3::text, 'pending', coalesce($4::text, s.queue), s.workflow, s.version, s.key
  FROM sources s
  CROSS JOIN (SELECT count(*)::int AS count FROM unread_signals) u
), arrival_key_notices AS (
  INSERT INTO "perdure"."key_notices" (at, freed, size, queue, keys)
  SELECT date_trunc('milliseconds', statement_timestamp()), false, count(*), k.queue, array_agg(k.key)
  FROM (
    SELECT k.queue, k.key, (row_number() OVER (PARTITION BY k.queue) - 1) / 100 AS part
    FROM (
      SELECT DISTINCT x.queue, x.key FROM (
        SELECT coalesce($4::text, s.queue) AS queue, s.key FROM sources s WHERE s.key IS NOT NULL
      ) x
    ) k
  ) k
  GROUP BY k.queue, k.part
), inserted_queues AS (
  INSERT INTO "perdure"."queues" (name)
  SELECT DISTINCT a.queue COLLATE "C" FROM (
    SELECT coalesce($4::text, s.queue) AS queue, s.key FROM sources s WHERE s.key IS NOT NULL
  ) a
  WHERE NOT EXISTS (SELECT FROM "perdure"."queues" k WHERE k.name = a.queue)
  ORDER BY 1
  ON CONFLICT DO NOTHING
), inserted_controls AS (
  INSERT INTO "perdure"."controls" (at, run, action, requested_by, reason, detail)
  SELECT date_trunc('milliseconds', statement_timestamp()), d.run, $6::text, $7::text, $8::text, d.detail
  FROM sources s
  CROSS JOIN LATERAL (VALUES (s.id, $3::text), ($3::text, s.id)) AS d(run, detail)
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now,
  CASE WHEN j.verdict = 'Forked' AND NOT EXISTS (SELECT FROM inserted_inputs) THEN 'Existing' ELSE j.verdict END
    AS verdict,
  coalesce($4::text, j.queue) AS queue, j.first_seq, j.next_seq
FROM verdicts j;
