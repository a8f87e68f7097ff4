/**
 * What the two commit statements share: the shape of a batch, its parameters, and the parts that write what hangs on a
 * run: entries, consumed messages, published values, children.
 */
import { FinishStatus } from "perdure/JournalDriver"
import type { Words } from "../Verb.js"
import { insertInputs, newRunColumns } from "./enqueue.js"
import { arrived } from "./keyed.js"
import { change, instant, list, part } from "./words.js"

/** What the commits of a batch have in them, besides entries. */
export interface Shape {
  readonly consumed: boolean
  readonly children: boolean
  readonly messages: boolean
  readonly published: boolean
  /** Any transition. */
  readonly moves: boolean
  /** Any `Finish` of a run that may have a parent. */
  readonly ends: boolean
  /** Any `Finish`. */
  readonly finishes: boolean
  /** Any `Continue`. */
  readonly continues: boolean
  /** Any `Finish` of a run that may have a key. */
  readonly frees: boolean
  /** Any child that has a key. */
  readonly keyed: boolean
}

/** The parameters that carry lists which may be left out, in order, after commits, entries and worker. */
export const lists = ["consumed", "children", "messages", "published"] as const

export type List = (typeof lists)[number]

/** The number of parameters of a statement for this shape. */
export const parameters = (shape: Shape): number => 3 + lists.filter((each) => shape[each]).length

/** The parameter that carries a list. */
export const parameter = (shape: Shape, list: List): string =>
  `$${4 + lists.filter((each) => shape[each]).indexOf(list)}::json`

/** Verdicts, as digits of the answer. */
export const lost = 0
export const applied = 1
export const again = 2
export const unseen = 3

/** The columns of a commit that tell where it belongs. */
export const placeColumns =
  `i int, run text, epoch int, "from" int, n int, seen int, must boolean, mark bigint, closes text[]`

/** The columns of its transition. `move` is the state that it leads to; `running` stands for `Continue`. */
export const moveColumns = "move text, until float8, waiting text[], exit_kind text, exit_value text, detail text"

/** The statuses that a `Finish` leads to. */
export const ended = list(FinishStatus.literals)

/**
 * Of a row of a list: that its commit is applied now. Reads the part `verdict`, an array of the verdicts by the index of
 * their commits: that takes no join, and no planner can make a bad one of it.
 *
 * Of a comparison the planner expects that it leaves few rows, of `coalesce` that it leaves half of them. The rows of a
 * list are many, so this is for lists that are joined with other lists, which must be hashed then.
 */
export const applies = (row: string): string => `coalesce(${fewApply(row)}, false)`

/** The same, for lists that are joined with tables: for few rows expected, their indexes are used. */
export const fewApply = (row: string): string => `(SELECT verdicts FROM verdict)[${row}.c + 1] = ${applied}`

export const written = (t: Words): string =>
  change(
    "written",
    `INSERT INTO ${t.journal} (at, seq, op, epoch, run, worker, kind, name, exit_kind, exit_value)
    SELECT ${instant("e.at")}, e.seq, e.op, e.epoch, e.run, $3::text, e.kind, e.name, e.exit, e.value
    FROM json_to_recordset($2::json) AS e(c int, run text, epoch int, seq int, op int, kind text, name text, exit text,
      value text, at float8)
    WHERE ${applies("e")}`
  )

export const consumption = (t: Words, rows: string): string =>
  change(
    "consumption",
    `UPDATE ${t.inbox} m
    SET consumed = true
    FROM json_to_recordset(${rows}) AS x(c int, run text, ordinal int)
    -- Not as in the predicate of \`inbox_unread\`: that index would be walked when it seems to be empty.
    WHERE ${fewApply("x")} AND m.run = x.run AND m.ordinal = x.ordinal AND m.consumed IS NOT TRUE
    RETURNING m.run`
  )

