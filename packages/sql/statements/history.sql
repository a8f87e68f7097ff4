/* perdure:history:8fad0c1a */
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(json_build_array(j.seq, j.op, j.kind, j.name, j.exit_kind, j.exit_value, date_part('epoch', j.at) * 1000, j.worker, j.epoch) ORDER BY j.seq)::text
  FROM (SELECT r.first_seq FROM "perdure"."runs" r WHERE r.id = $1::text) r
  CROSS JOIN LATERAL (
    SELECT j.*, coalesce(sum(coalesce(octet_length(j.exit_value), 0)) OVER (ORDER BY j.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS earlier
    FROM (SELECT j.* FROM "perdure"."journal" j WHERE j.run = $1::text AND j.seq >= greatest($2::int, r.first_seq) ORDER BY j.seq LIMIT least($3::int, 20000)) j
  ) j
  WHERE j.earlier < 8388608
) AS entries;
