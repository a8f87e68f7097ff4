/* perdure:ping:b983cf67 */
WITH updated_workers AS (
  UPDATE "perdure"."workers" w SET ping = coalesce(CASE WHEN w.ping IS DISTINCT FROM w.pong THEN w.ping END, $2::text) WHERE w.id = $1::text RETURNING w.ping
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (SELECT ping FROM updated_workers) AS ping;
