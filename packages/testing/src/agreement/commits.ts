/** The commits that a player makes from its specifications and from the runs that it holds. */
import type * as Driver from "perdure/JournalDriver"
import { entries } from "../contract/Fixture.js"
import type { CommitSpec, TransitionSpec } from "./Command.js"
import * as Pool from "./pool.js"

/** A run that the player has claimed, as it has read it. */
export interface HeldRun {
  readonly id: string
  readonly epoch: number
  readonly nextSeq: number
  readonly seen: number
  readonly unread: ReadonlyArray<number>
  /** The tokens of the children that it has started. */
  readonly tokens: ReadonlyArray<string>
}

const transitionOf = (
  spec: TransitionSpec,
  tokens: ReadonlyArray<string>,
  now: number
): Driver.Transition | null => {
  switch (spec._tag) {
    case "Stay":
      return null
    case "Suspend":
      return {
        _tag: "Suspend",
        until: now + spec.delay,
        waiting: spec.waiting.map(({ kind, name }) => `${kind}:${Pool.signalName(name)}`)
      }
    case "SuspendForChildren":
      return { _tag: "Suspend", until: now + spec.delay, waiting: tokens.map((token) => `child:${token}`) }
    case "Finish": {
      const kinds = {
        completed: "success",
        failed: spec.isDefect ? "defect" : "failure",
        cancelled: "interrupt"
      } as const
      const { errorCode, status, value } = spec
      return { _tag: "Finish", status, exit: { kind: kinds[status], value }, errorCode }
    }
    case "Continue":
      return { _tag: "Continue", payload: `{ "again": ${spec.payload} }`, at: now }
    case "Diverge":
      return { _tag: "Diverge", detail: "{ \"expected\": 1 }" }
    case "Release":
      return { _tag: "Release", at: now + spec.delay }
  }
}

/** The commit of a run, from what the player has read of it. */
export const commitOf = (prefix: string, heldRun: HeldRun, spec: CommitSpec, now: number): Driver.RunCommit => {
  const from = heldRun.nextSeq + spec.seqSkew
  const children = spec.children.map(({ attached, delay, run }): Driver.NewRun => ({
    ...Pool.newRun(prefix, now, { run: Pool.childNumber(run), delay }),
    parent: { id: heldRun.id, token: Pool.token(run), attached },
    root: heldRun.id,
    depth: 1
  }))
  const started = children.map(({ parent }) => parent?.token ?? "")
  return {
    run: heldRun.id,
    epoch: heldRun.epoch + spec.epochSkew,
    from,
    entries: entries(from, spec.entries).map((entry) =>
      entry.seq % 3 === 2 ? { ...entry, op: -1, exit: { ...entry.exit, value: null } } : entry
    ),
    consumed: heldRun.unread.slice(0, spec.consumed),
    children,
    messages: spec.messages.map((each) => Pool.newMessage(prefix, each)),
    published: spec.published.map((n) => ({ key: `p-${n}`, value: `${from}` })),
    closes: spec.closes.map(Pool.signalName),
    seen: heldRun.seen,
    transition: transitionOf(spec.transition, [...heldRun.tokens, ...started], now)
  }
}
