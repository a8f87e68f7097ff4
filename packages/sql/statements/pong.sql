/* perdure:pong:2890a7fe */
WITH updated_workers AS (
  UPDATE "perdure"."workers" w SET pong = w.ping
  WHERE w.id = $1::text AND w.incarnation = $2::text AND w.ping = $3::text AND w.pong IS DISTINCT FROM w.ping
  RETURNING w.id
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, EXISTS (SELECT FROM updated_workers) AS answered;
