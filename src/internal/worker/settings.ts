/** What a worker is told, checked: all that is wrong with it, or what it works by. */
import * as RunQueue from "../../RunQueue.js"
import { nameProblem } from "../options/legacyNames.js"
import { Reading, show } from "../options/reading.js"
import { nameOf } from "../options/queueReference.js"
import { DEFAULT_QUEUE } from "../process/KnownQueues.js"
import type { WorkerSettings } from "./WorkerCore.js"

/** What is left of options; it is the whole of them if there are no problems. */
export interface WorkerReading {
  readonly problems: ReadonlyArray<string>
  readonly settings: WorkerSettings
  readonly id: string | undefined
  readonly queues: ReadonlyArray<RunQueue.Ref>
}

const known = [
  "id",
  "queues",
  "concurrency",
  "claimBatch",
  "commitBatch",
  "commitsInFlight",
  "pollInterval",
  "lease",
  "maxCrashes",
  "linger",
  "hot",
  "drain"
]

const readId = (reading: Reading, id: unknown): string | undefined => {
  if (typeof id === "string") reading.note(nameProblem("the worker id", id))
  else if (id !== undefined) reading.note(`id is ${show(id)}, it must be a text: leave it out, or mend it`)
  return typeof id === "string" ? id : undefined
}

const readQueues = (reading: Reading, queues: unknown): ReadonlyArray<RunQueue.Ref> => {
  if (queues === undefined) return [DEFAULT_QUEUE]
  if (!Array.isArray(queues)) {
    reading.note(`queues is ${show(queues)}, it must be an array of queues or their names`)
    return [DEFAULT_QUEUE]
  }
  if (queues.length === 0) reading.note("queues is empty: name at least one queue")
  const all: ReadonlyArray<unknown> = queues
  return all.flatMap((queue, index): ReadonlyArray<RunQueue.Ref> => {
    if (typeof queue === "string") {
      reading.note(nameProblem("the queue", queue))
      return [queue]
    }
    if (!RunQueue.isRunQueue(queue)) {
      reading.note(`queues[${index}] is ${show(queue)}, it must be a RunQueue or the name of one`)
      return []
    }
    for (const problem of RunQueue.problemsOf(queue.name, queue.options)) {
      reading.note(`queue "${queue.name}": ${problem}`)
    }
    return [queue]
  })
}

/** Read options as they are, whatever their type says. */
export const readOptions = (options: unknown): WorkerReading => {
  const reading = new Reading()
  const said = reading.known("what is said", options, "", known)
  const hot = reading.known("hot", said["hot"], "hot.", ["runs", "keep"])
  const queues = readQueues(reading, said["queues"])
  return {
    problems: reading.problems,
    id: readId(reading, said["id"]),
    queues,
    settings: {
      queues: [...new Set(queues.map(nameOf))],
      concurrency: reading.count("concurrency", said["concurrency"], 100, 1),
      claimBatch: reading.count("claimBatch", said["claimBatch"], 100, 1),
      commitBatch: reading.count("commitBatch", said["commitBatch"], 250, 1),
      commitsInFlight: reading.count("commitsInFlight", said["commitsInFlight"], 3, 1),
      pollMillis: reading.span("pollInterval", said["pollInterval"], 1000, 10),
      leaseMillis: reading.span("lease", said["lease"], 15_000, 100),
      maxCrashes: reading.count("maxCrashes", said["maxCrashes"], 10, 1),
      lingerMillis: reading.span("linger", said["linger"], 1000, 0),
      hotRuns: reading.count("hot.runs", hot["runs"], 2000, 0),
      hotMillis: reading.span("hot.keep", hot["keep"], 60_000, 0),
      drainMillis: reading.span("drain", said["drain"], 20_000, 0)
    }
  }
}
