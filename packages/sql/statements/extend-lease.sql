/* perdure:extend_lease:bf01c959 */
UPDATE "perdure"."workers" w
SET lease_until = greatest(w.lease_until, date_trunc('milliseconds', statement_timestamp()) + $3::float8 * interval '1 millisecond')
WHERE w.id = $1::text AND w.incarnation = $2::text AND w.lease_until > date_trunc('milliseconds', statement_timestamp());
