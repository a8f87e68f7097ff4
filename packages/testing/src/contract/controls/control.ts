/** Pause and resume of runs and their descendants, deadlines, and the records of controls. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import type * as Driver from "perdure/JournalDriver"
import type { Fixture } from "../Fixture.js"
import {
  check,
  endingOf,
  entries,
  finish,
  nothing,
  now,
  only,
  pass,
  signal,
  start,
  suspend,
  value
} from "../Fixture.js"

const requestFor = (...runs: ReadonlyArray<{ readonly id: string }>): Driver.ControlRequest => ({
  runs: runs.map(({ id }) => id),
  by: "ann",
  reason: "because"
})

const cancel = (to: string): Driver.NewMessage => ({
  to,
  kind: "cancel",
  name: "cancel",
  id: "cancel",
  by: "bob",
  reason: null
})

const pause = (t: Fixture, ...runs: ReadonlyArray<{ readonly id: string }>) =>
  value(t.driver.pause(requestFor(...runs)))
const resume = (t: Fixture, ...runs: ReadonlyArray<{ readonly id: string }>) =>
  value(t.driver.resume(requestFor(...runs)))

/** The status of a run, and whether it is pausing. */
const shown = (t: Fixture, run: { readonly id: string }) =>
  Effect.map(t.record(run), ({ pausing, status }) => pausing ? `${status}, pausing` : status)

const pausing = (t: Fixture, run: { readonly id: string }) => Effect.map(t.inbox(run), (inbox) => inbox.pausing)

const link = (t: Fixture, parent: string, attached: boolean) => ({
  parent: { id: t.id(parent), token: `of-${parent}`, attached }
})

