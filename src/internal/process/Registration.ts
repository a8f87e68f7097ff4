/** What the layers of a process declare: workflows with handlers, schedules, queues and workers. */
import type * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type { ClaimedRun, NewRun } from "../../driver/JournalDriver.js"
import type { AnyExit, WireExit } from "../codec/exits.js"
import type { Divergence } from "../machine/Divergence.js"
import type { Machine, Stray } from "../machine/Machine.js"
import type { MachineEntry } from "../machine/Op.js"
import type { Shape } from "./Shape.js"

/** The end of a run, from which its continuations follow. */
export interface End {
  /** The exit as it is stored. A value that cannot be stored is a defect here. */
  readonly wire: WireExit
  /** The `seq` after the run's last entry. */
  readonly seq: number
  readonly now: number
}

/** A machine that is ready to be started. */
export interface OpenedRun {
  readonly machine: Machine
  readonly start: (replay: ReadonlyArray<MachineEntry>) => Divergence | undefined
  readonly encodeExit: (exit: AnyExit) => WireExit
  /** The limit of the run's journal, in bytes. */
  readonly journalBytes: number
  /** The runs that follow the run's end. The left side says why one cannot start. */
  readonly continuations: (end: End) => ReadonlyArray<Either.Either<NewRun, string>>
}

/** A workflow with its handler. */
export interface WorkflowRegistration {
  readonly name: string
  readonly version: string
  readonly queue: string
  /** The time limit of its steps without an own one. `Infinity`: the worker's. */
  readonly stepMillis: number
  readonly shape: Shape
  /** The signals that the workflow declares. In one process, one name has one definition. */
  readonly signals: ReadonlyArray<{ readonly name: string }>
  readonly continuations: ReadonlyArray<{
    readonly on: string
    readonly name: string
    readonly version: string
    /** The queue that the continuation itself names. */
    readonly queue: string | undefined
  }>
  /** Problems of the definition itself. */
  readonly problems: ReadonlyArray<string>
  /** Makes the machine of a run. The left side says why its payload cannot be read. */
  readonly open: (run: ClaimedRun, onStray: (stray: Stray) => void) => Either.Either<OpenedRun, string>
  /** Runs an effect that logs, with the loggers of the workflow's layer. Without it nothing is logged. */
  readonly log?: (line: Effect.Effect<void>) => void
}

/** A schedule whose definition this process has. */
export interface ScheduleRegistration {
  readonly name: string
  readonly shape: Shape
  /** The encoded settings, by which two definitions are compared. */
  readonly definition: string
  /** The value that defines it: the same value declared twice is one schedule. */
  readonly source: object
  /** The payload of a slot; null for the stored one. */
  readonly payload: ((slot: number) => unknown) | null
}

export interface WorkerRegistration {
  /** Undefined for a random one. */
  readonly id: string | undefined
  readonly queues: ReadonlyArray<string>
}

export interface QueueRegistration {
  readonly name: string
  /** The encoded settings, by which two definitions are compared. */
  readonly definition: string
  /** Whether workers of other processes may serve it. False for a queue that only a workflow of this process names. */
  readonly elsewhere: boolean
}
