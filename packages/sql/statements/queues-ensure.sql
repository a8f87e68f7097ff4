/* perdure:queues_ensure:534bcb39 */
WITH inserted_queues AS (
  INSERT INTO "perdure"."queues" (name)
  SELECT DISTINCT q.name COLLATE "C" FROM json_array_elements_text($1::json) AS q(name)
  WHERE NOT EXISTS (SELECT FROM "perdure"."queues" k WHERE k.name = q.name)
  ORDER BY 1
  ON CONFLICT DO NOTHING
  RETURNING name
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (SELECT json_agg(name ORDER BY name)::text FROM inserted_queues) AS names;
