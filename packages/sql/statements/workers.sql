/* perdure:workers:b9a34e7a */
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(
    json_build_array(
      w.id, w.incarnation, date_part('epoch', w.started_at) * 1000, date_part('epoch', w.beat_at) * 1000, date_part('epoch', w.lease_until) * 1000,
      w.lease_until > date_trunc('milliseconds', statement_timestamp()), w.info, CASE WHEN w.ping IS DISTINCT FROM w.pong THEN w.ping END
    ) ORDER BY w.id
  )::text
  FROM (
    SELECT w.* FROM "perdure"."workers" w
    WHERE w.id = coalesce($1::text, w.id) AND w.id > coalesce($2::text, '')
      AND w.lease_until > date_trunc('milliseconds', statement_timestamp()) - 604800000 * interval '1 millisecond'
    ORDER BY w.id LIMIT $3::int
  ) w
) AS workers;
