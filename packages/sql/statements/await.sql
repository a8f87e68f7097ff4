/* perdure:await:6d8ab7cf */
WITH found_runs AS MATERIALIZED (
  SELECT r.*, q.i, NOT r.awaited AND r.status NOT IN ('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted') AS unmarked
  FROM json_array_elements_text($1::json) WITH ORDINALITY AS q(id, i)
  CROSS JOIN LATERAL (
    SELECT r.* FROM "perdure"."runs" r WHERE r.id = q.id OFFSET 0
  ) r
), locked_runs AS MATERIALIZED (
  SELECT r.*, f.i, true AS unmarked
  FROM (SELECT f.id, f.i FROM found_runs f WHERE f.unmarked ORDER BY f.id) f
  CROSS JOIN LATERAL (SELECT r.* FROM "perdure"."runs" r WHERE r.id = f.id FOR UPDATE) r
), run_changes AS MATERIALIZED (
  SELECT l.id, 1 AS few FROM locked_runs l
), updated_runs AS (
  UPDATE "perdure"."runs" r SET awaited = true
  FROM run_changes x
  WHERE r.id = x.id AND x.few = 1
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, x.*
FROM (SELECT 1) one_row
LEFT JOIN (
  SELECT r.id, r.workflow, r.version, r.status, r.queue, r.priority, n.payload, n.idempotency_key, n.parent_id,
    n.parent_token, n.attached, n.root, n.depth, r.key, to_json(n.tags)::text AS tags, n.attributes::text AS attributes,
    n.source, n.source_seq, date_part('epoch', r.expires_at) * 1000 AS expires_at, coalesce(r.pause = 'asked', false) AS pausing,
    r.epoch, r.generation, r.next_seq, r.crashes, date_part('epoch', n.created_at) * 1000 AS created_at,
    date_part('epoch', r.started_at) * 1000 AS started_at, date_part('epoch', r.finished_at) * 1000 AS finished_at,
    date_part('epoch', r.available_at) * 1000 AS available_at, r.worker, r.exit_kind, r.exit_value, r.ended_by, r.end_reason,
    r.crashed_worker, r.detail, r.i
  FROM (
    SELECT * FROM locked_runs
    UNION ALL
    SELECT * FROM found_runs WHERE NOT unmarked
  ) r
  CROSS JOIN LATERAL (
    SELECT n.* FROM "perdure"."inputs" n WHERE n.run = r.id OFFSET 0
  ) n
) x ON true
ORDER BY x.i;
