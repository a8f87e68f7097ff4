import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Schema from "effect/Schema"
import { RunEnded, ValueTooLarge } from "perdure/Errors"
import {
  decodeDefect,
  describeDefect,
  encodeDefect,
  errorCodeOf,
  fromEncoded,
  makeExitCodec,
  toEncoded
} from "perdure/internal/codec/exits"

class Failed extends Schema.TaggedError<Failed>()("Failed", { at: Schema.Date }) {}

const codec = makeExitCodec({ success: Schema.Date, failure: Failed, what: "result of step s", limitBytes: 200 })

/** The exit after it was stored and read. */
const back = (exit: Exit.Exit<unknown, unknown>) =>
  Effect.runSyncExit(Either.getOrThrow(codec.decode(fromEncoded(toEncoded(codec.encode(exit))))))

describe("an exit codec", () => {
  it("returns successes, failures and interruptions unchanged", () => {
    const at = new Date(5)
    assert.deepStrictEqual(back(Exit.succeed(at)), Exit.succeed(at))
    assert.deepStrictEqual(back(Exit.fail(new Failed({ at }))), Exit.fail(new Failed({ at })))
    assert.isTrue(Exit.isInterrupted(back(Exit.interrupt(FiberId.none))))
  })

  it("encodes void without text", () => {
    const nothing = makeExitCodec({ success: Schema.Void, failure: Schema.Never, what: "it", limitBytes: 10 })
    assert.deepStrictEqual(toEncoded(nothing.encode(Exit.void)), { kind: "success", value: null })
  })

  it("keeps of several causes the failure, else the defect, else the interruption", () => {
    const failed = Cause.fail(new Failed({ at: new Date(1) }))
    const died = Cause.die("bones")
    const interrupted = Cause.interrupt(FiberId.none)
    const kind = (cause: Cause.Cause<unknown>) => codec.encode(Exit.failCause(cause)).kind
    assert.strictEqual(kind(Cause.parallel(interrupted, Cause.sequential(died, failed))), "failure")
    assert.strictEqual(kind(Cause.parallel(interrupted, died)), "defect")
    assert.strictEqual(kind(Cause.parallel(interrupted, interrupted)), "interrupt")
  })

  it("encodes errors of the runtime as failures without a schema that declares them", () => {
    const error = new RunEnded({ runId: "r", workflow: "w", status: "cancelled", detail: "" })
    assert.deepStrictEqual(back(Exit.fail(error)), Exit.fail(error))
  })

  it("encodes an invalid or too large value as a defect that says why", () => {
    const wrong = codec.encode(Exit.fail("no such error"))
    assert.strictEqual(wrong.kind, "defect")
    assert.include(describeDefect(wrong.data), "result of step s is not valid")
    const large = makeExitCodec({ success: Schema.String, failure: Schema.Never, what: "it", limitBytes: 4 })
    assert.instanceOf(decodeDefect(large.encode(Exit.succeed("long")).data), ValueTooLarge)
  })

  it("returns a reason for data that does not match the schema, not a defect", () => {
    const read = codec.decode({ kind: "success", data: 12, text: "12" })
    assert.include(Either.isLeft(read) ? read.left : "", "result of step s cannot be read by its schema")
  })
})

describe("the error code of an exit", () => {
  const codeOf = (exit: Exit.Exit<unknown, unknown>) => errorCodeOf(codec.encode(exit))

  it("is the tag of the failure, the tag of the runtime's error, or the name of the defect", () => {
    const ended = new RunEnded({ runId: "r", workflow: "w", status: "cancelled", detail: "" })
    assert.strictEqual(codeOf(Exit.fail(new Failed({ at: new Date(5) }))), "Failed")
    assert.strictEqual(codeOf(Exit.die(ended)), "RunEnded")
    assert.strictEqual(codeOf(Exit.die(new RangeError("too far"))), "RangeError")
  })

  it("is null for a failure without a tag, a success and an interruption", () => {
    assert.isNull(errorCodeOf({ kind: "failure", data: "OutOfStock", text: "\"OutOfStock\"" }))
    assert.isNull(errorCodeOf({ kind: "failure", data: undefined, text: null }))
    assert.isNull(errorCodeOf({ kind: "success", data: { _tag: "OutOfStock" }, text: "{\"_tag\":\"OutOfStock\"}" }))
    assert.isNull(codeOf(Exit.interrupt(FiberId.none)))
  })
})

describe("a stored defect", () => {
  it("keeps name, message and stack, without characters that storage refuses", () => {
    const error = new RangeError("a\u0000b\uD800")
    const stored = JSON.parse(JSON.stringify(encodeDefect(error)))
    assert.deepInclude(stored, { name: "RangeError", message: "a\uFFFDb\uFFFD" })
    const read = decodeDefect(stored)
    assert.instanceOf(read, Error)
    assert.strictEqual(read.name, "RangeError")
    assert.include(read.stack, "exits.test.ts")
  })

  it("of any thrown value has a bounded description", () => {
    const loop: { self?: unknown } = {}
    loop.self = loop
    for (const value of [undefined, null, 1, "text", Symbol("s"), loop, { a: 1 }, () => 1]) {
      assert.isString(describeDefect(JSON.parse(JSON.stringify(encodeDefect(value)))))
    }
    assert.isBelow(JSON.stringify(encodeDefect("x".repeat(1_000_000))).length, 10_000)
  })
})
