/** Programs as workflows: each node becomes what a user would write. `say` records what happens, in order. */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Callback from "perdure/Callback"
import { CurrentRun } from "perdure/CurrentRun"
import { type ConfigurationInvalid, type JournalError, Misuse, type RuntimeError } from "perdure/Errors"
import type { Journal } from "perdure/Journal"
import * as Published from "perdure/Published"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import type { Node, SignalName } from "./Program.js"
import { Refused, type World } from "./World.js"

/** The workflow of simulations. Its payload is the program. */
export const Sim = Workflow.make("Sim", {
  payload: { program: Schema.String, again: Schema.Number, queue: Schema.String },
  success: Schema.Array(Schema.String),
  error: Refused
})

const signals = {
  red: Signal.make("red", { payload: { n: Schema.String } }),
  green: Signal.make("green", { payload: { n: Schema.String } }),
  blue: Signal.make("blue", { payload: { n: Schema.String } })
} satisfies Record<SignalName, Signal.Any>

/** A callback that the world completes some time after it receives the token. */
export const Approval = Callback.make("Approval", { success: Schema.String, error: Refused })

const Progress = Published.make("progress", Schema.String)

type DurableEffect = Effect.Effect<void, Refused | RuntimeError, CurrentRun | Scope.Scope | Journal>

const codec = { success: Schema.String, error: Refused }

const schedules = {
  spaced: Schedule.spaced("300 millis"),
  exponential: Schedule.exponential("50 millis"),
  jittered: Schedule.jittered(Schedule.exponential("100 millis"))
}

const outcomes: Record<"ok" | "fail" | "flaky" | "die", Parameters<World["body"]>[1]> = {
  ok: () => false,
  fail: () => true,
  flaky: (_, roll) => roll() < 0.5,
  die: () => {
    throw new Error("a body that dies")
  }
}

