/**
 * Apply many runs' commits at once. The hot path.
 *
 * Indexes: `runs_pkey` to lock and to update run rows; `inputs_pkey` for the parents of runs that end; `inbox_pkey` for
 * consumed messages; `inbox_id` and `published_pkey` by ON CONFLICT.
 * Locks: all run rows that it touches (its own, the targets of messages, the parents of runs that end), in order of
 * id, before it looks at any of them. New rows (children) are inserted in the order of `enqueue`.
 *
 * The other parts of the statement see its snapshot; only a locked row is current. So the verdict on each commit, the
 * ordinals of messages and all new values come from `locked`. A batch is applied in two passes: first every run's own
 * state (`state`), then messages, which meet the state after that. Each run row is updated once, with both effects.
 *
 * What a batch does not need is left out of the text, so that its plan stays small; `Shape` says what it needs.
 */
import type { Verb, Words } from "../Verb.js"
import {
  again,
  applied,
  applies,
  births,
  bornPaused,
  bornQueues,
  consumption,
  ended,
  idleElsewhere,
  lost,
  moveColumns,
  parameter,
  parameters,
  pausing,
  placeColumns,
  publication,
  queuesOf,
  scalars,
  type Shape,
  started,
  suffix,
  unseen,
  written
} from "./commitParts.js"
import { freed } from "./keyed.js"
import {
  availableAfter,
  contentFields,
  contentOf,
  delivery,
  endMessage,
  letter,
  letterJoins,
  pauseAfter,
  statusAfter,
  targetColumns
} from "./delivery.js"
import { change, instant, millis, part } from "./words.js"

/** The columns of a run row that a verdict and the new values need. */
const rowColumns = `r.id, r.status, r.epoch, r.next_seq, r.inbox_seq, r.last_from, r.last_mark, r.queue, r.available_at,
        r.worker, r.incarnation, r.waiting, r.closed, r.awaited, r.generation, r.first_seq, r.started_at,
        r.finished_at, r.last_answer, r.pause, r.fresh, r.key`

const message = `m.c, m.k, m.run, m.kind, m.name, m.id, ${contentOf("m")}`

/** The messages that the ends of runs are to their parents. */
const endMessages = `SELECT p.i, 2147483647, ${
  endMessage({ parent: "p", run: "s.id", status: "s.status", exitKind: "s.exit_kind", exitValue: "s.exit_value" })
}
    FROM parent p
    JOIN state s ON s.i = p.i AND s.applies`

/** That a run which is to be paused is let go of. */
const pauses = "j.applies AND j.pause = 'asked' AND j.move IN ('suspended', 'pending')"

/** The state of each locked row after the first pass. */
const state = (t: Words): string =>
  `SELECT j.id, j.i, j.applies, j.queue, j.key, j.inbox_seq, j.awaited, j.mark, j."from", j.exit_kind, j.exit_value, j.detail,
      j.move, j.last_answer, j.until,
      CASE WHEN ${pauses} THEN 'paused' WHEN j.applies THEN coalesce(j.move, j.status) ELSE j.status END AS status,
      CASE WHEN ${pauses} THEN j.move WHEN j.applies AND j.move IN ${ended} THEN NULL ELSE j.pause END AS pause,
      j.fresh,
      CASE WHEN j.applies AND j.move IN ('suspended', 'pending') THEN ${instant("j.until")} ELSE j.available_at END
        AS available_at,
      CASE WHEN j.applies AND j.move = 'suspended' THEN j.awaiting ELSE j.waiting END AS waiting,
      CASE WHEN NOT j.applies THEN j.closed WHEN j.move = 'running' THEN '{}' WHEN j.closes IS NULL THEN j.closed
        ELSE j.closed || j.closes END AS closed,
      CASE WHEN j.applies AND j.move <> 'running' THEN NULL ELSE j.worker END AS worker,
      CASE WHEN j.applies AND j.move <> 'running' THEN NULL ELSE j.incarnation END AS incarnation,
      CASE WHEN j.applies THEN j."from" + j.n ELSE j.next_seq END AS next_seq,
      CASE WHEN j.applies AND j.move = 'running' THEN j."from" + j.n ELSE j.first_seq END AS first_seq,
      CASE WHEN j.applies AND j.move = 'running' THEN j.generation + 1 ELSE j.generation END AS generation,
      CASE WHEN j.applies AND j.move = 'running' THEN ${instant("j.until")} ELSE j.started_at END AS started_at,
      CASE WHEN j.applies AND j.move IN ('completed', 'failed', 'cancelled') THEN ${t.now} ELSE j.finished_at END
        AS finished_at
    FROM judged j`

