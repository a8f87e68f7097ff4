/* perdure:schedules_due:967cf6ad */
WITH requested_needs AS MATERIALIZED (
  SELECT DISTINCT n.text COLLATE "C" AS needs, 1 AS few FROM json_array_elements_text($1::json) AS n(text)
), timed_schedules AS MATERIALIZED (
  SELECT s.* FROM requested_needs a
  CROSS JOIN LATERAL (
    SELECT s.name, s.due_at FROM "perdure"."schedules" s WHERE s.needs = a.needs AND s.due_at < 'infinity' AND s.due_at <= date_trunc('milliseconds', statement_timestamp()) ORDER BY s.due_at, s.name LIMIT (SELECT $2::int)
  ) s
  WHERE a.few = 1
  ORDER BY s.due_at, s.name LIMIT (SELECT $2::int)
), waiting_schedules AS MATERIALIZED (
  SELECT s.name, s.run, coalesce(r.status IN ('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted'), true) AS has_ended
  FROM (
    SELECT s.* FROM requested_needs a
    CROSS JOIN LATERAL (
      SELECT s.name, s.run FROM "perdure"."schedules" s WHERE s.needs = a.needs AND s.waits OFFSET 0
    ) s
    WHERE a.few = 1
  ) s
  LEFT JOIN LATERAL (SELECT r.status FROM "perdure"."runs" r WHERE r.id = s.run LIMIT 1) r ON true
), due_schedules AS MATERIALIZED (
  SELECT f.name, min(f.class) AS class, min(f.due_at) AS due_at
  FROM (
    SELECT w.name, 0 AS class, '-infinity'::timestamptz AS due_at FROM waiting_schedules w WHERE w.has_ended
    UNION ALL
    SELECT d.name, 1, d.due_at FROM timed_schedules d
  ) f
  GROUP BY f.name
  ORDER BY 2, 3, 1 LIMIT (SELECT $2::int)
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(json_build_array(
    s.name, s.needs, date_part('epoch', s.due_at) * 1000, s.run, s.waits, s.settings, s.state, s.definition, s.revision,
    date_part('epoch', s.seen_at) * 1000, r.status
  ) ORDER BY f.class, f.due_at, f.name)::text
  FROM due_schedules f
  CROSS JOIN LATERAL (SELECT s.* FROM "perdure"."schedules" s WHERE s.name = f.name LIMIT 1) s
  LEFT JOIN LATERAL (SELECT r.status FROM "perdure"."runs" r WHERE r.id = s.run LIMIT 1) r ON true
) AS schedules, date_part('epoch', (
  SELECT min(l.due_at) FROM (
    SELECT s.* FROM requested_needs a
    CROSS JOIN LATERAL (
      SELECT s.due_at FROM "perdure"."schedules" s WHERE s.needs = a.needs AND s.due_at < 'infinity' AND s.due_at > date_trunc('milliseconds', statement_timestamp()) ORDER BY s.due_at LIMIT 1
    ) s
    WHERE a.few = 1
  ) l
)) * 1000 AS next_due, (
  SELECT json_agg(w.run ORDER BY w.run)::text
  FROM (SELECT DISTINCT w.run FROM waiting_schedules w WHERE NOT w.has_ended ORDER BY w.run LIMIT (SELECT $2::int)) w
) AS awaited;
