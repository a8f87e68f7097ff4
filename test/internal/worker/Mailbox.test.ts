import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import type { Op } from "perdure/internal/machine/Op"
import { Mailbox } from "perdure/internal/worker/Mailbox"
import type { Message, MessageContent, MessageKind } from "perdure/JournalDriver"

const receive = (id: number, name: string): Op => ({
  id,
  kind: "receive",
  name,
  data: { _tag: "Receive", due: null },
  decode: () => Either.left("not read here"),
  resume: () => {},
  at: 0,
  shielded: false,
  waiters: () => []
})

const message = (ordinal: number, name: string, kind: MessageKind = "signal"): Message => ({
  ...content(kind, ordinal),
  run: "r",
  ordinal,
  name,
  at: 0
})

const content = (kind: MessageKind, ordinal: number): MessageContent => {
  switch (kind) {
    case "cancel":
      return { kind, by: null, reason: null }
    case "child":
      return { kind, child: `c-${ordinal}`, ending: { status: "expired", exit: null, endCause: null } }
    default:
      return { kind, payload: `${ordinal}` }
  }
}

describe("a mailbox", () => {
  it("matches the earliest message with the op that has waited longest for its key", () => {
    const box = new Mailbox()
    const [a1, a2, b] = [receive(0, "a"), receive(1, "a"), receive(2, "b")]
    for (const op of [a1, a2, b]) box.wait(`signal:${op.name}`, op)
    box.add([message(1, "c"), message(2, "b"), message(3, "a"), message(4, "a"), message(5, "a")], 5)
    const taken: Array<readonly [number, number]> = []
    for (let match = box.peek(); match !== undefined; match = box.peek()) {
      box.take(match)
      taken.push([match.message.ordinal, match.op.id])
    }
    assert.deepStrictEqual(taken, [[2, 2], [3, 0], [4, 1]])
    assert.isFalse(box.isAwaiting)
    box.wait("signal:a", a1)
    assert.strictEqual(box.peek()?.message.ordinal, 5, "unmatched messages are kept")
  })

  it("ignores messages that it has seen, and separates messages to the run itself", () => {
    const box = new Mailbox()
    box.add([message(1, "a"), message(2, "cancel", "cancel")], 2)
    box.add([message(1, "a"), message(2, "cancel", "cancel")], 2)
    assert.strictEqual(box.takeToRun()?.kind, "cancel")
    assert.isUndefined(box.takeToRun())
    const [first, second] = [receive(0, "a"), receive(1, "a")]
    box.wait("signal:a", first)
    box.wait("signal:a", second)
    box.stopWaiting("signal:a", first)
    assert.strictEqual(box.peek()?.op, second)
    box.reset([message(7, "z")], 9)
    assert.isUndefined(box.peek())
    assert.strictEqual(box.seen, 9)
  })
})