/** `path` identifies a node of the program. */
const interpret = (world: World, say: (what: string) => void, run: {
  readonly id: string
  readonly parent: Option.Option<string>
  readonly queue: string
}) => {
  const step = (path: string, ms: number, out: keyof typeof outcomes) =>
    Effect.tap(Step.run(path, world.body(ms, outcomes[out]), codec), (value) => {
      say(value)
      return Effect.void
    })

  const each = (nodes: ReadonlyArray<Node>, path: string): ReadonlyArray<DurableEffect> =>
    nodes.map((child, index) => go(child, `${path}.${index}`))

  const go = (node: Node, path: string): DurableEffect => {
    const tell = (what: string) => say(`${path} ${what}`)
    switch (node.t) {
      case "step":
        return step(path, node.ms, node.out)
      case "transaction":
        return Effect.map(Step.transaction(path, world.body(node.ms, outcomes[node.out]), codec), say)
      case "retry":
        return Effect.map(
          Step.run(path, world.body(5, (attempt) => attempt <= node.fails), {
            ...codec,
            retry: { schedule: schedules[node.schedule], maxAttempts: node.max, maxDelay: "1 second" }
          }),
          say
        )
      case "timed":
        return Effect.map(Step.run(path, world.body(node.ms, outcomes.ok), { ...codec, timeout: node.limit }), say)
      case "sleep":
        return Effect.map(Effect.sleep(node.ms), () => tell("slept"))
      case "until":
        return Effect.flatMap(
          DateTime.now,
          (now) => Effect.map(Workflow.sleepUntil(DateTime.add(now, { millis: node.ms })), () => tell("woke"))
        )
      case "note":
        return Effect.gen(function*() {
          const { uuid } = yield* CurrentRun
          tell(`${yield* Clock.currentTimeMillis} ${yield* Random.nextInt} ${yield* uuid}`)
        })
      case "receive":
        return Effect.map(signals[node.signal].receive, ({ n }) => tell(n))
      case "within":
        return signals.blue.receiveWithin(node.ms).pipe(
          Effect.map((received) => tell(Option.match(received, { onNone: () => "no signal", onSome: ({ n }) => n }))),
          // Another node of the same program closed the window, so no signal can arrive.
          Effect.catchSomeDefect((defect) =>
            defect instanceof Misuse ? Option.some(Effect.sync(() => tell("closed"))) : Option.none()
          )
        )
      case "send": {
        const to = Option.getOrElse(run.parent, () => run.id)
        return Effect.map(signals[node.signal].send(to, { n: `${run.id} ${path}` }), tell)
      }
      case "callback":
        return Effect.gen(function*() {
          const { result, token } = yield* Approval.create
          yield* Step.run(path, Effect.sync(() => world.onToken({ token, ms: node.ms, ok: node.ok })))
          tell(yield* result)
        })
      case "publish":
        return Progress.publish(path)
      case "child":
        return child(node, path, tell)
      case "seq":
        return Effect.all(each(node.of, path), { discard: true })
      case "all":
        return Effect.all(each(node.of, path), {
          discard: true,
          concurrency: node.bound === 0 ? "unbounded" : node.bound
        })
      case "race":
        return Effect.raceAll(each(node.of, path))
      case "first":
        return each(node.of, path).reduce((a, b) => Effect.raceFirst(a, b))
      case "timeout":
        return Effect.map(Effect.timeoutOption(go(node.of, `${path}.0`), node.ms), ({ _tag }) => tell(_tag))
      case "fork":
        return fork(node, path)
      case "queue":
        return Effect.gen(function*() {
          const queue = yield* Queue.bounded<string>(node.bound)
          const producer = yield* Effect.fork(
            Effect.forEach(
              Array.from({ length: node.items }, (_, index) => index),
              (index) => Effect.flatMap(step(`${path}.${index}`, node.ms, "ok"), (value) => queue.offer(value)),
              { concurrency: 2 }
            )
          )
          for (let index = 0; index < node.items; index++) tell(yield* queue.take)
          yield* Fiber.join(producer)
        })
      case "stream":
        return Stream.range(1, node.items).pipe(
          Stream.mapEffect((index) => step(`${path}.${index}`, index * 3, "ok"), {
            concurrency: 2,
            unordered: !node.ordered
          }),
          Stream.runForEach((value) => Effect.sync(() => tell(value)))
        )
      case "permits":
        return Effect.flatMap(
          Effect.makeSemaphore(node.permits),
          (semaphore) =>
            Effect.all(each(node.of, path).map(semaphore.withPermits(1)), { discard: true, concurrency: "unbounded" })
        )
      case "deferred":
        return Effect.gen(function*() {
          const deferred = yield* Deferred.make<string>()
          yield* Effect.forkScoped(Effect.intoDeferred(step(path, node.ms, "ok").pipe(Effect.orDie), deferred))
          yield* go(node.next, `${path}.0`)
          tell(yield* Deferred.await(deferred))
        })
      case "resource":
        return Effect.acquireUseRelease(
          Step.run(
            path,
            // A second acquisition, after the first process died, must have the same outcome.
            Effect.tap(
              world.body(node.ms, (n, roll) => !world.has(run.id, `${run.id}/${path}`) && outcomes[node.out](n, roll)),
              () => Effect.sync(() => world.acquire(run.id, `${run.id}/${path}`))
            ),
            codec
          ),
          (value) => {
            say(value)
            return go(node.of, `${path}.0`)
          },
          (_, exit) => release(path, exit._tag)
        )
      case "finally":
        return Effect.onExit(
          go(node.of, `${path}.0`),
          (exit) =>
            Effect.ignore(Effect.flatMap(step(`${path} finally`, 5, "ok"), () => Effect.sync(() => tell(exit._tag))))
        )
      case "catch":
        return Effect.catchAll(go(node.of, `${path}.0`), ({ _tag }) => Effect.sync(() => tell(`caught ${_tag}`)))
      case "firm":
        return Effect.uninterruptible(go(node.of, `${path}.0`))
      case "patched":
        return Effect.flatMap(
          Workflow.patched(path),
          (patched) => patched ? go(node.of, `${path}.0`) : step(`${path} old`, 1, "ok")
        )
    }
  }

  const release = (path: string, how: string) =>
    Effect.ignore(Effect.map(
      Step.run(
        `${path} release`,
        Effect.tap(world.body(5, outcomes.ok), () => Effect.sync(() => world.release(`${run.id}/${path}`))),
        codec
      ),
      (value) => say(`${value} ${how}`)
    ))

  const child = (node: Extract<Node, { t: "child" }>, path: string, tell: (what: string) => void): DurableEffect => {
    const { queue } = run
    const payload = { program: JSON.stringify(node.of), again: 0, queue }
    switch (node.how) {
      case "execute":
        return Effect.map(Sim.execute(payload, { queue }), (log) => tell(log.join("; ")))
      case "await":
        return Effect.flatMap(
          Sim.start(payload, { queue }),
          ({ result }) => Effect.map(result, (log) => tell(log.join("; ")))
        )
      case "leave":
        return Effect.map(Sim.start(payload, { queue }), ({ id }) => tell(id))
      case "detach":
        return Effect.map(Sim.start(payload, { queue, detached: true }), ({ id }) => tell(id))
      case "cancel":
        return Effect.gen(function*() {
          const started = yield* Sim.start(payload, { queue })
          yield* Effect.sleep("20 millis")
          tell(String(yield* started.cancel({ reason: "simulated" })))
          tell((yield* Effect.exit(started.result))._tag)
        })
    }
  }

  const fork = (node: Extract<Node, { t: "fork" }>, path: string): DurableEffect =>
    Effect.gen(function*() {
      const forked = go(node.of, `${path}.0`)
      const fiber = yield* node.how === "daemon"
        ? Effect.forkDaemon(forked)
        : node.how === "scoped"
        ? Effect.forkScoped(forked)
        : Effect.fork(forked)
      yield* go(node.next, `${path}.1`)
      if (node.how === "join") yield* Fiber.join(fiber)
      if (node.how === "interrupt") say(`${path} ${Exit.isSuccess(yield* Fiber.interrupt(fiber))}`)
    })

  return go
}

/** The key of a process's log of a run. */
export const logKey = (process: string, run: string): string => `${process} ${run}`

/** The handler of all simulated runs. */
export const simLive = (
  world: World,
  process: string
): Layer.Layer<never, ConfigurationInvalid | JournalError, Journal> =>
  Sim.toLayer(({ again, program, queue }) =>
    Effect.gen(function*() {
      const run = yield* CurrentRun
      const log: Array<string> = []
      world.logs.set(logKey(process, run.id), log)
      const node: Node = JSON.parse(program)
      yield* interpret(world, (what) => void log.push(what), { ...run, queue })(node, `g${run.generation}`)
      if (run.generation < again) return yield* Sim.continueAsNew({ program, again, queue })
      return log
    })
  )
