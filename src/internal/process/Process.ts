/**
 * What a process knows of its own beside what storage knows: the registrations of its layers, its workers, its waiters,
 * the queues that it has seen, and its estimate of the driver's clock. A journal has one.
 *
 * Layers declare while they are built. A declaration with problems fails its layer before anything is written. The
 * process of a check notes the problems instead, so that all of them are found.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ClaimedRun, Hint, WorkerRef } from "../../driver/JournalDriver.js"
import { ConfigurationInvalid } from "../../Errors.js"
import type { DriverTime } from "./DriverTime.js"
import type { KnownQueues } from "./KnownQueues.js"
import type { Problem } from "./Problem.js"
import { problemText } from "./Problem.js"
import { Registrations } from "./Registrations.js"
import type { RunWatch } from "./RunWatch.js"

/** A worker of this process, as those who start runs beside it use it. */
export interface LocalWorker {
  readonly ref: WorkerRef
  /** The capacity for up to `wanted` new runs, in runs. It stays reserved until `adopt`. */
  readonly reserve: (
    run: { readonly workflow: string; readonly version: string; readonly queue: string },
    wanted: number
  ) => number
  /** Give back the reserved capacity, and execute what the insert claimed for the worker. */
  readonly adopt: (capacity: number, runs: ReadonlyArray<ClaimedRun>) => void
  /** Whether the worker holds this run now. */
  readonly holds: (run: string) => boolean
  /** A claim for this worker was sent and its answer lost: reconcile. */
  readonly suspect: () => void
  readonly hint: (hint: Hint) => void
}

export interface Process {
  readonly registrations: Registrations
  readonly time: DriverTime
  readonly watch: RunWatch
  readonly queues: KnownQueues
  readonly workers: Set<LocalWorker>
  /**
   * Whether a declaration with these problems takes effect. With problems it fails with every problem that layers built
   * beside it have; in the process of a check it notes them, and nothing takes effect.
   */
  readonly admit: (problems: ReadonlyArray<Problem>) => Effect.Effect<boolean, ConfigurationInvalid, Scope.Scope>
}

/** What both kinds of process need. */
type Parts = Pick<Process, "time" | "watch" | "queues">

/** Resumes when every fiber that can run now has run. Layers that are built side by side have declared by then. */
const afterSiblings: Effect.Effect<void> = Effect.withClock(Effect.sleep(Duration.zero), Clock.make())

export const make = ({ queues, time, watch }: Parts): Process => {
  const registrations = new Registrations()
  return {
    registrations,
    time,
    watch,
    queues,
    workers: new Set(),
    admit: (problems) =>
      problems.length === 0 ? Effect.succeed(true) : Effect.gen(function*() {
        yield* registrations.addProblems(problems)
        yield* afterSiblings
        return yield* new ConfigurationInvalid({
          what: "the definitions of this process",
          problems: registrations.problems.map(problemText)
        })
      })
  }
}

/** The process of a check: it notes every problem, and nothing that layers declare takes effect. */
export const makeChecking = ({ queues, time, watch }: Parts): Process => {
  const registrations = new Registrations()
  return {
    registrations,
    time,
    watch,
    queues,
    workers: new Set(),
    admit: (problems) => Effect.as(registrations.addProblems(problems), false)
  }
}