export const control = [
  check(
    "pending and suspended runs are paused immediately, and return to their states when they are resumed",
    (t) =>
      Effect.gen(function*() {
        const pending = t.newRun("pending", { availableAt: start + 1_000 })
        yield* t.enqueue(pending)
        const asleep = yield* t.suspended("asleep", start + 2_000, "signal:x")
        assert.strictEqual(yield* pause(t, pending, asleep, { id: t.id("unknown") }), 2)
        assert.deepStrictEqual(yield* shown(t, pending), "paused")
        assert.deepStrictEqual(yield* shown(t, asleep), "paused")
        yield* pass(10_000)
        assert.deepStrictEqual(yield* t.claimAnswer([pending.queue, asleep.queue]), nothing)
        assert.strictEqual(yield* resume(t, pending, asleep), 2)
        const [first, second] = [yield* t.record(pending), yield* t.record(asleep)]
        assert.deepStrictEqual([first.status, first.availableAt], ["pending", start + 1_000])
        assert.deepStrictEqual([second.status, second.availableAt], ["suspended", start + 2_000])
        assert.deepStrictEqual(yield* t.deliver(signal(asleep.id, "x")), ["Delivered"])
        assert.strictEqual((yield* t.claim([pending.queue, asleep.queue])).length, 2)
      })
  ),

  check("a second pause or resume changes nothing, and neither changes final runs", (t) =>
    Effect.gen(function*() {
      const pending = t.newRun("pending")
      const done = yield* t.running("done")
      yield* t.enqueue(pending)
      yield* t.apply(done, { transition: finish() })
      const before = yield* t.everything(done)
      yield* pause(t, pending)
      assert.strictEqual(yield* pause(t, pending, done), 0)
      yield* resume(t, pending)
      assert.strictEqual(yield* resume(t, pending, done), 0)
      assert.deepStrictEqual(yield* t.everything(done), before)
      assert.deepStrictEqual((yield* value(t.driver.controls(pending.id))).map(({ action }) => action), [
        "pause",
        "resume"
      ])
      assert.deepStrictEqual(yield* value(t.driver.controls(done.id)), [])
    })),

  check(
    "a running run is pausing in its inbox until its holder suspends it, and then paused",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("a")
        assert.isFalse(yield* pausing(t, held))
        assert.strictEqual(yield* pause(t, held), 1)
        assert.strictEqual(yield* pause(t, held), 0)
        assert.isTrue(yield* pausing(t, held))
        assert.strictEqual(yield* shown(t, held), "running, pausing")
        const after = yield* t.apply(held, { entries: entries(0, 1) })
        assert.strictEqual(yield* shown(t, held), "running, pausing", "until it is let go of")
        yield* t.apply(after, { entries: entries(1, 1), transition: suspend(start + 5, "signal:x") })
        assert.strictEqual(yield* shown(t, held), "paused")
        yield* pass(10)
        assert.deepStrictEqual(yield* t.claimAnswer([held.queue]), nothing)
        yield* resume(t, held)
        const record = yield* t.record(held)
        assert.deepStrictEqual([record.status, record.availableAt], ["suspended", start + 5])
        const again = yield* t.claimOne(held)
        assert.deepStrictEqual([again.nextSeq, again.epoch], [2, 2])
        assert.isFalse(yield* pausing(t, held))
      })
  ),

  check("a pausing run that is released is paused, and pending once it is resumed", (t) =>
    Effect.gen(function*() {
      const released = yield* t.running("released")
      const worker = yield* t.workerWith("other", 1_000)
      const retired = yield* t.running("retired", {}, worker)
      yield* pause(t, released, retired)
      yield* t.apply(released, { transition: { _tag: "Release", at: start } })
      yield* value(t.driver.retire(worker))
      assert.deepStrictEqual([yield* shown(t, released), yield* shown(t, retired)], ["paused", "paused"])
      yield* resume(t, released, retired)
      assert.deepStrictEqual([yield* shown(t, released), yield* shown(t, retired)], ["pending", "pending"])
      assert.strictEqual((yield* t.claim([released.queue, retired.queue])).length, 2)
    })),

  check("a pausing run whose worker dies is paused by the reaping", (t) =>
    Effect.gen(function*() {
      yield* t.sweep
      const worker = yield* t.workerWith("mortal", 1_000)
      const held = yield* t.running("a", {}, worker)
      yield* pause(t, held)
      yield* pass(2_000)
      yield* t.reapAll()
      assert.strictEqual(yield* shown(t, held), "paused")
      yield* resume(t, held)
      assert.strictEqual((yield* t.claimOne(held)).crashes, 1)
    })),

  check("a pausing run that is resumed is not paused by its next suspension", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* pause(t, held)
      assert.strictEqual(yield* resume(t, held), 1)
      assert.isFalse(yield* pausing(t, held))
      yield* t.apply(held, { transition: suspend(start) })
      assert.strictEqual(yield* shown(t, held), "suspended")
    })),

  check("a pausing run does not finish before it is resumed", (t) =>
    Effect.gen(function*() {
      const early = yield* t.running("early")
      const late = yield* t.running("late")
      const last = { entries: entries(0, 1), messages: [signal(late.id, "x")], transition: finish() }
      yield* pause(t, early, late)
      assert.deepStrictEqual(yield* t.commit(early, last), { _tag: "Unseen" })
      assert.deepStrictEqual(yield* t.commit(late, { transition: finish() }), { _tag: "Unseen" })
      assert.deepStrictEqual([yield* shown(t, early), (yield* t.history(early)).length], ["running, pausing", 0])
      yield* t.apply(early, { entries: entries(0, 1), transition: { _tag: "Release", at: start } })
      assert.strictEqual(yield* shown(t, early), "paused")
      yield* resume(t, early, late)
      yield* t.apply(late, { transition: finish() })
      const again = yield* t.claimOne(early)
      yield* t.apply(again, { transition: finish() })
      assert.deepStrictEqual([yield* shown(t, early), yield* shown(t, late)], ["completed", "completed"])
    })),

  check("a cancelled run finishes only once its holder has read the cancel", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      const other = yield* t.running("other")
      yield* t.deliver(signal(held.id, "x"), cancel(held.id))
      const last = { entries: entries(0, 1), transition: finish() }
      assert.deepStrictEqual(yield* t.commit(held, last), { _tag: "Unseen" })
      assert.deepStrictEqual(yield* t.commit({ ...held, seen: 1 }, { ...last, messages: [signal(other.id, "x")] }), {
        _tag: "Unseen"
      })
      assert.strictEqual((yield* t.history(held)).length, 0)
      const { seen } = yield* t.inbox(held)
      yield* t.apply({ ...held, seen }, { consumed: [2], transition: finish(undefined, "cancelled") })
      assert.strictEqual(yield* shown(t, held), "cancelled")
    })),

  check("a run with unread signals finishes", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.deliver(signal(held.id, "x"))
      yield* t.apply(held, { transition: finish() })
      assert.strictEqual(yield* shown(t, held), "completed")
    })),

  check("the result of a commit tells its holder of unread messages and of a pause", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      const other = yield* t.running("other")
      const commit = (seq: number, seen: number, change: Partial<Driver.RunCommit> = {}) =>
        t.commit({ ...held, nextSeq: seq, seen }, { entries: entries(seq, 1), ...change })
      const news = (result: Driver.CommitResult) => result._tag === "Applied" ? result.news : result
      assert.isNull(news(yield* commit(0, 0)))
      yield* t.deliver(signal(held.id, "x"))
      const unread = { inboxSeq: 1, pausing: false }
      assert.deepStrictEqual(news(yield* commit(1, 0)), unread)
      assert.deepStrictEqual(news(yield* commit(2, 0, { messages: [signal(other.id, "x")] })), unread)
      assert.isNull(news(yield* commit(3, 1, { consumed: [1] })))
      yield* pause(t, held)
      const pausing = { inboxSeq: 1, pausing: true }
      assert.deepStrictEqual(news(yield* commit(4, 1)), pausing)
      assert.deepStrictEqual(news(yield* commit(5, 1, { messages: [signal(other.id, "x")] })), pausing)
      yield* resume(t, held)
      assert.isNull(news(yield* commit(6, 1)))
      yield* t.deliver(signal(held.id, "x"))
      assert.isNull(
        news(yield* commit(7, 1, { transition: finish() })),
        "a run that is not held any more has no holder"
      )
    })),

  check("a pausing run can continue as new and diverge", (t) =>
    Effect.gen(function*() {
      const [going, lost] = [yield* t.running("going"), yield* t.running("lost")]
      yield* pause(t, going, lost)
      yield* t.apply(lost, { transition: { _tag: "Diverge", detail: "{}" } })
      const next = yield* t.apply(going, { transition: { _tag: "Continue", payload: "2", at: start } })
      assert.deepStrictEqual([yield* shown(t, lost), yield* shown(t, going)], [
        "diverged, pausing",
        "running, pausing"
      ])
      yield* t.apply(next, { transition: suspend(Infinity) })
      assert.strictEqual(yield* shown(t, going), "paused")
      assert.strictEqual(yield* resume(t, lost), 1)
      assert.strictEqual(yield* shown(t, lost), "pending")
    })),

  check(
    "a pause applies to attached descendants at any depth, and not to detached ones",
    (t) =>
      Effect.gen(function*() {
        yield* t.enqueue(
          t.newRun("top"),
          t.newRun("child", link(t, "top", true)),
          t.newRun("grandchild", link(t, "child", true)),
          t.newRun("detached", link(t, "top", false))
        )
        const held = yield* t.claimOne(t.newRun("grandchild"))
        assert.strictEqual(yield* pause(t, { id: t.id("top") }), 1, "counts those that were named")
        const names = ["top", "child", "grandchild", "detached"]
        const all = Effect.forEach(names, (name) => shown(t, { id: t.id(name) }))
        assert.deepStrictEqual(yield* all, ["paused", "paused", "running, pausing", "pending"])
        const [record] = yield* value(t.driver.controls(t.id("grandchild")))
        assert.deepStrictEqual(record, {
          action: "pause",
          by: "ann",
          reason: "because",
          at: yield* now,
          related: t.id("top")
        })
        yield* t.apply(held, { transition: suspend(Infinity) })
        yield* resume(t, { id: t.id("top") })
        assert.deepStrictEqual(yield* all, ["pending", "pending", "suspended", "pending"])
      })
  ),

  check(
    "children that a pausing run starts are paused from the start unless they are detached",
    (t) =>
      Effect.gen(function*() {
        const parent = yield* t.running("parent")
        const other = yield* t.running("other")
        yield* pause(t, parent)
        const link = { id: parent.id, token: "loose", attached: false }
        const detached = t.newRun("detached", { parent: link, root: parent.id, depth: 1 })
        const own = [t.newChild(parent, "a"), detached]
        yield* t.commitAll([
          { ...commitWith(parent, own), messages: [signal(other.id, "x")] },
          commitWith(other, [t.newChild(other, "b")])
        ])
        yield* t.apply(parent, { children: [t.newChild(parent, "c")], transition: suspend(Infinity, "child:token-a") })
        const names = ["a", "detached", "b", "c"]
        const all = Effect.forEach(names, (name) => shown(t, { id: t.id(name) }))
        assert.deepStrictEqual(yield* all, ["paused", "pending", "pending", "paused"])
        assert.strictEqual(yield* resume(t, parent), 1)
        assert.deepStrictEqual(yield* all, ["pending", "pending", "pending", "pending"])
      })
  ),

  check(
    "a paused run keeps its messages, and is due at once when it is resumed if it waited for one of them",
    (t) =>
      Effect.gen(function*() {
        const run = yield* t.suspended("a", start + 5_000, "signal:x")
        yield* pause(t, run)
        yield* pass(10)
        assert.deepStrictEqual(yield* t.deliver(signal(run.id, "y"), signal(run.id, "x")), ["Buffered", "Buffered"])
        assert.strictEqual(yield* shown(t, run), "paused")
        yield* resume(t, run)
        const record = yield* t.record(run)
        assert.deepStrictEqual([record.status, record.availableAt], ["suspended", start + 10])
        assert.deepStrictEqual((yield* t.claimOne(run)).inbox.map(({ name }) => name), ["y", "x"])
      })
  ),

  check("a cancel lifts a pause, and a cancelled run cannot be paused", (t) =>
    Effect.gen(function*() {
      const asleep = yield* t.suspended("asleep", Infinity, "signal:x")
      const pending = t.newRun("pending", { availableAt: start + 5_000 })
      yield* t.enqueue(pending)
      const held = yield* t.running("held")
      yield* pause(t, asleep, pending, held)
      const sent = [cancel(asleep.id), signal(asleep.id, "x"), cancel(pending.id), cancel(held.id)]
      assert.deepStrictEqual(yield* t.deliver(...sent), ["Delivered", "Delivered", "Delivered", "Buffered"])
      assert.deepStrictEqual(
        yield* Effect.forEach([asleep, pending, held], (run) => shown(t, run)),
        ["suspended", "pending", "running"]
      )
      assert.strictEqual(yield* pause(t, asleep, pending, held), 0)
      yield* t.apply({ ...held, seen: (yield* t.inbox(held)).seen }, { transition: suspend(Infinity, "cancel:cancel") })
      assert.strictEqual(yield* shown(t, held), "suspended")
      assert.strictEqual((yield* t.claim([asleep.queue, pending.queue])).length, 2)
    })),

  check("the controls of a run are recorded in order of time, with its cancels", (t) =>
    Effect.gen(function*() {
      const run = t.newRun("a")
      yield* t.enqueue(run)
      yield* pause(t, run)
      yield* pass(1)
      yield* t.driver.resume({ runs: [run.id], by: null, reason: null })
      yield* pass(1)
      yield* t.deliver(cancel(run.id))
      yield* pass(1)
      yield* t.driver.terminate(requestFor(run))
      yield* t.driver.terminate(requestFor(run))
      assert.deepStrictEqual(yield* value(t.driver.controls(run.id)), [
        { action: "pause", by: "ann", reason: "because", at: start, related: null },
        { action: "resume", by: null, reason: null, at: start + 1, related: null },
        { action: "cancel", by: "bob", reason: null, at: start + 2, related: null },
        { action: "terminate", by: "ann", reason: "because", at: start + 3, related: null }
      ])
      assert.deepStrictEqual(yield* value(t.driver.controls(t.id("unknown"))), [])
    })),

  check(
    "the controls of one instant are in the order of recording, with the cancels last",
    (t) =>
      Effect.gen(function*() {
        const run = t.newRun("a")
        yield* t.enqueue(run)
        const people = ["b", "d", "a", "c", "f", "e"]
        for (const by of people) {
          yield* t.driver.pause({ runs: [run.id], by, reason: null })
          yield* t.driver.resume({ runs: [run.id], by, reason: null })
        }
        const cancels = ["g", "f", "h"]
        for (const by of cancels) {
          yield* t.deliver({ to: run.id, kind: "cancel", name: "cancel", id: `from ${by}`, by, reason: null })
        }
        yield* t.driver.terminate(requestFor(run))
        assert.deepStrictEqual(
          (yield* value(t.driver.controls(run.id))).map(({ action, by }) => `${action} ${by}`),
          [
            ...people.flatMap((by) => [`pause ${by}`, `resume ${by}`]),
            "terminate ann",
            ...cancels.map((by) => `cancel ${by}`)
          ]
        )
      })
  ),

  check("a paused run can be terminated", (t) =>
    Effect.gen(function*() {
      const run = yield* t.suspended("a", Infinity, "signal:x")
      yield* pause(t, run)
      assert.strictEqual(yield* value(t.driver.terminate(requestFor(run))), 1)
      assert.strictEqual(yield* shown(t, run), "terminated")
      assert.strictEqual(yield* resume(t, run), 0)
    })),

  check(
    "a run that was not claimed before its deadline expires, with a message to its parent",
    (t) =>
      Effect.gen(function*() {
        const sweep = Effect.repeat(value(t.driver.expire({ limit: 1_000 })), { while: ({ expired }) => expired > 0 })
        // Expires the runs that other cases left.
        yield* TestClock.setTime(start + 1_000_000_000)
        yield* sweep
        yield* TestClock.setTime(start)
        const parent = yield* t.suspended("parent", Infinity, "child:token-late")
        const late = t.newChild(parent, "late", { expiresAt: start + 100 })
        const paused = t.newRun("paused", { expiresAt: start + 100 })
        const begun = t.newRun("begun", { expiresAt: start + 100 })
        const later = t.newRun("later", { expiresAt: start + 101 })
        yield* t.enqueue(late, paused, begun, later)
        yield* pause(t, paused)
        yield* t.claimOne(begun)
        yield* pass(99)
        assert.deepStrictEqual(yield* value(t.driver.expire({ limit: 1_000 })), { expired: 0 })
        yield* pass(1)
        assert.deepStrictEqual(yield* value(t.driver.expire({ limit: 0 })), { expired: 0 })
        assert.deepStrictEqual(yield* value(t.driver.expire({ limit: 1 })), { expired: 1 })
        assert.deepStrictEqual(yield* value(t.driver.expire({ limit: 1_000 })), { expired: 1 })
        assert.deepStrictEqual(
          yield* Effect.forEach([late, paused, begun, later], (run) => shown(t, run)),
          ["expired", "expired", "running", "pending"]
        )
        const record = yield* t.record(late)
        assert.deepStrictEqual([record.finishedAt, record.exit, record.expiresAt], [start + 100, null, start + 100])
        const message = only((yield* t.claimOne(parent)).inbox)
        assert.deepStrictEqual([message.kind, message.name], ["child", "token-late"])
        assert.deepStrictEqual(endingOf(message), { child: late.id, status: "expired", exit: null, endCause: null })
        assert.deepStrictEqual(yield* t.deliver(signal(late.id, "x")), ["Expired"])
        yield* pass(1)
        yield* sweep
      })
  )
]

const commitWith = (
  held: { readonly id: string; readonly epoch: number; readonly nextSeq: number; readonly seen: number },
  children: ReadonlyArray<Driver.NewRun>
): Driver.RunCommit => ({
  run: held.id,
  epoch: held.epoch,
  from: held.nextSeq,
  entries: [],
  consumed: [],
  children,
  messages: [],
  published: [],
  closes: [],
  seen: held.seen,
  transition: null
})
