/**
 * One example of each error, whose message `docs/errors.md` shows. The code of the library produces the examples: no
 * detail or problem is written here. Only errors whose fields are a process, a host or a server are constructed.
 */
import { acquire, FolderInUse } from "@perdure/pglite/FolderLock"
import { fromSqlError } from "@perdure/sql/SqlErrors"
import { ClusterError } from "@perdure/testing/ClusterError"
import { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import type { CurrentRun } from "perdure/CurrentRun"
import { RuntimeError } from "perdure/Errors"
import type { Journal } from "perdure/Journal"
import { Limits, type LimitsOptions } from "perdure/Limits"
import * as Published from "perdure/Published"
import * as Run from "perdure/Run"
import * as RunQueue from "perdure/RunQueue"
import * as RunSchedule from "perdure/RunSchedule"
import * as Step from "perdure/Step"
import * as Workers from "perdure/Workers"
import * as Workflow from "perdure/Workflow"
import { makeWorld, soon, within } from "../fixtures/world.js"

/** An error with its tag. */
export interface ErrorExample extends Error {
  readonly _tag: string
}

/** The id of every run of the page. */
const SHOWN_ID = "0195"

const RUN_ID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:\.[\w-]+)*/g

/** The message of an example with the page's id in place of random ones. */
export const shownMessage = ({ message }: ErrorExample): string => message.replaceAll(RUN_ID, SHOWN_ID)

const Order = Schema.Struct({ orderId: Schema.String, total: Schema.Number, note: Schema.optional(Schema.String) })

const Fulfil = Workflow.make("Fulfil", { payload: Order, idempotencyKey: ({ orderId }) => orderId })
/** Its handler starts another run of it. */
const Ship = Workflow.make("Ship", { payload: {} })
/** It has no handler. */
const Parcel = Workflow.make("Parcel", { payload: {} })
const SyncAccount = Workflow.make("SyncAccount", {
  payload: { account: Schema.String },
  singleton: { key: ({ account }) => account, mode: "refuse" }
})

/** More than the default limit of children. */
const TOO_MANY_CHILDREN = 1_001

/** Errors of calls from outside of runs. */
const outside = Effect.gen(function*() {
  const { launch, use } = yield* makeWorld()
  const waiting = yield* launch(
    Layer.mergeAll(
      Fulfil.toLayer(() => Step.run("reserve", Effect.void)),
      SyncAccount.toLayer(() => Effect.sleep("1 day"))
    ),
    { id: "worker-1", leaseDuration: "10 seconds" }
  )
  const order = { orderId: "o-1", total: 10 }
  const run = yield* use(Fulfil.start(order))
  const endedEarly = yield* soon(Effect.flip(use(Run.waitFor(run, { step: "ship" }))))
  const sync = yield* use(SyncAccount.start({ account: "acme" }))
  yield* TestClock.adjust("1 second")
  const refused = [
    yield* use(Effect.flip(Fulfil.start({ orderId: "o-2", total: Number.NaN }))),
    yield* use(Effect.flip(Fulfil.start({ ...order, note: "x".repeat(2_000_000) }))),
    yield* use(Effect.flip(Fulfil.start({ ...order, total: 20 }))),
    yield* use(Effect.flip(SyncAccount.start({ account: "acme" }))),
    yield* Effect.flip(sync.retry()),
    yield* Effect.flip(run.fork({ from: 12 })),
    yield* use(Effect.flip(RunQueue.get("emails"))),
    yield* use(Effect.flip(RunSchedule.pause("nightly-report"))),
    yield* use(Effect.flatMap(Fulfil.attach(SHOWN_ID), (none) => Effect.flip(none.record))),
    yield* use(Effect.flip(Workers.ping("worker-2"))),
    yield* Effect.flip(launch(Layer.empty, { id: "worker-3", concurrency: 0 }))
  ]
  yield* sync.cancel()
  const ended = yield* soon(Effect.flip(sync.result))
  const Progress = Published.make("progress", Schema.Number)
  const live = yield* use(SyncAccount.start({ account: "other" }))
  yield* use(Progress.publishFor(live.id, 0.5))
  const unreadable = yield* use(Effect.flip(Published.make("progress", Schema.String).get(live.id)))
  const taken = yield* within("1 minute")(
    Effect.flip(launch(Layer.empty, { id: "worker-1", leaseDuration: "10 seconds" }))
  )
  yield* waiting.kill
  const unresponsive = yield* within("5 seconds")(Effect.flip(use(Workers.ping("worker-1", { timeout: "5 seconds" }))))
  return [...refused, endedEarly, ended, unreadable, taken, unresponsive]
})

