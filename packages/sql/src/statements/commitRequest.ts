/**
 * A batch of commits as parameters of the commit statement, and its row as answers.
 */
import type * as Driver from "perdure/JournalDriver"
import { encodeInstant } from "../internal/json.js"
import * as Row from "../internal/Row.js"
import { again, applied, type Shape, unseen } from "./commitParts.js"
import { dispositions, hints } from "./deliver.js"
import { encodeContent } from "./delivery.js"
import { encodeNewRun } from "./enqueue.js"

/** Twice FNV-1a with different primes: 53 bits of a commit's content, so that one sent again is known. */
class Mark {
  private low = 0x811c9dc5
  private high = 0x9747b28c

  text(value: string): void {
    let { high, low } = this
    for (let index = 0; index < value.length; index++) {
      const code = value.charCodeAt(index)
      low = Math.imul(low ^ code, 0x01000193)
      high = Math.imul(high ^ code, 0x5bd1e995)
    }
    // The end of a text counts, so that "a", "b" differs from "ab", "".
    this.low = Math.imul(low ^ 0x10000, 0x01000193)
    this.high = Math.imul(high ^ value.length, 0x5bd1e995)
  }

  number(value: number): void {
    if ((value | 0) === value) {
      this.low = Math.imul(this.low ^ value, 0x01000193)
      this.high = Math.imul(this.high ^ value ^ (value >>> 16), 0x5bd1e995)
    } else this.text(`${value}`)
  }

  get value(): number {
    return ((this.high >>> 11) * 0x100000000) + (this.low >>> 0)
  }
}

const markExit = (mark: Mark, exit: Driver.EncodedExit): void => {
  mark.text(exit.kind)
  mark.text(exit.value ?? "")
}

const markContent = (mark: Mark, content: Driver.MessageContent): void => {
  for (const field of Object.values(encodeContent(content))) mark.text(field ?? "")
}

const markTransition = (mark: Mark, transition: Driver.Transition): void => {
  mark.text(transition._tag)
  switch (transition._tag) {
    case "Suspend":
      mark.number(transition.until)
      for (const each of transition.waiting) mark.text(each)
      break
    case "Finish":
      mark.text(transition.status)
      markExit(mark, transition.exit)
      break
    case "Continue":
      mark.text(transition.payload)
      mark.number(transition.at)
      break
    case "Diverge":
      mark.text(transition.detail)
      break
    case "Release":
      mark.number(transition.at)
      break
  }
}

/** A number for the content of a commit. */
const markOf = (commit: Driver.RunCommit): number => {
  const mark = new Mark()
  for (const entry of commit.entries) {
    mark.number(entry.op)
    mark.text(entry.kind)
    mark.text(entry.name)
    markExit(mark, entry.exit)
    mark.number(entry.at)
  }
  mark.number(commit.seen)
  for (const ordinal of commit.consumed) mark.number(ordinal)
  for (const child of commit.children) mark.text(child.id)
  for (const message of commit.messages) {
    mark.text(message.to)
    mark.text(message.id)
    markContent(mark, message)
  }
  for (const { key, value } of commit.published) {
    mark.text(key)
    mark.text(value)
  }
  for (const name of commit.closes) mark.text(name)
  if (commit.transition !== null) markTransition(mark, commit.transition)
  return mark.value
}

const isFinish = ({ transition }: Driver.RunCommit): boolean => transition?._tag === "Finish"
const isContinue = ({ transition }: Driver.RunCommit): boolean => transition?._tag === "Continue"

/** Ids of runs that have no parent, and of runs that have no key; not of all such runs. */
export interface Origins {
  readonly parentless: ReadonlySet<string>
  readonly keyless: ReadonlySet<string>
}

