/**
 * Keeps worker processes running. It kills them on purpose, and each killed process is replaced by one that stands by:
 * its program is loaded, and it has not opened the database.
 */
import * as Command from "@effect/platform/Command"
import type { CommandExecutor, Process } from "@effect/platform/CommandExecutor"
import type { PlatformError } from "@effect/platform/Error"
import * as Array from "effect/Array"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { appendFileSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { reader } from "./events.js"
import type { Progress } from "./stages.js"
import type { Settings } from "./storage.js"
import { toEnvironment } from "./storage.js"

/** A worker process ended with an error, and was not killed. */
export class WorkerFailed extends Data.TaggedError("WorkerFailed")<{ readonly log: string; readonly tail: string }> {
  override get message() {
    return `A worker process failed; the end of ${this.log}:\n${this.tail}`
  }
}

const FOLLOW_INTERVAL = "50 millis"

export interface Options {
  readonly settings: Settings
  /** The number of worker processes at a time. */
  readonly workers: number
  readonly kills: number
  readonly progress: Progress
  readonly onKill: (kill: number, pid: number) => Effect.Effect<void>
}

export interface Supervisor {
  readonly kills: () => number
  /** Runs until every worker process has seen the outcome of every order. */
  readonly run: Effect.Effect<void, WorkerFailed | PlatformError, CommandExecutor | Scope.Scope>
}

interface Worker {
  readonly process: Process
  readonly go: Deferred.Deferred<void>
  readonly exit: Fiber.Fiber<Exit.Exit<number, unknown>>
  isKilled: boolean
}

/** Starts the first worker processes, which stand by until `run`. All processes end with the scope. */
export const make = (
  options: Options
): Effect.Effect<Supervisor, PlatformError, CommandExecutor | Scope.Scope> =>
  Effect.gen(function*() {
    const { progress, settings } = options
    const log = `${settings.folder}/workers.log`
    /** The ids of processes that have begun a step. */
    const busy = new Set<number>()
    let kills = 0

    const follow = Effect.map(reader(settings.folder), (events) => {
      for (const event of events) {
        progress.add(event)
        if (event._tag === "Execution") busy.add(event.process)
      }
    })

    // With the loaders of this process, and room for short-lived objects, as docs/architecture.md advises.
    const command = Command.make(
      process.execPath,
      "--max-semi-space-size=64",
      ...process.execArgv,
      fileURLToPath(new URL("worker.ts", import.meta.url))
    ).pipe(Command.env(toEnvironment(settings)))

    /** A process that stands by. */
    const spawn = Effect.gen(function*() {
      const go = yield* Deferred.make<void>()
      // The standard input ends with the supervisor, also if it is killed: its workers then end, too.
      const end = yield* Deferred.make<void>()
      yield* Effect.addFinalizer(() => Deferred.succeed(end, undefined))
      const input = Stream.concat(
        Stream.encodeText(Stream.fromEffect(Effect.as(Deferred.await(go), "go\n"))),
        Stream.execute(Deferred.await(end))
      )
      const child = yield* Command.start(Command.stdin(command, input))
      const keepLog = Stream.runForEach(
        Stream.merge(child.stdout, child.stderr),
        (bytes) => Effect.sync(() => appendFileSync(log, bytes))
      )
      const exit = yield* Effect.all([Effect.exit(child.exitCode), Effect.exit(keepLog)], { concurrency: 2 }).pipe(
        Effect.map(([code]) => code),
        Effect.forkScoped
      )
      const worker: Worker = { process: child, go, exit, isKilled: false }
      return worker
    })

    const working = yield* Effect.replicateEffect(spawn, options.workers)

    const failure = Effect.flatMap(
      Effect.sync(() =>
        readFileSync(log, { encoding: "utf8", flag: "a+" }).trimEnd().split("\n").slice(-20).join("\n")
      ),
      (tail) => new WorkerFailed({ log, tail })
    )

    /** One worker after another in a slot, until one has seen every outcome. */
    const serve = (slot: number, worker: Worker): Effect.Effect<
      void,
      WorkerFailed | PlatformError,
      CommandExecutor | Scope.Scope
    > =>
      Effect.gen(function*() {
        working[slot] = worker
        yield* Deferred.succeed(worker.go, undefined)
        const spare = kills < options.kills ? yield* spawn : undefined
        const exit = yield* Fiber.join(worker.exit)
        if (Exit.isSuccess(exit) && exit.value === 0) return
        if (!worker.isKilled || spare === undefined) return yield* failure
        yield* serve(slot, spare)
      })

    /** Waits until the work has reached `fraction`, and the worker of the slot has begun a step; returns the worker. */
    const target = (slot: number, fraction: number): Effect.Effect<Worker> =>
      Effect.flatMap(Effect.sleep("10 millis"), () => {
        const worker = working[slot]
        return worker !== undefined && !worker.isKilled && busy.has(worker.process.pid) && progress.fraction >= fraction
          ? Effect.succeed(worker)
          : target(slot, fraction)
      })

    /** Kills the workers of the slots one after another, at random moments that are spread over the work. */
    const kill = Effect.gen(function*() {
      const part = (kills + (yield* Random.next)) / options.kills
      const worker = yield* target(kills % options.workers, 0.02 + 0.83 * part)
      yield* Effect.sleep(Duration.millis(yield* Random.nextIntBetween(0, 100)))
      worker.isKilled = true
      yield* worker.process.kill("SIGKILL")
      kills++
      yield* options.onKill(kills, worker.process.pid)
    })

    return {
      kills: () => kills,
      run: Effect.gen(function*() {
        yield* Effect.forkScoped(Effect.repeat(follow, Schedule.spaced(FOLLOW_INTERVAL)))
        yield* Effect.forkScoped(Effect.replicateEffect(kill, options.kills))
        yield* Effect.forEach(Array.copy(working), (worker, slot) => serve(slot, worker), {
          concurrency: "unbounded",
          discard: true
        })
        yield* follow
      })
    }
  })
