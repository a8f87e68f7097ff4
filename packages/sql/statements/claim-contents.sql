/* perdure:claim_contents:d418614b */
WITH requested_runs AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1::json)
    AS w(run text, journal boolean, "from" int, after int, bytes int)
)
SELECT r.id, r.inbox_seq AS seen, n.payload,
  CASE WHEN w.journal THEN (
    SELECT json_agg(json_build_array(j.seq, j.op, j.kind, j.name, j.exit_kind, j.exit_value, date_part('epoch', j.at) * 1000) ORDER BY j.seq)::text
    FROM (
      SELECT j.*, coalesce(sum(coalesce(octet_length(j.exit_value), 0)) OVER (ORDER BY j.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS earlier
      FROM (SELECT j.* FROM "perdure"."journal" j WHERE j.run = r.id AND j.seq >= greatest(r.first_seq, w."from") ORDER BY j.seq LIMIT 20000) j
    ) j
    WHERE j.earlier < w.bytes
  ) END AS journal,
  (
    SELECT json_agg(
      json_build_array(
        m.ordinal, m.kind, m.name, date_part('epoch', m.at) * 1000,
        m.payload, m.requested_by, m.reason, m.child, m.status, m.exit_kind, m.exit_value, m.crashes, m.crashed_worker
      ) ORDER BY m.ordinal
    ) FILTER (WHERE m.earlier < w.bytes)::text
    FROM (
      SELECT m.*, coalesce(sum(coalesce(octet_length(m.payload), 0) + coalesce(octet_length(m.exit_value), 0)) OVER (ORDER BY m.ordinal ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS earlier
      FROM (
        SELECT m.* FROM "perdure"."inbox" m
        WHERE m.run = r.id AND m.ordinal > w.after AND NOT m.consumed
        ORDER BY m.ordinal LIMIT 20000
      ) m
    ) m
  ) AS inbox
FROM requested_runs w
CROSS JOIN LATERAL (
  SELECT r.id, r.inbox_seq, r.first_seq FROM "perdure"."runs" r WHERE r.id = w.run OFFSET 0
) r
CROSS JOIN LATERAL (
  SELECT n.payload FROM "perdure"."inputs" n WHERE n.run = w.run OFFSET 0
) n;
