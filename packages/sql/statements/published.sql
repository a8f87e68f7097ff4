/* perdure:published:883abb2a */
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(json_build_array(p.key, p.value, p.version, date_part('epoch', p.at) * 1000) ORDER BY p.key)::text
  FROM "perdure"."published" p WHERE p.run = $1::text
) AS published;
