/**
 * The `commit` verb. A batch is applied in passes: first the own state of each run, then the children, then messages
 * and the ends of children. So the order of commits in a batch does not matter: a run that suspends in the batch in
 * which another run sends it a message is suspended and then woken.
 */
import type * as Driver from "../../driver/JournalDriver.js"
import type { VerbRequest } from "../../driver/verbs.js"
import * as Changes from "./changes.js"
import { insertRun } from "./enqueue.js"
import * as Messages from "./messages.js"
import * as Store from "./Store.js"

/** A child to insert, unless it exists. */
interface NewChild {
  readonly child: Driver.NewRun
  readonly paused: boolean
}

interface Verdict {
  readonly result: Driver.CommitResult
  /** Set if this request applied the commit: its messages are sent in a later pass. */
  readonly applied: { readonly run: Store.Run; readonly commit: Store.AppliedCommit } | null
}

const lost: Verdict = { result: { _tag: "Lost" }, applied: null }
const unseen: Verdict = { result: { _tag: "Unseen" }, applied: null }

/**
 * Whether this is the commit that was applied last, sent again because its answer was lost, and no worker has claimed
 * the run since. A commit without entries and transition is not recognized: applying it again changes nothing.
 */
const isRepeated = ({ epoch, lastCommit }: Store.Row, commit: Driver.RunCommit): boolean => {
  const last = lastCommit?.commit
  return commit.epoch === epoch &&
    commit.epoch === last?.epoch &&
    commit.from === last.from &&
    (commit.entries.length > 0 || commit.transition !== null) &&
    (commit === last || JSON.stringify(commit) === JSON.stringify(last))
}

/** Whether the commit must not be applied because its worker lacks a message, or does not know of a control. */
const isUnseen = ({ inboxSeq, pause }: Store.Row, { closes, seen, transition }: Driver.RunCommit): boolean => {
  const isFinish = transition?._tag === "Finish"
  if (isFinish && pause === "requested") return true
  const mustHaveSeen = transition?._tag === "Suspend" || closes.length > 0 || (isFinish && pause === "cancelled")
  return mustHaveSeen && seen !== inboxSeq
}

/** What the holder of the run may not know after the commit. */
const newsOf = ({ inboxSeq, pause }: Store.Row, { seen, transition }: Driver.RunCommit): Driver.HolderNews | null => {
  const pausing = pause === "requested"
  return transition === null && (inboxSeq > seen || pausing) ? { inboxSeq, pausing } : null
}

/** The verdict on a commit that is not applied, else null. */
const refusal = (run: Store.Run, commit: Driver.RunCommit): Verdict | null => {
  const { epoch, lastCommit, nextSeq, status } = run.row
  if (lastCommit !== null && isRepeated(run.row, commit)) {
    return { result: { _tag: "Applied", dispositions: lastCommit.dispositions, news: null }, applied: null }
  }
  if (status !== "running" || epoch !== commit.epoch || nextSeq !== commit.from) return lost
  return isUnseen(run.row, commit) ? unseen : null
}

/** The kinds of messages that belong to the ops of one generation. */
const generationKinds: ReadonlySet<Driver.MessageKind> = new Set<Driver.MessageKind>(["child", "callback", "defect"])

const applyTransition = (
  store: Store.Store,
  now: Driver.Millis,
  run: Store.Run,
  transition: Driver.Transition
): void => {
  switch (transition._tag) {
    case "Suspend": {
      const { until, waiting } = transition
      return Messages.release(store, run, { status: "suspended", availableAt: until, waiting })
    }
    case "Release":
      return Messages.release(store, run, { status: "pending", availableAt: transition.at })
    case "Diverge":
      return Changes.updateRun(store, run, {
        status: "diverged",
        detail: transition.detail,
        worker: null,
        incarnation: null
      })
    case "Finish": {
      const { errorCode, exit, status } = transition
      return Messages.end(store, now, run, { status, exit, endCause: null }, errorCode)
    }
    case "Continue": {
      Changes.startGeneration(store, run, ({ consumed, message }) => !consumed && !generationKinds.has(message.kind))
      return Changes.updateRun(store, run, {
        generation: run.row.generation + 1,
        payload: transition.payload,
        startedAt: transition.at,
        closed: new Set()
      })
    }
  }
}

/** Writes the own state of a run. Its children, and the messages that it sends, follow in later passes. */
const applyCommit = (
  store: Store.Store,
  now: Driver.Millis,
  worker: string,
  run: Store.Run,
  commit: Driver.RunCommit
): Store.AppliedCommit => {
  const { closes, epoch, from, transition } = commit
  const applied: Store.AppliedCommit = { commit, dispositions: [] }
  Changes.appendEntries(store, run, commit.entries.map((entry) => ({ entry, worker, epoch })))
  for (const ordinal of commit.consumed) Changes.consumeMessage(store, run, ordinal)
  for (const { key, value } of commit.published) Changes.publishValue(store, run, { key, value, at: now })
  if (commit.published.length > 0) Messages.hintAwaited(store, run.row.id)
  Changes.updateRun(store, run, {
    nextSeq: from + commit.entries.length,
    crashes: 0,
    closed: closes.length === 0 ? run.row.closed : new Set([...run.row.closed, ...closes]),
    lastCommit: applied
  })
  if (transition !== null) applyTransition(store, now, run, transition)
  return applied
}

/** The children of a commit. Attached children of a run that is pausing are paused from the start. */
const childrenOf = (run: Store.Run, { children }: Driver.RunCommit): ReadonlyArray<NewChild> => {
  const pausing = run.row.pause === "requested"
  return children.map((child) => ({ child, paused: pausing && child.parent?.attached === true }))
}

export const commit = (
  store: Store.Store,
  now: Driver.Millis,
  { commits, worker }: VerbRequest<"commit">
): ReadonlyArray<Driver.CommitResult> => {
  const newChildren: Array<NewChild> = []
  const verdicts = commits.map((commit): Verdict => {
    const run = store.runs.get(commit.run)
    if (run === undefined) return lost
    const refused = refusal(run, commit)
    if (refused !== null) return refused
    newChildren.push(...childrenOf(run, commit))
    const news = newsOf(run.row, commit)
    const applied = applyCommit(store, now, worker.id, run, commit)
    return { result: { _tag: "Applied", dispositions: applied.dispositions, news }, applied: { run, commit: applied } }
  })
  // Of children with one idempotency key the first by id is inserted, whatever the order of the commits.
  for (const { child, paused } of newChildren.toSorted((a, b) => Store.compare(a.child.id, b.child.id))) {
    if (Store.existing(store, child) === undefined) insertRun(store, now, child, null, paused)
  }
  for (const { applied } of verdicts) {
    if (applied === null) continue
    const { commit: { messages, transition }, dispositions } = applied.commit
    for (const message of messages) dispositions.push(Messages.deliver(store, now, message))
    if (transition?._tag === "Finish") Messages.notifyParent(store, now, applied.run)
  }
  return verdicts.map(({ result }) => result)
}
