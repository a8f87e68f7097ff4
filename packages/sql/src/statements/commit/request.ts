/** A batch of commits as parameters of a commit statement. */
import type * as Driver from "perdure/JournalDriver"
import { encodeInstant } from "../../internal/json.js"
import { encodeContent } from "../shared/messages.js"
import { encodeNewRun } from "../shared/newRuns.js"
import { markOf } from "./mark.js"
import { isContinue, type Shape } from "./shape.js"

/** The columns of a commit that say which run it is for, and how far that run must be. */
export const placeColumns =
  `i int, run text, epoch int, "from" int, n int, seen int, must boolean, mark bigint, closes text[]`

/** The columns of its transition. `move` is the status that it leads to; `running` stands for `Continue`. */
export const moveColumns =
  "move text, until float8, waiting text[], exit_kind text, exit_value text, error_code text, detail text"

const move = (transition: Driver.Transition | null) => {
  switch (transition?._tag) {
    case undefined:
      return {}
    case "Suspend":
      return { move: "suspended", until: encodeInstant(Math.ceil(transition.until)), waiting: transition.waiting }
    case "Finish": {
      const { errorCode, exit, status } = transition
      return {
        move: status,
        exit_kind: exit.kind,
        exit_value: exit.value,
        ...(errorCode === null ? {} : { error_code: errorCode })
      }
    }
    case "Continue":
      return { move: "running", until: encodeInstant(Math.round(transition.at)), payload: transition.payload }
    case "Diverge":
      return { move: "diverged", detail: transition.detail }
    case "Release":
      return { move: "pending", until: encodeInstant(Math.ceil(transition.at)) }
  }
}

const header = (commit: Driver.RunCommit, i: number) => ({
  i,
  run: commit.run,
  epoch: commit.epoch,
  from: commit.from,
  n: commit.entries.length,
  seen: commit.seen,
  must: commit.transition?._tag === "Suspend" || commit.closes.length > 0,
  mark: markOf(commit),
  ...(commit.closes.length > 0 ? { closes: commit.closes } : {}),
  ...(isContinue(commit) ? { read: commit.consumed } : {}),
  ...move(commit.transition)
})

interface PublishedRow {
  readonly c: number
  readonly run: string
  readonly key: string
  readonly value: Driver.Json
  readonly count: number
}

/** The last value of each key, and how often the key was published. */
const publications = (commit: Driver.RunCommit, c: number): Iterable<PublishedRow> => {
  const byKey = new Map<string, PublishedRow>()
  for (const { key, value } of commit.published) {
    byKey.set(key, { c, run: commit.run, key, value, count: (byKey.get(key)?.count ?? 0) + 1 })
  }
  return byKey.values()
}

/** The parameters. The shape must be that of the same commits. */
export const encode = (
  shape: Shape,
  worker: string,
  commits: ReadonlyArray<Driver.RunCommit>
): ReadonlyArray<string> => {
  const entries: Array<unknown> = []
  const consumed: Array<unknown> = []
  const children: Array<unknown> = []
  const messages: Array<unknown> = []
  const published: Array<unknown> = []
  commits.forEach((commit, c) => {
    const { epoch, run } = commit
    if (!isContinue(commit)) {
      for (const { at, exit, kind, name, op, seq } of commit.entries) {
        entries.push({ c, run, epoch, seq, op, kind, name, exit: exit.kind, value: exit.value, at: Math.round(at) })
      }
      for (const ordinal of commit.consumed) consumed.push({ c, run, ordinal })
    }
    for (const child of commit.children) children.push({ c, ...encodeNewRun(children.length, child) })
    commit.messages.forEach((message, k) => {
      const { id, kind, name, to } = message
      messages.push({ c, k, run: to, kind, name, id, ...encodeContent(message) })
    })
    for (const row of publications(commit, c)) published.push(row)
  })
  return [
    JSON.stringify(commits.map(header)),
    JSON.stringify(entries),
    worker,
    ...(shape.consumed ? [JSON.stringify(consumed)] : []),
    ...(shape.children ? [JSON.stringify(children)] : []),
    ...(shape.messages ? [JSON.stringify(messages)] : []),
    ...(shape.published ? [JSON.stringify(published)] : [])
  ]
}

/** The headers of the commits at some positions. */
export const encodeHeaders = (commits: ReadonlyArray<Driver.RunCommit>, positions: ReadonlyArray<number>): string =>
  JSON.stringify(positions.flatMap((position) => {
    const commit = commits[position]
    return commit === undefined ? [] : [header(commit, position)]
  }))

/**
 * Batches that have at most one commit of each run, because a statement applies one commit to a run. Almost always
 * there is one batch.
 */
export const batches = (
  commits: ReadonlyArray<Driver.RunCommit>
): ReadonlyArray<ReadonlyArray<Driver.RunCommit>> => {
  const result: Array<Array<Driver.RunCommit>> = [[]]
  let runs = new Set<string>()
  for (const commit of commits) {
    if (runs.has(commit.run)) {
      result.push([])
      runs = new Set()
    }
    runs.add(commit.run)
    result.at(-1)?.push(commit)
  }
  return result
}
