/**
 * What runs with keys write beyond other runs, as parts of a statement: key notices, from which the next claim of their
 * queue learns that it must look at their keys again. Key notices are only added, so no transaction waits for another.
 */
import type { Words } from "../../Verb.js"
import { change, sql } from "../sql.js"

/** Keys that one notice holds, at most. A claim takes notices whole. */
export const KEYS_PER_NOTICE = 100

/**
 * A part that writes key notices for the rows (`queue`, `key`) of a query. `freed`: runs that had started have ended.
 */
export const keyNotices = (t: Words, name: string, keys: string, freed: boolean): string =>
  change(
    name,
    sql`
      INSERT INTO ${t.keyNotices} (at, freed, size, queue, keys)
      SELECT ${t.now}, ${`${freed}`}, count(*), k.queue, array_agg(k.key)
      FROM (
        SELECT k.queue, k.key, (row_number() OVER (PARTITION BY k.queue) - 1) / ${`${KEYS_PER_NOTICE}`} AS part
        FROM (
          SELECT DISTINCT x.queue, x.key FROM (
            ${keys}
          ) x
        ) k
      ) k
      GROUP BY k.queue, k.part
    `
  )

/**
 * Parts for the rows (`queue`, `key`) of a query, whose runs begin to wait: key notices, and rows for queues without
 * one.
 */
export const keyArrivals = (t: Words, keys: string): ReadonlyArray<string> => [
  keyNotices(t, "arrival_key_notices", keys, false),
  change(
    "inserted_queues",
    sql`
      INSERT INTO ${t.queues} (name)
      SELECT DISTINCT a.queue COLLATE "C" FROM (
        ${keys}
      ) a
      WHERE NOT EXISTS (SELECT FROM ${t.queues} k WHERE k.name = a.queue)
      ORDER BY 1
      ON CONFLICT DO NOTHING
    `
  )
]
