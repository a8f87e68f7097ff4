/**
 * Applies commits that also write to other runs, or to messages: the general form. Most commits need less and use
 * `commitOwn.ts`; `CommitVerb.ts` chooses by `isOwn` of the shape. The INSERT of entries is `insertedEntries` in
 * `parts.ts`, and `judgment.ts` decides which commits apply.
 *
 * Indexes: `runs_pkey` to lock and update runs; `inputs_pkey` for the parents of runs that end; `inbox_pkey` for
 * consumed messages; `inbox_id` and `published_pkey` by ON CONFLICT.
 * Locks: the rows of all runs that it touches (its own, the targets of messages, the parents of runs that end), in
 * order of id, before it reads any of them. New rows (children) are inserted in the order of `insertInputs`. It fails
 * if a row stays locked. Sent again with SKIP LOCKED, it leaves out the commits that touch such a row.
 *
 * The other parts of the statement read its snapshot; only a locked row is current. So the verdicts, the ordinals of
 * messages and all new values come from `locked_runs`. A batch is applied in two passes: first each run's own commit
 * (`run_states`), then messages, which meet the state after that. Each row is updated once, with both effects.
 */
import type { Verb, Words } from "../../Verb.js"
import {
  availableAfter,
  delivery,
  endMessage,
  letter,
  letterJoins,
  pauseAfter,
  statusAfter,
  targetColumns
} from "../shared/delivery.js"
import { finishes, millis } from "../shared/expressions.js"
import { keyNotices } from "../shared/keyNotices.js"
import { contentFields, contentOf } from "../shared/messages.js"
import { byIndex } from "../shared/planner.js"
import { change, part, sql, unionAll, withParts } from "../sql.js"
import { judgment, newsColumn } from "./judgment.js"
import {
  childQueues,
  children,
  consumedMessages,
  insertedEntries,
  insertedRuns,
  isAppliedList,
  lockTimeout,
  pausingCommits,
  startsPaused,
  writtenValues
} from "./parts.js"
import { moveColumns, placeColumns } from "./request.js"
import { idleColumn, queuesColumn, verdictsColumn } from "./result.js"
import { APPLIED, parameterCount, parameterOf, REPEATED, type Shape, suffix } from "./shape.js"

const commits = (shape: Shape): string =>
  part(
    "commits",
    sql`
      SELECT * FROM json_to_recordset($1::json) AS c(
        ${placeColumns},
        ${moveColumns}, payload text, read int[]
      )${lockTimeout(shape)}
    `
  )

const commitMessages = (shape: Shape): string =>
  part(
    "commit_messages",
    sql`
      SELECT * FROM json_to_recordset(${parameterOf(shape, "messages")}) AS m(
        c int, k int, run text, kind text, name text, id text,
        ${contentFields}
      )
    `
  )

/** `parents`: of runs that end. A run's parent never changes, so the snapshot is good enough. */
const parents = (t: Words): string =>
  part(
    "parents",
    sql`
      SELECT a.i, n.parent_id, n.parent_token
      FROM commits a
      ${byIndex(`SELECT n.parent_id, n.parent_token FROM ${t.inputs} n WHERE n.run = a.run`, "n")}
      WHERE coalesce(a.move IN ${finishes}, false) AND n.parent_id IS NOT NULL
    `
  )

/**
 * A new generation starts: entries and messages of the old one are deleted. Those that the snapshot lacks are below
 * `first_seq`.
 */
const newGenerations = (t: Words): ReadonlyArray<string> => {
  const continues = `j.verdict = ${APPLIED} AND j.move = 'running'`
  return [
    change("deleted_entries", `DELETE FROM ${t.journal} e USING judged_runs j WHERE ${continues} AND e.run = j.id`),
    change(
      "deleted_messages",
      sql`
        DELETE FROM ${t.inbox} m USING judged_runs j
        WHERE ${continues} AND m.run = j.id
          AND (m.consumed OR m.kind IN ('child', 'callback', 'defect') OR m.ordinal = ANY (j.read))
        RETURNING m.run, m.consumed
      `
    ),
    change(
      "updated_inputs",
      sql`
        UPDATE ${t.inputs} n SET payload = j.payload, generation = j.generation + 1
        FROM judged_runs j WHERE ${continues} AND n.run = j.id
      `
    )
  ]
}

