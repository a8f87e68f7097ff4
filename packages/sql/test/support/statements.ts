/**
 * Every statement of the driver, by the name of the file in `statements/` that has its rendered text. A statement that
 * has shapes is here once for each shape that occurs: `test/statements/counts.test.ts` executes programs with every
 * durable operation, and fails for a shape that is not here.
 */
import * as Tables from "@perdure/sql/Tables"
import { statement, type Verb } from "@perdure/sql/Verb"
import type { RunFilter } from "perdure/JournalDriver"
import { claim } from "../../src/statements/claim/claim.js"
import { claimContents } from "../../src/statements/claim/claimContents.js"
import { claimLimited } from "../../src/statements/claim/claimLimited.js"
import { commit } from "../../src/statements/commit/commit.js"
import { commitOwn } from "../../src/statements/commit/commitOwn.js"
import { commitVerdicts } from "../../src/statements/commit/commitVerdicts.js"
import type { Shape } from "../../src/statements/commit/shape.js"
import { controls } from "../../src/statements/control/controls.js"
import { expire } from "../../src/statements/control/expire.js"
import { fork } from "../../src/statements/control/fork.js"
import { pause } from "../../src/statements/control/pause.js"
import { resume } from "../../src/statements/control/resume.js"
import { terminate } from "../../src/statements/control/terminate.js"
import { enqueue } from "../../src/statements/enqueue/enqueue.js"
import { singletonAcquire } from "../../src/statements/enqueue/singletonAcquire.js"
import { singletonRelease } from "../../src/statements/enqueue/singletonRelease.js"
import { singletonSettle } from "../../src/statements/enqueue/singletonSettle.js"
import { count } from "../../src/statements/find/count.js"
import { find } from "../../src/statements/find/find.js"
import { retain } from "../../src/statements/find/retain.js"
import { notify } from "../../src/statements/hints/notify.js"
import { deliver } from "../../src/statements/inbox/deliver.js"
import { inbox } from "../../src/statements/inbox/inbox.js"
import { changeQueue } from "../../src/statements/queues/change.js"
import { counts } from "../../src/statements/queues/counts.js"
import { define } from "../../src/statements/queues/define.js"
import { ensure } from "../../src/statements/queues/ensure.js"
import { pausedWorkflows } from "../../src/statements/queues/pausedWorkflows.js"
import { pauseWorkflows } from "../../src/statements/queues/pauseWorkflows.js"
import { queuePage } from "../../src/statements/queues/page.js"
import { queues } from "../../src/statements/queues/queues.js"
import { resumeWorkflows } from "../../src/statements/queues/resumeWorkflows.js"
import { awaitRuns } from "../../src/statements/read/await.js"
import { get } from "../../src/statements/read/get.js"
import { history } from "../../src/statements/read/history.js"
import { publish } from "../../src/statements/read/publish.js"
import { published } from "../../src/statements/read/published.js"
import { reap } from "../../src/statements/release/reap.js"
import { reconcile } from "../../src/statements/release/reconcile.js"
import { extendLease } from "../../src/statements/workers/extendLease.js"
import { retire } from "../../src/statements/release/retire.js"
import { due } from "../../src/statements/schedules/due.js"
import { named } from "../../src/statements/schedules/named.js"
import { page } from "../../src/statements/schedules/page.js"
import { remove } from "../../src/statements/schedules/remove.js"
import { see } from "../../src/statements/schedules/see.js"
import { write } from "../../src/statements/schedules/write.js"
import { heartbeat } from "../../src/statements/workers/heartbeat.js"
import { ping } from "../../src/statements/workers/ping.js"
import { pong } from "../../src/statements/workers/pong.js"
import { samples } from "../../src/statements/workers/samples.js"
import { workers } from "../../src/statements/workers/workers.js"

const flags = [
  "consumed",
  "children",
  "messages",
  "published",
  "moves",
  "ends",
  "finishes",
  "continues",
  "frees",
  "keyed"
] as const

type Flag = (typeof flags)[number]

/** The shape of a batch of commits that has only these. */
export const shapeWith = (...having: ReadonlyArray<Flag>): Shape => {
  const has = (flag: Flag) => having.includes(flag)
  return {
    consumed: has("consumed"),
    children: has("children"),
    messages: has("messages"),
    published: has("published"),
    moves: has("moves"),
    ends: has("ends"),
    finishes: has("finishes"),
    continues: has("continues"),
    frees: has("frees"),
    keyed: has("keyed")
  }
}

/** Every shape that a batch can have by its flags. */
export const allShapes: ReadonlyArray<Shape> = Array.from(
  { length: 2 ** flags.length },
  (_, bits) => shapeWith(...flags.filter((_, index) => (bits & (1 << index)) !== 0))
)

