/**
 * Put messages into inboxes and wake their runs.
 *
 * Indexes: `runs_pkey` to lock and to update the targets, `inbox_id` to find duplicates.
 * Locks: the targets' run rows, in order of id.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../internal/Row.js"
import type { Verb } from "../Verb.js"
import {
  availableAfter,
  contentFields,
  delivery,
  encodeContent,
  letter,
  letterJoins,
  pauseAfter,
  statusAfter,
  targetColumns
} from "./delivery.js"
import { inboxNotices, readyNotices } from "./notices.js"
import { millis } from "./words.js"

/** $1 messages, $2 origin of notices, $3 ids of this process's workers */
export const deliver: Verb = {
  name: "deliver",
  parameters: 3,
  text: (t) => {
    const notices = { origin: "$2::text", local: "$3::json" }
    return `WITH outgoing AS MATERIALIZED (
    SELECT 0 AS c, m.*
    FROM json_to_recordset($1::json) AS m(k int, run text, kind text, name text, id text, ${contentFields})
  ), locked AS MATERIALIZED (
    SELECT r.*
    FROM (SELECT DISTINCT m.run COLLATE "C" AS id FROM outgoing m ORDER BY 1) target
    CROSS JOIN LATERAL (
      SELECT ${targetColumns("r")}
      FROM ${t.runs} r WHERE r.id = target.id FOR UPDATE
    ) r
  ), ${delivery(t, "SELECT * FROM locked").join(", ")}, touched AS MATERIALIZED (
    SELECT a.*, 1 AS touched FROM arrived a
  ), updated AS (
    UPDATE ${t.runs} r
    SET inbox_seq = a.ordinal,
      unread = r.unread + a.count,
      available_at = ${availableAfter(t, "r.available_at", "a")},
      status = ${statusAfter("r.status", "r.pause", "a")},
      pause = ${pauseAfter("r.pause", "a")}
    FROM touched a
    -- Always true; makes the planner expect few rows and use the index, whatever the statistics are.
    WHERE r.id = a.run AND a.touched = 1
  ), notified AS MATERIALIZED (
    ${readyNotices(t, { ...notices, queues: "SELECT DISTINCT a.queue FROM arrived a WHERE a.wakes" })}
    UNION ALL
    ${inboxNotices(t, { ...notices, held: "SELECT a.worker, a.run FROM arrived a WHERE a.worker IS NOT NULL" })}
  )
  SELECT ${millis(t.now)} AS now,
  (
    SELECT string_agg(${letter}, '' ORDER BY m.k)
    FROM outgoing m
    ${letterJoins(t, "locked")}
  ) AS letters,
  (SELECT json_agg(DISTINCT a.queue)::text FROM arrived a WHERE a.wakes) AS ready,
  (SELECT json_agg(json_build_array(a.worker, a.run))::text FROM arrived a WHERE a.worker IS NOT NULL) AS held,
  (SELECT count(*)::int FROM notified) AS notified`
  }
}

export const encode = (messages: ReadonlyArray<Driver.NewMessage>): string =>
  JSON.stringify(
    messages.map((message, k) => {
      const { id, kind, name, to } = message
      return { k, run: to, kind, name, id, ...encodeContent(message) }
    })
  )

const byLetter: Readonly<Record<string, Driver.Disposition>> = {
  D: "Delivered",
  B: "Buffered",
  2: "Duplicate",
  E: "Expired",
  N: "NoSuchRun"
}

/** Dispositions as statements give them, a letter each. */
export const dispositions = (letters: string): ReadonlyArray<Driver.Disposition> =>
  Array.from(letters, (letter) => Row.known(byLetter, letter))

/** What is to be told, as statements give it: queues that have runs to claim, and holders with the runs written to. */
export const hints = (row: Row.Fields): ReadonlyArray<Driver.Hint> => [
  ...Row.texts(row, "ready").map((queue): Driver.Hint => ({ _tag: "Ready", queue })),
  ...Row.list(row, "held").map((each): Driver.Hint => ({
    _tag: "Inbox",
    worker: Row.text(each, 0),
    run: Row.text(each, 1)
  }))
]

export const decode = (rows: ReadonlyArray<Row.Fields>) => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: dispositions(Row.textOrNull(row, "letters") ?? ""),
    hints: hints(row)
  }
}
