/* perdure:schedules_named:07ed904f */
WITH requested_names AS MATERIALIZED (
  SELECT DISTINCT n.text COLLATE "C" AS name, 1 AS few FROM json_array_elements_text($1::json) AS n(text)
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(json_build_array(
    s.name, s.needs, date_part('epoch', s.due_at) * 1000, s.run, s.waits, s.settings, s.state, s.definition, s.revision,
    date_part('epoch', s.seen_at) * 1000, r.status
  ) ORDER BY s.name)::text
  FROM (
    SELECT s.* FROM requested_names a
    CROSS JOIN LATERAL (SELECT s.* FROM "perdure"."schedules" s WHERE s.name = a.name LIMIT 1) s
    WHERE a.few = 1 AND a.name > coalesce($2::text, '')
    ORDER BY s.name LIMIT $3::int
  ) s
  LEFT JOIN LATERAL (SELECT r.status FROM "perdure"."runs" r WHERE r.id = s.run LIMIT 1) r ON true
) AS schedules;
