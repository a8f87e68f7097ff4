/** Parts of `commit` that lock the runs, judge each commit, and compute each run's state after its own commit. */
import type { Words } from "../../Verb.js"
import { finishes, instant } from "../shared/expressions.js"
import { part, sql } from "../sql.js"
import { APPLIED, LOCKED, LOST, REPEATED, type Shape, UNSEEN } from "./shape.js"

/**
 * Whether commit `a` has seen of run `r` what it must: the inbox, if it suspends the run or closes a window. A run to
 * be paused cannot finish, and a cancelled one only if the cancel was seen.
 */
export const hasSeen = (moves: boolean): string => {
  const inbox = "(NOT a.must OR r.inbox_seq = a.seen)"
  if (!moves) return inbox
  const controls = sql`
    (r.pause IS NULL OR a.move IS NULL OR a.move NOT IN ${finishes}
      OR (r.pause = 'cancelled' AND r.inbox_seq = a.seen))
  `
  return `${inbox} AND ${controls}`
}

/**
 * A column with what the holders of runs may not know after their commits: a row for each, of the position, the inbox
 * sequence, and whether the run is to be paused. `rows` has the runs that are still held.
 */
export const newsColumn = (rows: string): string =>
  sql`
    (
      SELECT json_agg(json_build_array(x.i, x.inbox_seq, coalesce(x.pause = 'asked', false)))::text
      FROM ${rows} AND (x.inbox_seq > x.seen OR x.pause = 'asked')
    ) AS news
  `

/** The columns of a run that a verdict and the new values need. */
const runColumns = sql`
  r.id, r.status, r.epoch, r.next_seq, r.inbox_seq, r.last_from, r.last_mark, r.queue, r.available_at,
  r.worker, r.incarnation, r.waiting, r.closed, r.awaited, r.generation, r.first_seq, r.started_at,
  r.finished_at, r.last_answer, r.pause, r.fresh, r.key
`

/** The runs in the order in which they are locked, each with the index of its own commit, if it has one. */
const targets = ({ ends, messages }: Shape): string =>
  messages || ends
    ? sql`
      SELECT each.id COLLATE "C" AS id, max(each.i) AS i
      FROM (
        SELECT a.run AS id, a.i FROM commits a
        ${messages ? "UNION ALL SELECT m.run, NULL FROM commit_messages m" : ""}
        ${ends ? "UNION ALL SELECT p.parent_id, NULL FROM parents p" : ""}
      ) each
      GROUP BY 1
      ORDER BY 1
    `
    : `SELECT a.run COLLATE "C" AS id, a.i FROM commits a ORDER BY 1`

const lockedRuns = (t: Words, shape: Shape): string =>
  part(
    "locked_runs",
    sql`
      SELECT r.*, target.i
      FROM (
        ${targets(shape)}
      ) target
      CROSS JOIN LATERAL (
        SELECT
          ${runColumns}
        FROM ${t.runs} r WHERE r.id = target.id FOR UPDATE${shape.locked === "skip" ? " SKIP LOCKED" : ""}
      ) r
    `
  )

/** `blocked_commits`: those that touch a row beside their own which exists and could not be locked. */
const blockedCommits = (t: Words, { ends, messages }: Shape): string =>
  part(
    "blocked_commits",
    sql`
      SELECT each.i FROM (
        SELECT a.i, a.run AS id FROM commits a WHERE false
        ${messages ? "UNION ALL SELECT m.c, m.run FROM commit_messages m" : ""}
        ${ends ? "UNION ALL SELECT p.i, p.parent_id FROM parents p" : ""}
      ) each
      WHERE NOT each.id IN (SELECT l.id FROM locked_runs l)
        AND EXISTS (SELECT FROM ${t.runs} r WHERE r.id = each.id)
    `
  )

