/**
 * Hints. A hint can be lost, so a case repeats its cause until the hint arrives, up to a number of attempts. No case
 * waits for a clock.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { JournalError } from "perdure/Errors"
import type { Hint, WorkerRef } from "perdure/JournalDriver"
import type { Fixture } from "../Fixture.js"
import { check, commitOf, entries, finish, pass, signal, suspend } from "../Fixture.js"

const attempts = 200

const key = (hint: Hint): string => JSON.stringify(Object.entries(hint).toSorted(([a], [b]) => a < b ? -1 : 1))

/** Repeats `cause`, with the number of the attempt, until a hint that it should send arrives. */
const brings = Effect.fnUntraced(function*<E>(
  t: Fixture,
  cause: (attempt: number) => Effect.Effect<Hint, E>
): Effect.fn.Return<void, E | JournalError, Scope.Scope> {
  const come = new Set<string>()
  const wanted = new Set<string>()
  yield* t.driver.hints.pipe(
    Stream.runForEach((hint) => Effect.sync(() => come.add(key(hint)))),
    Effect.forkScoped
  )
  for (let attempt = 0; attempt < attempts && [...wanted].every((each) => !come.has(each)); attempt++) {
    wanted.add(key(yield* cause(attempt)))
    yield* t.driver.get([])
    yield* pass(20)
    yield* Effect.yieldNow()
  }
  assert.isFalse([...wanted].every((each) => !come.has(each)), "the hint came")
})

/** Inserts a run and claims it by the insert, so that no `Ready` hint is sent. */
const inserted = (t: Fixture, name: string, worker: WorkerRef = t.worker) => {
  const run = t.newRun(name)
  const held = { id: run.id, queue: run.queue, epoch: 1, nextSeq: 0, seen: 0 }
  return Effect.as(t.driver.enqueue({ runs: [run], claim: { worker, capacity: 1 } }), held)
}

const ready = (queue: string): Hint => ({ _tag: "Ready", queue })

