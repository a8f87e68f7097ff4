/* perdure:notify:53ec9d1e */
SELECT count(*)::int AS sent
FROM (
  SELECT pg_notify('perdure', n.payload)
  FROM json_to_recordset($1::json) AS n(payload text, queue text)
  WHERE octet_length(n.payload) < 8000 AND (n.queue IS NULL OR EXISTS (
    SELECT FROM "perdure"."workers" w
    WHERE w.idle AND w.lease_until > date_trunc('milliseconds', statement_timestamp()) AND n.queue = ANY (w.queues)
      AND NOT w.id IN (SELECT json_array_elements_text($2::json))
  ))
  OFFSET 0
) sent;
