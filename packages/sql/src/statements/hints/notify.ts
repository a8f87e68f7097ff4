/**
 * Sends notifications to other processes, off the path of the operations that cause them. `Ready` is sent only if
 * another process has an idle worker.
 *
 * Tables: `workers`, which is tiny. Locks: no rows (NOTIFY takes a lock of its own at commit).
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Driver from "perdure/JournalDriver"
import type { Verb } from "../../Verb.js"
import { fitsNotify, hasIdleWorker } from "../shared/notifications.js"
import { sql } from "../sql.js"

/** $1 notifications, $2 local workers */
export const notify: Verb = {
  name: "notify",
  parameters: 2,
  text: (t) =>
    sql`
      SELECT count(*)::int AS sent
      FROM (
        SELECT pg_notify('${t.schema}', n.payload)
        FROM json_to_recordset($1::json) AS n(payload text, queue text)
        WHERE ${fitsNotify("n.payload")} AND (n.queue IS NULL OR ${hasIdleWorker(t, "n.queue", "$2::json")})
        OFFSET 0
      ) sent
    `
}

/** A hint as the payload of a notification: the same array as `shared/notifications.ts` makes. */
const payloadOf = (origin: string, hint: Driver.Hint): string => {
  switch (hint._tag) {
    case "Ready":
      return JSON.stringify(["Ready", origin, hint.queue])
    case "Inbox":
      return JSON.stringify(["Inbox", origin, hint.worker, hint.run])
    case "Changed":
      return JSON.stringify(["Changed", origin, hint.run])
    case "Ping":
      return JSON.stringify(["Ping", origin, hint.worker, hint.nonce])
    case "Scheduled":
      return JSON.stringify(["Scheduled", origin, hint.needs])
  }
}

export const encode = (origin: string, hints: ReadonlyArray<Driver.Hint>): string =>
  JSON.stringify(
    hints.map((hint) => ({ payload: payloadOf(origin, hint), queue: hint._tag === "Ready" ? hint.queue : null }))
  )

/** Any session can notify the channel, so the payload can be any string. */
const parse = Schema.decodeUnknownOption(Schema.parseJson(Schema.Array(Schema.String)))

/** The hint in a payload; null if `origin` sent it, or if it is no hint. */
export const decode = (origin: string, payload: string): Driver.Hint | null => {
  const parts = Option.getOrNull(parse(payload))
  if (parts === null || parts[1] === origin) return null
  const [tag, , first, second] = parts
  if (first === undefined) return null
  if (tag === "Ready") return { _tag: "Ready", queue: first }
  if (tag === "Changed") return { _tag: "Changed", run: first }
  if (tag === "Scheduled") return { _tag: "Scheduled", needs: first }
  if (tag === "Ping" && second !== undefined) return { _tag: "Ping", worker: first, nonce: second }
  return tag === "Inbox" && second !== undefined ? { _tag: "Inbox", worker: first, run: second } : null
}
