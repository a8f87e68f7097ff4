import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Redacted from "effect/Redacted"
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
import { notJson } from "perdure/internal/codec/notJson"

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

describe("the origin of a failure", () => {
  const roomy = makeExitCodec({ success: Schema.Void, failure: Failed, what: "it", limitBytes: 100_000 })
  const back = (exit: Exit.Exit<unknown, unknown>) =>
    Effect.runSyncExit(Either.getOrThrow(roomy.decode(fromEncoded(toEncoded(roomy.encode(exit))))))
  const failWith = (error: unknown) => Exit.fail(error)
  const failureOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
    Exit.isFailure(exit) ? Cause.squash(exit.cause) : assert.fail("no failure")

  it("is kept for a typed error: its stack, its causes and what failed beside it, which is not in its fields", () => {
    const cause = new Error("connect ECONNREFUSED", { cause: new TypeError("socket") })
    const error = Object.assign(new Failed({ at: new Date(1) }), { cause })
    const beside = Cause.parallel(Cause.fail(error), Cause.die(new RangeError("other fiber")))
    const read = failureOf(back(Exit.failCause(beside)))
    assert.instanceOf(read, Failed)
    assert.strictEqual(read.stack, error.stack)
    assert.instanceOf(read.cause, Error)
    assert.include(String(read.cause), "connect ECONNREFUSED")
    assert.include(String(Object(read.cause).cause), "socket")
    assert.include(String(Object(read).suppressed), "RangeError: other fiber")
    assert.deepStrictEqual(Object.keys(read), Object.keys(new Failed({ at: new Date(1) })))
  })

  it("survives a second store, as of a step's failure that a run fails with", () => {
    const error = new Failed({ at: new Date(1) })
    const twice = failureOf(back(failWith(failureOf(back(failWith(error))))))
    assert.strictEqual(Object(twice).stack, error.stack)
  })

  it("is left out where the failure would be too large with it, and where it is not an object", () => {
    const tight = makeExitCodec({ success: Schema.Void, failure: Failed, what: "it", limitBytes: 60 })
    assert.strictEqual(tight.encode(Exit.fail(new Failed({ at: new Date(1) }))).kind, "failure")
    const plain = makeExitCodec({ success: Schema.Void, failure: Schema.String, what: "it", limitBytes: 60 })
    assert.strictEqual(plain.encode(Exit.fail("no")).text, "\"no\"")
  })

  it("does not disturb a schema that reads every key", () => {
    const Keys = Schema.Record({ key: Schema.String, value: Schema.Number })
    const codec = makeExitCodec({ success: Schema.Void, failure: Keys, what: "it", limitBytes: Infinity })
    const cause = Cause.parallel(Cause.fail({ a: 1 }), Cause.die("beside"))
    const wire = codec.encode(Exit.failCause(cause))
    assert.include(wire.text ?? "", "beside")
    assert.deepStrictEqual(Effect.runSyncExit(Either.getOrThrow(codec.decode(wire))), Exit.fail({ a: 1 }))
  })

  it("names an error that its schema does not declare", () => {
    const wire = codec.encode(Exit.fail(new RangeError("undeclared")))
    assert.strictEqual(wire.kind, "defect")
    assert.include(describeDefect(wire.data), "RangeError: undeclared")
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

  it("keeps its fields and the chain of its causes", () => {
    const socket = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", port: 5432 })
    const error = new Error("An unknown error occurred", { cause: new Error("query failed", { cause: socket }) })
    const read = decodeDefect(JSON.parse(JSON.stringify(encodeDefect(error))))
    assert.instanceOf(read, Error)
    const deepest: unknown = Object(read.cause).cause
    assert.instanceOf(deepest, Error)
    assert.deepInclude(Object(deepest), { message: "connect ECONNREFUSED", code: "ECONNREFUSED", port: 5432 })
    assert.strictEqual(
      describeDefect(encodeDefect(error)),
      "Error: An unknown error occurred, caused by Error: query failed, caused by Error: connect ECONNREFUSED"
    )
  })

  it("keeps what failed beside it", () => {
    const exit = Exit.failCause(Cause.parallel(Cause.die(new Error("first")), Cause.die(new Error("second"))))
    assert.strictEqual(describeDefect(codec.encode(exit).data), "Error: first; at the same time Error: second")
  })

  it("is bounded, whatever its causes and fields are", () => {
    const large = "x".repeat(100_000)
    const loop = Object.assign(new Error(large), { large, list: Array.from({ length: 1000 }, () => large) })
    loop.cause = new Error(large, { cause: loop })
    const beside = Array.from(
      { length: 20 },
      (_, index) => Cause.die(Object.assign(new Error(`${index}`), { cause: loop }))
    )
    const wire = codec.encode(Exit.failCause(beside.reduce((left, right) => Cause.parallel(left, right))))
    assert.isBelow(wire.text?.length ?? Infinity, 200_000)
  })

  it("has no secrets and nothing that storage refuses", () => {
    const error = Object.assign(new Error("no"), {
      token: Redacted.make("hunter2"),
      nul: "a\u0000b",
      when: new Date(0),
      big: 10n,
      call: () => 1,
      nested: { map: new Map([[1, 2]]), text: "\uD800" }
    })
    const stored = JSON.stringify(encodeDefect(error))
    assert.notInclude(stored, "hunter2")
    assert.isUndefined(notJson(JSON.parse(stored)))
    assert.deepInclude(decodeDefect(JSON.parse(stored)), { token: "<redacted>", nul: "a\uFFFDb" })
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
