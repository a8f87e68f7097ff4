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
import * as EndCauses from "./migrations/0007_end_causes.js"
import * as Row from "./internal/Row.js"
import { fromSqlError, fromStatement } from "./SqlErrors.js"
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
  { id: 6, name: "error_codes", breaking: false, statements: ErrorCodes.statements },
  { id: 7, name: "end_causes", breaking: true, statements: EndCauses.statements }
]

/**
 * The id of the last migration.
 *
 * @since 0.2.0
 * @category migrations
 */
export const last: number = Math.max(...all.map(({ id }) => id))

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

/** Each statement after the lock must see what the process that had the lock before has committed. */
const ISOLATION = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"

const lock = (t: Tables): string => `SELECT pg_advisory_xact_lock(hashtextextended('perdure:${t.schema}', 0))`

/** A migration in a script: its statements, unless they were applied. */
const scriptOf = (t: Tables, migration: Migration): string =>
  `DO $perdure$
BEGIN
  IF EXISTS (SELECT FROM ${t.migrations} WHERE id = ${migration.id}) THEN
    RETURN;
  END IF;
${[...migration.statements(t), record(t, migration)].map((text) => `${text};\n`).join("")}END
$perdure$`

/** Refuses what `migrate` refuses, and creates the schema. */
const preparation = (t: Tables): string =>
  `DO $perdure$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = '${t.schema}') THEN
    CREATE SCHEMA ${t.quoted};
  END IF;
  IF EXISTS (
    SELECT FROM pg_tables WHERE schemaname = '${t.schema}' AND tablename IN (${tableList(t, nameOf(t))})
  ) AND NOT EXISTS (
    SELECT FROM information_schema.columns
    WHERE table_schema = '${t.schema}' AND table_name = '${nameOf(t)}' AND column_name = 'breaking'
  ) THEN
    RAISE EXCEPTION 'the schema ${t.schema} has tables of another application with names of Perdure''s tables'
      USING HINT = 'Use a schema of its own for Perdure.';
  END IF;
END
$perdure$`

const newerRefusal = (t: Tables): string =>
  `DO $perdure$
BEGIN
  IF EXISTS (SELECT FROM ${t.migrations} WHERE breaking AND id > ${last}) THEN
    RAISE EXCEPTION 'the schema ${t.schema} has a breaking migration that this script lacks'
      USING HINT = 'Use the script of a newer version.';
  END IF;
END
$perdure$`

/**
 * The schema as one SQL script, for users who run migrations by other means. It creates the schema or upgrades it, and
 * changes nothing if it is applied again.
 *
 * @since 0.1.0
 * @category migrations
 * @example
 * import * as Migrations from "@perdure/sql/Migrations"
 * import * as Tables from "@perdure/sql/Tables"
 * import * as Effect from "effect/Effect"
 *
 * const text = Effect.map(Tables.make("perdure"), Migrations.script)
 */
export const script = (t: Tables): string =>
  [
    `-- Perdure's journal in the schema ${t.quoted}. Generated from packages/sql/src/migrations: do not edit.
-- Creates the schema, or upgrades it. It can be applied again at any time.
BEGIN`,
    ISOLATION,
    lock(t),
    preparation(t),
    bookkeeping(t),
    newerRefusal(t),
    ...all.map((migration) => scriptOf(t, migration)),
    "COMMIT"
  ].join(";\n\n") + ";\n"

const refuse = (detail: string): JournalError =>
  new JournalError({ code: "SchemaVersion", operation: "migrate", detail, retryable: false })

const run = (sql: SqlClient.SqlClient, text: string): Effect.Effect<ReadonlyArray<Row.Fields>, SqlError> =>
  Effect.map(sql.unsafe(text).withoutTransform, (rows) => rows.map(Row.fields))

/** The name of a table without its schema and quotes. */
const unqualified = (t: Tables, table: string): string => table.slice(t.quoted.length + 2, -1)

const nameOf = (t: Tables): string => unqualified(t, t.migrations)

/** Tables of the journal, without that of the migrations. */
const tableNames = (t: Tables): ReadonlyArray<string> => {
  const { migrations: _, quoted: __, schema: ___, ...others } = t
  return Object.values(others).map((table) => unqualified(t, table))
}

const tableList = (t: Tables, ...more: ReadonlyArray<string>): string =>
  [...tableNames(t), ...more].map((name) => `'${name}'`).join(", ")

/** The name of the table of migrations. */
const USUAL_NAME = "migrations"

/** The name of the table of migrations in a schema where another application has the table `migrations`. */
const OTHER_NAME = "perdure_migrations"

/** What a schema has of Perdure. */
interface SchemaState {
  /** The tables, with the name that the table of migrations has or will have. */
  readonly tables: Tables
  readonly applied: ReadonlyArray<MigrationRow>
  /** Names of the journal's tables that the schema has. */
  readonly existing: ReadonlyArray<string>
}

const read = (sql: SqlClient.SqlClient, t: Tables): Effect.Effect<SchemaState, SqlError> =>
  Effect.gen(function*() {
    // Not to_regclass: it may read a cache of this connection that is older than the lock.
    const rows = yield* run(
      sql,
      `SELECT c.relname::text AS name, EXISTS (
          SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'breaking' AND NOT a.attisdropped
        ) AS ours
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = '${t.schema}' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND c.relname IN (${tableList(t, USUAL_NAME, OTHER_NAME)})`
    )
    const has = new Map(rows.map((row) => [Row.text(row, "name"), Row.flag(row, "ours")]))
    const isOther = has.get(OTHER_NAME) === true || has.get(USUAL_NAME) === false
    const tables = isOther ? { ...t, migrations: `${t.quoted}."${OTHER_NAME}"` } : t
    const isThere = has.get(isOther ? OTHER_NAME : USUAL_NAME) === true
    const found = isThere ? yield* run(sql, `SELECT id, name, breaking FROM ${tables.migrations} ORDER BY id`) : []
    return {
      tables,
      existing: tableNames(t).filter((name) => has.has(name)),
      applied: found.map((row) => ({
        id: Row.integer(row, "id"),
        name: Row.text(row, "name"),
        breaking: Row.flag(row, "breaking")
      }))
    }
  })

