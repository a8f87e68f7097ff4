/**
 * The ledger of a simulation: the writes that storage has acknowledged, recorded between the workers and the driver.
 * The oracles compare everything else with it.
 */
import * as Effect from "effect/Effect"
import type { ClaimedRun, CommitResult, Entry, NewRun, RunCommit } from "perdure/JournalDriver"

/** The durable state of a run. */
export interface Account {
  readonly id: string
  readonly attached: boolean
  readonly parent: string | null
  generation: number
  nextSeq: number
  /** The entries of the current generation. */
  entries: Array<Entry>
  /** The ops of the current generation that have an entry. */
  ops: Set<number>
  readonly consumed: Set<number>
  isFinal: boolean
  /** The process that ended it. */
  endedBy: string
  last: string
}

/** Whether an entry consumes a message. */
const fromInbox = (entry: Entry): boolean =>
  entry.kind === "child" || entry.kind === "callback" || entry.kind === "cancel" ||
  (entry.kind === "receive" && entry.exit.kind === "success")

export class Ledger {
  readonly runs = new Map<string, Account>()
  /** The runs that a cancel was sent to. */
  readonly cancelled = new Set<string>()

  /** The number of writes that storage may have applied and has not acknowledged. */
  private unacknowledged = 0
  private readonly waiting = new Set<() => void>()

  constructor(private readonly report: (violation: string) => void) {}

  get open(): ReadonlyArray<Account> {
    return [...this.runs.values()].filter(({ isFinal }) => !isFinal)
  }

  /** Executes a write. A concurrent claim can see its effect before the ledger has recorded its answer. */
  duringWrite<A, E, R>(write: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      this.unacknowledged++
      return Effect.ensuring(
        write,
        Effect.sync(() => {
          this.unacknowledged--
          for (const resume of this.waiting) resume()
          this.waiting.clear()
        })
      )
    })
  }

  /**
   * Waits until the ledger has recorded the writes that a claim has seen, because two connections answer in any order.
   * Reports a violation if no write is left that could have made them.
   */
  caughtUp(runs: ReadonlyArray<Pick<ClaimedRun, "id" | "nextSeq">>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const ahead = runs.find(({ id, nextSeq }) => (this.runs.get(id)?.nextSeq ?? -1) < nextSeq)
      if (ahead === undefined) return Effect.void
      if (this.unacknowledged === 0) {
        this.report(`run ${ahead.id} is claimed at entry ${ahead.nextSeq}, which no worker wrote`)
        return Effect.void
      }
      const next = Effect.async<void>((resume) => void this.waiting.add(() => resume(Effect.void)))
      return Effect.zipRight(next, this.caughtUp(runs))
    })
  }

  enqueued({ id, parent }: NewRun): void {
    if (this.runs.has(id)) return
    this.runs.set(id, {
      id,
      attached: parent?.attached ?? false,
      parent: parent?.id ?? null,
      generation: 0,
      nextSeq: 0,
      entries: [],
      ops: new Set(),
      consumed: new Set(),
      isFinal: false,
      endedBy: "",
      last: ""
    })
  }

  /** Records the result of a commit, and reports a violation if it breaks a rule. */
  committed(commit: RunCommit, answer: CommitResult, process: string): void {
    if (answer._tag !== "Applied") return
    const account = this.runs.get(commit.run)
    if (account === undefined) return this.report(`a commit of run ${commit.run}, which no worker started`)
    const text = JSON.stringify(commit)
    if ((commit.entries.length > 0 || commit.transition !== null) && account.last === text) return
    account.last = text
    if (account.isFinal) this.report(`run ${account.id} is final, and a commit of it was applied`)
    if (commit.from !== account.nextSeq)
      this.report(`run ${account.id}: entries from ${commit.from}, not ${account.nextSeq}`)
    this.entries(account, commit)
    for (const child of commit.children) this.enqueued(child)
    for (const { kind, to } of commit.messages) if (kind === "cancel") this.cancelled.add(to)
    const { transition } = commit
    if (transition?._tag === "Finish" || transition?._tag === "Continue") this.checkChildren(account)
    if (transition?._tag === "Finish") {
      account.isFinal = true
      account.endedBy = process
    }
    if (transition?._tag === "Continue") {
      account.generation++
      account.entries = []
      account.ops = new Set()
    }
  }

  /** Checks that the live attached children of a run that ends have received a cancel. */
  private checkChildren({ id }: Account): void {
    for (const child of this.runs.values()) {
      if (child.parent !== id || !child.attached || child.isFinal || this.cancelled.has(child.id)) continue
      this.report(`run ${child.id}: its parent is final and sent it no cancel`)
    }
  }

  private entries(account: Account, commit: RunCommit): void {
    for (const entry of commit.entries) {
      if (entry.seq !== account.nextSeq)
        this.report(`run ${account.id}: entry ${entry.seq} where ${account.nextSeq} comes next`)
      account.nextSeq++
      account.entries.push(entry)
      if (entry.op < 0) continue
      if (account.ops.has(entry.op)) this.report(`run ${account.id}: two entries for op ${entry.op}`)
      account.ops.add(entry.op)
    }
    for (const ordinal of commit.consumed) {
      if (account.consumed.has(ordinal)) this.report(`run ${account.id}: message ${ordinal} is consumed twice`)
      account.consumed.add(ordinal)
    }
    // A run that is cancelled before it starts has an end and no entry.
    const taken = commit.entries.filter(fromInbox).length
    const neverStarted = commit.transition?._tag === "Finish" && account.nextSeq === 0
    if (!neverStarted && taken !== commit.consumed.length) {
      this.report(`run ${account.id}: ${taken} entries from messages, ${commit.consumed.length} messages consumed`)
    }
  }
}
