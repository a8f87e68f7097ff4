/* perdure:inbox:4b1aba0f */
WITH requests AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1::json) AS q(i int, run text, after int)
), unread_messages AS MATERIALIZED (
  SELECT m.*, coalesce(sum(m.bytes) OVER (ORDER BY m.i, m.ordinal ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) < 8388608 AS fits
  FROM (
    SELECT q.i, m.*, coalesce(octet_length(m.payload), 0) + coalesce(octet_length(m.exit_value), 0) AS bytes
    FROM requests q
    CROSS JOIN LATERAL (
      SELECT m.* FROM "perdure"."inbox" m
      WHERE m.run = q.run AND m.ordinal > q.after AND NOT m.consumed
      ORDER BY m.ordinal LIMIT 20000 OFFSET 0
    ) m
  ) m
), inboxes AS MATERIALIZED (
  SELECT m.i, count(*) AS count, max(m.ordinal) FILTER (WHERE m.fits) AS last, bool_and(m.fits) AS complete,
    json_agg(
      json_build_array(
        m.ordinal, m.kind, m.name, date_part('epoch', m.at) * 1000,
        m.payload, m.requested_by, m.reason, m.child, m.status, m.exit_kind, m.exit_value, m.crashes, m.crashed_worker
      ) ORDER BY m.ordinal
    ) FILTER (WHERE m.fits)::text AS messages
  FROM unread_messages m GROUP BY m.i
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, x.*
FROM (SELECT 1) one_row
LEFT JOIN (
  SELECT q.i, r.id, coalesce(r.pause = 'asked', false) AS pausing, u.messages,
    CASE WHEN u.complete AND u.count < 20000 OR u.i IS NULL THEN r.inbox_seq
      ELSE coalesce(u.last, q.after) END AS seen
  FROM requests q
  LEFT JOIN inboxes u ON u.i = q.i
  CROSS JOIN LATERAL (
    SELECT r.id, r.inbox_seq, r.pause FROM "perdure"."runs" r WHERE r.id = q.run OFFSET 0
  ) r
) x ON true
ORDER BY x.i;
