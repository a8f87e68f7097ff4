/**
 * The content of a run's next commits. A draft grows while the machine runs. It has no access to storage.
 *
 * | state     | meaning                                             | leaves by                             |
 * |-----------|-----------------------------------------------------|---------------------------------------|
 * | gathering | no commit is on its way                             | `take` → in flight                    |
 * | in flight | one commit is on its way, and the next one gathers  | `applied` or `restore` → gathering    |
 *
 * Most drafts are one commit. A draft that is large consists of several segments, each a commit. A segment ends before
 * an entry: what the program requests after an entry is durable together with the entry, because a replay does not
 * request it again.
 */
import type { Entry, NewMessage, NewRun, RunCommit, Transition } from "../../driver/JournalDriver.js"
import type { Op } from "../machine/Op.js"

/** What leaves the run with a commit. */
interface DraftContent {
  readonly children: ReadonlyArray<NewRun>
  readonly messages: ReadonlyArray<DraftMessage>
  readonly published: Iterable<readonly [string, string]>
}

const noOutgoing: DraftContent = { children: [], messages: [], published: [] }

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
}

/** The size of an item without its value. */
const ITEM_SIZE = 256

/** The size of one commit above which the next entry starts another one, in characters. */
const COMMIT_SIZE = 8 * 1024 * 1024

/** The values of a segment that publishes nothing. It is never changed. */
const noValues = new Map<string, string>()

/** The content of one commit, without its transition. */
class Segment {
  entries: Array<Entry> = []
  consumed: Array<number> = []
  children: Array<NewRun> = []
  messages: Array<DraftMessage> = []
  published = noValues
  closes: Array<string> = []
  /** The inbox sequence of the earliest decision that holds only if no later message exists. */
  decidedAt: number | undefined
  /** What leaves the run, without what the end of the program added; null if it has not ended. */
  beforeEnd: DraftContent | null = null
  /** The mark of the draft after the last item. */
  mark = 0
  /** The size of the items, in characters. */
  size = 0

  get isEmpty(): boolean {
    return this.entries.length === 0 && this.consumed.length === 0 && this.children.length === 0 &&
      this.messages.length === 0 && this.published.size === 0 && this.closes.length === 0
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

  /** Discard what the end of the program added. */
  discardEnd(): void {
    if (this.beforeEnd === null) return
    const { children, messages, published } = this.beforeEnd
    this.beforeEnd = null
    this.children = [...children]
    this.messages = [...messages]
    this.published = new Map(published)
  }

  /** Put the content of an earlier segment before the content of this one. */
  prepend(earlier: Segment): void {
    this.entries = [...earlier.entries, ...this.entries]
    this.consumed = [...earlier.consumed, ...this.consumed]
    this.children = [...earlier.children, ...this.children]
    this.messages = [...earlier.messages, ...this.messages]
    if (earlier.published.size > 0) this.published = new Map([...earlier.published, ...this.published])
    this.closes = [...earlier.closes, ...this.closes]
    this.size += earlier.size
    // A decision of the earlier segment counts only if the segment has decided by its own content.
    if (earlier.closes.length > 0 && earlier.decidedAt !== undefined) this.decide(earlier.decidedAt)
  }
}

/** A commit on its way, and what it was made from. */
interface CommitInFlight extends DraftCommit {
  readonly segment: Segment
}

const sizeOfTransition = (transition: Transition | null): number => {
  switch (transition?._tag) {
    case "Finish":
      return transition.exit.value?.length ?? 0
    case "Continue":
      return transition.payload.length
    case "Diverge":
      return transition.detail.length
    default:
      return 0
  }
}

export class Draft {
  transition: Transition | null = null
  /** Counts everything that was ever added: the position that a step body waits for. */
  mark = 0
  private durableMark = 0
  private current: CommitInFlight | undefined
  /** Complete segments, in order. Almost always empty. */
  private complete: Array<Segment> = []
  /** The segment that grows. */
  private last = new Segment()

  /** `from` is the `seq` of the first entry that is not in a commit. */
  constructor(private from: number, private readonly commitSize: number = COMMIT_SIZE) {}

  /** The `seq` that the next entry gets. */
  get nextSeq(): number {
    let seq = this.from + this.last.entries.length
    for (const { entries } of this.complete) seq += entries.length
    return seq
  }

  get isEmpty(): boolean {
    return this.transition === null && this.last.isEmpty && this.complete.length === 0
  }

  /** The size of the commit that is taken next, in characters. */
  get nextSize(): number {
    const [first] = this.complete
    return first === undefined ? this.last.size + sizeOfTransition(this.transition) : first.size
  }

  /** Whether the next commits have entries. */
  get hasEntries(): boolean {
    return this.segments.some(({ entries }) => entries.length > 0)
  }

  /** The commit on its way. */
  get inFlight(): DraftCommit | undefined {
    return this.current
  }

  isDurable(mark: number): boolean {
    return mark <= this.durableMark
  }

  // --- content ---

  /** Add the entry of an op, or of a message to the run. */
  addEntry(entry: Entry, consumed?: number): void {
    if (this.last.size >= this.commitSize) this.split()
    this.append(entry)
    if (consumed !== undefined) this.last.consumed.push(consumed)
  }

