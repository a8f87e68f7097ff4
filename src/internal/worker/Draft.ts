/**
 * The content of a run's next commit. A draft grows while the machine runs. It has no access to storage.
 *
 * | state     | meaning                                             | leaves by                             |
 * |-----------|-----------------------------------------------------|---------------------------------------|
 * | gathering | no commit is on its way                             | `take` → in flight                    |
 * | in flight | one commit is on its way, and the next one gathers  | `applied` or `restore` → gathering    |
 */
import type { Entry, NewMessage, NewRun, RunCommit, Transition } from "../../driver/JournalDriver.js"
import type { Op } from "../machine/Op.js"

/** A message, with the op whose entry is the message's disposition; null if no op waits for that. */
export interface DraftMessage {
  readonly message: NewMessage
  readonly op: Op | null
}

/** A commit on its way to storage. */
export interface DraftCommit {
  readonly commit: RunCommit
  readonly messages: ReadonlyArray<DraftMessage>
  /** Everything up to this mark is durable when the commit is applied. */
  readonly mark: number
  /** What leaves the run with this commit, without what the end of the program added; null if it has not ended. */
  readonly beforeEnd: DraftContent | null
}

/** What leaves the run with a commit. */
interface DraftContent {
  readonly children: ReadonlyArray<NewRun>
  readonly messages: ReadonlyArray<DraftMessage>
  readonly published: Iterable<readonly [string, string]>
}

const noOutgoing: DraftContent = { children: [], messages: [], published: [] }

export class Draft {
  transition: Transition | null = null
  /** Counts everything that was ever added: the position that a step body waits for. */
  mark = 0
  private durableMark = 0
  private current: DraftCommit | undefined
  private entries: Array<Entry> = []
  private consumed: Array<number> = []
  private children: Array<NewRun> = []
  private messages: Array<DraftMessage> = []
  private published = new Map<string, string>()
  private closes: Array<string> = []
  /** The inbox sequence of the earliest decision that holds only if no later message exists. */
  private decidedAt: number | undefined
  private beforeEnd: DraftContent | null = null

  /** `from` is the `seq` of the first entry that is not in a commit. */
  constructor(private from: number) {}

  /** The `seq` that the next entry gets. */
  get nextSeq(): number {
    return this.from + this.entries.length
  }

  get isEmpty(): boolean {
    return this.transition === null && this.entries.length === 0 && this.consumed.length === 0 &&
      this.children.length === 0 && this.messages.length === 0 && this.published.size === 0 && this.closes.length === 0
  }

  /** Whether the next commit has entries. */
  get hasEntries(): boolean {
    return this.entries.length > 0
  }

  /** The commit on its way. */
  get inFlight(): DraftCommit | undefined {
    return this.current
  }

  isDurable(mark: number): boolean {
    return mark <= this.durableMark
  }

  // --- content ---

  addEntry(entry: Entry, consumed?: number): void {
    this.entries.push(entry)
    if (consumed !== undefined) this.consumed.push(consumed)
    this.mark++
  }

  /** Remove the entry that was added last: the program cannot read it. */
  dropLastEntry(consumed?: number): void {
    this.entries.pop()
    if (consumed !== undefined) this.consumed.pop()
  }

  addChild(child: NewRun): void {
    this.children.push(child)
    this.mark++
  }

  /** Remove a child that has not left. Returns whether it was in the draft. */
  dropChild(id: string): boolean {
    const index = this.children.findIndex((child) => child.id === id)
    if (index < 0) return false
    this.children.splice(index, 1)
    return true
  }

  hasChild(id: string): boolean {
    return this.children.some((child) => child.id === id)
  }

  addMessage(message: NewMessage, op: Op | null): void {
    this.messages.push({ message, op })
    this.mark++
  }

  dropMessageOf(op: Op): void {
    this.messages = this.messages.filter((each) => each.op !== op)
  }

  publish(key: string, value: string): void {
    this.published.set(key, value)
    this.mark++
  }

  /** Close the window of a signal. The commit is refused if the inbox has messages after `seen`. */
  close(signal: string, seen: number): void {
    this.decide(seen)
    this.closes.push(signal)
    this.mark++
  }

  consume(ordinal: number): void {
    this.consumed.push(ordinal)
  }

  /** Note a decision that is valid only if the inbox has no message after `seen`. */
  decide(seen: number): void {
    this.decidedAt = Math.min(this.decidedAt ?? Infinity, seen)
  }

  /** The program has ended. What is added from now on is discarded if the run does not end with this commit. */
  programEnded(): void {
    const { children, messages, published } = this
    this.beforeEnd = children.length + messages.length + published.size === 0
      ? noOutgoing
      : { children: [...children], messages: [...messages], published: [...published] }
  }

  // --- commits ---

  take(run: { readonly id: string; readonly epoch: number; readonly seen: number }): DraftCommit {
    const draftCommit: DraftCommit = {
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
      mark: this.mark,
      beforeEnd: this.beforeEnd
    }
    this.current = draftCommit
    this.from += this.entries.length
    this.clear()
    return draftCommit
  }

  /** The commit on its way was applied. */
  applied(): void {
    this.durableMark = this.current?.mark ?? this.durableMark
    this.current = undefined
  }

  /**
   * The commit on its way was not applied: its content comes first in the next commit, without its transition and what
   * the end of the program added.
   */
  restore(): void {
    if (this.current !== undefined) this.putBack(this.current, this.current.beforeEnd ?? outgoingOf(this.current))
  }

  /** The commit on its way was not written: as `restore`, and its transition stays unless the draft has another one. */
  restoreWithTransition(): void {
    if (this.current === undefined) return
    const { beforeEnd, commit } = this.current
    this.putBack(this.current, outgoingOf(this.current))
    if (this.transition !== null || commit.transition === null) return
    this.transition = commit.transition
    this.beforeEnd = beforeEnd
    if (commit.transition._tag === "Suspend" || commit.transition._tag === "Finish") this.decide(commit.seen)
  }

  /** A new draft that continues after what is durable. The commit on its way must not have been applied. */
  discarded(): Draft {
    return new Draft(this.current?.commit.from ?? this.from)
  }

  private putBack({ commit }: DraftCommit, { children, messages, published }: DraftContent): void {
    this.current = undefined
    this.from = commit.from
    this.entries = [...commit.entries, ...this.entries]
    this.consumed = [...commit.consumed, ...this.consumed]
    this.children = [...children, ...this.children]
    this.messages = [...messages, ...this.messages]
    this.published = new Map([...published, ...this.published])
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
    this.beforeEnd = null
  }
}

const outgoingOf = ({ commit: { children, published }, messages }: DraftCommit): DraftContent => ({
  children,
  messages,
  published: published.map(({ key, value }) => [key, value] as const)
})
