/* perdure:schedules_page:d010bb8c */
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(json_build_array(
    s.name, s.needs, date_part('epoch', s.due_at) * 1000, s.run, s.waits, s.settings, s.state, s.definition, s.revision,
    date_part('epoch', s.seen_at) * 1000, r.status
  ) ORDER BY s.name)::text
  FROM (
    SELECT s.* FROM "perdure"."schedules" s WHERE s.name > coalesce($1::text, '') ORDER BY s.name LIMIT $2::int
  ) s
  LEFT JOIN LATERAL (SELECT r.status FROM "perdure"."runs" r WHERE r.id = s.run LIMIT 1) r ON true
) AS schedules;
