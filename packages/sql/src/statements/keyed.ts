/**
 * What runs with keys take beyond other runs, as parts of a statement: notices, by which the next claim from their queue
 * looks at their keys anew. Notices are only added, so they wait for nobody and nobody waits for them.
 */
import type { Words } from "../Verb.js"
import { change } from "./words.js"

/** Runs of these queues and keys (a query) have begun to wait. Their queues have rows from now on, for claims to lock. */
export const arrived = (t: Words, keys: string): ReadonlyArray<string> => [
  change(
    "arrivals",
    `INSERT INTO ${t.keyNotices} (at, freed, queue, key)
    SELECT DISTINCT ${t.now}, false, a.queue, a.key FROM (${keys}) a`
  ),
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
export const freed = (t: Words, keys: string): string =>
  change(
    "freed",
    `INSERT INTO ${t.keyNotices} (at, freed, queue, key)
    SELECT DISTINCT ${t.now}, true, f.queue, f.key FROM (${keys}) f`
  )
