/** Workers in the test process, on Postgres, with the fixture programs. Each has its own journal layer. */
import type { SqlClient } from "@effect/sql/SqlClient"
import * as PgJournal from "@perdure/postgres/PgJournal"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { Journal, type JournalService } from "perdure/Journal"
import type { JournalDriver } from "perdure/JournalDriver"
import * as Worker from "perdure/Worker"
import * as Mixed from "./fixtures/mixed.js"
import * as Outside from "./fixtures/outside.js"

export interface LocalOptions {
  readonly url: string
  readonly outside: string
  readonly process: string
  readonly worker?: Worker.WorkerOptions
  readonly journal?: Partial<PgJournal.PgJournalOptions>
}

type Services = Journal | JournalDriver | SqlClient | Worker.Worker

export interface Local {
  readonly journal: JournalService
  readonly core: Context.Tag.Service<Worker.Worker>["core"]
  readonly use: <A, E>(effect: Effect.Effect<A, E, Services>) => Effect.Effect<A, E>
  readonly stop: Effect.Effect<void>
}

/** Starts a worker that runs until it is stopped or the scope closes. */
export const local = (options: LocalOptions) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
    const layer = Layer.provideMerge(
      Layer.mergeAll(
        Mixed.live,
        Worker.layer({
          leaseDuration: "1 second",
          pollInterval: "200 millis",
          lingerDuration: "100 millis",
          ...options.worker
        })
      ),
      Layer.merge(
        Outside.layer({ url: options.outside, process: options.process }),
        PgJournal.layer({ url: Redacted.make(options.url), connectTimeout: "2 seconds", ...options.journal })
      )
    )
    // Without logs: the faults of the test would fill the output.
    const quiet = Layer.provide(layer, Logger.remove(Logger.defaultLogger))
    const context = yield* Layer.buildWithScope(quiet, scope)
    const made: Local = {
      journal: Context.get(context, Journal),
      core: Context.get(context, Worker.Worker).core,
      use: (effect) => Effect.provide(effect, context),
      stop: Scope.close(scope, Exit.void)
    }
    return made
  })
