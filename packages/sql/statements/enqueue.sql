/* perdure:enqueue:3cb3e408 */
WITH requested_runs AS MATERIALIZED (
  SELECT a.*, coalesce(to_timestamp(a.available / 1000.0::float8), date_trunc('milliseconds', statement_timestamp())) AS at
  FROM json_to_recordset($1::json) AS a(
    i int, id text, workflow text, version text, queue text, priority int, payload text, idem text, available float8,
    parent text, token text, attached boolean, root text, depth int, key text, expires float8, tags text[],
    attributes jsonb
  )
), inserted_inputs AS (
  INSERT INTO "perdure"."inputs" (created_at, depth, attached, run, workflow, idempotency_key, parent_id, parent_token, root,
    payload, tags, attributes)
  SELECT date_trunc('milliseconds', statement_timestamp()), a.depth, a.attached, a.id, a.workflow, a.idem,
    a.parent, a.token, a.root, a.payload, a.tags, a.attributes
  FROM requested_runs a
  ORDER BY a.workflow COLLATE "C", a.idem COLLATE "C" NULLS FIRST, a.id COLLATE "C"
  ON CONFLICT DO NOTHING
  RETURNING run
), inserted_runs AS (
  INSERT INTO "perdure"."runs" (available_at, claimed_at, started_at, expires_at, priority, epoch, inbox_seq, unread, fresh,
    id, status, queue, workflow, version, worker, incarnation, key)
  SELECT a.at,
    NULL,
    NULL,
    to_timestamp(a.expires / 1000.0::float8), a.priority, 0, 0, 0, true, a.id,
    'pending', a.queue, a.workflow, a.version,
    NULL, NULL, a.key
  FROM requested_runs a
  JOIN inserted_inputs n ON n.run = a.id
), notifications AS MATERIALIZED (
  SELECT pg_notify('perdure', payload)
  FROM (
    SELECT json_build_array('Ready', $2::text, q.queue)::text AS payload
    FROM (
      SELECT DISTINCT a.queue FROM requested_runs a JOIN inserted_inputs n ON n.run = a.id
    ) q
    WHERE EXISTS (
      SELECT FROM "perdure"."workers" w
      WHERE w.idle AND w.lease_until > date_trunc('milliseconds', statement_timestamp()) AND q.queue = ANY (w.queues)
        AND NOT w.id IN (SELECT json_array_elements_text($3::json))
    )
  ) notification
  WHERE octet_length(payload) < 8000
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(
    CASE
      WHEN n.run IS NOT NULL THEN to_json(0)
      WHEN s.id IS NOT NULL THEN json_build_array(s.id, e.payload, s.status)
    END
    ORDER BY a.i
  )::text
  FROM requested_runs a
  LEFT JOIN inserted_inputs n ON n.run = a.id
  LEFT JOIN LATERAL (
    SELECT e.run FROM "perdure"."inputs" e WHERE n.run IS NULL AND e.run = a.id OFFSET 0
  ) by_id ON true
  LEFT JOIN LATERAL (
    SELECT e.run FROM "perdure"."inputs" e
    WHERE n.run IS NULL AND by_id.run IS NULL AND e.workflow = a.workflow AND e.idempotency_key = a.idem OFFSET 0
  ) by_key ON true
  LEFT JOIN LATERAL (
    SELECT e.payload FROM "perdure"."inputs" e WHERE n.run IS NULL AND e.run = coalesce(by_id.run, by_key.run) OFFSET 0
  ) e ON true
  LEFT JOIN LATERAL (
    SELECT r.id, r.status FROM "perdure"."runs" r WHERE n.run IS NULL AND r.id = coalesce(by_id.run, by_key.run) OFFSET 0
  ) s ON true
) AS answers, (SELECT count(*)::int FROM notifications) AS notified;
