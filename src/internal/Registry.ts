/**
 * The workflows that this process can run. A name and version is registered once; what does not fit is reported
 * together, as one error, by the layers that bring it.
 */
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import { ConfigurationInvalid } from "../Errors.js"
import type { ClaimedRun, NewRun } from "../JournalDriver.js"
import type { End } from "./continuations.js"
import type { Divergence, Machine, Stray } from "./machine/Machine.js"
import type { MachineEntry, WireExit } from "./machine/Op.js"
import type { AnyExit } from "./exits.js"

/** A machine that is ready to be started. */
export interface Opened {
  readonly machine: Machine
  readonly start: (replay: ReadonlyArray<MachineEntry>) => Divergence | undefined
  readonly encodeExit: (exit: AnyExit) => WireExit
  /** The runs that follow the run's end; the left side says why one cannot. */
  readonly continuations: (end: End) => ReadonlyArray<Either.Either<NewRun, string>>
}

/** A workflow with its handler. */
export interface Registered {
  readonly name: string
  readonly version: string
  readonly queue: string
  /** Signals that the definition declares: one name, one definition in the whole process. */
  readonly signals: ReadonlyArray<{ readonly name: string }>
  /** What its runs go on with. */
  readonly continuations: ReadonlyArray<{ readonly on: string; readonly name: string; readonly version: string }>
  /** Problems of the definition itself. */
  readonly problems: ReadonlyArray<string>
  /** A machine for a run; the left side says why its payload cannot be read. */
  readonly open: (run: ClaimedRun, onStray: (stray: Stray) => void) => Either.Either<Opened, string>
}

export class Registry {
  private readonly workflows = new Map<string, Registered>()
  private readonly signals = new Map<string, { readonly signal: { readonly name: string }; users: number }>()
  private readonly listeners = new Set<() => void>()
  private problems: Array<string> = []

  find(name: string, version: string): Registered | undefined {
    return this.workflows.get(keyOf(name, version))
  }

  /** Names and versions, for a claim. */
  list(): ReadonlyArray<{ readonly name: string; readonly version: string }> {
    return [...this.workflows.values()].map(({ name, version }) => ({ name, version }))
  }

  /** Be called when a workflow is registered or removed. Answers a function that ends it. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Register for the life of the scope. */
  register(workflow: Registered): Effect.Effect<void, ConfigurationInvalid, Scope.Scope> {
    return Effect.gen(this, function*() {
      const key = keyOf(workflow.name, workflow.version)
      const problems = [...workflow.problems]
      if (this.workflows.has(key)) {
        problems.push(
          `workflow "${workflow.name}" version "${workflow.version}" has two handlers: give one another name or version`
        )
      }
      for (const signal of workflow.signals) {
        const known = this.signals.get(signal.name)
        if (known !== undefined && known.signal !== signal) {
          problems.push(
            `signal "${signal.name}" of workflow "${workflow.name}" is another definition than the one already in use: share one`
          )
        }
      }
      if (problems.length > 0) {
        this.problems.push(...problems)
        // Layers that are built side by side get their turn, so that all problems are reported together.
        yield* Effect.yieldNow({ priority: 1 })
        yield* Effect.yieldNow({ priority: 1 })
        return yield* new ConfigurationInvalid({ what: "the registered workflows", problems: this.problems })
      }
      this.workflows.set(key, workflow)
      for (const signal of workflow.signals) {
        const known = this.signals.get(signal.name)
        if (known === undefined) this.signals.set(signal.name, { signal, users: 1 })
        else known.users++
      }
      this.changed()
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          this.workflows.delete(key)
          for (const signal of workflow.signals) {
            const known = this.signals.get(signal.name)
            if (known !== undefined && --known.users === 0) this.signals.delete(signal.name)
          }
          this.changed()
        })
      )
    })
  }

  private changed(): void {
    for (const listener of this.listeners) listener()
  }
}

const keyOf = (name: string, version: string): string => JSON.stringify([name, version])
