/** Waits for the end of a child or the completion of a callback, by several fibers and several times. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Callback from "perdure/Callback"
import { CurrentRun } from "perdure/CurrentRun"
import { awaitChild } from "perdure/internal/runs/children"
import { makeExitCodec } from "../../src/internal/codec/exits.js"
import { type Durable, n } from "./replaying.js"

const Favour = Callback.make("Favour", { success: Schema.Unknown })

type Wait = Effect.Effect<unknown, unknown, CurrentRun>

const name = "Child"

const exit = makeExitCodec({ success: Schema.Unknown, failure: Schema.Never, what: "result", limitBytes: Infinity })

/** Starts a child and returns the wait for it. `cancels`: an interrupted wait cancels the child, as in `execute`. */
const child = (cancels: boolean): Effect.Effect<Wait, never, CurrentRun> =>
  Effect.map(CurrentRun, (current) => {
    const { id, token } = current.machine.startChild((op) => ({
      id: `child-${op}`,
      token: `${op}`,
      workflow: name,
      version: "1",
      queue: "default",
      priority: 0,
      payload: "{}",
      attached: true,
      availableAt: null,
      expiresAt: null,
      tags: [],
      attributes: {},
      key: null
    }))
    return awaitChild<unknown, never>(current, { name, exit }, { id, token, cancels })
  })

const kinds: Record<string, Effect.Effect<Wait, never, CurrentRun>> = {
  "a child": child(false),
  "a child that is cancelled with its wait": child(true),
  "a callback": Effect.map(Favour.create, ({ result }) => result)
}

const programs: Record<string, (wait: Wait) => Durable<unknown>> = {
  "twice, one after the other": (wait) =>
    Effect.gen(function*() {
      return [yield* wait, yield* n(1), yield* wait, yield* n(2)]
    }),
  "twice at the same time": (wait) => Effect.all([wait, n(1), wait, wait], { concurrency: "unbounded" }),
  "by one fiber in a race, and by another": (wait) =>
    Effect.gen(function*() {
      const other = yield* Effect.fork(Effect.zip(wait, n(3)))
      const raced = yield* Effect.raceFirst(wait, n(1))
      return [raced, yield* Fiber.join(other), yield* wait, yield* n(2)]
    }),
  "under a timeout, then again": (wait) =>
    Effect.gen(function*() {
      const early = yield* Effect.timeoutOption(wait, 30)
      return [early, yield* n(1), yield* wait, yield* wait]
    }),
  "by fibers that are interrupted one by one": (wait) =>
    Effect.gen(function*() {
      const fibers = yield* Effect.replicateEffect(Effect.fork(wait), 3)
      const exits: Array<string> = []
      for (const fiber of fibers) {
        yield* Effect.sleep(20)
        exits.push((yield* Fiber.interrupt(fiber))._tag)
      }
      return [exits, Exit.isSuccess(yield* Effect.exit(wait)), yield* n(1)]
    })
}

export const waitCases: Record<string, () => Durable<unknown>> = Object.fromEntries(
  Object.entries(kinds).flatMap(([kind, make]) =>
    Object.entries(programs).map(([how, program]) => [`${kind}, ${how}`, () => Effect.flatMap(make, program)])
  )
)
