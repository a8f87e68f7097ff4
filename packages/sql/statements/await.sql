/* perdure:await:8c37fd01 */
WITH found_runs AS MATERIALIZED (
  SELECT r.*, q.i, NOT r.awaited AND r.status NOT IN ('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted') AS unmarked
  FROM json_array_elements_text($1::json) WITH ORDINALITY AS q(id, i)
  CROSS JOIN LATERAL (
    SELECT r.id, r.status, r.finished_at, r.exit_kind, r.exit_value, r.ended_by, r.end_reason, r.crashes, r.crashed_worker, r.detail, r.awaited FROM "perdure"."runs" r WHERE r.id = q.id OFFSET 0
  ) r
), locked_runs AS MATERIALIZED (
  SELECT r.*, f.i
  FROM (SELECT f.id, f.i FROM found_runs f WHERE f.unmarked ORDER BY f.id) f
  CROSS JOIN LATERAL (
    SELECT r.id, r.status, r.finished_at, r.exit_kind, r.exit_value, r.ended_by, r.end_reason, r.crashes, r.crashed_worker, r.detail FROM "perdure"."runs" r WHERE r.id = f.id FOR UPDATE SKIP LOCKED
  ) r
), run_changes AS MATERIALIZED (
  SELECT l.id, 1 AS few FROM locked_runs l
), updated_runs AS (
  UPDATE "perdure"."runs" r SET awaited = true
  FROM run_changes x
  WHERE r.id = x.id AND x.few = 1
), standings AS MATERIALIZED (
  SELECT l.i, l.id, l.status, l.finished_at, l.exit_kind, l.exit_value, l.ended_by, l.end_reason, l.crashes, l.crashed_worker, l.detail FROM locked_runs l
  UNION ALL
  SELECT f.i, f.id, f.status, f.finished_at, f.exit_kind, f.exit_value, f.ended_by, f.end_reason, f.crashes, f.crashed_worker, f.detail FROM found_runs f WHERE NOT f.id IN (SELECT l.id FROM locked_runs l)
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, x.i, x.id, x.status, date_part('epoch', x.finished_at) * 1000 AS finished_at,
  x.exit_kind, x.ended_by, x.end_reason, x.crashes, x.crashed_worker,
  CASE WHEN x.fits THEN x.exit_value END AS exit_value,
  CASE WHEN x.fits THEN x.detail END AS detail,
  NOT x.fits AND x.status IN ('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted') AS partial
FROM (SELECT 1) one_row
LEFT JOIN (
  SELECT s.*, coalesce(sum(coalesce(octet_length(s.exit_value), 0) + coalesce(octet_length(s.detail), 0)) OVER (ORDER BY s.i ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) < 8388608 AS fits
  FROM standings s
) x ON true
ORDER BY x.i;
