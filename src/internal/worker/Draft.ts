/**
 * What a run wants written since its last commit. A draft grows while the machine runs; `take` turns it into one atomic
 * commit; `restore` puts a commit that was not applied back in front of what came since.
 */
import type { Entry, NewMessage, NewRun, RunCommit, Transition } from "../../driver/JournalDriver.js"
import type { Op } from "../machine/Op.js"

/** A message whose disposition is the entry of an op; null for those that nobody waits for. */
export interface DraftMessage {
  readonly message: NewMessage
  readonly op: Op | null
}

export interface TakenDraft {
  readonly commit: RunCommit
  readonly messages: ReadonlyArray<DraftMessage>
  /** Everything up to this mark is durable once the commit is applied. */
  readonly mark: number
}

export class Draft {
  private entries: Array<Entry> = []
  private consumed: Array<number> = []
  private children: Array<NewRun> = []
  private messages: Array<DraftMessage> = []
  private published = new Map<string, string>()
  private closes: Array<string> = []
  /** The inbox sequence that was known when something was decided that holds only if no other message has come. */
  private decidedAt: number | undefined
  transition: Transition | null = null
  /** Counts everything ever put into the draft: the place that a step body waits for. */
  mark = 0

  /** The `seq` of the first entry that is not in a commit yet. */
  constructor(private from: number) {}

  /** The `seq` that the next entry gets. */
  get nextSeq(): number {
    return this.from + this.entries.length
  }

  get isEmpty(): boolean {
    return this.transition === null && this.entries.length === 0 && this.consumed.length === 0 &&
      this.children.length === 0 && this.messages.length === 0 && this.published.size === 0 && this.closes.length === 0
  }

  addEntry(entry: Entry, consumed?: number): void {
    this.entries.push(entry)
    if (consumed !== undefined) this.consumed.push(consumed)
    this.mark++
  }

  /** Take back the entry added last: the program could not read it. */
  dropLastEntry(consumed?: number): void {
    this.entries.pop()
    if (consumed !== undefined) this.consumed.pop()
  }

  addChild(child: NewRun): void {
    this.children.push(child)
    this.mark++
  }

  addMessage(message: NewMessage, op: Op | null): void {
    this.messages.push({ message, op })
    this.mark++
  }

  /** A message to a child that has not even been started: neither is needed. Answers whether it was so. */
  dropChild(id: string): boolean {
    const index = this.children.findIndex((child) => child.id === id)
    if (index < 0) return false
    this.children.splice(index, 1)
    return true
  }

  hasChild(id: string): boolean {
    return this.children.some((child) => child.id === id)
  }

  dropMessageOf(op: Op): void {
    this.messages = this.messages.filter((each) => each.op !== op)
  }

  publish(key: string, value: string): void {
    this.published.set(key, value)
    this.mark++
  }

  /** Close a window, knowing the inbox up to `seen`. */
  close(signal: string, seen: number): void {
    this.decide(seen)
    this.closes.push(signal)
    this.mark++
  }

  consume(ordinal: number): void {
    this.consumed.push(ordinal)
  }

  /** Something rests on the inbox as it is known up to `seen`: messages that come from now on must undo it. */
  decide(seen: number): void {
    this.decidedAt = Math.min(this.decidedAt ?? Infinity, seen)
  }

  take(run: { readonly id: string; readonly epoch: number; readonly seen: number }): TakenDraft {
    const taken: TakenDraft = {
      commit: {
        run: run.id,
        epoch: run.epoch,
        from: this.from,
        entries: this.entries,
        consumed: this.consumed,
        children: this.children,
        messages: this.messages.map(({ message }) => message),
        published: Array.from(this.published, ([key, value]) => ({ key, value })),
        closes: this.closes,
        seen: this.decidedAt ?? run.seen,
        transition: this.transition
      },
      messages: this.messages,
      mark: this.mark
    }
    this.from += this.entries.length
    this.clear()
    return taken
  }

  /** The commit was not applied: its content comes first in the next one, without its transition. */
  restore({ commit, messages }: TakenDraft): void {
    this.from = commit.from
    this.entries = [...commit.entries, ...this.entries]
    this.consumed = [...commit.consumed, ...this.consumed]
    this.children = [...commit.children, ...this.children]
    this.messages = [...messages, ...this.messages]
    this.published = new Map([
      ...commit.published.map(({ key, value }) => [key, value] as const),
      ...this.published
    ])
    this.closes = [...commit.closes, ...this.closes]
    if (commit.closes.length > 0) this.decide(commit.seen)
  }

  private clear(): void {
    this.entries = []
    this.consumed = []
    this.children = []
    this.messages = []
    if (this.published.size > 0) this.published = new Map()
    this.closes = []
    this.decidedAt = undefined
    this.transition = null
  }
}