/** Runs in the order in which they are locked, each with the index of its own commit, if it has one. */
const targets = (messages: boolean, ends: boolean): string =>
  messages || ends
    ? `SELECT each.id COLLATE "C" AS id, max(each.i) AS i
      FROM (
        SELECT a.run AS id, a.i FROM asked a${messages ? "\n        UNION ALL SELECT m.run, NULL FROM sent m" : ""}${
      ends ? "\n        UNION ALL SELECT p.parent_id, NULL FROM parent p" : ""
    }
      ) each
      GROUP BY 1
      ORDER BY 1`
    : `SELECT a.run COLLATE "C" AS id, a.i FROM asked a ORDER BY 1`

/** What is locked, and what is to become of it. */
const judging = (t: Words, { ends, messages }: Shape): ReadonlyArray<string> => [
  part(
    "locked",
    `SELECT r.*, target.i
    FROM (
      ${targets(messages, ends)}
    ) target
    CROSS JOIN LATERAL (
      SELECT ${rowColumns}
      FROM ${t.runs} r WHERE r.id = target.id FOR UPDATE
    ) r`
  ),
  part(
    "judged",
    `SELECT r.*, v.*, coalesce(v.verdict = ${applied}, false) AS applies
    FROM locked r
    LEFT JOIN asked a ON a.i = r.i
    CROSS JOIN LATERAL (
      SELECT a."from", a.n, a.mark, a.closes, a.move, a.until, a.waiting AS awaiting, a.exit_kind, a.exit_value,
        a.detail, a.payload, a.read, CASE
          WHEN a.i IS NULL THEN NULL
          WHEN r.epoch = a.epoch AND r.last_from = a."from" AND r.last_mark = a.mark
            AND (a.n > 0 OR a.move IS NOT NULL) THEN ${again}
          WHEN r.status <> 'running' OR r.epoch <> a.epoch OR r.next_seq <> a."from" THEN ${lost}
          WHEN a.must AND r.inbox_seq <> a.seen THEN ${unseen}
          ELSE ${applied}
        END AS verdict
    ) v`
  ),
  part(
    "verdict",
    `SELECT array_agg(coalesce(j.verdict, ${lost}) ORDER BY a.i) AS verdicts
    FROM asked a
    LEFT JOIN judged j ON j.i = a.i`
  ),
  part("state", state(t))
]

/** Entries and messages of the old generation go; what this snapshot does not see of them is below `first_seq`. */
const continuing = (t: Words): ReadonlyArray<string> => {
  const continued = `j.verdict = ${applied} AND j.move = 'running'`
  return [
    change("forgotten", `DELETE FROM ${t.journal} e USING judged j WHERE ${continued} AND e.run = j.id`),
    change(
      "dropped",
      `DELETE FROM ${t.inbox} m USING judged j
    WHERE ${continued} AND m.run = j.id
      AND (m.consumed OR m.kind IN ('child', 'callback', 'defect') OR m.ordinal = ANY (j.read))
    RETURNING m.run, m.consumed`
    ),
    change(
      "restarted",
      `UPDATE ${t.inputs} n SET payload = j.payload, generation = j.generation + 1
    FROM judged j WHERE ${continued} AND n.run = j.id`
    )
  ]
}

/** Messages, of commits and of runs that end, into inboxes. */
const sending = (t: Words, { children, ends, messages }: Shape): ReadonlyArray<string> => [
  part(
    "outgoing",
    [
      ...(messages ? [`SELECT ${message} FROM sent m WHERE ${applies("m")}`] : []),
      ...(ends ? [endMessages] : [])
    ].join("\n    UNION ALL\n    ")
  ),
  ...delivery(
    t,
    [
      `SELECT ${targetColumns("s")} FROM state s`,
      ...(children
        ? [
          `SELECT a.id, a.queue, 0, CASE WHEN ${bornPaused} THEN 'paused' ELSE 'pending' END, '{}', '{}', NULL, 'pending',
        true, a.key FROM child a JOIN born b ON b.run = a.id`
        ]
        : [])
    ].join("\n      UNION ALL\n      ")
  )
]