const judgedRuns = ({ locked }: Shape): string =>
  part(
    "judged_runs",
    sql`
      SELECT r.*, v.*, coalesce(v.verdict = ${APPLIED}, false) AS applies
      FROM locked_runs r
      LEFT JOIN commits a ON a.i = r.i
      CROSS JOIN LATERAL (
        SELECT a."from", a.n, a.mark, a.seen, a.closes, a.move, a.until, a.waiting AS awaiting, a.exit_kind,
          a.exit_value, a.error_code, a.detail, a.payload, a.read, CASE
            WHEN a.i IS NULL THEN NULL
            WHEN r.epoch = a.epoch AND r.last_from = a."from" AND r.last_mark = a.mark
              AND (a.n > 0 OR a.move IS NOT NULL) THEN ${REPEATED}
            WHEN r.status <> 'running' OR r.epoch <> a.epoch OR r.next_seq <> a."from" THEN ${LOST}
            WHEN NOT (${hasSeen(true)}) THEN ${UNSEEN}
            ${locked === "skip" ? `WHEN a.i IN (SELECT b.i FROM blocked_commits b) THEN ${LOCKED}` : ""}
            ELSE ${APPLIED}
          END AS verdict
      ) v
    `
  )

/** Of a run whose row was skipped, the verdict is not known: `commitVerdicts` finds it. */
const verdicts = ({ locked }: Shape): string =>
  part(
    "verdicts",
    sql`
      SELECT array_agg(coalesce(j.verdict, ${locked === "skip" ? LOCKED : LOST}) ORDER BY a.i) AS verdicts
      FROM commits a
      LEFT JOIN judged_runs j ON j.i = a.i
    `
  )

/** The commit lets go of a run that is to be paused. */
const pauses = "j.applies AND j.pause = 'asked' AND j.move IN ('suspended', 'pending')"

/** The commit starts a new generation. */
const continues = "j.applies AND j.move = 'running'"

const runStates = (t: Words): string =>
  part(
    "run_states",
    sql`
      SELECT j.id, j.i, j.applies, j.queue, j.key, j.inbox_seq, j.awaited, j.mark, j."from", j.exit_kind, j.exit_value,
        j.error_code, j.detail, j.move, j.last_answer, j.until,
        CASE WHEN ${pauses} THEN 'paused'
          WHEN j.applies THEN coalesce(j.move, j.status) ELSE j.status END AS status,
        CASE WHEN ${pauses} THEN j.move
          WHEN j.applies AND j.move IN ${finishes} THEN NULL ELSE j.pause END AS pause,
        j.fresh,
        CASE WHEN j.applies AND j.move IN ('suspended', 'pending') THEN ${instant("j.until")} ELSE j.available_at END
          AS available_at,
        CASE WHEN j.applies AND j.move = 'suspended' THEN j.awaiting ELSE j.waiting END AS waiting,
        CASE WHEN NOT j.applies THEN j.closed WHEN j.move = 'running' THEN '{}' WHEN j.closes IS NULL THEN j.closed
          ELSE j.closed || j.closes END AS closed,
        CASE WHEN j.applies AND j.move <> 'running' THEN NULL ELSE j.worker END AS worker,
        CASE WHEN j.applies AND j.move <> 'running' THEN NULL ELSE j.incarnation END AS incarnation,
        CASE WHEN j.applies THEN j."from" + j.n ELSE j.next_seq END AS next_seq,
        CASE WHEN ${continues} THEN j."from" + j.n ELSE j.first_seq END AS first_seq,
        CASE WHEN ${continues} THEN j.generation + 1 ELSE j.generation END AS generation,
        CASE WHEN ${continues} THEN ${instant("j.until")} ELSE j.started_at END AS started_at,
        CASE WHEN j.applies AND j.move IN ${finishes} THEN ${t.now}
          ELSE j.finished_at END AS finished_at
      FROM judged_runs j
    `
  )

/**
 * - `locked_runs`: all runs that the statement touches;
 * - `judged_runs`: those with the verdict on their commits;
 * - `verdicts`: an array of the verdicts, by the index of the commit;
 * - `run_states`: the values of the runs after their own commits.
 */
export const judgment = (t: Words, shape: Shape): ReadonlyArray<string> => [
  lockedRuns(t, shape),
  ...(shape.locked === "skip" ? [blockedCommits(t, shape)] : []),
  judgedRuns(shape),
  verdicts(shape),
  runStates(t)
]
