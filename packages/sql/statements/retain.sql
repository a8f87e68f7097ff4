/* perdure:retain:24446aa9 */
WITH RECURSIVE workflows AS (
  (
    SELECT r.workflow FROM "perdure"."runs" r
    WHERE r.finished_at IS NOT NULL AND r.workflow >= '' ORDER BY r.workflow LIMIT 1
  )
  UNION ALL
  SELECT (
    SELECT r.workflow FROM "perdure"."runs" r
    WHERE r.finished_at IS NOT NULL AND r.workflow > f.workflow ORDER BY r.workflow LIMIT 1
  )
  FROM workflows f WHERE f.workflow IS NOT NULL
), retention_rules AS MATERIALIZED (
  SELECT q.* FROM json_to_recordset($1::json) AS q(i int, workflow text, statuses json, older float8)
), retention_targets AS MATERIALIZED (
  SELECT f.workflow, s.status, to_timestamp((date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 - q.older) / 1000.0::float8) AS before
  FROM retention_rules q
  JOIN workflows f ON f.workflow IS NOT NULL AND (f.workflow = q.workflow
    OR q.workflow IS NULL AND NOT EXISTS (SELECT FROM retention_rules o WHERE o.workflow = f.workflow))
  CROSS JOIN LATERAL json_array_elements_text(q.statuses) WITH ORDINALITY AS s(status, n)
  ORDER BY q.i, f.workflow, s.n
), locked_runs AS MATERIALIZED (
  SELECT y.id FROM (
    SELECT r.id
    FROM retention_targets x
    CROSS JOIN LATERAL (
      SELECT r.id FROM "perdure"."runs" r
      WHERE r.workflow = x.workflow AND r.status = x.status AND r.finished_at < x.before AND r.finished_at IS NOT NULL
        AND NOT EXISTS (
          SELECT FROM (SELECT n.parent_id FROM "perdure"."inputs" n WHERE n.run = r.id OFFSET 0) n
          CROSS JOIN LATERAL (
            SELECT p.status FROM "perdure"."runs" p WHERE p.id = n.parent_id OFFSET 0
          ) p
          WHERE p.status NOT IN ('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted')
        )
      ORDER BY r.finished_at, r.id
      LIMIT $2::int
      FOR UPDATE OF r SKIP LOCKED
    ) r
    LIMIT $2::int
  ) y
  LIMIT 1000
), ended_runs AS MATERIALIZED (
  SELECT DISTINCT c.id, 1 AS few, 1 AS sole FROM locked_runs c
), singleton_rows AS MATERIALIZED (
  SELECT s.run, s.locked IS NOT NULL AS locked
  FROM ended_runs x
  CROSS JOIN LATERAL (
    SELECT s.run, (
      SELECT l.run FROM "perdure"."singletons" l WHERE l.workflow = s.workflow AND l.key = s.key FOR UPDATE SKIP LOCKED
    ) AS locked
    FROM "perdure"."singletons" s WHERE s.run = x.id OFFSET 0
  ) s
  WHERE x.few = 1 AND x.sole = 1
), deletable_runs AS MATERIALIZED (
  SELECT x.* FROM ended_runs x WHERE NOT x.id IN (SELECT s.run FROM singleton_rows s WHERE NOT s.locked)
), deleted_entries AS (
  DELETE FROM "perdure"."journal" d USING deletable_runs x WHERE d.run = x.id AND x.few = 1 AND x.sole = 1
), deleted_messages AS (
  DELETE FROM "perdure"."inbox" d USING deletable_runs x WHERE d.run = x.id AND x.few = 1 AND x.sole = 1
), deleted_values AS (
  DELETE FROM "perdure"."published" d USING deletable_runs x WHERE d.run = x.id AND x.few = 1 AND x.sole = 1
), deleted_controls AS (
  DELETE FROM "perdure"."controls" d USING deletable_runs x WHERE d.run = x.id AND x.few = 1 AND x.sole = 1
), deleted_singletons AS (
  DELETE FROM "perdure"."singletons" d USING deletable_runs x WHERE d.run = x.id AND x.few = 1 AND x.sole = 1
), deleted_inputs AS (
  DELETE FROM "perdure"."inputs" d USING deletable_runs x WHERE d.run = x.id AND x.few = 1 AND x.sole = 1
), deleted_runs AS (
  DELETE FROM "perdure"."runs" d USING deletable_runs x WHERE d.id = x.id AND x.few = 1 AND x.sole = 1
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (SELECT count(*)::int FROM deletable_runs) AS deleted;
