/**
 * Tell other processes, off the path of what there is to tell. `Ready` only if somebody elsewhere waits for runs.
 *
 * Tables: `workers`, which is tiny. Locks: none on rows (NOTIFY takes one of its own at commit).
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Driver from "perdure/JournalDriver"
import type { Verb } from "../Verb.js"
import { idleElsewhere } from "./notices.js"

/** $1 notices, $2 ids of this process's workers */
export const notify: Verb = {
  name: "notify",
  parameters: 2,
  text: (t) =>
    `SELECT count(*)::int AS sent
  FROM (
    SELECT pg_notify('${t.schema}', n.payload)
    FROM json_to_recordset($1::json) AS n(payload text, queue text)
    WHERE octet_length(n.payload) < 8000 AND (n.queue IS NULL OR ${idleElsewhere(t, "n.queue", "$2::json")})
    OFFSET 0
  ) sent`
}

/** A hint as a notice; the same array as statements make. */
const notice = (origin: string, hint: Driver.Hint): string => {
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
    hints.map((hint) => ({ payload: notice(origin, hint), queue: hint._tag === "Ready" ? hint.queue : null }))
  )

/** Anybody may notify our channel, so the payload may be anything. */
const parse = Schema.decodeUnknownOption(Schema.parseJson(Schema.Array(Schema.String)))

/** The hint in a notice; null for one of `origin`, and for what is none. */
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
