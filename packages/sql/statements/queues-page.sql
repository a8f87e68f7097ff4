/* perdure:queues_page:5a40834e */
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(
    json_build_array(
      k.name, k.priority, k.concurrency, k.admission, k.key_concurrency, k.rate_limit, k.rate_millis, k.rate_burst,
      k.paused, k.definition, date_part('epoch', k.pause_at) * 1000, k.pause_by, k.pause_reason
    ) ORDER BY k.name
  )::text
  FROM (
    SELECT k.* FROM "perdure"."queues" k WHERE k.name > coalesce($1::text, '') ORDER BY k.name LIMIT $2::int
  ) k
) AS queues;
