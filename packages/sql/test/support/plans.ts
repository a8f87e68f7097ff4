/** Plans of the driver's statements in the form that tests compare: which nodes read which tables by which indexes. */
import * as Tables from "@perdure/sql/Tables"
import { type Statement, statement, type Verb } from "@perdure/sql/Verb"
import * as Effect from "effect/Effect"
import type { RunFilter } from "perdure/JournalDriver"
import * as Schema from "effect/Schema"
import { claim, encode as encodeClaim } from "../../src/statements/claim/claim.js"
import { claimContents } from "../../src/statements/claim/claimContents.js"
import { commit } from "../../src/statements/commit/commit.js"
import { commitOwn } from "../../src/statements/commit/commitOwn.js"
import { commitVerdicts } from "../../src/statements/commit/commitVerdicts.js"
import { controls } from "../../src/statements/control/controls.js"
import { expire } from "../../src/statements/control/expire.js"
import { fork } from "../../src/statements/control/fork.js"
import { pause } from "../../src/statements/control/pause.js"
import { resume } from "../../src/statements/control/resume.js"
import { terminate } from "../../src/statements/control/terminate.js"
import { enqueue } from "../../src/statements/enqueue/enqueue.js"
import { find } from "../../src/statements/find/find.js"
import { encodeRules, retain } from "../../src/statements/find/retain.js"
import { deliver } from "../../src/statements/inbox/deliver.js"
import { inbox } from "../../src/statements/inbox/inbox.js"
import { awaitRuns } from "../../src/statements/read/await.js"
import { get } from "../../src/statements/read/get.js"
import { history } from "../../src/statements/read/history.js"
import { published } from "../../src/statements/read/published.js"
import { reap } from "../../src/statements/release/reap.js"
import { reconcile } from "../../src/statements/release/reconcile.js"
import { retire } from "../../src/statements/release/retire.js"
import { emptyShape, fullShape, shapeWith } from "./statements.js"
import type { Session } from "./Session.js"

export const tables = Tables.unsafeMake("perdure")

const runs = JSON.stringify([{
  i: 0,
  id: "new",
  workflow: "flow",
  version: "1",
  queue: "q",
  priority: 0,
  payload: "1"
}])
const commits = JSON.stringify([
  { i: 0, run: "r00000001", epoch: 1, from: 0, n: 0, seen: 0, must: false, mark: 1 }
])

/** The parameters of a claim. */
export const claims = (queues: ReadonlyArray<string>, limit: number): ReadonlyArray<unknown> =>
  encodeClaim({
    workflows: [{ name: "flow", version: "1" }],
    queues,
    limit,
    worker: { id: "w", incarnation: "1" },
    hot: new Map()
  })

const found = (name: string, filter: RunFilter): readonly [string, Verb, ReadonlyArray<unknown>] => {
  const { parameters, verb } = find(filter, null, 100)
  return [name, verb, parameters]
}

