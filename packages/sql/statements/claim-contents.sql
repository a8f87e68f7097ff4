/* perdure:claim_contents:21d309dd */
WITH requested_runs AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1::json) AS w(run text, journal boolean)
)
SELECT r.id, r.inbox_seq AS seen, n.payload,
  CASE WHEN w.journal THEN (
    SELECT json_agg(json_build_array(j.seq, j.op, j.kind, j.name, j.exit_kind, j.exit_value, date_part('epoch', j.at) * 1000) ORDER BY j.seq)::text
    FROM "perdure"."journal" j WHERE j.run = r.id AND j.seq >= r.first_seq
  ) END AS journal,
  (
    SELECT json_agg(
      json_build_array(
        m.ordinal, m.kind, m.name, date_part('epoch', m.at) * 1000,
        m.payload, m.requested_by, m.reason, m.child, m.status, m.exit_kind, m.exit_value, m.crashes, m.crashed_worker
      ) ORDER BY m.ordinal
    )::text
    FROM "perdure"."inbox" m
    WHERE m.run = r.id AND m.ordinal > 0 AND NOT m.consumed
  ) AS inbox
FROM requested_runs w
CROSS JOIN LATERAL (
  SELECT r.id, r.inbox_seq, r.first_seq FROM "perdure"."runs" r WHERE r.id = w.run OFFSET 0
) r
CROSS JOIN LATERAL (
  SELECT n.payload FROM "perdure"."inputs" n WHERE n.run = w.run OFFSET 0
) n;
