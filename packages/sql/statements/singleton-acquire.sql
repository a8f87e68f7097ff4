/* perdure:singleton_acquire:e4d5fbfb */
WITH key_holders AS (
  INSERT INTO "perdure"."singletons" AS s (workflow, key, run)
  SELECT a.workflow, a.key, a.run
  FROM json_to_recordset($1::json) AS a(workflow text, key text, run text)
  ORDER BY a.workflow COLLATE "C", a.key COLLATE "C"
  -- Locks the row and changes nothing.
  ON CONFLICT (workflow, key) DO UPDATE SET run = s.run
  RETURNING s.workflow, s.key, s.run
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now,
  (SELECT json_agg(json_build_array(h.workflow, h.key, h.run))::text FROM key_holders h) AS holders;
