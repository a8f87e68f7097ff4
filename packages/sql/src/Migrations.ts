/**
 * Bringing a schema up to date, and refusing one that this code cannot use.
 *
 * Migrations are numbered and run in one transaction under an advisory lock, so that processes which start together do
 * it once. A migration that older code cannot live with is marked `breaking`: code that does not know it refuses the
 * schema by name. Newer migrations that are not breaking are fine.
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
import * as Row from "./internal/Row.js"
import { fromSqlError } from "./SqlErrors.js"
import type { Tables } from "./Tables.js"
import { transactionally } from "./internal/transaction.js"

/**
 * One step of the schema's history. Never changed once released.
 *
 * @since 0.1.0
 * @category models
 */
export interface Migration {
  readonly id: number
  readonly name: string
  /** Code that does not know this migration must not touch the schema any more. */
  readonly breaking: boolean
  /** Statements, run one by one. */
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
  { id: 4, name: "messages", breaking: true, statements: Messages.statements }
]

interface Applied {
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
 * The schema as one plain SQL script, for those who run migrations by other means.
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

const applied = (sql: SqlClient.SqlClient, t: Tables): Effect.Effect<ReadonlyArray<Applied>, SqlError> =>
  Effect.flatMap(
    // Not to_regclass: it may answer from a cache of this connection that is older than the lock.
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

const missing = (found: ReadonlyArray<Applied>, known: ReadonlyArray<Migration>): ReadonlyArray<Migration> =>
  known.filter(({ id }) => !found.some((each) => each.id === id))

const tooNew = (t: Tables, found: ReadonlyArray<Applied>, known: ReadonlyArray<Migration>): JournalError | null => {
  const strange = found.find(({ breaking, id }) => breaking && !known.some((each) => each.id === id))
  return strange === undefined ? null : refuse(
    `the schema ${t.quoted} has migration ${strange.id} (${strange.name}), which this version of Perdure does not know ` +
      `and cannot work with: upgrade this process`
  )
}

/**
 * Check that the schema is one that this code can use. Fails with `SchemaVersion` if migrations are missing, or if it
 * has a breaking one that this code does not know.
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
        ? `there is no schema ${tables.quoted} with Perdure's tables: run the migrations (schema.sql, or migrate: true)`
        : `the schema ${tables.quoted} lacks migration ${next.id} (${next.name}): run the migrations (schema.sql, or ` +
          `migrate: true)`
    )
  })

/**
 * Bring the schema up to date: creates it if it is not there, applies what is missing, in one transaction. Nothing is
 * written if nothing is missing. Fails as `check` does if the schema is too new.
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
        // Only if it is not there: creating, even IF NOT EXISTS, needs a privilege that the owner of a schema may lack.
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