const Defect = Schema.parseJson(Schema.Struct({ runtimeError: RuntimeError }))

/** The failure, or the defect, of a run with this handler. */
const failureOf = (
  handler: Effect.Effect<void, RuntimeError, Journal | CurrentRun>,
  meanwhile = Effect.void,
  limits: Partial<LimitsOptions> = {}
) =>
  Effect.gen(function*() {
    const { launch, use } = yield* makeWorld()
    const workflows = Layer.mergeAll(Fulfil.toLayer(() => handler), Ship.toLayer(() => Ship.execute({})))
    yield* launch(Layer.provide(workflows, Limits.layer(limits)))
    const run = yield* use(Fulfil.start({ orderId: "o-1", total: 10 }))
    const failure = yield* Effect.fork(Effect.flip(run.result))
    yield* TestClock.adjust("6 seconds")
    yield* meanwhile
    const error = yield* soon(failure)
    return error._tag === "RunEnded"
      ? (yield* Schema.decodeUnknown(Defect)((yield* run.record).exit?.value)).runtimeError
      : error
  })

/** Errors inside runs. */
const inside = Effect.gen(function*() {
  let resolve = () => {}
  const promise = Effect.async<void>((resume) => {
    resolve = () => resume(Effect.void)
  })
  return [
    yield* failureOf(Step.run("reserve", Effect.never, { timeout: "5 seconds" })),
    yield* failureOf(Effect.asVoid(Ship.execute({}))),
    yield* failureOf(
      Effect.forEach(Array.from({ length: TOO_MANY_CHILDREN }), () => Parcel.start({}), { discard: true })
    ),
    yield* failureOf(
      Effect.zipRight(
        Step.run("reserve", Effect.void),
        Effect.zipRight(Effect.fork(promise), Effect.sleep("1 day"))
      ),
      Effect.sync(() => resolve())
    ),
    yield* failureOf(Effect.flatMap(Parcel.start({}), (parcel) => Effect.asVoid(parcel.poll))),
    yield* failureOf(
      Effect.forEach(
        ["first", "second"],
        (name) => Step.run(name, Effect.succeed("x".repeat(600_000)), { success: Schema.String }),
        { discard: true }
      ),
      Effect.void,
      { journalBytes: 1_000_000 }
    )
  ]
})

/** Errors of the database and of the file system. */
const environment = Effect.gen(function*() {
  const connection = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:5432"), { code: "ECONNREFUSED" })
  return [
    fromSqlError("claim", new SqlError({ cause: connection, message: "Failed to acquire a connection" })),
    yield* Effect.flip(acquire("/dev/null/data")),
    new FolderInUse({ folder: "data", pid: 4711, host: "build-1", lock: "data/perdure.lock" }),
    new ClusterError({ operation: "start PostgreSQL", detail: "the port 5432 is in use" })
  ]
})

/** An example of each error of the core and of the packages. */
export const errorExamples: Effect.Effect<ReadonlyArray<ErrorExample>> = Effect.scoped(
  Effect.map(Effect.all([outside, inside, environment]), (found) => found.flat())
).pipe(Effect.orDie)

export const isRuntimeError: (error: unknown) => error is RuntimeError = Schema.is(RuntimeError)