export const emptyShape = shapeWith()
export const fullShape = shapeWith(...flags)

/** Runs continue, suspend, end without and with a key, publish, and start children without and with keys. */
const ownShapes: ReadonlyArray<ReadonlyArray<Flag>> = [
  [],
  ["moves"],
  ["moves", "finishes"],
  ["moves", "finishes", "frees"],
  ["published"],
  ["children"],
  ["children", "moves"],
  ["children", "keyed"],
  ["children", "published", "moves", "finishes", "frees", "keyed"]
]

/** Runs receive messages, send them, end with a parent, and start a new generation. */
const shapes: ReadonlyArray<ReadonlyArray<Flag>> = [
  ["consumed"],
  ["consumed", "moves"],
  ["messages"],
  ["messages", "moves"],
  ["moves", "ends", "finishes"],
  ["consumed", "moves", "ends", "finishes", "frees"],
  ["children", "moves", "ends", "finishes"],
  ["moves", "continues"],
  ["consumed", "children"],
  ["consumed", "moves", "ends", "finishes"],
  ["consumed", "published", "moves", "finishes"],
  ["consumed", "messages", "moves", "finishes"],
  ["consumed", "moves", "finishes", "continues"],
  ["moves", "ends", "finishes", "frees"],
  ["children", "moves", "ends", "finishes", "frees", "keyed"],
  flags
]

const shapeName = (name: string, having: ReadonlyArray<Flag>): string => [name, ...having].join("-")

const finding = (
  name: string,
  filter: RunFilter
): readonly [string, Verb] => [`find-${name}`, find(filter, null, 100).verb]

const others: ReadonlyArray<readonly [name: string, verb: Verb]> = [
  ["find-all-after", find({}, { createdAt: 0, id: "" }, 100).verb],
  ["count-all", count({}).verb],
  ["count-statuses", count({ statuses: ["failed"] }).verb],
  ["count-tags", count({ tags: ["x"] }).verb],
  finding("all", {}),
  finding("workflow", { workflows: ["flow"] }),
  finding("statuses", { workflows: ["flow"], statuses: ["failed"] }),
  finding("live", { statuses: ["pending", "running", "suspended", "paused", "diverged"] }),
  finding("queue-key", { queues: ["q"], key: "k", statuses: ["pending", "running"] }),
  finding("parent", { parent: "r" }),
  finding("root", { root: "r" }),
  finding("idempotency-key", { workflows: ["flow"], idempotencyKey: "k" }),
  finding("tags", { tags: ["x"] }),
  finding("attributes", { attributes: { n: 1 } }),
  finding("finished", { finishedFrom: 0, finishedBefore: 1 }),
  finding("error-text", { statuses: ["failed"], errorCode: "Bad", text: "x" })
]

/** The name of each statement that has one shape, or whose shapes have names of their own. */
const single: ReadonlyArray<Verb> = [
  enqueue({ claiming: false, keyed: false }),
  enqueue({ claiming: false, keyed: true }),
  enqueue({ claiming: true, keyed: false }),
  enqueue({ claiming: true, keyed: true }),
  singletonAcquire,
  singletonSettle,
  singletonRelease,
  claim,
  claimLimited,
  claimContents,
  commitVerdicts,
  deliver,
  inbox,
  get,
  awaitRuns,
  history,
  published,
  publish,
  reap,
  reconcile,
  retire,
  extendLease,
  pause,
  resume,
  terminate,
  expire,
  fork,
  controls,
  retain,
  queues,
  queuePage,
  counts,
  ensure,
  define,
  changeQueue,
  pauseWorkflows,
  resumeWorkflows,
  pausedWorkflows,
  named,
  page,
  due,
  write,
  remove,
  see,
  heartbeat,
  workers,
  samples,
  ping,
  pong,
  notify
]

const all: ReadonlyArray<readonly [name: string, verb: Verb]> = [
  ...single.map((verb) => [verb.name.replaceAll("_", "-"), verb] as const),
  ...ownShapes.map((having) => [shapeName("commit-own", having), commitOwn(shapeWith(...having))] as const),
  ...shapes.map((having) =>
    [having === flags ? "commit-everything" : shapeName("commit", having), commit(shapeWith(...having))] as const
  ),
  ...others
]

const tables = Tables.unsafeMake("perdure")

/** The text of each statement as the server gets it, by file. */
export const rendered: ReadonlyMap<string, string> = new Map(
  all.map(([name, verb]) => [`${name}.sql`, `${statement(verb, tables, "database").text};\n`])
)