/** The statements that a busy system sends, with parameters that find rows. */
export const all: ReadonlyArray<readonly [name: string, verb: Verb, parameters: ReadonlyArray<unknown>]> = [
  ["enqueue", enqueue({ claiming: false, keyed: false }), [runs, "", "[]"]],
  ["enqueue, claiming", enqueue({ claiming: true, keyed: false }), [runs, "", "[]", "w", "1", 1]],
  ["claim", claim, claims(["q"], 100)],
  ["claim, journals and inboxes", claimContents, [JSON.stringify([{ run: "r00000001", journal: true }])]],
  ["commit, own", commitOwn(emptyShape), [commits, "[]", "w"]],
  [
    "commit, own, with all it can",
    commitOwn(shapeWith("children", "published", "moves", "finishes")),
    [commits, "[]", "w", "[]", "[]"]
  ],
  ["commit, judge", commitVerdicts, [commits]],
  ["commit, with messages", commit(shapeWith("messages")), [commits, "[]", "w", "[]"]],
  ["commit, with everything", commit(fullShape), [commits, "[]", "w", "[]", "[]", "[]", "[]"]],
  ["deliver", deliver, [
    JSON.stringify([{ k: 0, run: "r00000001", kind: "signal", name: "x", id: "m", payload: "1" }]),
    "",
    "[]"
  ]],
  ["inbox", inbox, [JSON.stringify([{ i: 0, run: "r00000001", after: 0 }])]],
  ["reap", reap, [100, 3]],
  ["reconcile", reconcile, ["w", "1", "[]", 0]],
  ["retire", retire, ["w", "1"]],
  ["expire", expire, [100]],
  ["pause", pause, [JSON.stringify(["r00000001"]), "by", "reason"]],
  ["resume", resume, [JSON.stringify(["r00000001"]), "by", "reason"]],
  ["terminate", terminate, [JSON.stringify(["r00000001"]), "by", "reason"]],
  ["fork", fork, ["r00000001", 1, "fork", "q", 0, "fork", "by", "reason"]],
  ["controls", controls, ["r00000001"]],
  ["get", get, [JSON.stringify(["r00000001"])]],
  ["await", awaitRuns, [JSON.stringify(["r00000001"])]],
  ["history", history, ["r00000001", 0, 100]],
  ["published", published, ["r00000001"]],
  found("find", {}),
  found("find, of a workflow", { workflows: ["flow"] }),
  found("find, by state", { workflows: ["flow"], statuses: ["failed"] }),
  found("find, by parent", { parent: "r00000001" }),
  ["retain", retain, [encodeRules([{ workflow: "flow", statuses: ["failed"], olderThanMillis: 1 }]), 500]]
]

export const statementOf = (verb: Verb): Statement => statement(verb, tables, "database")

/** The fields of a plan's node that tests use. */
interface Node {
  readonly "Node Type": string
  readonly "Relation Name"?: string | undefined
  readonly "Index Name"?: string | undefined
  readonly "Index Cond"?: string | undefined
  readonly "Join Filter"?: string | undefined
  readonly "CTE Name"?: string | undefined
  readonly "Parent Relationship"?: string | undefined
  readonly "Total Cost": number
  readonly "Actual Rows"?: number | undefined
  readonly "Actual Loops"?: number | undefined
  readonly "Rows Removed by Filter"?: number | undefined
  readonly Plans?: ReadonlyArray<Node> | undefined
}

const Node: Schema.Schema<Node> = Schema.Struct({
  "Node Type": Schema.String,
  "Relation Name": Schema.optional(Schema.String),
  "Index Name": Schema.optional(Schema.String),
  "Index Cond": Schema.optional(Schema.String),
  "Join Filter": Schema.optional(Schema.String),
  "CTE Name": Schema.optional(Schema.String),
  "Parent Relationship": Schema.optional(Schema.String),
  "Total Cost": Schema.Number,
  "Actual Rows": Schema.optional(Schema.Number),
  "Actual Loops": Schema.optional(Schema.Number),
  "Rows Removed by Filter": Schema.optional(Schema.Number),
  Plans: Schema.optional(Schema.Array(Schema.suspend(() => Node)))
})

const Explained = Schema.Tuple(Schema.Struct({ Plan: Node }))

const nodes = (plan: Node): ReadonlyArray<Node> => [plan, ...(plan.Plans ?? []).flatMap(nodes)]

export interface Plan {
  readonly cost: number
  /** The reads of tables: `Index Scan runs_pkey`, `Seq Scan workers`; sorted, each once. */
  readonly reads: ReadonlyArray<string>
  /** Indexes that are read without a condition: whole, or until a limit. */
  readonly walked: ReadonlyArray<string>
  /** The inputs of each update of `runs`: how it finds its rows, and in what order. */
  readonly updates: ReadonlyArray<string>
  /** Conditions of joins beside their keys. */
  readonly filtered: ReadonlyArray<string>
  /** CTEs that are read again for each row of another input: quadratic work unless one of both is small. */
  readonly loops: ReadonlyArray<string>
}

const outline = (plan: Node): string => {
  const below = (plan.Plans ?? []).map(outline)
  const own = plan["Index Name"] === undefined ? plan["Node Type"] : `${plan["Node Type"]} ${plan["Index Name"]}`
  return below.length === 0 ? own : `${own}(${below.join(", ")})`
}

