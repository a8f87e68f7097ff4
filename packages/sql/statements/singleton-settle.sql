/* perdure:singleton_settle:8e7efee0 */
WITH start_situations AS MATERIALIZED (
  SELECT a.*, r.status, r.inbox_seq, n.created_at, 1 AS few,
    (r.status = 'pending' OR r.status = 'paused' AND r.pause = 'pending') AND r.fresh AND r.queue = a.queue AND r.version = a.version
      AND r.key IS NOT DISTINCT FROM a.key COLLATE "C" AND a.quiet IS NOT NULL AND cancel.found IS NULL AS replaceable,
    by_id.found IS NOT NULL OR by_key.found IS NOT NULL AS repeated
  FROM json_to_recordset($1::json) AS a(i int, workflow text, singleton text, run text, holder text, idem text,
    queue text, version text, key text, priority int, payload text, tags text[], attributes jsonb, available float8,
    quiet float8, max_wait float8)
  LEFT JOIN LATERAL (
    SELECT * FROM "perdure"."runs" r WHERE r.id = a.holder OFFSET 0
  ) r ON true
  LEFT JOIN LATERAL (
    SELECT n.created_at FROM "perdure"."inputs" n WHERE n.run = a.holder OFFSET 0
  ) n ON true
  LEFT JOIN LATERAL (
    SELECT true AS found FROM (SELECT m.kind FROM "perdure"."inbox" m WHERE m.run = a.holder OFFSET 0) m
    WHERE m.kind = 'cancel' LIMIT 1
  ) cancel ON true
  LEFT JOIN LATERAL (
    SELECT true AS found FROM "perdure"."inputs" e WHERE e.run = a.run OFFSET 0
  ) by_id ON true
  LEFT JOIN LATERAL (
    SELECT true AS found FROM "perdure"."inputs" e WHERE e.workflow = a.workflow AND e.idempotency_key = a.idem OFFSET 0
  ) by_key ON true
), replaced_runs AS (
  UPDATE "perdure"."runs" r
  SET available_at = greatest(
      to_timestamp(s.available / 1000.0::float8),
      least(
        date_trunc('milliseconds', statement_timestamp()) + s.quiet * interval '1 millisecond',
        s.created_at + s.max_wait * interval '1 millisecond'
      )
    ),
    priority = s.priority,
    -- Below the run's first entry: a claim reads the payload again.
    first_seq = -1
  FROM (SELECT * FROM start_situations WHERE replaceable AND NOT repeated ORDER BY holder COLLATE "C") s
  WHERE r.id = s.holder AND s.few = 1 AND (r.status = 'pending' OR r.status = 'paused' AND r.pause = 'pending') AND r.fresh AND r.inbox_seq = s.inbox_seq
  RETURNING s.i, s.few, r.id, r.queue, r.key, s.payload, s.tags, s.attributes
), replaced_key_notices AS (
  INSERT INTO "perdure"."key_notices" (at, freed, size, queue, keys)
  SELECT date_trunc('milliseconds', statement_timestamp()), false, count(*), k.queue, array_agg(k.key)
  FROM (
    SELECT k.queue, k.key, (row_number() OVER (PARTITION BY k.queue) - 1) / 100 AS part
    FROM (
      SELECT DISTINCT x.queue, x.key FROM (
        SELECT m.queue, m.key FROM replaced_runs m WHERE m.key IS NOT NULL
      ) x
    ) k
  ) k
  GROUP BY k.queue, k.part
), updated_inputs AS (
  UPDATE "perdure"."inputs" n SET payload = m.payload, tags = m.tags, attributes = m.attributes
  FROM replaced_runs m WHERE n.run = m.id AND m.few = 1
), verdicts AS MATERIALIZED (
  SELECT s.i, s.few, s.workflow, s.singleton, s.run, CASE
      WHEN s.repeated THEN 'existing'
      WHEN m.i IS NOT NULL THEN 'joined'
      WHEN s.status IS NULL OR s.status IN ('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted') THEN 'free'
      WHEN s.quiet IS NULL THEN 'joined'
      WHEN s.replaceable THEN 'again'
      ELSE 'free'
    END AS verdict
  FROM start_situations s
  LEFT JOIN replaced_runs m ON m.i = s.i
), updated_singletons AS (
  UPDATE "perdure"."singletons" g SET run = v.run
  FROM verdicts v
  WHERE v.verdict = 'free' AND v.few = 1 AND g.workflow = v.workflow AND g.key = v.singleton
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now,
  (SELECT json_agg(json_build_array(v.i, v.verdict))::text FROM verdicts v) AS verdicts;