const text = (shape: Shape) => (t: Words): string => {
  const { children, consumed, continues, ends, frees, messages, published } = shape
  const sends = messages || ends
  const parts = [
    part(
      "asked",
      `SELECT * FROM json_to_recordset($1::json) AS c(${placeColumns}, ${moveColumns}, payload text, read int[])`
    ),
    ...(messages
      ? [part(
        "sent",
        `SELECT * FROM json_to_recordset(${parameter(shape, "messages")})
      AS m(c int, k int, run text, kind text, name text, id text, ${contentFields})`
      )]
      : []),
    // Whose child a run is never changes, so the snapshot will do.
    ...(ends
      ? [part(
        "parent",
        `SELECT a.i, n.parent_id, n.parent_token
    FROM asked a
    CROSS JOIN LATERAL (
      -- Without OFFSET the last condition would be part of this, and the index of those that have a parent be walked.
      SELECT n.parent_id, n.parent_token FROM ${t.inputs} n WHERE n.run = a.run OFFSET 0
    ) n
    WHERE coalesce(a.move IN ${ended}, false) AND n.parent_id IS NOT NULL`
      )]
      : []),
    ...judging(t, shape),
    written(t),
    ...(consumed ? [consumption(t, parameter(shape, "consumed"))] : []),
    ...(continues ? continuing(t) : []),
    ...(published ? [publication(t, parameter(shape, "published"))] : []),
    ...(children
      ? [pausing("(SELECT s.* FROM state s WHERE s.applies)"), ...births(t, parameter(shape, "children"), shape)]
      : []),
    ...(sends ? sending(t, shape) : []),
    ...(messages
      ? [part(
        "answer",
        `SELECT m.c, string_agg(${letter}, '' ORDER BY m.k) AS letters
    FROM sent m
    ${letterJoins(t, "state")}
    WHERE ${applies("m")}
    GROUP BY m.c`
      )]
      : []),
    ...(children ? [started(t, sends)] : []),
    ...(frees
      ? [freed(t, `SELECT s.queue, s.key FROM state s WHERE s.applies AND s.key IS NOT NULL AND s.move IN ${ended}`)]
      : []),
    ...updates(t, shape)
  ]
  return `WITH ${parts.join(", ")}
  ${answer(t, shape)}`
}