  /** Add an entry that is durable together with the entry before it. */
  addPatch(entry: Entry): void {
    this.append(entry)
  }

  /** Remove the entry that was added last: the program cannot read it. */
  dropLastEntry(consumed?: number): void {
    this.last.entries.pop()
    if (consumed !== undefined) this.last.consumed.pop()
  }

  addChild(child: NewRun): void {
    this.last.children.push(child)
    this.grow(child.payload.length)
  }

  /** Remove a child that has not left. Returns whether it was in the draft. */
  dropChild(id: string): boolean {
    for (const { children } of this.segments) {
      const index = children.findIndex((child) => child.id === id)
      if (index < 0) continue
      children.splice(index, 1)
      return true
    }
    return false
  }

  hasChild(id: string): boolean {
    return this.segments.some(({ children }) => children.some((child) => child.id === id))
  }

  addMessage(message: NewMessage, op: Op | null): void {
    this.last.messages.push({ message, op })
    this.grow("payload" in message ? message.payload.length : 0)
  }

  dropMessageOf(op: Op): void {
    for (const segment of this.segments) segment.messages = segment.messages.filter((each) => each.op !== op)
  }

  publish(key: string, value: string): void {
    if (this.last.published === noValues) this.last.published = new Map()
    this.last.published.set(key, value)
    this.grow(value.length)
  }

  /** Close the window of a signal. The commit is refused if the inbox has messages after `seen`. */
  close(signal: string, seen: number): void {
    this.last.decide(seen)
    this.last.closes.push(signal)
    this.grow(0)
  }

  consume(ordinal: number): void {
    this.last.consumed.push(ordinal)
  }

  /** Note a decision that is valid only if the inbox has no message after `seen`. */
  decide(seen: number): void {
    this.last.decide(seen)
  }

  /** The program has ended. What is added from now on is discarded if the run does not end with the next commit. */
  programEnded(): void {
    this.last.programEnded()
  }

  // --- commits ---

  /** Take the next commit. The transition goes with the last one. */
  take(run: { readonly id: string; readonly epoch: number; readonly seen: number }): DraftCommit {
    const complete = this.complete.shift()
    const segment = complete ?? this.last
    const { children, closes, consumed, decidedAt, entries, messages, published } = segment
    const taken: CommitInFlight = {
      commit: {
        run: run.id,
        epoch: run.epoch,
        from: this.from,
        entries,
        consumed,
        children,
        messages: messages.map(({ message }) => message),
        published: Array.from(published, ([key, value]) => ({ key, value })),
        closes,
        seen: decidedAt ?? run.seen,
        transition: complete === undefined ? this.transition : null
      },
      messages,
      mark: complete === undefined ? this.mark : segment.mark,
      segment
    }
    this.current = taken
    this.from += entries.length
    if (complete === undefined) {
      this.last = new Segment()
      this.transition = null
    }
    return taken
  }

  /** Make one commit of everything: a storage transaction writes it together. */
  join(): void {
    for (const segment of this.complete.reverse()) this.last.prepend(segment)
    this.complete = []
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
    const taken = this.putBack()
    if (taken === undefined) return
    const { mark, segment } = taken
    segment.discardEnd()
    if (segment.size < this.commitSize) return (this.complete[0] ?? this.last).prepend(segment)
    segment.mark = mark
    if (segment.closes.length === 0) segment.decidedAt = undefined
    this.complete.unshift(segment)
  }

  /** The commit on its way was not written: as `restore`, and its transition stays unless the draft has another one. */
  restoreWithTransition(): void {
    const transition = this.current?.commit.transition ?? null
    if (transition === null) return this.restore()
    const taken = this.putBack()
    if (taken === undefined) return
    // It was the last segment: what follows it belongs to the same commit.
    const next = this.complete[0] ?? this.last
    next.prepend(taken.segment)
    if (this.transition !== null) return
    this.transition = transition
    this.last.beforeEnd = taken.segment.beforeEnd
    if (transition._tag === "Suspend" || transition._tag === "Finish") this.decide(taken.commit.seen)
  }

  /** A new draft that continues after what is durable. The commit on its way must not have been applied. */
  discarded(): Draft {
    return new Draft(this.current?.commit.from ?? this.from, this.commitSize)
  }

  // --- private ---

  private putBack(): CommitInFlight | undefined {
    const taken = this.current
    if (taken !== undefined) this.from = taken.commit.from
    this.current = undefined
    return taken
  }

  private get segments(): ReadonlyArray<Segment> {
    return this.complete.length === 0 ? [this.last] : [...this.complete, this.last]
  }

  private append(entry: Entry): void {
    this.last.entries.push(entry)
    this.grow(entry.exit.value?.length ?? 0)
  }

  /** An item with a value of this size was added. */
  private grow(size: number): void {
    this.last.size += ITEM_SIZE + size
    this.mark++
  }

  private split(): void {
    this.last.mark = this.mark
    this.complete.push(this.last)
    this.last = new Segment()
  }
}
