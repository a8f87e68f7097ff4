/** Key notices in a claim: which keys the claim looks at because of them. */
import type { Words } from "../../Verb.js"
import { KEYS_PER_NOTICE } from "../shared/keyNotices.js"
import { change, part, sql } from "../sql.js"

/** Keys that one claim looks at for their notices, about: one for each start and each end, and more to catch up. */
const keyCheckLimit = `greatest(${2 * KEYS_PER_NOTICE}, 4 * $3::int)`

/** Keys in the oldest notices, and in the newest, that a claim reads to choose from. */
export const NOTICE_WINDOW = "5000"

/** Notices of queue `q` from one end, with their positions from that end and NULL from the other. */
const noticesFrom = (t: Words, order: "ASC" | "DESC", positions: string): string =>
  sql`
    (
      SELECT n.place, n.keys, ${positions}
      FROM (
        SELECT n.*, row_number() OVER notice_order AS pos, sum(n.size) OVER notice_order - n.size AS before
        FROM (
          SELECT n.ctid AS place, n.at, n.size, n.keys FROM ${t.keyNotices} n
          WHERE n.queue = q.queue ORDER BY n.at ${order} LIMIT ${NOTICE_WINDOW}
        ) n
        WINDOW notice_order AS (ORDER BY n.at ${order} ROWS UNBOUNDED PRECEDING)
      ) n
      WHERE n.before < ${NOTICE_WINDOW}
    )
  `

/**
 * - `edge_notices`: the oldest and the newest notices. With both, a key that was noticed just now does not wait for
 *   the old ones, nor an old one for new ones.
 * - `notice_keys`: the keys of those nearest to each end, whole notices, at least one of each end. Notices of the same
 *   keys count once.
 * - `key_checks`: the keys to look at, and when a run of theirs last ended. All their notices are deleted.
 */
export const keyChecks = (t: Words): ReadonlyArray<string> => [
  part(
    "edge_notices",
    sql`
      SELECT q.queue, n.place, n.keys, min(n.old) AS old, min(n.new) AS new
      FROM locked_queues q
      CROSS JOIN LATERAL (
        ${noticesFrom(t, "ASC", "n.pos AS old, NULL::bigint AS new")}
        UNION ALL
        ${noticesFrom(t, "DESC", "NULL, n.pos")}
      ) n
      GROUP BY 1, 2, 3
    `
  ),
  part(
    "notice_keys",
    sql`
      SELECT c.queue, c.keys
      FROM (
        SELECT g.queue, g.keys, least(
          sum(g.size) OVER (PARTITION BY g.queue ORDER BY g.old, g.keys ROWS UNBOUNDED PRECEDING) - g.size,
          sum(g.size) OVER (PARTITION BY g.queue ORDER BY g.new, g.keys ROWS UNBOUNDED PRECEDING) - g.size
        ) AS before
        FROM (
          SELECT e.queue, e.keys, cardinality(e.keys) AS size, min(e.old) AS old, min(e.new) AS new
          FROM edge_notices e GROUP BY 1, 2
        ) g
      ) c
      WHERE c.before < ${keyCheckLimit} / 2
    `
  ),
  change(
    "deleted_notices",
    sql`
      DELETE FROM ${t.keyNotices} n
      WHERE n.ctid = ANY (
        ARRAY(SELECT e.place FROM edge_notices e WHERE (e.queue, e.keys) IN (SELECT c.queue, c.keys FROM notice_keys c))
      )
      RETURNING n.queue, n.keys, n.at, n.freed, n.size
    `
  ),
  part(
    "key_checks",
    sql`
      SELECT d.queue, k.key, max(d.at) FILTER (WHERE d.freed) AS freed, 1 AS few
      FROM deleted_notices d CROSS JOIN LATERAL unnest(d.keys) AS k(key) GROUP BY 1, 2
    `
  )
]
