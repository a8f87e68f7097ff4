/** Rows of queues, as a result; their settings, as columns. */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Words } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { sql } from "../sql.js"

/** The columns of all settings but `paused`. */
export const limitColumns = [
  "priority",
  "concurrency",
  "admission",
  "key_concurrency",
  "rate_limit",
  "rate_millis",
  "rate_burst"
]

export const limitList = limitColumns.join(", ")

/** The columns of settings, in JSON. */
export const settingFields =
  `priority int, concurrency int, admission int, key_concurrency int, rate_limit int, rate_millis float8, rate_burst int,
  paused boolean`

/** The rows of a query, or of a part, in order of name. */
export const selectQueues = (t: Words, source: string): string =>
  sql`
    SELECT ${millis(t.now)} AS now, (
      SELECT json_agg(
        json_build_array(
          k.name, k.priority, k.concurrency, k.admission, k.key_concurrency, k.rate_limit, k.rate_millis, k.rate_burst,
          k.paused, k.definition, ${millis("k.pause_at")}, k.pause_by, k.pause_reason
        ) ORDER BY k.name
      )::text
      FROM ${source} k
    ) AS queues
  `

/** The columns of the settings that are given. */
export const encodeSettings = (change: Partial<Driver.QueueSettings>) => ({
  ...(change.priority === undefined ? {} : { priority: change.priority }),
  ...(change.concurrency === undefined ? {} : { concurrency: change.concurrency }),
  ...(change.admission === undefined ? {} : { admission: change.admission }),
  ...(change.keyConcurrency === undefined ? {} : { key_concurrency: change.keyConcurrency }),
  ...(change.rate === undefined ? {} : {
    rate_limit: change.rate?.limit ?? null,
    rate_millis: change.rate?.millis ?? null,
    rate_burst: change.rate?.burst ?? null
  }),
  ...(change.paused === undefined ? {} : { paused: change.paused })
})

const queue = (row: Row.Fields): Driver.QueueRecord => {
  const limit = Row.integerOrNull(row, 5)
  return {
    name: Row.text(row, 0),
    priority: Row.integer(row, 1),
    concurrency: Row.integerOrNull(row, 2),
    admission: Row.integerOrNull(row, 3),
    keyConcurrency: Row.integerOrNull(row, 4),
    rate: limit === null ? null : { limit, millis: Row.number(row, 6), burst: Row.integer(row, 7) },
    paused: Row.flag(row, 8),
    definition: Row.textOrNull(row, 9),
    pause: row[10] === null
      ? null
      : { at: Row.number(row, 10), by: Row.textOrNull(row, 11), reason: Row.textOrNull(row, 12) }
  }
}

export const decodeQueues = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.QueueRecord>> => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: Row.list(row, "queues").map(queue) }
}
