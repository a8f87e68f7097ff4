/**
 * What storage has acknowledged, as seen between the workers and the driver: the truth that everything else in a
 * simulation is held against.
 */
import * as Effect from "effect/Effect"
import type { ClaimedRun, CommitResult, Entry, NewRun, RunCommit } from "perdure/JournalDriver"

/** A run as far as it is durable. */
export interface Account {
  readonly id: string
  readonly attached: boolean
  readonly parent: string | null
  generation: number
  nextSeq: number
  /** Entries of the present generation. */
  entries: Array<Entry>
  /** Ops of the present generation that have an entry. */
  ops: Set<number>
  readonly consumed: Set<number>
  isFinal: boolean
  /** The process that ended it. */
  endedBy: string
  last: string
}

/** Entries that come from a message of the inbox. */
const fromInbox = (entry: Entry): boolean =>
  entry.kind === "child" || entry.kind === "callback" || entry.kind === "cancel" ||
  (entry.kind === "receive" && entry.exit.kind === "success")

export class Ledger {
  readonly runs = new Map<string, Account>()
  /** Runs that somebody has told to end. */
  readonly told = new Set<string>()

  /** Writes that storage may have applied and has not answered. */
  private writing = 0
  private readonly waiting = new Set<() => void>()

  constructor(private readonly wrong: (what: string) => void) {}

  get open(): ReadonlyArray<Account> {
    return [...this.runs.values()].filter(({ isFinal }) => !isFinal)
  }

  /** Whoever reads meanwhile may see what this write has done before its answer is noted here. */
  duringWrite<A, E, R>(write: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      this.writing++
      return Effect.ensuring(
        write,
        Effect.sync(() => {
          this.writing--
          for (const resume of this.waiting) resume()
          this.waiting.clear()
        })
      )
    })
  }

  /**
   * Hold what a claim has seen back until the writes that it saw are noted: two connections answer in any order.
   * Complains if nobody has written it.
   */
  caughtUp(runs: ReadonlyArray<Pick<ClaimedRun, "id" | "nextSeq">>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const ahead = runs.find(({ id, nextSeq }) => (this.runs.get(id)?.nextSeq ?? -1) < nextSeq)
      if (ahead === undefined) return Effect.void
      if (this.writing === 0) {
        this.wrong(`run ${ahead.id} is claimed at entry ${ahead.nextSeq}, which nobody wrote`)
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

  /** Note an answered commit; complains if it breaks a rule. */
  committed(commit: RunCommit, answer: CommitResult, process: string): void {
    if (answer._tag !== "Applied") return
    const account = this.runs.get(commit.run)
    if (account === undefined) return this.wrong(`a commit of run ${commit.run}, which nobody started`)
    const text = JSON.stringify(commit)
    if ((commit.entries.length > 0 || commit.transition !== null) && account.last === text) return
    account.last = text
    if (account.isFinal) this.wrong(`run ${account.id} is final, and a commit of it was applied`)
    if (commit.from !== account.nextSeq)
      this.wrong(`run ${account.id}: entries from ${commit.from}, not ${account.nextSeq}`)
    this.entries(account, commit)
    for (const child of commit.children) this.enqueued(child)
    for (const { kind, to } of commit.messages) if (kind === "cancel") this.told.add(to)
    const { transition } = commit
    if (transition?._tag === "Finish" || transition?._tag === "Continue") this.leaves(account)
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

  /** Attached children do not go on without their parent. */
  private leaves({ id }: Account): void {
    for (const child of this.runs.values()) {
      if (child.parent !== id || !child.attached || child.isFinal || this.told.has(child.id)) continue
      this.wrong(`run ${child.id}: its parent is final, nobody has told it`)
    }
  }

  private entries(account: Account, commit: RunCommit): void {
    for (const entry of commit.entries) {
      if (entry.seq !== account.nextSeq)
        this.wrong(`run ${account.id}: entry ${entry.seq} where ${account.nextSeq} comes next`)
      account.nextSeq++
      account.entries.push(entry)
      if (entry.op < 0) continue
      if (account.ops.has(entry.op)) this.wrong(`run ${account.id}: two entries for op ${entry.op}`)
      account.ops.add(entry.op)
    }
    for (const ordinal of commit.consumed) {
      if (account.consumed.has(ordinal)) this.wrong(`run ${account.id}: message ${ordinal} is consumed twice`)
      account.consumed.add(ordinal)
    }
    // A run that is cancelled before it began has an end and no entry.
    const taken = commit.entries.filter(fromInbox).length
    const unbegun = commit.transition?._tag === "Finish" && account.nextSeq === 0
    if (!unbegun && taken !== commit.consumed.length) {
      this.wrong(`run ${account.id}: ${taken} entries from messages, ${commit.consumed.length} messages consumed`)
    }
  }
}