export const publication = (t: Words, rows: string): string =>
  change(
    "publication",
    `INSERT INTO ${t.published} (at, version, run, key, value)
    SELECT ${t.now}, p.count, p.run, p.key, p.value
    FROM json_to_recordset(${rows}) AS p(c int, run text, key text, value text, count int)
    WHERE ${applies("p")}
    ORDER BY p.run COLLATE "C", p.key COLLATE "C"
    ON CONFLICT (run, key) DO UPDATE
    SET value = excluded.value, version = published.version + excluded.version, at = excluded.at`
  )

/** `child`: the children to start; `born`: those that are new. */
export const births = (t: Words, rows: string, { keyed }: Shape): ReadonlyArray<string> => [
  part(
    "child",
    `SELECT DISTINCT ON (a.id) a.*, coalesce(${instant("a.available")}, ${t.now}) AS at
    FROM json_to_recordset(${rows}) AS a(c int, ${newRunColumns})
    WHERE ${applies("a")}
    ORDER BY a.id, a.i`
  ),
  change("born", insertInputs(t, "child")),
  ...(keyed
    ? arrived(t, "SELECT a.queue, a.key FROM child a JOIN born b ON b.run = a.id WHERE a.key IS NOT NULL")
    : [])
]

/** The commits (table `from`, row `s`) whose runs are paused or are to be. */
export const pausing = (from: string): string =>
  part("pausing", `SELECT array_agg(s.i) AS commits FROM ${from} s WHERE s.pause = 'asked' OR s.status = 'paused'`)

/** Whether a child `a` is born paused, as its parent is to be. */
export const bornPaused = "coalesce(a.attached AND a.c = ANY ((SELECT commits FROM pausing)::int[]), false)"

/** Run rows of the children; with `arrived` if messages may have come for them. */
export const started = (t: Words, written: boolean): string =>
  change(
    "started",
    `INSERT INTO ${t.runs} (available_at, priority, epoch, inbox_seq, unread, expires_at, id, status, pause, queue, workflow,
      version, key)
    SELECT ${
      written
        ? `CASE WHEN v.wakes THEN least(a.at, ${t.now}) ELSE a.at END, a.priority, 0, coalesce(v.ordinal, 0),
      coalesce(v.count, 0)`
        : "a.at, a.priority, 0, 0, 0"
    }, ${instant("a.expires")}, a.id, CASE WHEN ${bornPaused}${
      written ? " AND v.cancels IS NOT TRUE" : ""
    } THEN 'paused' ELSE 'pending' END, CASE ${
      written ? "WHEN v.cancels THEN 'cancelled' " : ""
    }WHEN ${bornPaused} THEN 'pending' END, a.queue, a.workflow, a.version, a.key
    FROM child a
    JOIN born b ON b.run = a.id${written ? "\n    LEFT JOIN arrived v ON v.run = a.id" : ""}`
  )

/** The queue of each child that is new. */
export const bornQueues = "SELECT a.queue FROM child a JOIN born b ON b.run = a.id"

/** A select list of named scalar queries, without those that are null. */
export const scalars = (queries: ReadonlyArray<readonly [string, string | null]>): ReadonlyArray<string> =>
  queries.flatMap(([name, query]) => query === null ? [] : [`(${query}) AS ${name}`])

/** Distinct queues of a union of queries, as JSON; null for none. */
export const queuesOf = (queries: ReadonlyArray<string>): string | null =>
  queries.length === 0 ? null : `SELECT json_agg(DISTINCT x.queue)::text FROM (${queries.join(" UNION ALL ")}) x`

/** Whether some other worker waits for runs. */
export const idleElsewhere = (t: Words): string =>
  `SELECT bool_or(true) FROM ${t.workers} w WHERE w.idle AND w.lease_until > ${t.now} AND w.id <> $3::text`

/** The part of a verb's name that tells shapes apart: texts are kept by name, so it must tell of everything. */
export const suffix = (shape: Shape): string =>
  [
    shape.consumed ? "r" : "",
    shape.children ? "c" : "",
    shape.messages ? "m" : "",
    shape.published ? "p" : "",
    shape.moves ? "t" : "",
    shape.ends ? "e" : "",
    shape.finishes ? "f" : "",
    shape.continues ? "g" : "",
    shape.frees ? "k" : "",
    shape.keyed ? "q" : ""
  ].join("")
