/** Where forks and retries of a run begin and wait: the types below `Run`, and their rules. */
import type { Attribution } from "./Attribution.js"
import { attributionTable } from "./Attribution.js"
import { id, priority } from "./names.js"
import type { QueueReference } from "./queues.js"
import { namedQueue } from "./queues.js"
import type { Rule, Table } from "./Rule.js"
import { either, fields, oneOf, optional, refine, rule } from "./Rule.js"

/** Where a new run waits. */
interface Place extends Attribution {
  /** Default: the source's. */
  readonly queue?: QueueReference
  /** Default: the source's. */
  readonly priority?: number
}

/** Public as `Run.ForkOptions`. */
export interface ForkOptions extends Place {
  /**
   * The `seq` of the first entry that is not copied: from the first `seq` of the journal (copies none) to the next one
   * (copies all).
   */
  readonly from: number
  /** The new run's id. Two forks with one id are one fork. Default: a new id. */
  readonly id?: string
}

/** Public as `Run.RetryOptions`. */
export interface RetryOptions extends Place {
  /**
   * - `failure` (default): from the last failure, a step's, a child's or a defect of the run, if no step has succeeded
   *   since. Without one, and for runs that were ended from outside, from the end of the journal.
   * - `start`: from the beginning. All steps run again.
   * - a `seq`: from that entry.
   */
  readonly from?: "failure" | "start" | number
}

/** The id of a retry: the id of the first run, and the number of the retry. */
export const RETRY_ID = /^([^]*)~(\d+)$/

/** Any number: whether the journal has the entry is known to storage only. */
const seq: Rule<number> = rule("the seq of an entry", (value) => typeof value === "number")

const placeTable: Table<Place> = {
  ...attributionTable,
  queue: optional(namedQueue),
  priority: optional(priority)
}

const ownId: Rule<string> = refine(id, (value, place) =>
  value === ""
    ? [`"${place}" is empty: give an id, or leave it out`]
    : RETRY_ID.test(value)
    ? [`"${place}" must not end in "~" and a number, which ids of retries do, got ${JSON.stringify(value)}`]
    : [])

export const forkOptions: Rule<ForkOptions> = fields<ForkOptions>({ from: seq, id: optional(ownId), ...placeTable })

export const retryOptions: Rule<RetryOptions> = fields<RetryOptions>({
  from: optional(either(oneOf("failure", "start"), seq)),
  ...placeTable
})