/** The CTE that a node only scans. */
const reread = (node: Node | undefined): ReadonlyArray<string> => {
  if (node === undefined) return []
  if (node["Node Type"] === "CTE Scan") return node["CTE Name"] === undefined ? [] : [node["CTE Name"]]
  return node["Node Type"] === "Materialize" || node["Node Type"] === "Subquery Scan" ? reread(node.Plans?.[0]) : []
}

const describe = (explained: unknown): Effect.Effect<Plan, unknown> =>
  Effect.map(Schema.decodeUnknown(Explained)(explained), ([{ Plan: plan }]) => {
    const found = nodes(plan)
    const read = found.flatMap((node) => {
      const type = node["Node Type"]
      // Not written tables, and not CTEs.
      if (!type.includes("Scan") || type === "CTE Scan") return []
      const name = node["Index Name"] ?? node["Relation Name"]
      return name === undefined ? [] : [`${type} ${name}`]
    })
    return {
      cost: plan["Total Cost"],
      reads: [...new Set(read)].toSorted(),
      walked: found.flatMap((node) =>
        node["Index Name"] !== undefined && node["Index Cond"] === undefined ? [node["Index Name"]] : []
      ),
      updates: found
        .filter((node) => node["Node Type"] === "ModifyTable" && node["Relation Name"] === "runs")
        .flatMap((node) => (node.Plans ?? []).map(outline)),
      filtered: found.flatMap((node) => node["Join Filter"] === undefined ? [] : [node["Join Filter"]]),
      loops: found.flatMap((node) =>
        node["Node Type"] === "Nested Loop"
          ? reread(node.Plans?.find((each) => each["Parent Relationship"] === "Inner"))
          : []
      ).toSorted()
    }
  })

const literal = (parameter: unknown): string =>
  parameter === null ? "NULL" : typeof parameter === "string" ? `'${parameter.replaceAll("'", "''")}'` : `${parameter}`

const call = (index: number, parameters: ReadonlyArray<unknown>): string =>
  `EXECUTE perdure_${index}${parameters.length === 0 ? "" : `(${parameters.map(literal).join(", ")})`}`

/** Prepares a statement under its index. */
export const prepare = (session: Session, index: number, verb: Verb) =>
  session.run(`PREPARE perdure_${index} AS ${statementOf(verb).text}`)

/** The plan that the session would now use for a prepared statement. */
export const explain = (session: Session, index: number, parameters: ReadonlyArray<unknown>) =>
  Effect.flatMap(
    session.run(`EXPLAIN (FORMAT JSON) ${call(index, parameters)}`),
    ([row]) => describe(row?.["QUERY PLAN"])
  )

/** The rows of a prepared statement. */
export const execute = (session: Session, index: number, parameters: ReadonlyArray<unknown>) =>
  session.run(call(index, parameters))

/** The buffers that a prepared statement touches. It is rolled back. */
export const buffers = (session: Session, index: number, parameters: ReadonlyArray<unknown>) =>
  Effect.gen(function*() {
    yield* session.run("BEGIN")
    const [row] = yield* session.run(
      `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${call(index, parameters)}`
    )
    yield* session.run("ROLLBACK")
    const [{ Plan: plan }] = yield* Schema.decodeUnknown(Touched)(row?.["QUERY PLAN"])
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
  })

/** The rows that a prepared statement reads of each index: rows that matched, and rows that a filter removed. */
export const rowsRead = (session: Session, index: number, parameters: ReadonlyArray<unknown>) =>
  Effect.gen(function*() {
    const [row] = yield* session.run(`EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${call(index, parameters)}`)
    const [{ Plan: plan }] = yield* Schema.decodeUnknown(Explained)(row?.["QUERY PLAN"])
    return nodes(plan).flatMap((node) => {
      const name = node["Index Name"]
      if (name === undefined) return []
      const [rows, loops, removed] = [node["Actual Rows"], node["Actual Loops"], node["Rows Removed by Filter"]]
      return [{ index: name, rows: Math.round((rows ?? NaN) * (loops ?? NaN)), removed: removed ?? 0 }]
    })
  })

const Touched = Schema.Tuple(Schema.Struct({
  Plan: Schema.Struct({ "Shared Hit Blocks": Schema.Number, "Shared Read Blocks": Schema.Number })
}))
