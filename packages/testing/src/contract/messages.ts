/** Delivery of messages, inboxes, and rule 2: no wake-up is lost. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mayLackMessages, type MessageKind, type NewMessage } from "perdure/JournalDriver"
import {
  check,
  commitOf,
  entries,
  finish,
  large,
  message,
  only,
  pass,
  payloadOf,
  signal,
  start,
  suspend
} from "./Fixture.js"

const kinds: ReadonlyArray<MessageKind> = ["signal", "child", "callback", "cancel", "defect"]

export const messages = [
  check("a message to a running run is buffered and can be read from the inbox", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* pass(7)
      const sent = signal(held.id, "hello", { payload: "{\"by\":\"ann\"}" })
      assert.deepStrictEqual(yield* t.deliver(sent), ["Buffered"])
      const { messages, seen } = yield* t.inbox(held)
      const found = only(messages)
      assert.deepStrictEqual(found, {
        run: held.id,
        ordinal: found.ordinal,
        kind: "signal",
        name: "hello",
        payload: sent.payload,
        at: start + 7
      })
      assert.isAbove(found.ordinal, held.seen)
      assert.isAtLeast(seen, found.ordinal)
    })),

  check(
    "an answer with inboxes ends with the message that reaches its bound, and the next one continues",
    (t) =>
      Effect.gen(function*() {
        const [a, b, c] = [yield* t.running("a"), yield* t.running("b"), yield* t.running("c")]
        const payload = large.value ?? ""
        for (const { id } of [a, a, b, b, b, c]) yield* t.deliver(signal(id, "x", { payload }))
        const requests = new Map([a, b, c].map(({ id }) => [id, 0]))
        const counts: Array<ReadonlyArray<number>> = []
        const found = new Map<string, number>()
        for (let more = true; more && counts.length < 10;) {
          const { value } = yield* t.driver.inbox(Array.from(requests, ([run, after]) => ({ run, after })))
          counts.push(value.map(({ messages }) => messages.length))
          for (const { messages, run, seen } of value) {
            requests.set(run, seen)
            found.set(run, (found.get(run) ?? 0) + messages.length)
          }
          more = mayLackMessages(value.flatMap(({ messages }) => messages))
        }
        assert.deepStrictEqual(counts.slice(0, 2), [[2, 1, 0], [0, 2, 1]])
        assert.deepStrictEqual([...found.values()], [2, 3, 1])
        assert.deepStrictEqual(
          (yield* t.driver.inbox(Array.from(requests, ([run, after]) => ({ run, after })))).value,
          [a, b, c].map(({ id }) => ({ run: id, seen: requests.get(id) ?? 0, pausing: false, messages: [] }))
        )
      })
  ),

  check("a message of each kind is stored with its kind and name", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.deliver(...kinds.map((kind) => message(kind, held.id, `${kind}-name`)))
      const { messages } = yield* t.inbox(held)
      assert.deepStrictEqual(
        messages.map(({ kind, name }) => [kind, name]),
        kinds.map((kind) => [kind, `${kind}-name`])
      )
    })),

  check("a message to a pending run is buffered and does not make the run available", (t) =>
    Effect.gen(function*() {
      const run = t.newRun("a", { availableAt: start + 1_000 })
      yield* t.enqueue(run)
      assert.deepStrictEqual(yield* t.deliver(signal(run.id, "x")), ["Buffered"])
      assert.deepStrictEqual(yield* t.claim([run.queue]), [])
      yield* pass(1_000)
      assert.strictEqual((yield* t.claimOne(run)).inbox.length, 1)
    })),

  check(
    "a cancel is delivered to a pending run and makes it available, also if it was never available",
    (t) =>
      Effect.gen(function*() {
        for (const availableAt of [start + 1_000, Infinity, null]) {
          const run = t.newRun(`run-${availableAt}`, { availableAt })
          yield* t.enqueue(run)
          assert.deepStrictEqual(yield* t.deliver(message("cancel", run.id, "")), ["Delivered"])
          assert.strictEqual((yield* t.record(run)).availableAt, start)
          assert.deepStrictEqual((yield* t.claimOne(run)).inbox.map(({ kind }) => kind), ["cancel"])
        }
        const released = yield* t.running("released")
        yield* t.apply(released, { transition: { _tag: "Release", at: start + 1_000 } })
        assert.deepStrictEqual(yield* t.deliver(message("cancel", released.id, "")), ["Delivered"])
        yield* t.claimOne(released)
      })
  ),

  check("a cancel does not wake a suspended run that does not wait for it", (t) =>
    Effect.gen(function*() {
      const held = yield* t.suspended("a", Infinity, "signal:x", "cancel:other")
      assert.deepStrictEqual(yield* t.deliver(message("cancel", held.id, "")), ["Buffered"])
      assert.deepStrictEqual(yield* t.claim([held.queue]), [])
    })),

  check(
    "a message that a suspended run waits for is delivered and makes the run available",
    (t) =>
      Effect.gen(function*() {
        for (const kind of kinds) {
          const held = yield* t.suspended(kind, Infinity, "signal:other", `${kind}:name`)
          assert.deepStrictEqual(yield* t.claim([held.queue]), [])
          yield* pass(3)
          assert.deepStrictEqual(yield* t.deliver(message(kind, held.id, "name")), ["Delivered"])
          const again = yield* t.claimOne(held)
          assert.deepStrictEqual(again.inbox.map((each) => [each.kind, each.name]), [[kind, "name"]])
        }
      })
  ),

  check(
    "a delivery sets availableAt to now, unless the run was due before",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.suspended("a", start + 1_000, "signal:x")
        const due = yield* t.suspended("b", start + 3, "signal:x")
        yield* pass(10)
        assert.deepStrictEqual(yield* t.deliver(signal(held.id, "x"), signal(due.id, "x")), ["Delivered", "Delivered"])
        assert.strictEqual((yield* t.record(held)).availableAt, start + 10)
        assert.strictEqual((yield* t.record(held)).status, "suspended")
        assert.isAtMost((yield* t.record(due)).availableAt, start + 10)
      })
  ),

  check("a second message to a run that is already due is delivered", (t) =>
    Effect.gen(function*() {
      const held = yield* t.suspended("a", Infinity, "signal:x")
      yield* t.deliver(signal(held.id, "x"))
      assert.deepStrictEqual(yield* t.deliver(signal(held.id, "x")), ["Delivered"])
      assert.strictEqual((yield* t.claimOne(held)).inbox.length, 2)
    })),

  check(
    "a message that a suspended run does not wait for is buffered until the run wakes",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.suspended("a", start + 1_000, "signal:x", "child:y")
        const others: ReadonlyArray<NewMessage> = [
          signal(held.id, "y"),
          message("child", held.id, "x"),
          signal(held.id, "X")
        ]
        assert.deepStrictEqual(yield* t.deliver(...others), ["Buffered", "Buffered", "Buffered"])
        assert.deepStrictEqual(yield* t.claim([held.queue]), [])
        yield* pass(1_000)
        assert.strictEqual((yield* t.claimOne(held)).inbox.length, 3)
      })
  ),

  check("a claim clears the messages that the run waited for", (t) =>
    Effect.gen(function*() {
      const held = yield* t.suspended("a", start, "signal:x")
      const again = yield* t.claimOne(held)
      assert.deepStrictEqual(yield* t.deliver(signal(held.id, "x")), ["Buffered"])
      const { seen } = yield* t.inbox(held)
      yield* t.apply({ ...again, seen }, { transition: suspend(Infinity) })
      assert.deepStrictEqual(yield* t.deliver(signal(held.id, "x")), ["Buffered"])
    })),

  check("a message to a diverged run is buffered", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.apply(held, { transition: { _tag: "Diverge", detail: "{}" } })
      assert.deepStrictEqual(yield* t.deliver(signal(held.id, "x")), ["Buffered"])
      yield* t.driver.resume({ runs: [held.id], by: null, reason: null })
      assert.strictEqual((yield* t.claimOne(held)).inbox.length, 1)
    })),

  check(
    "a second message of one id is a duplicate, with any other content, also after the first was consumed",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("a")
        const other = yield* t.running("b")
        const sent = signal(held.id, "x")
        assert.deepStrictEqual(
          yield* t.deliver(sent, { ...sent, name: "y", payload: "2" }, { ...sent, to: other.id }),
          ["Buffered", "Duplicate", "Buffered"]
        )
        assert.deepStrictEqual(yield* t.deliver({ ...sent, kind: "callback" }), ["Duplicate"])
        const { messages, seen } = yield* t.inbox(held)
        assert.strictEqual(payloadOf(only(messages)), sent.payload)
        yield* t.apply(held, { consumed: [only(messages).ordinal], seen, entries: entries(0, 1) })
        assert.deepStrictEqual(yield* t.deliver(sent), ["Duplicate"])
        assert.deepStrictEqual(yield* t.messages(held), [])
      })
  ),

  check("of concurrent deliveries of one message, one is stored", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      const sent = signal(held.id, "x")
      const answers = yield* Effect.forEach([1, 2, 3, 4, 5, 6], () => t.deliver(sent), { concurrency: "unbounded" })
      assert.deepStrictEqual(answers.flat().toSorted(), ["Buffered", ...Array.from({ length: 5 }, () => "Duplicate")])
      assert.strictEqual((yield* t.messages(held)).length, 1)
    })),

  check("a signal to a closed window expires; other names and other kinds do not", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.apply(held, { closes: ["x", "y"] })
      const answers = yield* t.deliver(
        signal(held.id, "x"),
        signal(held.id, "z"),
        signal(held.id, "y"),
        signal(held.id, "x", { kind: "callback" }),
        message("child", held.id, "x")
      )
      assert.deepStrictEqual(answers, ["Expired", "Buffered", "Expired", "Buffered", "Buffered"])
      assert.strictEqual((yield* t.messages(held)).length, 3)
      yield* t.apply(held, { closes: ["z"], seen: (yield* t.inbox(held)).seen })
      assert.deepStrictEqual(yield* t.deliver(signal(held.id, "x"), signal(held.id, "z")), ["Expired", "Expired"])
    })),

  check(
    "a message to a final run expires, one to an unknown run is NoSuchRun, and neither is stored",
    (t) =>
      Effect.gen(function*() {
        for (const status of ["completed", "failed", "cancelled"] as const) {
          const held = yield* t.running(status)
          yield* t.apply(held, { transition: finish({ kind: "interrupt", value: null }, status) })
          assert.deepStrictEqual(
            yield* t.deliver(
              signal(held.id, "x"),
              signal(t.id("unknown"), "x"),
              message("cancel", held.id, "")
            ),
            ["Expired", "NoSuchRun", "Expired"]
          )
          assert.deepStrictEqual(yield* t.messages(held), [])
        }
        const held = yield* t.running("terminated")
        yield* t.driver.terminate({ runs: [held.id], by: null, reason: null })
        assert.deepStrictEqual(yield* t.deliver(signal(held.id, "x")), ["Expired"])
      })
  ),

  check("500 messages in one request keep their order within each run", (t) =>
    Effect.gen(function*() {
      const runs = yield* Effect.forEach(["a", "b", "c"], (name) => t.running(name))
      const sent = Array.from({ length: 500 }, (_, n) => signal(runs[n % 3]?.id ?? "", "x", { payload: String(n) }))
      assert.deepStrictEqual(new Set(yield* t.deliver(...sent)), new Set(["Buffered"]))
      for (const [index, run] of runs.entries()) {
        const { messages, seen } = yield* t.inbox(run)
        assert.deepStrictEqual(
          messages.map((each) => Number(payloadOf(each))),
          sent.map((_, n) => n).filter((n) => n % 3 === index)
        )
        const ordinals = messages.map(({ ordinal }) => ordinal)
        assert.deepStrictEqual(ordinals, [...new Set(ordinals)].toSorted((a, b) => a - b))
        assert.isAtLeast(seen, ordinals.at(-1) ?? 0)
      }
    })),

  check("a delivery without messages has no dispositions", (t) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* t.deliver(), [])
    })),

  check(
    "an inbox read has the unconsumed messages beyond an ordinal and leaves out unknown runs",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("a")
        const quiet = yield* t.running("b")
        yield* t.deliver(signal(held.id, "x"), signal(held.id, "y"), signal(held.id, "z"))
        const ordinals = (yield* t.inbox(held)).messages.map(({ ordinal }) => ordinal)
        const [first = -1, second = -1, third = -1] = ordinals
        assert.deepStrictEqual((yield* t.inbox(held, first)).messages.map(({ ordinal }) => ordinal), [second, third])
        yield* t.apply(held, { consumed: [second], entries: entries(0, 1) })
        assert.deepStrictEqual((yield* t.inbox(held)).messages.map(({ ordinal }) => ordinal), [first, third])
        assert.deepStrictEqual((yield* t.inbox(held, third)).messages, [])
        const { value } = yield* t.driver.inbox([
          { run: quiet.id, after: 0 },
          { run: t.id("unknown"), after: 0 },
          { run: held.id, after: first }
        ])
        const byRun = new Map(value.map(({ messages, run }) => [run, messages.length]))
        assert.deepStrictEqual(byRun, new Map([[quiet.id, 0], [held.id, 1]]))
      })
  ),

  check(
    "a commit that suspends over an unseen message writes nothing",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("a")
        yield* t.deliver(signal(held.id, "x"))
        const change = {
          entries: entries(0, 1),
          children: [t.newChild(held, "child")],
          messages: [signal(t.id("unknown"), "y")],
          published: [{ key: "k", value: "1" }],
          transition: suspend(Infinity, "signal:z")
        }
        const before = yield* t.everything(held)
        assert.deepStrictEqual(yield* t.commit(held, change), { _tag: "Unseen" })
        assert.deepStrictEqual(yield* t.everything(held), before)
        assert.deepStrictEqual(yield* t.find(t.id("child")), [])
        const { seen } = yield* t.inbox(held)
        yield* t.apply({ ...held, seen }, change)
        assert.strictEqual((yield* t.record(held)).status, "suspended")
      })
  ),

  check("a commit that closes a window over an unseen message writes nothing", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.deliver(signal(held.id, "x"))
      assert.deepStrictEqual(yield* t.commit(held, { closes: ["x"], entries: entries(0, 1) }), { _tag: "Unseen" })
      assert.deepStrictEqual(yield* t.deliver(signal(held.id, "x")), ["Buffered"])
      const { seen } = yield* t.inbox(held)
      yield* t.apply({ ...held, seen }, { closes: ["x"], entries: entries(0, 1) })
      assert.deepStrictEqual(yield* t.deliver(signal(held.id, "x")), ["Expired"])
    })),

  check(
    "a commit that neither suspends nor closes a window applies over unseen messages",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("a")
        yield* t.deliver(signal(held.id, "x"))
        const next = yield* t.apply(held, { entries: entries(0, 1) })
        yield* t.apply(next, { transition: finish() })
      })
  ),

  check(
    "a commit over an unseen message is lost, not unseen, once the worker does not hold the run",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("a")
        yield* t.deliver(signal(held.id, "x"))
        yield* t.driver.retire(t.worker)
        assert.deepStrictEqual(yield* t.commit(held, { transition: suspend(Infinity) }), { _tag: "Lost" })
      })
  ),

  check(
    "a suspension and a concurrent delivery leave the run claimable or the commit unseen",
    (t) =>
      Effect.gen(function*() {
        for (let round = 0; round < 15; round++) {
          const held = yield* t.running(`run-${round}`)
          const [committed] = yield* Effect.all([
            t.commit(held, { transition: suspend(Infinity, "signal:x") }),
            t.deliver(signal(held.id, "x"))
          ], { concurrency: "unbounded" })
          if (committed._tag === "Applied") assert.strictEqual((yield* t.claimOne(held)).inbox.length, 1)
          else assert.deepStrictEqual([committed._tag, (yield* t.inbox(held)).messages.length], ["Unseen", 1])
        }
      })
  ),

  check(
    "a run that suspends in the batch in which another run sends it a message is woken",
    (t) =>
      Effect.gen(function*() {
        const names = ["a", "b"]
        for (const [from, to] of [names, names.toReversed()]) {
          const writer = yield* t.running(`writer-${from}`)
          const sleeper = yield* t.running(`${to}-sleeper`)
          const [sent, slept] = yield* t.commitAll([
            commitOf(writer, { messages: [signal(sleeper.id, "x")], entries: entries(0, 1) }),
            commitOf(sleeper, { transition: suspend(Infinity, "signal:x") })
          ])
          assert.strictEqual(sent?._tag, "Applied")
          if (slept?._tag === "Applied") assert.strictEqual((yield* t.claimOne(sleeper)).inbox.length, 1)
          else assert.deepStrictEqual([slept?._tag, (yield* t.inbox(sleeper)).messages.length], ["Unseen", 1])
        }
      })
  ),

  check("a consumed message is in no later inbox, and its id is still a duplicate", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      const sent = [signal(held.id, "x"), signal(held.id, "y")]
      yield* t.deliver(...sent)
      const { messages, seen } = yield* t.inbox(held)
      const first = messages[0]?.ordinal ?? -1
      yield* t.apply(held, { consumed: [first], entries: entries(0, 1), seen, transition: suspend(start) })
      assert.deepStrictEqual((yield* t.claimOne(held)).inbox.map(({ name }) => name), ["y"])
      assert.deepStrictEqual((yield* t.messages(held)).map(({ name }) => name), ["y"])
      assert.deepStrictEqual(yield* t.deliver(...sent), ["Duplicate", "Duplicate"])
    }))
]
