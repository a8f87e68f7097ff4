/* perdure:find_ws1000_101:7997a0a9 */
WITH workflows AS MATERIALIZED (
  SELECT a.workflow, 1 AS few FROM (
    SELECT DISTINCT json_array_elements_text($1::json)
  ) a(workflow)
), candidate_runs AS MATERIALIZED (
  SELECT DISTINCT x.id, 1 AS few FROM (
    SELECT y.id FROM (
      SELECT r.id FROM workflows f
      CROSS JOIN (SELECT s.status FROM unnest(ARRAY(SELECT json_array_elements_text($2::json))) s(status) WHERE s.status IN ('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted')) s
      CROSS JOIN LATERAL (
        SELECT r.id FROM "perdure"."runs" r
        WHERE r.workflow = f.workflow AND r.status = s.status AND r.finished_at IS NOT NULL
        LIMIT 10001
      ) r
    ) y
    LIMIT 10001
  ) x
), page_runs AS MATERIALIZED (
  SELECT n.run, row_number() OVER (ORDER BY n.created_at DESC, n.run DESC) AS i
  FROM (
    (
      SELECT n.created_at, n.run FROM candidate_runs w
      CROSS JOIN LATERAL (
        SELECT n.* FROM "perdure"."inputs" n WHERE n.run = w.id OFFSET 0
      ) n
      CROSS JOIN LATERAL (
        SELECT r.* FROM "perdure"."runs" r WHERE r.id = n.run OFFSET 0
      ) r
      WHERE w.few = 1 AND n.workflow = ANY (ARRAY(SELECT f.workflow FROM workflows f)) AND r.status = ANY (ARRAY(SELECT json_array_elements_text($2::json))) AND NOT (SELECT count(*) FROM candidate_runs) > 10000
      ORDER BY n.created_at DESC, n.run DESC LIMIT 101
    )
    UNION ALL
    (
      SELECT n.created_at, n.run FROM workflows f CROSS JOIN LATERAL (
        SELECT n.created_at, n.run FROM "perdure"."inputs" n
        CROSS JOIN LATERAL (
          SELECT r.* FROM "perdure"."runs" r WHERE r.id = n.run OFFSET 0
        ) r
        WHERE n.workflow = f.workflow AND r.status = ANY (ARRAY(SELECT json_array_elements_text($2::json)))
        ORDER BY n.created_at DESC, n.run DESC LIMIT 101
      ) n
      WHERE f.few = 1 AND (SELECT count(*) FROM candidate_runs) > 10000
      ORDER BY n.created_at DESC, n.run DESC LIMIT 101
    )
  ) n
  ORDER BY n.created_at DESC, n.run DESC LIMIT 101
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, x.*
FROM (SELECT 1) one_row
LEFT JOIN (
  SELECT y.*, coalesce(sum(coalesce(octet_length(y.payload), 0) + coalesce(octet_length(y.exit_value), 0) + coalesce(octet_length(y.detail), 0)) OVER (ORDER BY y.i ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS earlier
  FROM (
    SELECT r.id, r.workflow, r.version, r.status, r.queue, r.priority, n.payload, n.idempotency_key, n.parent_id,
      n.parent_token, n.attached, n.root, n.depth, r.key, to_json(n.tags)::text AS tags, n.attributes::text AS attributes,
      n.source, n.source_seq, date_part('epoch', r.expires_at) * 1000 AS expires_at, coalesce(r.pause = 'asked', false) AS pausing,
      r.epoch, r.generation, r.next_seq, r.crashes, date_part('epoch', n.created_at) * 1000 AS created_at,
      date_part('epoch', r.started_at) * 1000 AS started_at, date_part('epoch', r.finished_at) * 1000 AS finished_at,
      date_part('epoch', r.available_at) * 1000 AS available_at, r.worker, r.exit_kind, r.exit_value, r.ended_by, r.end_reason,
      r.crashed_worker, r.detail, r.i
    FROM (
      SELECT r.*, p.i FROM page_runs p
      CROSS JOIN LATERAL (
        SELECT r.* FROM "perdure"."runs" r WHERE r.id = p.run OFFSET 0
      ) r
    ) r
    CROSS JOIN LATERAL (
      SELECT n.* FROM "perdure"."inputs" n WHERE n.run = r.id OFFSET 0
    ) n
  ) y
) x ON x.earlier < 8388608
ORDER BY x.i;
