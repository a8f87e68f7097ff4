/** Keeps worker processes running, kills them on purpose, and starts them again. */
import * as Command from "@effect/platform/Command"
import type { CommandExecutor, Process } from "@effect/platform/CommandExecutor"
import type { PlatformError } from "@effect/platform/Error"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { appendFileSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { ProgressLine } from "./protocol.js"
import type { Settings } from "./storage.js"
import { toEnvironment } from "./storage.js"

/** A worker process ended by itself, and not well. */
export class WorkerFailed extends Data.TaggedError("WorkerFailed")<{ readonly log: string; readonly tail: string }> {
  override get message() {
    return `a worker process failed; the end of ${this.log}:\n${this.tail}`
  }
}

export interface Supervised {
  /** Step bodies begun so far, by all processes together. */
  readonly executions: () => number
  /** Orders with an outcome. */
  readonly ended: () => number
  readonly kills: () => number
  /** Run to the end: until every worker process has seen an outcome for every order. */
  readonly run: Effect.Effect<void, WorkerFailed | PlatformError, CommandExecutor>
}

interface Slot {
  /** Set while a process runs that has begun to work. */
  busy: Process | null
  /** What its process has begun, and what the processes before it had. */
  executions: number
  executionsBefore: number
}

export const make = (options: {
  readonly settings: Settings
  readonly workers: number
  readonly kills: number
  /** About how many step bodies all of it takes. */
  readonly expectedExecutions: number
  readonly onKill: (kill: number, pid: number) => Effect.Effect<void>
}): Supervised => {
  const slots = Array.from(
    { length: options.workers },
    (): Slot => ({ busy: null, executions: 0, executionsBefore: 0 })
  )
  const log = `${options.settings.folder}/workers.log`
  let ended = 0
  let kills = 0

  const executions = () => slots.reduce((sum, slot) => sum + slot.executionsBefore + slot.executions, 0)

  // As this process was started: with the same loaders.
  const command = Command.make(
    process.execPath,
    ...process.execArgv,
    fileURLToPath(new URL("worker.ts", import.meta.url))
  ).pipe(Command.env(toEnvironment(options.settings)))

  /** One process, from its start to its end. Answers whether it was done. */
  const once = (slot: Slot) =>
    Effect.scoped(Effect.gen(function*() {
      // A worker whose standard input ends knows that it is alone.
      const over = yield* Deferred.make<void>()
      yield* Effect.addFinalizer(() => Deferred.succeed(over, undefined))
      const worker = yield* Command.start(Command.stdin(command, Stream.execute(Deferred.await(over))))
      const listen = worker.stdout.pipe(
        Stream.decodeText(),
        Stream.splitLines,
        Stream.mapEffect(Schema.decode(ProgressLine)),
        Stream.runForEach((progress) =>
          Effect.sync(() => {
            slot.executions = progress.executions
            ended = Math.max(ended, progress.ended)
            if (progress.executions > 0) slot.busy = worker
          })
        )
      )
      const keepLog = Stream.runForEach(worker.stderr, (bytes) => Effect.sync(() => appendFileSync(log, bytes)))
      const [, , exit] = yield* Effect.all([Effect.exit(listen), Effect.exit(keepLog), Effect.exit(worker.exitCode)], {
        concurrency: "unbounded"
      })
      const wasKilled = killed.delete(worker)
      slot.busy = null
      slot.executionsBefore += slot.executions
      slot.executions = 0
      if (Exit.isSuccess(exit) && exit.value === 0) return true
      if (wasKilled) return false
      return yield* Effect.flatMap(tail, (tail) => new WorkerFailed({ log, tail }))
    }))

  const tail = Effect.sync(() => {
    const lines = readFileSync(log, { encoding: "utf8", flag: "a+" }).trimEnd().split("\n")
    return lines.slice(-20).join("\n")
  })

  const killed = new Set<Process>()

  /** Kill at moments spread over the work, at random within their parts of it, each worker in its turn. */
  const killer = Effect.gen(function*() {
    for (let kill = 0; kill < options.kills; kill++) {
      const part = (kill + (yield* Random.next)) / options.kills
      const moment = (0.02 + 0.83 * part) * options.expectedExecutions
      const slot = slots[kill % slots.length]
      if (slot === undefined) return
      yield* Effect.repeat(Effect.sleep("10 millis"), {
        until: () => slot.busy !== null && executions() >= moment
      })
      yield* Effect.sleep(Duration.millis(yield* Random.nextIntBetween(0, 100)))
      const worker = slot.busy
      if (worker === null) return
      slot.busy = null
      killed.add(worker)
      yield* worker.kill("SIGKILL")
      kills++
      yield* options.onKill(kills, worker.pid)
    }
  })

  return {
    executions,
    ended: () => ended,
    kills: () => kills,
    run: Effect.gen(function*() {
      yield* Effect.forkScoped(killer)
      yield* Effect.forEach(slots, (slot) => Effect.repeat(once(slot), { until: (done) => done }), {
        concurrency: "unbounded",
        discard: true
      })
    }).pipe(Effect.scoped)
  }
}
