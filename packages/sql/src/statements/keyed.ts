/**
 * What runs with keys take beyond other runs, as parts of a statement: notices, by which the next claim from their queue
 * looks at their keys anew. Notices are only added, so they wait for nobody and nobody waits for them.
 */
import type { Words } from "../Verb.js"
import { change } from "./words.js"

/** So many keys share a notice at most: a claim takes a notice whole, and looks at all of them. */
export const together = 100

/** A part that leaves notices for the queues and keys (`queue`, `key`) of a query; `freed` if runs that had begun ended. */
export const notice = (t: Words, name: string, keys: string, freed: boolean): string =>
  change(
    name,
    `INSERT INTO ${t.keyNotices} (at, freed, size, queue, keys)
    SELECT ${t.now}, ${freed}, count(*), k.queue, array_agg(k.key)
    FROM (
      SELECT k.queue, k.key, (row_number() OVER (PARTITION BY k.queue) - 1) / ${together} AS part
      FROM (SELECT DISTINCT x.queue, x.key FROM (${keys}) x) k
    ) k
    GROUP BY k.queue, k.part`
  )

/** Runs of these queues and keys (a query) have begun to wait. Their queues have rows from now on, for claims to lock. */
export const arrived = (t: Words, keys: string): ReadonlyArray<string> => [
  notice(t, "arrivals", keys, false),
  change(
    "keyed_queues",
    `INSERT INTO ${t.queues} (name)
    SELECT DISTINCT a.queue COLLATE "C" FROM (${keys}) a
    WHERE NOT EXISTS (SELECT FROM ${t.queues} k WHERE k.name = a.queue)
    ORDER BY 1
    ON CONFLICT DO NOTHING`
  )
]

/** Runs of these queues and keys (a query) that had begun have ended. */
export const freed = (t: Words, keys: string): string => notice(t, "freed", keys, true)
