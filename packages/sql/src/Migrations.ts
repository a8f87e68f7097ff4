/**
 * Migrations: bring a schema up to date, or refuse a schema that this code cannot use.
 *
 * Migrations are numbered and run in one transaction under an advisory lock, so processes that start together run each
 * of them once. A migration that older code cannot work with is `breaking`: code that lacks it refuses the schema.
 * Other newer migrations are accepted.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { JournalError } from "perdure/Errors"
import * as Journal from "./migrations/0001_journal.js"
import * as Operations from "./migrations/0002_operations.js"
import * as Schedules from "./migrations/0003_schedules.js"
import * as Messages from "./migrations/0004_messages.js"
import * as Controls from "./migrations/0005_controls.js"
import * as ErrorCodes from "./migrations/0006_error_codes.js"
import * as Row from "./internal/Row.js"
import { fromSqlError } from "./SqlErrors.js"
import type { Tables } from "./Tables.js"
import { transactionally } from "./internal/transaction.js"

/**
 * One migration. It never changes after its release.
 *
 * @since 0.1.0
 * @category models
 */
export interface Migration {
  readonly id: number
  readonly name: string
  /** Code that lacks this migration must not use the schema. */
  readonly breaking: boolean
  /** The statements, executed one by one. */
  readonly statements: (tables: Tables) => ReadonlyArray<string>
}

/**
 * All migrations, in order.
 *
 * @since 0.1.0
 * @category migrations
 */
export const all: ReadonlyArray<Migration> = [
  { id: 1, name: "journal", breaking: true, statements: Journal.statements },
  { id: 2, name: "operations", breaking: true, statements: Operations.statements },
  { id: 3, name: "schedules", breaking: false, statements: Schedules.statements },
  { id: 4, name: "messages", breaking: true, statements: Messages.statements },
  { id: 5, name: "controls", breaking: false, statements: Controls.statements },
  { id: 6, name: "error_codes", breaking: false, statements: ErrorCodes.statements }
]

interface MigrationRow {
  readonly id: number
  readonly name: string
  readonly breaking: boolean
}

const bookkeeping = (t: Tables): string =>
  `CREATE TABLE IF NOT EXISTS ${t.migrations} (
  id integer PRIMARY KEY,
  name text NOT NULL,
  breaking boolean NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)`

const record = (t: Tables, { breaking, id, name }: Migration): string =>
  `INSERT INTO ${t.migrations} (id, name, breaking) VALUES (${id}, '${name}', ${breaking})`

const lock = (t: Tables): string => `SELECT pg_advisory_xact_lock(hashtextextended('perdure:${t.schema}', 0))`

/**
 * The schema as one SQL script, for users who run migrations by other means.
 *
 * @since 0.1.0
 * @category migrations
 */
export const script = (t: Tables): string =>
  [
    `-- Perdure's journal in the schema ${t.quoted}. Generated from packages/sql/src/migrations: do not edit.`,
    "BEGIN",
    lock(t),
    `CREATE SCHEMA IF NOT EXISTS ${t.quoted}`,
    bookkeeping(t),
    ...all.flatMap((migration) => [...migration.statements(t), record(t, migration)]),
    "COMMIT"
  ].join(";\n\n").replace(/^(--.*);$/m, "$1") + ";\n"

const refuse = (detail: string): JournalError =>
  new JournalError({ code: "SchemaVersion", operation: "migrate", detail, retryable: false })

const run = (sql: SqlClient.SqlClient, text: string): Effect.Effect<ReadonlyArray<Row.Fields>, SqlError> =>
  Effect.map(sql.unsafe(text).withoutTransform, (rows) => rows.map(Row.fields))

const applied = (sql: SqlClient.SqlClient, t: Tables): Effect.Effect<ReadonlyArray<MigrationRow>, SqlError> =>
  Effect.flatMap(
    // Not to_regclass: it may read a cache of this connection that is older than the lock.
    run(
      sql,
      `SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = '${t.schema}' AND tablename = 'migrations') AS there`
    ),
    (rows) =>
      rows[0]?.["there"] === true
        ? Effect.map(
          run(sql, `SELECT id, name, breaking FROM ${t.migrations} ORDER BY id`),
          (found) =>
            found.map((row) => ({
              id: Row.integer(row, "id"),
              name: Row.text(row, "name"),
              breaking: Row.flag(row, "breaking")
            }))
        )
        : Effect.succeed([])
  )

const missing = (found: ReadonlyArray<MigrationRow>, known: ReadonlyArray<Migration>): ReadonlyArray<Migration> =>
  known.filter(({ id }) => !found.some((each) => each.id === id))

const tooNew = (
  t: Tables,
  found: ReadonlyArray<MigrationRow>,
  known: ReadonlyArray<Migration>
): JournalError | null => {
  const strange = found.find(({ breaking, id }) => breaking && !known.some((each) => each.id === id))
  return strange === undefined ? null : refuse(
    `the schema ${t.quoted} has migration ${strange.id} (${strange.name}), which this version of Perdure ` +
      `lacks and cannot work with: upgrade this process`
  )
}

/**
 * Checks that this code can use the schema. Fails with `SchemaVersion` if the schema lacks migrations, or has a
 * breaking migration that this code lacks.
 *
 * @since 0.1.0
 * @category migrations
 */
export const check = (
  tables: Tables,
  known: ReadonlyArray<Migration> = all
): Effect.Effect<void, JournalError, SqlClient.SqlClient> =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const found = yield* Effect.mapError(applied(sql, tables), (error) => fromSqlError("migrate", error))
    const strange = tooNew(tables, found, known)
    if (strange !== null) return yield* strange
    const [next] = missing(found, known)
    if (next === undefined) return
    return yield* refuse(
      found.length === 0
        ? `schema ${tables.quoted} has no tables of Perdure: run the migrations (schema.sql, or migrate: true)`
        : `the schema ${tables.quoted} lacks migration ${next.id} (${next.name}): run the migrations (schema.sql, or ` +
          `migrate: true)`
    )
  })

/**
 * Brings the schema up to date in one transaction: creates it if it does not exist, and applies the migrations that it
 * lacks. Writes nothing if it lacks none. Fails with `SchemaVersion` if the schema has a breaking migration that this
 * code lacks.
 *
 * @since 0.1.0
 * @category migrations
 */
export const migrate = (
  tables: Tables,
  known: ReadonlyArray<Migration> = all
): Effect.Effect<void, JournalError, SqlClient.SqlClient> =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const look = Effect.flatMap(
      Effect.mapError(applied(sql, tables), (error) => fromSqlError("migrate", error)),
      (found) => tooNew(tables, found, known) ?? Effect.succeed(missing(found, known))
    )
    if ((yield* look).length === 0) return
    const execute = (text: string) => Effect.mapError(run(sql, text), (error) => fromSqlError("migrate", error))
    yield* transactionally(
      sql,
      "migrate",
      Effect.gen(function*() {
        yield* execute(lock(tables))
        const todo = yield* look
        if (todo.length === 0) return
        // Only if the schema does not exist: CREATE, even IF NOT EXISTS, needs a privilege that its owner may lack.
        const [there] = yield* execute(
          `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = '${tables.schema}') AS there`
        )
        if (there?.["there"] !== true) yield* execute(`CREATE SCHEMA ${tables.quoted}`)
        yield* execute(bookkeeping(tables))
        for (const migration of todo) {
          for (const text of migration.statements(tables)) yield* execute(text)
          yield* execute(record(tables, migration))
        }
      })
    )
  })
