/**
 * Extends the lease of a worker that has one, for a thread beside a busy event loop. It acquires no lease, and keeps
 * what the worker reports of itself.
 *
 * Index: `workers_pkey`. Locks: the worker's row.
 */
import type { Verb } from "../../Verb.js"
import { sql } from "../sql.js"

/** $1 worker, $2 incarnation, $3 lease in milliseconds */
export const extendLease: Verb = {
  name: "extend_lease",
  parameters: 3,
  text: (t) =>
    sql`
      UPDATE ${t.workers} w
      SET lease_until = greatest(w.lease_until, ${t.now} + $3::float8 * interval '1 millisecond')
      WHERE w.id = $1::text AND w.incarnation = $2::text AND w.lease_until > ${t.now}
    `
}