/** Messages of commits and of runs that end, into inboxes. */
const outgoing = (t: Words, shape: Shape): ReadonlyArray<string> => {
  const { ends, messages } = shape
  const ending = endMessage({
    parent: "p",
    run: "s.id",
    status: "s.status",
    exitKind: "s.exit_kind",
    exitValue: "s.exit_value"
  })
  const sent = sql`
    SELECT m.c, m.k, m.run, m.kind, m.name, m.id,
      ${contentOf("m")}
    FROM commit_messages m WHERE ${isAppliedList("m")}
  `
  const endings = sql`
    SELECT p.i, 2147483647, ${ending}
    FROM parents p
    JOIN run_states s ON s.i = p.i AND s.applies
  `
  const newRuns = sql`
    SELECT a.id, a.queue, 0,
      CASE WHEN ${startsPaused} THEN 'paused' ELSE 'pending' END,
      '{}', '{}', NULL, 'pending', true, a.key
    FROM children a JOIN inserted_inputs b ON b.run = a.id
  `
  return [
    part("outgoing_messages", unionAll([...(messages ? [sent] : []), ...(ends ? [endings] : [])])),
    ...delivery(
      t,
      unionAll([`SELECT ${targetColumns("s")} FROM run_states s`, ...(shape.children ? [newRuns] : [])])
    )
  ]
}

/** `dispositions`: of the messages of each commit, as letters. */
const dispositions = (t: Words): string =>
  part(
    "dispositions",
    sql`
      SELECT m.c, string_agg(
        ${letter}, '' ORDER BY m.k
      ) AS letters
      FROM commit_messages m
      ${letterJoins(t, "run_states")}
      WHERE ${isAppliedList("m")}
      GROUP BY m.c
    `
  )

/** Whether messages may arrive in inboxes. */
const sends = ({ ends, messages }: Shape): boolean => messages || ends

/** Queries of the runs whose unread messages become fewer, a row for each message. */
const readQueries = ({ consumed, continues }: Shape): ReadonlyArray<string> => [
  ...(consumed ? ["SELECT run FROM consumed_messages"] : []),
  ...(continues ? ["SELECT run FROM deleted_messages WHERE NOT consumed"] : [])
]

const assignments = (t: Words, shape: Shape): ReadonlyArray<string> => {
  const { continues, messages, moves } = shape
  const ifApplied = (column: string, value: string) =>
    `${column} = CASE WHEN s.applies THEN ${value} ELSE r.${column} END`
  const unread = [
    "r.unread",
    ...(sends(shape) ? ["+ coalesce(s.count, 0)"] : []),
    ...(readQueries(shape).length > 0 ? ["- coalesce(s.read, 0)"] : [])
  ]
  return [
    "next_seq = s.next_seq",
    "closed = s.closed",
    ifApplied("crashes", "0"),
    ifApplied("last_from", "s.\"from\""),
    ifApplied("last_mark", "s.mark"),
    ...(moves
      ? [
        "worker = s.worker",
        "incarnation = s.incarnation",
        "waiting = s.waiting",
        "finished_at = s.finished_at",
        ifApplied("exit_kind", "s.exit_kind"),
        ifApplied("exit_value", "s.exit_value"),
        ifApplied("error_code", "s.error_code"),
        ifApplied("detail", "s.detail")
      ]
      : []),
    ...(sends(shape)
      ? [`status = ${statusAfter("s.status", "s.pause", "s")}`, `pause = ${pauseAfter("s.pause", "s")}`]
      : moves
      ? ["status = s.status", "pause = s.pause"]
      : []),
    ...(continues ? ["first_seq = s.first_seq", "generation = s.generation", "started_at = s.started_at"] : []),
    ...(sends(shape)
      ? ["inbox_seq = coalesce(s.ordinal, r.inbox_seq)", `available_at = ${availableAfter(t, "s.available_at", "s")}`]
      : moves
      ? ["available_at = s.available_at"]
      : []),
    ...(messages ? [ifApplied("last_answer", "s.letters")] : []),
    ...(unread.length > 1 ? [`unread = ${unread.join(" ")}`] : [])
  ]
}

