/**
 * The unconsumed messages of a held run, and the ops that wait for messages. Both are in order: the first message of a
 * key is for the first op that waits for that key.
 */
import type { Message } from "../../driver/JournalDriver.js"
import type { Op } from "../machine/Op.js"

/** A message and the op that receives it. */
export interface Match {
  readonly op: Op
  readonly message: Message
}

/** The key of the messages that an op waits for, as a suspended run stores it; undefined if it waits for none. */
export const awaitedKey = ({ data, name }: Op): string | undefined => {
  switch (data._tag) {
    case "Receive":
      return `signal:${name}`
    case "Child":
      return `child:${data.token}`
    case "Callback":
      return `callback:${data.token}`
    case "Step":
    case "Timer":
    case "Send":
      return undefined
  }
}

export class Mailbox {
  /** The inbox sequence up to which the messages are complete. */
  seen = 0
  private unread = new Map<string, Array<Message>>()
  private readonly waiting = new Map<string, Array<Op>>()
  /** Keys that may have both a message and an op. */
  private readonly candidates = new Set<string>()
  /** Messages to the run itself: cancels and defects. */
  private toRun: Array<Message> = []

  /** Add messages from storage, in order. Those up to `this.seen` are ignored. */
  add(messages: ReadonlyArray<Message>, seen: number): void {
    for (const message of messages) {
      if (message.ordinal <= this.seen) continue
      if (message.kind === "cancel" || message.kind === "defect") {
        this.toRun.push(message)
        continue
      }
      const key = `${message.kind}:${message.name}`
      push(this.unread, key, message)
      if (this.waiting.has(key)) this.candidates.add(key)
    }
    this.seen = Math.max(this.seen, seen)
  }

  /** Replace all messages by those that storage has as unconsumed. */
  reset(messages: ReadonlyArray<Message>, seen: number): void {
    this.unread = new Map()
    this.candidates.clear()
    this.toRun = []
    this.seen = 0
    this.add(messages, seen)
    this.seen = seen
  }

  /** Remove all messages and waiting ops. */
  clear(): void {
    this.reset([], 0)
    this.waiting.clear()
  }

  wait(key: string, op: Op): void {
    push(this.waiting, key, op)
    if (this.unread.has(key)) this.candidates.add(key)
  }

  stopWaiting(key: string, op: Op): void {
    const ops = this.waiting.get(key)
    if (ops === undefined) return
    const index = ops.indexOf(op)
    if (index >= 0) ops.splice(index, 1)
    if (ops.length === 0) this.waiting.delete(key)
  }

  /** The keys that ops wait for. */
  get awaited(): ReadonlyArray<string> {
    return [...this.waiting.keys()]
  }

  get isAwaiting(): boolean {
    return this.waiting.size > 0
  }

  /** Whether a cancel was not taken. */
  get hasCancel(): boolean {
    return this.toRun.some(({ kind }) => kind === "cancel")
  }

  /** Take the next message to the run itself. */
  takeToRun(): Message | undefined {
    return this.toRun.shift()
  }

  /** The earliest message that an op waits for. It stays until `take`. */
  peek(): Match | undefined {
    let best: Match | undefined
    for (const key of this.candidates) {
      const message = this.unread.get(key)?.[0]
      const op = this.waiting.get(key)?.[0]
      if (message === undefined || op === undefined) this.candidates.delete(key)
      else if (best === undefined || message.ordinal < best.message.ordinal) best = { op, message }
    }
    return best
  }

  take({ message, op }: Match): void {
    const key = `${message.kind}:${message.name}`
    const messages = this.unread.get(key)
    messages?.shift()
    if (messages?.length === 0) this.unread.delete(key)
    this.stopWaiting(key, op)
  }
}

const push = <A>(map: Map<string, Array<A>>, key: string, value: A): void => {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}