export const hints = [
  check(
    "claims of an idle worker that find nothing send no hints, in any order of their queues",
    (t) =>
      Effect.gen(function*() {
        const come: Array<Hint> = []
        yield* t.driver.hints.pipe(
          Stream.runForEach((hint) => Effect.sync(() => come.push(hint))),
          Effect.forkScoped
        )
        const [a, b] = [t.id("a"), t.id("b")]
        const isMarker = (n: number) => (hint: Hint) => hint._tag === "Ready" && hint.queue === t.id(`marker-${n}`)
        // Hints after the marker have causes after it.
        const mark = Effect.fnUntraced(function*(n: number) {
          for (let attempt = 0; attempt < attempts && !come.some(isMarker(n)); attempt++) {
            yield* t.enqueue(t.newRun(`marker-${n}-${attempt}`, { queue: t.id(`marker-${n}`) }))
            yield* t.driver.get([])
            yield* pass(20)
            yield* Effect.yieldNow()
          }
        })
        yield* t.claim([a, b])
        yield* mark(1)
        for (let turn = 0; turn < 3; turn++) {
          yield* t.claim([b, a])
          yield* t.claim([a, b])
        }
        yield* mark(2)
        const between = come.slice(come.findIndex(isMarker(1)), come.findIndex(isMarker(2)))
        assert.isNotEmpty(between)
        assert.deepStrictEqual(between.filter((hint) => hint._tag === "Ready" && [a, b].includes(hint.queue)), [])
      })
  ),

  check(
    "a new run sends a hint for its queue",
    (t) => brings(t, (n) => Effect.as(t.enqueue(t.newRun(`run-${n}`)), ready(t.newRun(`run-${n}`).queue)))
  ),

  check(
    "a ping sends the worker a hint, also while an older ping is unanswered",
    (t) =>
      brings(t, (n) =>
        Effect.map(t.driver.ping({ worker: t.worker.id, nonce: `nonce-${n}` }), ({ value }): Hint => ({
          _tag: "Ping",
          worker: t.worker.id,
          nonce: value ?? "none"
        })))
  ),

  check(
    "a change of a schedule sends a hint for its needs if the caller asks for it",
    (t) =>
      brings(t, (n) =>
        Effect.gen(function*() {
          const schedule = {
            name: t.id(`schedule-${n}`),
            needs: t.id("needs"),
            dueAt: Infinity,
            run: null,
            waits: false,
            settings: "{}",
            state: "{}",
            definition: null,
            revision: 0
          }
          yield* t.driver.writeSchedules({ schedules: [schedule], hint: true })
          return { _tag: "Scheduled", needs: t.id("needs") }
        }))
  ),

  check("a change of a queue sends a hint for it", (t) =>
    brings(t, (n) =>
      Effect.gen(function*() {
        const name = t.id(`queue-${n}`)
        yield* t.driver.ensureQueues([name])
        yield* t.driver.changeQueue({ name, change: { paused: false } })
        return ready(name)
      }))),

  check(
    "a resume of workflows sends hints for the queues",
    (t) =>
      brings(t, (n) =>
        Effect.gen(function*() {
          const [queue, workflow] = [t.id(`queue-${n}`), t.id(`workflow-${n}`)]
          yield* t.driver.ensureQueues([queue])
          yield* t.driver.pauseWorkflows({ workflows: [workflow], by: null, reason: null })
          yield* t.driver.resumeWorkflows([workflow])
          return ready(queue)
        }))
  ),

  check("a new child sends a hint for its queue", (t) =>
    Effect.gen(function*() {
      const parent = yield* t.running("parent")
      yield* brings(t, (n) => {
        const child = t.newChild(parent, `child-${n}`)
        return Effect.as(t.apply(parent, { children: [child] }), ready(child.queue))
      })
    })),

  check("a delivery that wakes a run sends a hint for its queue", (t) =>
    brings(t, (n) =>
      Effect.gen(function*() {
        const held = yield* inserted(t, `run-${n}`)
        yield* t.apply(held, { transition: suspend(Infinity, "signal:x") })
        yield* t.deliver(signal(held.id, "x"))
        return ready(held.queue)
      }))),

  check("a release of a run sends a hint for its queue", (t) =>
    brings(t, (n) =>
      Effect.gen(function*() {
        const worker = yield* t.workerWith(`worker-${n}`, 1_000_000)
        const held = yield* inserted(t, `run-${n}`, worker)
        yield* t.driver.retire(worker)
        return ready(held.queue)
      }))),

  check("a message to a running run sends its holder a hint", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      const hint: Hint = { _tag: "Inbox", worker: t.worker.id, run: held.id }
      yield* brings(t, () => Effect.as(t.deliver(signal(held.id, "x")), hint))
    })),

  check("a message in the commit of another run sends the holder a hint", (t) =>
    Effect.gen(function*() {
      const [from, to] = yield* Effect.all([t.running("from"), t.running("to")])
      const hint: Hint = { _tag: "Inbox", worker: t.worker.id, run: to.id }
      yield* brings(t, () => Effect.as(t.apply(from, { messages: [signal(to.id, "x")] }), hint))
    })),

  check(
    "the end of a child that wakes its parent sends a hint for the parent's queue",
    (t) =>
      brings(t, (n) =>
        Effect.gen(function*() {
          const parent = yield* inserted(t, `parent-${n}`)
          const child = t.newChild(parent, `child-${n}`)
          yield* t.apply(parent, { children: [child], transition: suspend(Infinity, `child:token-child-${n}`) })
          yield* t.apply(yield* t.claimOne(child), { transition: finish() })
          return ready(parent.queue)
        }))
  ),

  check("the end of an awaited run sends a hint, also when it is terminated", (t) =>
    Effect.gen(function*() {
      yield* brings(t, (n) =>
        Effect.gen(function*() {
          const held = yield* t.running(`run-${n}`)
          yield* t.driver.await([held.id])
          yield* t.apply(held, { transition: finish() })
          return { _tag: "Changed", run: held.id }
        }))
      yield* brings(t, (n) =>
        Effect.gen(function*() {
          const held = yield* t.running(`doomed-${n}`)
          yield* t.driver.await([held.id])
          yield* t.driver.terminate({ runs: [held.id], by: null, reason: null })
          return { _tag: "Changed", run: held.id }
        }))
    })),

  check("a published value of an awaited run sends a hint", (t) =>
    brings(t, (n) =>
      Effect.gen(function*() {
        const held = yield* t.running(`run-${n}`)
        yield* t.driver.await([held.id])
        yield* t.commitAll([commitOf(held, { entries: entries(0, 1), published: [{ key: "k", value: "1" }] })])
        return { _tag: "Changed", run: held.id }
      }))),

  check("a transaction sends the hints of its changes when it is committed", (t) =>
    brings(t, (n) => {
      const run = t.newRun(`run-${n}`)
      return Effect.as(t.driver.transaction(t.enqueue(run)), ready(run.queue))
    }))
]
