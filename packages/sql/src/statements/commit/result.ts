/** The row of a commit statement, as results of its commits and as hints. */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Words } from "../../Verb.js"
import { decodeLetters } from "../shared/delivery.js"
import { decodeHints } from "../shared/hints.js"
import { sql, unionAll } from "../sql.js"
import { APPLIED, LOCKED, REPEATED, UNSEEN } from "./shape.js"

/** The columns that both statements return first. */
export const verdictsColumn = "coalesce(array_to_string((SELECT verdicts FROM verdicts), ''), '') AS verdicts"

/** A column with the queues of a union of queries, as JSON; none without queries. */
export const queuesColumn = (name: string, queries: ReadonlyArray<string>): ReadonlyArray<string> =>
  queries.length === 0
    ? []
    : [
      sql`
        (
          SELECT json_agg(DISTINCT x.queue)::text FROM (
            ${unionAll(queries)}
          ) x
        ) AS ${name}
      `
    ]

/** A column that says whether another worker is idle. */
export const idleColumn = (t: Words): string =>
  sql`
    (
      SELECT bool_or(true) FROM ${t.workers} w
      WHERE w.idle AND w.lease_until > ${t.now} AND w.id <> $3::text
    ) AS idle
  `

export interface CommitAnswer {
  readonly now: Driver.Millis
  /** A digit for each commit. */
  readonly verdicts: string
  /** Dispositions as letters, by the position of the commit, of applied commits with messages. */
  readonly letters: ReadonlyMap<number, string | null>
  /** What holders may not know, by the position of the commit. */
  readonly news: ReadonlyMap<number, Driver.HolderNews>
  /** For this process, and for others. */
  readonly hints: ReadonlyArray<Driver.Hint>
  /** For this process only: queues with runs that will be due at some time. */
  readonly localHints: ReadonlyArray<Driver.Hint>
  /** Whether another worker is idle. */
  readonly idle: boolean
}

/** Columns that a statement may leave out. */
const absent = { asleep: null, answers: null, idle: null }

export const decode = (rows: ReadonlyArray<Row.Fields>): CommitAnswer => {
  const row: Row.Fields = { ...absent, ...Row.first(rows) }
  return {
    now: Row.instant(row, "now"),
    verdicts: Row.text(row, "verdicts"),
    letters: new Map(Row.list(row, "answers").map((each) => [Row.integer(each, 0), Row.textOrNull(each, 1)])),
    news: new Map(
      Row.list(row, "news").map((
        each
      ) => [Row.integer(each, 0), { inboxSeq: Row.integer(each, 1), pausing: Row.flag(each, 2) }])
    ),
    hints: decodeHints(row),
    localHints: Row.texts(row, "asleep").map((queue): Driver.Hint => ({ _tag: "Ready", queue })),
    idle: row["idle"] === true
  }
}

/** The result of one commit. */
export const resultOf = (
  commit: Driver.RunCommit,
  verdict: string | undefined,
  letters: string | null | undefined,
  news: Driver.HolderNews | null
): Driver.CommitResult => {
  if (verdict === APPLIED || verdict === REPEATED) {
    return { _tag: "Applied", dispositions: commit.messages.length === 0 ? [] : decodeLetters(letters ?? ""), news }
  }
  if (verdict === LOCKED) return { _tag: "Locked" }
  return { _tag: verdict === UNSEEN ? "Unseen" : "Lost" }
}
