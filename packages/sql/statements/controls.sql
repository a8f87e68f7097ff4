/* perdure:controls:304d4ac2 */
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(
    json_build_array(c.action, c.requested_by, c.reason, date_part('epoch', c.at) * 1000, c.detail)
    ORDER BY c.at, c.number NULLS LAST, c.ordinal
  )::text
  FROM (
    SELECT c.action, c.requested_by, c.reason, c.at, c.detail, c.number, NULL::int AS ordinal
    FROM "perdure"."controls" c WHERE c.run = $1::text
    UNION ALL
    SELECT 'cancel', m.requested_by, m.reason, m.at, NULL, NULL, m.ordinal
    FROM "perdure"."inbox" m WHERE m.run = $1::text AND m.kind = 'cancel'
  ) c
) AS controls;
