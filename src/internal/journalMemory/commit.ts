/**
 * Applying commits. A batch is applied in passes, so that its commits' order does not matter: first every run's own state, then
 * children, then all that goes out (messages, ends to parents). So a run that suspends in the batch in which another
 * one writes to it is suspended and then woken.
 */
import type * as Driver from "../../driver/JournalDriver.js"
import { insertRun } from "./enqueue.js"
import * as Messages from "./messages.js"
import * as Store from "./Store.js"

/** A child that is to be started, unless it is there. */
interface Birth {
  readonly child: Driver.NewRun
  readonly paused: boolean
}

/** A verdict, and for a commit that was applied now, the run to send from. */
interface Verdict {
  readonly committed: Driver.CommitResult
  readonly applied: { readonly run: Store.Run; readonly record: Store.Applied } | null
}

const lost: Verdict = { committed: { _tag: "Lost" }, applied: null }
const unseen: Verdict = { committed: { _tag: "Unseen" }, applied: null }

/**
 * The commit applied last, sent again because its answer was lost, and nobody has claimed the run since. One that
 * changes no state is just applied again.
 */
const isResend = ({ epoch, last }: Store.Row, commit: Driver.RunCommit): boolean =>
  commit.epoch === epoch &&
  commit.epoch === last?.commit.epoch &&
  commit.from === last.commit.from &&
  (commit.entries.length > 0 || commit.transition !== null) &&
  (commit === last.commit || JSON.stringify(commit) === JSON.stringify(last.commit))

const judge = (run: Store.Run, commit: Driver.RunCommit): Verdict | null => {
  const { epoch, inboxSeq, last, nextSeq, status } = run.row
  if (last !== null && isResend(run.row, commit)) {
    return { committed: { _tag: "Applied", dispositions: last.dispositions }, applied: null }
  }
  if (status !== "running" || epoch !== commit.epoch || nextSeq !== commit.from) return lost
  const mustHaveSeen = commit.transition?._tag === "Suspend" || commit.closes.length > 0
  return mustHaveSeen && commit.seen !== inboxSeq ? unseen : null
}

/** Messages that are about ops of one generation. */
const ofGeneration: ReadonlySet<Driver.MessageKind> = new Set<Driver.MessageKind>(["child", "callback", "defect"])

const transit = (store: Store.Store, now: Driver.Millis, run: Store.Run, transition: Driver.Transition): void => {
  switch (transition._tag) {
    case "Suspend": {
      const { until, waiting } = transition
      return Messages.release(store, run, { status: "suspended", availableAt: until, waiting })
    }
    case "Release":
      return Messages.release(store, run, { status: "pending", availableAt: transition.at })
    case "Diverge":
      return Store.update(store, run, {
        status: "diverged",
        detail: transition.detail,
        worker: null,
        incarnation: null
      })
    case "Finish":
      return Messages.end(store, now, run, { status: transition.status, exit: transition.exit, detail: null })
    case "Continue": {
      Store.forget(store, run, ({ consumed, message }) => !consumed && !ofGeneration.has(message.kind))
      return Store.update(store, run, {
        generation: run.row.generation + 1,
        payload: transition.payload,
        startedAt: transition.at,
        closed: new Set()
      })
    }
  }
}

const apply = (
  store: Store.Store,
  now: Driver.Millis,
  worker: string,
  run: Store.Run,
  commit: Driver.RunCommit,
  births: Array<Birth>
): Store.Applied => {
  const { closes, epoch, from, transition } = commit
  const record: Store.Applied = { commit, dispositions: [] }
  Store.append(store, run, commit.entries.map((entry) => ({ entry, worker, epoch })))
  for (const ordinal of commit.consumed) Store.consume(store, run, ordinal)
  for (const { key, value } of commit.published) Store.publish(store, run, { key, value, at: now })
  if (commit.published.length > 0) Messages.changed(store, run.row.id)
  // Children of a run that is to be paused are not even begun.
  const pausing = run.row.pause === "asked" && transition?._tag !== "Finish"
  for (const child of commit.children) births.push({ child, paused: pausing && child.parent?.attached === true })
  Store.update(store, run, {
    nextSeq: from + commit.entries.length,
    crashes: 0,
    closed: closes.length === 0 ? run.row.closed : new Set([...run.row.closed, ...closes]),
    last: record
  })
  if (transition !== null) transit(store, now, run, transition)
  return record
}

export const commit = (
  store: Store.Store,
  now: Driver.Millis,
  request: Parameters<Driver.JournalDriver["commit"]>[0]
): ReadonlyArray<Driver.CommitResult> => {
  const births: Array<Birth> = []
  const verdicts = request.commits.map((commit): Verdict => {
    const run = store.runs.get(commit.run)
    if (run === undefined) return lost
    const verdict = judge(run, commit)
    if (verdict !== null) return verdict
    const record = apply(store, now, request.worker.id, run, commit, births)
    return { committed: { _tag: "Applied", dispositions: record.dispositions }, applied: { run, record } }
  })
  // Of children of one idempotency key the first by id is the one, whichever run's commit comes first.
  for (const { child, paused } of births.toSorted((a, b) => Store.compare(a.child.id, b.child.id))) {
    if (Store.existing(store, child) === undefined) insertRun(store, now, child, null, paused)
  }
  for (const { applied } of verdicts) {
    if (applied === null) continue
    const { commit, dispositions } = applied.record
    for (const message of commit.messages) dispositions.push(Messages.deliver(store, now, message))
    if (commit.transition?._tag === "Finish") Messages.tellParent(store, now, applied.run)
  }
  return verdicts.map((verdict) => verdict.committed)
}
