/* perdure:queue_counts:7adbdb6b */
WITH requested_queues AS MATERIALIZED (
  SELECT q.name COLLATE "C" AS name, q.i FROM json_array_elements_text($1::json) WITH ORDINALITY AS q(name, i)
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(
    json_build_array(
      q.name,
      (
        SELECT count(*) FROM (
          SELECT FROM (
            SELECT FROM "perdure"."runs" r WHERE r.status IN ('pending', 'suspended') AND (r.key IS NULL OR NOT r.fresh) AND r.queue = q.name AND r.fresh AND r.available_at <= date_trunc('milliseconds', statement_timestamp())
            UNION ALL
            SELECT FROM "perdure"."runs" r WHERE r.key IS NOT NULL AND r.fresh AND r.status = 'pending' AND r.queue = q.name AND r.available_at <= date_trunc('milliseconds', statement_timestamp())
          ) f LIMIT $2::int
        ) x
      )::int,
      (
        SELECT count(*) FROM (
          SELECT FROM (
            SELECT FROM "perdure"."runs" r WHERE r.status IN ('pending', 'suspended') AND (r.key IS NULL OR NOT r.fresh) AND r.queue = q.name AND r.fresh AND r.available_at > date_trunc('milliseconds', statement_timestamp())
            UNION ALL
            SELECT FROM "perdure"."runs" r WHERE r.key IS NOT NULL AND r.fresh AND r.status = 'pending' AND r.queue = q.name AND r.available_at > date_trunc('milliseconds', statement_timestamp())
          ) f LIMIT $2::int
        ) x
      )::int,
      (
        SELECT count(*) FROM (
          SELECT FROM "perdure"."runs" r WHERE r.worker IS NOT NULL AND r.queue = q.name LIMIT $2::int
        ) x
      )::int,
      (
        SELECT count(*) FROM (
          SELECT FROM "perdure"."runs" r WHERE r.status IN ('pending', 'suspended') AND (r.key IS NULL OR NOT r.fresh) AND r.queue = q.name AND NOT r.fresh LIMIT $2::int
        ) x
      )::int,
      (
        SELECT count(*) FROM (
          SELECT FROM "perdure"."runs" r WHERE r.status IN ('paused', 'diverged') AND NOT r.fresh AND r.queue = q.name LIMIT $2::int
        ) x
      )::int
    ) ORDER BY q.i
  )::text
  FROM requested_queues q
) AS counts;