/** `run_changes`: the new values of each locked row; those that do not change have 0 in `few`. */
const updatedRuns = (t: Words, shape: Shape): ReadonlyArray<string> => {
  const { messages } = shape
  const read = readQueries(shape)
  const hasRead = read.length > 0
  const columns = [
    "s.*",
    ...(sends(shape) ? ["v.ordinal", "v.count", "v.is_due", "v.cancels"] : []),
    ...(messages ? ["w.letters"] : []),
    ...(hasRead ? ["e.read"] : [])
  ]
  const readJoin = sql`
    LEFT JOIN (
      SELECT x.run, count(*)::int AS read FROM (
        ${unionAll(read)}
      ) x GROUP BY 1
    ) e ON e.run = s.id
  `
  const isChanged = sends(shape) ? "s.applies OR v.run IS NOT NULL" : "s.applies"
  return [
    part(
      "run_changes",
      sql`
        SELECT ${columns.join(", ")},
          CASE WHEN ${isChanged} THEN 1 ELSE 0 END AS few
        FROM run_states s
        ${sends(shape) ? "LEFT JOIN inbox_arrivals v ON v.run = s.id" : ""}
        ${messages ? "LEFT JOIN dispositions w ON w.c = s.i" : ""}
        ${hasRead ? readJoin : ""}
      `
    ),
    change(
      "updated_runs",
      sql`
        UPDATE ${t.runs} r
        SET
          ${assignments(t, shape).join(",\n")}
        FROM run_changes s
        WHERE r.id = s.id AND s.few = 1
      `
    )
  ]
}

/** The queues and keys of runs that end. */
const endedKeys = `FROM run_states s WHERE s.applies AND s.key IS NOT NULL AND s.move IN ${finishes}`

const parts = (t: Words, shape: Shape): ReadonlyArray<string> => {
  const { consumed, continues, ends, frees, messages, published } = shape
  const hasChildren = shape.children
  return [
    commits(shape),
    ...(messages ? [commitMessages(shape)] : []),
    ...(ends ? [parents(t)] : []),
    ...judgment(t, shape),
    insertedEntries(t),
    ...(consumed ? [consumedMessages(t, parameterOf(shape, "consumed"))] : []),
    ...(continues ? newGenerations(t) : []),
    ...(published ? [writtenValues(t, parameterOf(shape, "published"))] : []),
    ...(hasChildren
      ? [
        pausingCommits("(SELECT s.* FROM run_states s WHERE s.applies)"),
        ...children(t, parameterOf(shape, "children"), shape)
      ]
      : []),
    ...(sends(shape) ? outgoing(t, shape) : []),
    ...(messages ? [dispositions(t)] : []),
    ...(hasChildren ? [insertedRuns(t, sends(shape))] : []),
    ...(frees ? [keyNotices(t, "end_key_notices", `SELECT s.queue, s.key ${endedKeys}`, true)] : []),
    ...updatedRuns(t, shape)
  ]
}

/** The columns of the result: verdicts, dispositions, and what follows for hints. */
const columns = (t: Words, shape: Shape): ReadonlyArray<string> => {
  const { frees, messages, moves, published } = shape
  const ready = [
    ...(shape.children ? [childQueues] : []),
    ...(sends(shape) ? ["SELECT v.queue FROM inbox_arrivals v WHERE v.wakes"] : []),
    ...(moves ? ["SELECT s.queue FROM run_states s WHERE s.applies AND s.move = 'pending'"] : []),
    ...(frees ? [`SELECT s.queue ${endedKeys}`] : [])
  ]
  const asleep = "SELECT s.queue FROM run_states s WHERE s.applies AND s.move = 'suspended' AND s.until < 'Infinity'"
  const held = sql`
    (SELECT json_agg(json_build_array(v.worker, v.run))::text FROM inbox_arrivals v WHERE v.worker IS NOT NULL) AS held
  `
  const ofChange = published ? "" : ` AND s.move IN ${finishes}`
  const changed = `(SELECT json_agg(s.id)::text FROM run_states s WHERE s.applies AND s.awaited${ofChange}) AS changed`
  const answers = sql`
    (
      SELECT json_agg(json_build_array(j.i, coalesce(w.letters, j.last_answer)))::text
      FROM judged_runs j LEFT JOIN dispositions w ON w.c = j.i WHERE j.verdict IN (${APPLIED}, ${REPEATED})
    ) AS answers
  `
  return [
    `${millis(t.now)} AS now`,
    verdictsColumn,
    newsColumn("judged_runs x WHERE x.applies AND x.move IS NULL"),
    ...queuesColumn("ready", ready),
    ...queuesColumn("asleep", moves ? [asleep] : []),
    ...(sends(shape) ? [held] : []),
    ...(shape.finishes || published ? [changed] : []),
    ...(messages ? [answers] : []),
    ...(ready.length > 0 ? [idleColumn(t)] : [])
  ]
}

/** $1 commits, $2 entries, $3 worker, then the lists of the shape */
export const commit = (shape: Shape): Verb => ({
  name: `commit${suffix(shape)}`,
  parameters: parameterCount(shape),
  text: (t) =>
    withParts(
      parts(t, shape),
      sql`
        SELECT
          ${columns(t, shape).join(",\n")}
      `
    )
})
