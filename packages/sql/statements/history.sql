/* perdure:history:e2f02b28 */
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(json_build_array(j.seq, j.op, j.kind, j.name, j.exit_kind, j.exit_value, date_part('epoch', j.at) * 1000, j.worker, j.epoch) ORDER BY j.seq)::text
  FROM (SELECT r.first_seq FROM "perdure"."runs" r WHERE r.id = $1::text) r
  CROSS JOIN LATERAL (
    SELECT j.* FROM "perdure"."journal" j
    WHERE j.run = $1::text AND j.seq >= greatest($2::int, r.first_seq)
    ORDER BY j.seq LIMIT $3::int
  ) j
) AS entries;
