/* perdure:pause:b4135a06 */
WITH RECURSIVE named_runs AS MATERIALIZED (
  SELECT DISTINCT x.id COLLATE "C" AS id, 1 AS few FROM json_array_elements_text($1::json) AS x(id)
), family_runs AS (
  SELECT n.run, n.run AS named
  FROM named_runs x
  CROSS JOIN LATERAL (
    SELECT n.run FROM "perdure"."inputs" n WHERE n.run = x.id OFFSET 0
  ) n
  WHERE x.few = 1
  UNION ALL
  SELECT n.run, f.named
  FROM family_runs f
  CROSS JOIN LATERAL (
    SELECT n.run FROM "perdure"."inputs" n WHERE n.parent_id = f.run AND n.attached OFFSET 0
  ) n
), family_members AS MATERIALIZED (
  SELECT f.run, CASE WHEN bool_or(f.run = f.named) THEN f.run ELSE min(f.named) END AS named
  FROM family_runs f
  GROUP BY f.run
), locked_runs AS MATERIALIZED (
  SELECT r.*, m.named
  FROM (SELECT m.run, m.named FROM family_members m ORDER BY m.run) m
  CROSS JOIN LATERAL (
    SELECT r.id, r.status, r.pause, r.queue, r.worker, r.fresh, r.key FROM "perdure"."runs" r WHERE r.id = m.run FOR UPDATE
  ) r
), controlled_runs AS MATERIALIZED (
  SELECT r.*, 1 AS few FROM locked_runs r
  WHERE r.status NOT IN ('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted') AND r.status <> 'paused' AND r.pause IS NULL
), updated_runs AS (
  UPDATE "perdure"."runs" r
  SET status = CASE WHEN r.status IN ('pending', 'suspended') THEN 'paused' ELSE r.status END,
    pause = CASE WHEN r.status IN ('pending', 'suspended') THEN r.status ELSE 'asked' END
  FROM controlled_runs x
  WHERE r.id = x.id AND x.few = 1
), departure_key_notices AS (
  INSERT INTO "perdure"."key_notices" (at, freed, size, queue, keys)
  SELECT date_trunc('milliseconds', statement_timestamp()), false, count(*), k.queue, array_agg(k.key)
  FROM (
    SELECT k.queue, k.key, (row_number() OVER (PARTITION BY k.queue) - 1) / 100 AS part
    FROM (
      SELECT DISTINCT x.queue, x.key FROM (
        SELECT d.queue, d.key FROM controlled_runs d WHERE d.key IS NOT NULL AND d.fresh AND d.status = 'pending'
      ) x
    ) k
  ) k
  GROUP BY k.queue, k.part
), inserted_controls AS (
  INSERT INTO "perdure"."controls" (at, run, action, requested_by, reason, detail)
  SELECT date_trunc('milliseconds', statement_timestamp()), d.id, 'pause', $2::text, $3::text, nullif(d.named, d.id) FROM controlled_runs d
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (SELECT count(*)::int FROM controlled_runs) AS all,
  (SELECT count(*)::int FROM controlled_runs d WHERE d.id = d.named) AS named,
  (SELECT json_agg(DISTINCT d.queue)::text FROM controlled_runs d WHERE d.key IS NOT NULL AND d.fresh AND d.status = 'pending') AS ready,
  (SELECT json_agg(json_build_array(d.worker, d.id))::text FROM controlled_runs d WHERE d.worker IS NOT NULL) AS held,
  NULL::text AS changed;
