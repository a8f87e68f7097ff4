/** A number for the content of a commit, by which storage recognizes a commit that is sent again. */
import type * as Driver from "perdure/JournalDriver"
import { encodeContent } from "../shared/messages.js"

/** Twice FNV-1a with different primes: 53 bits. */
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
    // The end of a string counts, so that "a", "b" differs from "ab", "".
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
  for (const field of Object.values(encodeContent(content))) mark.text(`${field ?? ""}`)
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

export const markOf = (commit: Driver.RunCommit): number => {
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