/** What the batch needs of the statement. */
export const shapeOf = (commits: ReadonlyArray<Driver.RunCommit>, origins: Origins): Shape => ({
  // The messages that a Continue has read are deleted, not marked.
  consumed: commits.some((commit) => commit.consumed.length > 0 && !isContinue(commit)),
  children: commits.some(({ children }) => children.length > 0),
  messages: commits.some(({ messages }) => messages.length > 0),
  published: commits.some(({ published }) => published.length > 0),
  moves: commits.some(({ transition }) => transition !== null),
  ends: commits.some((commit) => isFinish(commit) && !origins.parentless.has(commit.run)),
  finishes: commits.some(isFinish),
  continues: commits.some(isContinue),
  frees: commits.some((commit) => isFinish(commit) && !origins.keyless.has(commit.run)),
  keyed: commits.some(({ children }) => children.some(({ key }) => key !== null))
})

/** Whether all commits of a shape touch only the rows of their own runs. */
export const isOwn = ({ consumed, continues, ends, messages }: Shape): boolean =>
  !consumed && !continues && !ends && !messages

/** The state that a transition leads to, and what comes with it. */
const move = (transition: Driver.Transition | null) => {
  switch (transition?._tag) {
    case undefined:
      return {}
    case "Suspend":
      return { move: "suspended", until: encodeInstant(Math.ceil(transition.until)), waiting: transition.waiting }
    case "Finish":
      return { move: transition.status, exit_kind: transition.exit.kind, exit_value: transition.exit.value }
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

/** The last value of each key, and how many there were. */
const publications = (commit: Driver.RunCommit, c: number): Iterable<PublishedRow> => {
  const byKey = new Map<string, PublishedRow>()
  for (const { key, value } of commit.published) {
    byKey.set(key, { c, run: commit.run, key, value, count: (byKey.get(key)?.count ?? 0) + 1 })
  }
  return byKey.values()
}

/** The parameters, for a shape made by `shapeOf` of the same commits. */
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

/**
 * Batches without two commits of one run: such commits follow each other, and a statement applies one to a run. Almost
 * always there is one batch.
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

/** The commits (of their JSON) at these positions. */
export const encodeSome = (commits: ReadonlyArray<Driver.RunCommit>, positions: ReadonlyArray<number>): string =>
  JSON.stringify(positions.flatMap((position) => {
    const commit = commits[position]
    return commit === undefined ? [] : [header(commit, position)]
  }))

export interface CommitAnswer {
  readonly now: Driver.Millis
  /** A digit for each commit. */
  readonly verdicts: string
  /** By the commit's position, of those that have messages and are applied. */
  readonly letters: ReadonlyMap<number, string | null>
  /** For this process, and for others. */
  readonly hints: ReadonlyArray<Driver.Hint>
  /** For this process only: runs that will be due at some time. */
  readonly asleep: ReadonlyArray<Driver.Hint>
  /** Whether a worker elsewhere waits for runs. */
  readonly idle: boolean
}

/** What a statement leaves out for the shape of its batch. */
const absent = { ready: null, held: null, changed: null, asleep: null, answers: null, idle: null }

export const decode = (rows: ReadonlyArray<Row.Fields>): CommitAnswer => {
  const row: Row.Fields = { ...absent, ...Row.first(rows) }
  return {
    now: Row.instant(row, "now"),
    verdicts: Row.text(row, "verdicts"),
    letters: new Map(Row.list(row, "answers").map((each) => [Row.integer(each, 0), Row.textOrNull(each, 1)])),
    hints: [
      ...hints(row),
      ...Row.texts(row, "changed").map((run): Driver.Hint => ({ _tag: "Changed", run }))
    ],
    asleep: Row.texts(row, "asleep").map((queue): Driver.Hint => ({ _tag: "Ready", queue })),
    idle: row["idle"] === true
  }
}

/** The answer to one commit. */
export const committed = (
  commit: Driver.RunCommit,
  verdict: string | undefined,
  letters: string | null | undefined
): Driver.CommitResult => {
  const code = Number(verdict)
  if (code === applied || code === again) {
    return { _tag: "Applied", dispositions: commit.messages.length === 0 ? [] : dispositions(letters ?? "") }
  }
  return { _tag: code === unseen ? "Unseen" : "Lost" }
}
