/* perdure:samples:45a20e6b */
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(json_build_array(date_part('epoch', s.at) * 1000, s.incarnation, s.info) ORDER BY s.at, s.incarnation)::text
  FROM (
    SELECT s.* FROM "perdure"."samples" s
    WHERE s.worker = $1::text AND s.at > date_trunc('milliseconds', statement_timestamp()) - 86400000 * interval '1 millisecond'
    ORDER BY s.at DESC, s.incarnation DESC LIMIT $2::int
  ) s
) AS samples;
