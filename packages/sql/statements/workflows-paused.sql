/* perdure:workflows_paused:82688127 */
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(json_build_array(h.workflow, date_part('epoch', h.at) * 1000, h.requested_by, h.reason) ORDER BY h.workflow)::text
  FROM "perdure"."held" h
) AS workflows;
