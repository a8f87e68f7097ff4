/* perdure:commit_verdicts:04d73884 */
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT string_agg(
    CASE
      WHEN r.epoch = a.epoch AND r.last_from = a."from" AND r.last_mark = a.mark
        AND (a.n > 0 OR a.move IS NOT NULL) THEN '2'
      WHEN r.status = 'running' AND r.epoch = a.epoch AND r.next_seq = a."from" THEN '3'
      ELSE '0'
    END, '' ORDER BY a.i)
  FROM json_to_recordset($1::json) AS a(i int, run text, epoch int, "from" int, n int, seen int, must boolean, mark bigint, closes text[], move text)
  LEFT JOIN LATERAL (
    SELECT r.status, r.epoch, r.next_seq, r.last_from, r.last_mark FROM "perdure"."runs" r WHERE r.id = a.run OFFSET 0
  ) r ON true
) AS verdicts;