const missing = (found: ReadonlyArray<MigrationRow>, known: ReadonlyArray<Migration>): ReadonlyArray<Migration> =>
  known.filter(({ id }) => !found.some((each) => each.id === id))

const tooNew = (t: Tables, id: number, name: string): JournalError =>
  refuse(
    `the schema ${t.quoted} has migration ${id} (${name}), which this version of Perdure ` +
      `lacks and cannot work with: upgrade this process`
  )

/** Why this code must not use what was found. */
const refusal = (
  { applied, existing, tables: t }: SchemaState,
  known: ReadonlyArray<Migration>
): JournalError | null => {
  if (applied.length === 0 && existing.length > 0) {
    return refuse(
      `the schema ${t.quoted} has tables of another application with names of Perdure's tables (${
        existing.join(", ")
      }): use a schema of its own for Perdure (option schema)`
    )
  }
  const strange = applied.find(({ breaking, id }) => breaking && !known.some((each) => each.id === id))
  return strange === undefined ? null : tooNew(t, strange.id, strange.name)
}

/**
 * Checks that this code can use the schema. Fails with `SchemaVersion` if the schema lacks migrations, or has a
 * breaking migration that this code lacks, or if the schema is another application's. Returns the tables with the names
 * that they have: beside another application's table `migrations`, the journal's is `perdure_migrations`.
 *
 * @since 0.1.0
 * @category migrations
 * @example
 * import * as Migrations from "@perdure/sql/Migrations"
 * import * as Tables from "@perdure/sql/Tables"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.flatMap(Tables.make("perdure"), (tables) => Migrations.check(tables))
 */
export const check = (
  tables: Tables,
  known: ReadonlyArray<Migration> = all
): Effect.Effect<Tables, JournalError, SqlClient.SqlClient> =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const found = yield* Effect.mapError(read(sql, tables), (error) => fromSqlError("migrate", error))
    const refused = refusal(found, known)
    if (refused !== null) return yield* refused
    const [next] = missing(found.applied, known)
    if (next === undefined) return found.tables
    return yield* refuse(
      found.applied.length === 0
        ? `schema ${tables.quoted} has no tables of Perdure: run the migrations (schema.sql, or migrate: true)`
        : `the schema ${tables.quoted} lacks migration ${next.id} (${next.name}): run the migrations (schema.sql, or ` +
          `migrate: true)`
    )
  })

/**
 * The error `SchemaVersion` if the schema has a breaking migration that this code lacks, else null. `tables` are those
 * that `check` or `migrate` returned. Live workers call it, so that none continues after such a migration.
 *
 * @since 0.2.0
 * @category migrations
 */
export const newerError = (
  sql: SqlClient.SqlClient,
  tables: Tables,
  known: ReadonlyArray<Migration> = all
): Effect.Effect<JournalError | null, JournalError> =>
  Effect.map(
    Effect.mapError(
      run(
        sql,
        `SELECT id, name FROM ${tables.migrations} WHERE breaking AND id <> ALL ('{${
          known.map(({ id }) => id).join(",")
        }}') ORDER BY id LIMIT 1`
      ),
      (error) => fromStatement("migrate", error)
    ),
    ([row]) => row === undefined ? null : tooNew(tables, Row.integer(row, "id"), Row.text(row, "name"))
  )

/**
 * Brings the schema up to date in one transaction: creates it if it does not exist, and applies the migrations that it
 * lacks. Writes nothing if it lacks none. Fails and returns like `check`.
 *
 * @since 0.1.0
 * @category migrations
 * @example
 * import * as Migrations from "@perdure/sql/Migrations"
 * import * as Tables from "@perdure/sql/Tables"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.flatMap(Tables.make("perdure"), (tables) => Migrations.migrate(tables))
 */
export const migrate = (
  tables: Tables,
  known: ReadonlyArray<Migration> = all
): Effect.Effect<Tables, JournalError, SqlClient.SqlClient> =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const look = Effect.flatMap(
      Effect.mapError(read(sql, tables), (error) => fromSqlError("migrate", error)),
      (found) => refusal(found, known) ?? Effect.succeed({ ...found, todo: missing(found.applied, known) })
    )
    const before = yield* look
    if (before.todo.length === 0) return before.tables
    const execute = (text: string) => Effect.mapError(run(sql, text), (error) => fromSqlError("migrate", error))
    return yield* transactionally(
      sql,
      "migrate",
      Effect.gen(function*() {
        yield* execute(ISOLATION)
        yield* execute(lock(tables))
        const { tables: t, todo } = yield* look
        if (todo.length === 0) return t
        // Only if the schema does not exist: CREATE, even IF NOT EXISTS, needs a privilege that its owner may lack.
        const [there] = yield* execute(
          `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = '${t.schema}') AS there`
        )
        if (there?.["there"] !== true) yield* execute(`CREATE SCHEMA ${t.quoted}`)
        yield* execute(bookkeeping(t))
        for (const migration of todo) {
          for (const text of migration.statements(t)) yield* execute(text)
          yield* execute(record(t, migration))
        }
        return t
      })
    )
  })
