/**
 * Applies the definition of a queue, if it differs from the one that was applied last.
 *
 * Indexes: `queues_pkey`; `runs_waiting` for keys whose limit changed. Locks: the queue's row.
 */
import type { Verb, Words } from "../../Verb.js"
import { change, part, sql, unionAll, withRecursive } from "../sql.js"
import { limitList, selectQueues, settingFields } from "./records.js"
import { arrivalAfter, waitingKeyNotices } from "./settings.js"

const columns = `name, ${limitList}, paused, definition, pause_at, pause_by, pause_reason`

const updatedQueues = (t: Words): string =>
  change(
    "updated_queues",
    sql`
      UPDATE ${t.queues} k
      SET (definition, ${limitList}) = ROW ($2::text, n.priority, n.concurrency, n.admission, n.key_concurrency,
        n.rate_limit, n.rate_millis, n.rate_burst),
        arrival = ${arrivalAfter(t, (column) => `n.${column}`)}
      FROM requested_settings n, locked_queues l
      WHERE k.name = l.name AND l.definition IS DISTINCT FROM $2::text
      RETURNING k.*, (l.key_concurrency IS DISTINCT FROM n.key_concurrency) AS changes_keys
    `
  )

const result = unionAll([
  `SELECT ${columns} FROM inserted_queues`,
  `SELECT ${columns} FROM updated_queues`,
  `SELECT ${columns} FROM locked_queues WHERE definition IS NOT DISTINCT FROM $2::text`
])

/** $1 name, $2 definition, $3 settings */
export const define: Verb = {
  name: "queue_define",
  parameters: 3,
  text: (t) =>
    withRecursive(
      [
        part(
          "requested_settings",
          sql`
            SELECT $1::text AS name, n.* FROM json_to_record($3::json) AS n(
              ${settingFields}
            )
          `
        ),
        change(
          "inserted_queues",
          sql`
            INSERT INTO ${t.queues} (name, definition, ${limitList})
            SELECT n.name, $2::text, ${limitList} FROM requested_settings n
            ON CONFLICT DO NOTHING
            RETURNING *
          `
        ),
        part("locked_queues", `SELECT k.* FROM ${t.queues} k WHERE k.name = $1::text FOR UPDATE`),
        updatedQueues(t),
        ...waitingKeyNotices(t)
      ],
      selectQueues(
        t,
        sql`
          (
            ${result}
          )
        `
      )
    )
}