/** Each locked row that changes, updated once. */
const updates = (t: Words, { consumed, continues, ends, messages, moves }: Shape): ReadonlyArray<string> => {
  const sends = messages || ends
  const emptied = [
    ...(consumed ? ["SELECT run FROM consumption"] : []),
    ...(continues ? ["SELECT run FROM dropped WHERE NOT consumed"] : [])
  ]
  const set = [
    "next_seq = s.next_seq",
    "closed = s.closed",
    "crashes = CASE WHEN s.applies THEN 0 ELSE r.crashes END",
    "last_from = CASE WHEN s.applies THEN s.\"from\" ELSE r.last_from END",
    "last_mark = CASE WHEN s.applies THEN s.mark ELSE r.last_mark END",
    ...(moves
      ? [
        "worker = s.worker",
        "incarnation = s.incarnation",
        "waiting = s.waiting",
        "finished_at = s.finished_at",
        "exit_kind = CASE WHEN s.applies THEN s.exit_kind ELSE r.exit_kind END",
        "exit_value = CASE WHEN s.applies THEN s.exit_value ELSE r.exit_value END",
        "detail = CASE WHEN s.applies THEN s.detail ELSE r.detail END"
      ]
      : []),
    ...(sends
      ? [`status = ${statusAfter("s.status", "s.pause", "s")}`, `pause = ${pauseAfter("s.pause", "s")}`]
      : moves
      ? ["status = s.status", "pause = s.pause"]
      : []),
    ...(continues ? ["first_seq = s.first_seq", "generation = s.generation", "started_at = s.started_at"] : []),
    ...(sends
      ? [
        "inbox_seq = coalesce(s.ordinal, r.inbox_seq)",
        `available_at = ${availableAfter(t, "s.available_at", "s")}`
      ]
      : moves
      ? ["available_at = s.available_at"]
      : []),
    ...(messages ? ["last_answer = CASE WHEN s.applies THEN s.letters ELSE r.last_answer END"] : []),
    ...(sends || emptied.length > 0
      ? [
        `unread = r.unread${sends ? " + coalesce(s.count, 0)" : ""}${
          emptied.length > 0 ? " - coalesce(s.read, 0)" : ""
        }`
      ]
      : [])
  ]
  const joins = [
    ...(sends ? ["LEFT JOIN arrived v ON v.run = s.id"] : []),
    ...(messages ? ["LEFT JOIN answer w ON w.c = s.i"] : []),
    ...(emptied.length > 0
      ? [`LEFT JOIN (SELECT x.run, count(*)::int AS read FROM (${emptied.join(" UNION ALL ")}) x GROUP BY 1) e
      ON e.run = s.id`]
      : [])
  ]
  const columns = [
    "s.*",
    ...(sends ? ["v.ordinal", "v.count", "v.stirs", "v.cancels"] : []),
    ...(messages ? ["w.letters"] : []),
    ...(emptied.length > 0 ? ["e.read"] : [])
  ]
  return [
    `touched AS MATERIALIZED (
    SELECT ${columns.join(", ")}, CASE WHEN s.applies${
      sends ? " OR v.run IS NOT NULL" : ""
    } THEN 1 ELSE 0 END AS touched
    FROM state s${joins.map((join) => `\n    ${join}`).join("")}
  )`,
    // A comparison with a constant makes the planner expect few rows and use the index, whatever the statistics are.
    `updated AS (
    UPDATE ${t.runs} r
    SET ${set.join(",\n      ")}
    FROM touched s
    WHERE r.id = s.id AND s.touched = 1
  )`
  ]
}

/** Verdicts and dispositions, and what there is to tell others. */
const answer = (t: Words, { children, ends, finishes, frees, messages, moves, published }: Shape): string => {
  const ready = [
    ...(children ? [bornQueues] : []),
    ...(messages || ends ? ["SELECT v.queue FROM arrived v WHERE v.wakes"] : []),
    ...(moves ? ["SELECT s.queue FROM state s WHERE s.applies AND s.move = 'pending'"] : []),
    ...(frees ? [`SELECT s.queue FROM state s WHERE s.applies AND s.key IS NOT NULL AND s.move IN ${ended}`] : [])
  ]
  return `SELECT ${
    [
      `${millis(t.now)} AS now`,
      "coalesce(array_to_string((SELECT verdicts FROM verdict), ''), '') AS verdicts",
      ...scalars([
        ["ready", queuesOf(ready)],
        [
          "asleep",
          moves
            ? queuesOf([
              "SELECT s.queue FROM state s WHERE s.applies AND s.move = 'suspended' AND s.until < 'Infinity'"
            ])
            : null
        ],
        [
          "held",
          messages || ends
            ? "SELECT json_agg(json_build_array(v.worker, v.run))::text FROM arrived v WHERE v.worker IS NOT NULL"
            : null
        ],
        [
          "changed",
          finishes || published
            ? `SELECT json_agg(s.id)::text FROM state s WHERE s.applies AND s.awaited${
              published ? "" : ` AND s.move IN ${ended}`
            }`
            : null
        ],
        [
          "answers",
          messages
            ? `SELECT json_agg(json_build_array(j.i, coalesce(w.letters, j.last_answer)))::text
    FROM judged j LEFT JOIN answer w ON w.c = j.i WHERE j.verdict IN (${applied}, ${again})`
            : null
        ],
        ["idle", ready.length > 0 ? idleElsewhere(t) : null]
      ])
    ].join(",\n  ")
  }`
}

/** $1 commits, $2 entries, $3 worker, then the lists of this shape */
export const commit = (shape: Shape): Verb => ({
  name: `commit${suffix(shape)}`,
  parameters: parameters(shape),
  text: text(shape)
})
