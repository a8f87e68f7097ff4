/* perdure:inbox:e67e6c1f */
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(
    json_build_array(
      r.id, r.inbox_seq, (
        SELECT json_agg(
          json_build_array(
            m.ordinal, m.kind, m.name, date_part('epoch', m.at) * 1000,
            m.payload, m.requested_by, m.reason, m.child, m.status, m.exit_kind, m.exit_value, m.crashes, m.crashed_worker
          ) ORDER BY m.ordinal
        )::text
        FROM "perdure"."inbox" m
        WHERE m.run = r.id AND m.ordinal > q.after AND NOT m.consumed
      ), coalesce(r.pause = 'asked', false)
    ) ORDER BY q.i
  )
  FROM json_to_recordset($1::json) AS q(i int, run text, after int)
  CROSS JOIN LATERAL (
    SELECT r.id, r.inbox_seq, r.pause FROM "perdure"."runs" r WHERE r.id = q.run OFFSET 0
  ) r
)::text AS inboxes;
