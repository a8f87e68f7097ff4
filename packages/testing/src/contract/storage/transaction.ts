/**
 * Transactions of the caller: every verb joins them, and their changes are visible to others once they are committed.
 */
import { assert } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { check, entries, finish, signal, suspend } from "../Fixture.js"

export const transaction = [
  check(
    "a transaction that succeeds is committed and returns the value of its effect",
    (t) =>
      Effect.gen(function*() {
        const answer = yield* t.driver.transaction(Effect.as(t.enqueue(t.newRun("a"), t.newRun("b")), "value"))
        assert.strictEqual(answer, "value")
        yield* t.claimOne(t.newRun("a"))
        yield* t.claimOne(t.newRun("b"))
      })
  ),

  check("a transaction sees its own changes", (t) =>
    Effect.gen(function*() {
      yield* t.driver.transaction(Effect.gen(function*() {
        yield* t.enqueue(t.newRun("a"))
        const held = yield* t.claimOne(t.newRun("a"))
        yield* t.apply(held, { entries: entries(0, 1) })
        assert.strictEqual((yield* t.history(held)).length, 1)
        assert.deepStrictEqual(yield* t.deliver(signal(held.id, "x")), ["Buffered"])
      }))
      assert.strictEqual((yield* t.messages({ id: t.id("a") })).length, 1)
    })),

  check("a transaction that fails, dies or is interrupted is rolled back", (t) =>
    Effect.gen(function*() {
      const worker = yield* t.workerWith("w", 100_000)
      const held = yield* t.running("held")
      const asleep = yield* t.suspended("asleep", Infinity, "signal:x")
      const woken = yield* t.running("woken", {}, worker)
      const diverged = yield* t.running("diverged")
      yield* t.apply(diverged, { transition: { _tag: "Diverge", detail: "{}" } })
      const doomed = yield* t.running("doomed")
      yield* t.deliver(signal(held.id, "unread"))
      const { messages, seen } = yield* t.inbox(held)
      const runs = [held, asleep, woken, diverged, doomed]
      const work = Effect.gen(function*() {
        yield* t.enqueue(t.newRun("new", { idempotencyKey: "key" }))
        yield* t.claimOne(t.newRun("new"))
        const next = yield* t.apply({ ...held, seen }, {
          entries: entries(0, 2),
          consumed: messages.map(({ ordinal }) => ordinal),
          children: [t.newChild(held, "child")],
          published: [{ key: "k", value: "1" }],
          closes: ["closed"]
        })
        yield* t.apply(next, { transition: { _tag: "Continue", payload: "9", at: 9 } })
        yield* t.apply(next, { transition: finish() })
        yield* t.deliver(signal(asleep.id, "x"))
        yield* t.claimOne(asleep)
        yield* t.driver.retire(worker)
        yield* t.driver.resume({ runs: [diverged.id], by: null, reason: null })
        yield* t.driver.terminate({ runs: [doomed.id], by: null, reason: null })
      })
      const before = yield* Effect.forEach(runs, (run) => t.everything(run))
      const failures: ReadonlyArray<Effect.Effect<never, string>> = [
        Effect.fail("failed"),
        Effect.die("died"),
        Effect.interrupt
      ]
      for (const failure of failures) {
        const exit = yield* Effect.exit(t.driver.transaction(Effect.zipRight(work, failure)))
        assert.isTrue(Exit.isFailure(exit))
        assert.deepStrictEqual(yield* Effect.forEach(runs, (run) => t.everything(run)), before)
        assert.deepStrictEqual(yield* t.find(t.id("new")), [])
        assert.deepStrictEqual(yield* t.find(t.id("child")), [])
        assert.deepStrictEqual(yield* t.claim([...runs.map(({ queue }) => queue), t.newRun("new").queue]), [])
        assert.strictEqual((yield* t.heartbeat({ ...worker, incarnation: "other" }, 1_000))._tag, "Taken")
      }
      // The ids and keys are free again.
      yield* t.driver.transaction(work)
      assert.strictEqual(yield* t.status(held), "completed")
      assert.deepStrictEqual(yield* t.deliver(signal(woken.id, "x"), signal(doomed.id, "x")), ["Buffered", "Expired"])
    })),

  check("a transaction that fails keeps the error of its effect", (t) =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(
        t.driver.transaction(Effect.zipRight(t.enqueue(t.newRun("a")), Effect.fail("mine")))
      )
      assert.deepStrictEqual(exit, Exit.fail("mine"))
    })),

  check(
    "an open transaction is not visible to other fibers, and their changes are not rolled back with it",
    (t) =>
      Effect.gen(function*() {
        const open = yield* Deferred.make<void>()
        const asked = yield* Deferred.make<void>()
        // These fibers are forked outside the transaction.
        const reader = yield* Effect.fork(
          Deferred.await(open).pipe(
            Effect.zipRight(Effect.forkDaemon(t.find(t.id("inside")))),
            Effect.tap(() => Deferred.succeed(asked, undefined)),
            Effect.flatMap(Fiber.join)
          )
        )
        const writer = yield* Effect.fork(Effect.zipRight(Deferred.await(open), t.enqueue(t.newRun("outside"))))
        const exit = yield* t.enqueue(t.newRun("inside")).pipe(
          Effect.zipRight(Deferred.succeed(open, undefined)),
          Effect.zipRight(Deferred.await(asked)),
          Effect.zipRight(Effect.yieldNow()),
          Effect.zipRight(Effect.fail("undone")),
          t.driver.transaction,
          Effect.exit
        )
        assert.deepStrictEqual(exit, Exit.fail("undone"))
        assert.deepStrictEqual(yield* Fiber.join(reader), [])
        yield* Fiber.join(writer)
        assert.deepStrictEqual(yield* t.find(t.id("inside")), [])
        assert.strictEqual((yield* t.find(t.id("outside"))).length, 1)
      })
  ),

  check(
    "a nested transaction that fails is rolled back alone if the outer one continues",
    (t) =>
      Effect.gen(function*() {
        yield* t.driver.transaction(Effect.gen(function*() {
          yield* t.enqueue(t.newRun("before"))
          yield* Effect.exit(t.driver.transaction(Effect.zipRight(t.enqueue(t.newRun("inner")), Effect.fail("inner"))))
          yield* t.driver.transaction(t.enqueue(t.newRun("kept")))
          yield* t.enqueue(t.newRun("after"))
        }))
        const found = yield* Effect.forEach(["before", "inner", "kept", "after"], (name) => t.find(t.id(name)))
        assert.deepStrictEqual(found.map(({ length }) => length), [1, 0, 1, 1])
      })
  ),

  check(
    "inTransaction is true inside the caller's transaction, and false beside another one",
    (t) =>
      Effect.gen(function*() {
        const { inTransaction } = t.driver
        const open = yield* Deferred.make<void>()
        const outside = yield* Effect.fork(Effect.zipRight(Deferred.await(open), inTransaction))
        const seen = yield* t.driver.transaction(Effect.gen(function*() {
          yield* Deferred.succeed(open, undefined)
          const own = yield* inTransaction
          const nested = yield* t.driver.transaction(inTransaction)
          yield* Effect.either(t.driver.transaction(Effect.fail("inner")))
          return [own, nested, yield* inTransaction, yield* Fiber.join(outside)]
        }))
        assert.deepStrictEqual(seen, [true, true, true, false])
        assert.isFalse(yield* inTransaction)
      })
  ),

  check("an outer transaction that fails rolls back the nested ones", (t) =>
    Effect.gen(function*() {
      yield* Effect.exit(t.driver.transaction(
        Effect.zipRight(t.driver.transaction(t.enqueue(t.newRun("inner"))), Effect.fail("outer"))
      ))
      assert.deepStrictEqual(yield* t.find(t.id("inner")), [])
    })),

  check("sequential and concurrent transactions are all committed", (t) =>
    Effect.gen(function*() {
      const names = Array.from({ length: 12 }, (_, n) => `run-${n}`)
      const exits = yield* Effect.forEach(
        names,
        (name, n) =>
          Effect.exit(t.driver.transaction(
            Effect.zipRight(t.enqueue(t.newRun(name)), n % 3 === 0 ? Effect.fail(n) : Effect.succeed(n))
          )),
        { concurrency: "unbounded" }
      )
      const found = yield* Effect.forEach(names, (name) => Effect.map(t.find(t.id(name)), ({ length }) => length === 1))
      assert.deepStrictEqual(found, names.map((_, n) => n % 3 !== 0))
      assert.deepStrictEqual(exits.map(Exit.isSuccess), found)
    })),

  check("a commit in a transaction that was rolled back can be applied again", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      const change = { entries: entries(0, 1), transition: suspend(Infinity) }
      yield* Effect.exit(t.driver.transaction(Effect.zipRight(t.apply(held, change), Effect.fail("undone"))))
      assert.strictEqual(yield* t.status(held), "running")
      yield* t.driver.transaction(t.apply(held, change))
      assert.deepStrictEqual([yield* t.status(held), (yield* t.history(held)).length], ["suspended", 1])
    }))
]
