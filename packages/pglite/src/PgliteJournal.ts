/**
 * The journal on PGlite: the same statements as on Postgres, in memory or in a folder, without installation. One
 * process at a time can open a folder. Acknowledged writes survive its death.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import { Listener } from "@perdure/sql/Listener"
import { fromSqlError } from "@perdure/sql/SqlErrors"
import * as SqlJournal from "@perdure/sql/SqlJournal"
import * as Tables from "@perdure/sql/Tables"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { ConfigurationInvalid, JournalError } from "perdure/Errors"
import { Journal } from "perdure/Journal"
import { JournalDriver } from "perdure/JournalDriver"
import * as Rule from "perdure/Rule"
import type { FolderInUse, FolderUnusable } from "./FolderLock.js"
import { dataDir } from "./internal/options.js"
import * as PgliteClient from "./PgliteClient.js"

/**
 * Options of the journal on PGlite. `SqlJournalOptions` has the others: `schema`, `clock` and `migrate`.
 *
 * @since 0.1.0
 * @category models
 */
export interface PgliteJournalOptions extends SqlJournal.SqlJournalOptions {
  /**
   * The folder of the database, which is created if it does not exist. Default: in memory, until the layer is closed.
   */
  readonly dataDir?: string
}

const rules = Rule.fields<PgliteJournalOptions>({
  ...SqlJournal.optionsTable,
  dataDir: Rule.optional(dataDir)
})

const listener = Layer.effect(
  Listener,
  Effect.map(PgliteClient.PgliteClient, (client) => ({
    listen: (channel) => Stream.catchAll(client.listen(channel), () => Stream.empty)
  }))
)

/**
 * Deletes the leases of all workers. Only one process has the folder open, so the workers in it are dead, and their
 * runs need not wait for the leases to run out.
 */
const deleteLeases = ({ schema }: PgliteJournalOptions) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const { workers } = yield* Tables.make(schema ?? "perdure")
    yield* Effect.mapError(sql.unsafe(`DELETE FROM ${workers}`), (error) => fromSqlError("open", error))
  })

/**
 * The driver on PGlite, with the `SqlClient` that it uses, so that statements of the application and the journal can
 * share a transaction.
 *
 * Fails with `ConfigurationInvalid`, which lists all problems of the options, with `FolderInUse` if another process has
 * the folder open, with `FolderUnusable` if it cannot be read or written, and with a `JournalError` like any SQL
 * journal.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
 *
 * const DriverLive = PgliteJournal.layerDriver({ dataDir: ".perdure" })
 */
export const layerDriver = (
  options: PgliteJournalOptions = {}
): Layer.Layer<
  JournalDriver | SqlClient.SqlClient | PgliteClient.PgliteClient,
  ConfigurationInvalid | JournalError | FolderInUse | FolderUnusable
> =>
  Layer.unwrapEffect(Effect.map(
    Rule.requireConfiguration("the options of PgliteJournal", rules.problems(options, "")),
    () => validDriver(options)
  ))

const validDriver = ({ dataDir, ...options }: PgliteJournalOptions) => {
  const client = Layer.mapError(
    PgliteClient.layer(dataDir === undefined ? {} : { dataDir }),
    (error) => error instanceof SqlError ? fromSqlError("open", error) : error
  )
  return Layer.scoped(
    JournalDriver,
    dataDir === undefined
      ? SqlJournal.make(options)
      : Effect.tap(SqlJournal.make(options), () => deleteLeases(options))
  ).pipe(
    Layer.provide(listener),
    Layer.provideMerge(client)
  )
}

/**
 * The journal on PGlite, with the `SqlClient` that it uses. Fails like `layerDriver`.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
 *
 * const JournalLive = PgliteJournal.layer({ dataDir: ".perdure" })
 */
export const layer = (
  options: PgliteJournalOptions = {}
): Layer.Layer<
  Journal | JournalDriver | SqlClient.SqlClient | PgliteClient.PgliteClient,
  ConfigurationInvalid | JournalError | FolderInUse | FolderUnusable
> => Layer.provideMerge(Journal.layer(), layerDriver(options))
