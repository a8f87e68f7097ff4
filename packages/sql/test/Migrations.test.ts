/** The schema: its migrations, its catalogue on each database, and which code may use it. */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as PgliteClient from "@perdure/pglite/PgliteClient"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { JournalError } from "perdure/Errors"
import * as Migrations from "../src/Migrations.js"
import * as SqlJournal from "../src/SqlJournal.js"
import * as Tables from "../src/Tables.js"
import { catalogue } from "./support/catalogue.js"
import { matchesFile } from "./support/file.js"

const tables = Tables.unsafeMake("perdure")

const describeSchema = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  Effect.map(
    sql.unsafe<{ readonly catalogue: string }>(catalogue("perdure")),
    ([row]) => row?.catalogue ?? ""
  ))

/** A client on a fresh database of each supported kind. */
const kinds: ReadonlyArray<readonly [name: string, client: Layer.Layer<SqlClient.SqlClient, unknown>]> = [
  ...TestDatabase.servers.map((server) =>
    [
      server.name,
      Layer.unwrapScoped(
        Effect.map(TestDatabase.freshOn(server), ({ url }) => PgClient.layer({ url: Redacted.make(url) }))
      )
    ] as const
  ),
  ["PGlite", PgliteClient.layer()]
]

const codeOf = <A, R>(self: Effect.Effect<A, JournalError, R>) =>
  Effect.map(Effect.flip(self), (error) => {
    assert.instanceOf(error, JournalError)
    return error.code
  })

const future = (breaking: boolean): Migrations.Migration => ({
  id: 9_000,
  name: "sharding",
  breaking,
  statements: (t) => [`CREATE TABLE ${t.quoted}.shards (id integer PRIMARY KEY)`]
})

describe("schema.sql", () => {
  it.effect("is the script of the migrations", () => matchesFile("../schema.sql", Migrations.script(tables)))
})

for (const [name, client] of kinds) {
  describe(`migrations on ${name}`, () => {
    it.scopedLive(
      "and the script create the schema of catalogue.txt",
      () =>
        Effect.gen(function*() {
          yield* Effect.provide(
            Effect.gen(function*() {
              yield* Migrations.migrate(tables)
              yield* matchesFile("./catalogue.txt", yield* describeSchema)
            }),
            Layer.fresh(client)
          )
          yield* Effect.provide(
            Effect.gen(function*() {
              const sql = yield* SqlClient.SqlClient
              yield* sql.unsafe(Migrations.script(tables))
              yield* matchesFile("./catalogue.txt", yield* describeSchema)
              yield* Migrations.check(tables)
            }),
            Layer.fresh(client)
          )
        }),
      60_000
    )

    it.scopedLive("as a script can be applied again, and upgrade an older schema", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const script = sql.unsafe(Migrations.script(tables))
        yield* Migrations.migrate(tables, Migrations.all.slice(0, 3))
        yield* sql.unsafe(
          "INSERT INTO perdure.workers (id, incarnation, lease_until) " +
            "VALUES ('kept', '1', now())"
        )
        yield* script
        yield* matchesFile("./catalogue.txt", yield* describeSchema)
        yield* script
        yield* matchesFile("./catalogue.txt", yield* describeSchema)
        yield* Migrations.check(tables)
        const applied = yield* sql.unsafe<{ readonly id: number }>("SELECT id FROM perdure.migrations ORDER BY id")
        assert.deepStrictEqual(applied.map(({ id }) => id), Migrations.all.map(({ id }) => id))
        assert.lengthOf(yield* sql.unsafe("SELECT 1 FROM perdure.workers WHERE id = 'kept'"), 1)
      }).pipe(Effect.provide(Layer.fresh(client))), 60_000)

    it.scopedLive(
      "as a script are refused by a schema with a newer breaking one, which is not changed",
      () =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          yield* Migrations.migrate(tables, [...Migrations.all.slice(0, 3), future(true)])
          const refused = yield* Effect.flip(sql.unsafe(Migrations.script(tables)))
          assert.include(String(refused.cause), "breaking migration")
          yield* Effect.ignore(sql.unsafe("ROLLBACK"))
          assert.lengthOf(yield* sql.unsafe("SELECT 1 FROM perdure.migrations"), 4)
        }).pipe(Effect.provide(Layer.fresh(client))),
      60_000
    )

    it.scopedLive("work in a schema where another application has the table migrations", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql.unsafe(
          "CREATE TABLE public.migrations (id serial PRIMARY KEY, name text NOT NULL, run_on timestamp)"
        )
        yield* sql.unsafe("INSERT INTO public.migrations (name) VALUES ('theirs')")
        const shared = yield* Tables.make("public")
        const migrated = yield* Migrations.migrate(shared)
        assert.strictEqual(migrated.migrations, "\"public\".\"perdure_migrations\"")
        assert.deepStrictEqual(yield* Migrations.migrate(shared), migrated)
        assert.deepStrictEqual(yield* Migrations.check(shared), migrated)
        const driver = yield* SqlJournal.make({ schema: "public" })
        yield* driver.heartbeat({ worker: { id: "w", incarnation: "1" }, leaseMillis: 1_000, info: null })
        const theirs = yield* sql.unsafe<{ readonly name: string }>("SELECT name FROM public.migrations")
        assert.deepStrictEqual(theirs, [{ name: "theirs" }])
      }).pipe(Effect.provide(Layer.fresh(client))), 60_000)

    it.scopedLive(
      "are refused by a schema where another application has tables of the same names",
      () =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          yield* sql.unsafe("CREATE TABLE public.workers (name text)")
          const shared = yield* Tables.make("public")
          for (const attempt of [Migrations.migrate(shared), Migrations.check(shared)]) {
            const error = yield* Effect.flip(attempt)
            assert.strictEqual(error.code, "SchemaVersion")
            assert.match(error.message, /tables of another application.*\(workers\).*a schema of its own/)
          }
          const refused = yield* Effect.flip(sql.unsafe(Migrations.script(shared)))
          assert.include(String(refused.cause), "another application")
        }).pipe(Effect.provide(Layer.fresh(client))),
      60_000
    )

    it.scopedLive(
      "that are breaking stop a live worker of older code with its next heartbeat",
      () =>
        Effect.gen(function*() {
          const worker = { id: "w", incarnation: "1" }
          const driver = yield* SqlJournal.make()
          const beat = driver.heartbeat({ worker, leaseMillis: 60_000, info: null })
          yield* beat
          yield* Migrations.migrate(tables, [...Migrations.all, future(false)])
          yield* beat
          const sql = yield* SqlClient.SqlClient
          yield* sql.unsafe("UPDATE perdure.migrations SET breaking = true WHERE id = 9000")
          assert.strictEqual((yield* Effect.flip(beat)).code, "SchemaVersion")
          const before = yield* sql.unsafe("SELECT lease_until FROM perdure.workers")
          const operations = [
            Effect.asVoid(beat),
            Effect.asVoid(driver.get(["a"])),
            Effect.asVoid(driver.pong({ worker, nonce: "n" }))
          ]
          for (const operation of operations) {
            const error = yield* Effect.flip(operation)
            assert.deepStrictEqual([error.code, error.retryable], ["SchemaVersion", false])
            assert.include(error.message, "9000 (sharding)")
          }
          assert.deepStrictEqual(yield* sql.unsafe("SELECT lease_until FROM perdure.workers"), before)
        }).pipe(Effect.provide(Layer.fresh(client))),
      60_000
    )

    it.scopedLive("run once when several processes start, and not again later", () =>
      Effect.gen(function*() {
        yield* Effect.all(Array.from({ length: 4 }, () => Migrations.migrate(tables)), { concurrency: "unbounded" })
        yield* Migrations.migrate(tables)
        const sql = yield* SqlClient.SqlClient
        const applied = yield* sql.unsafe<{ readonly id: number }>("SELECT id FROM perdure.migrations ORDER BY id")
        assert.deepStrictEqual(applied.map(({ id }) => id), Migrations.all.map(({ id }) => id))
      }).pipe(Effect.provide(Layer.fresh(client))), 60_000)

    it.scopedLive("write nothing if one of them fails", () =>
      Effect.gen(function*() {
        const broken: Migrations.Migration = {
          id: 2,
          name: "broken",
          breaking: false,
          statements: (t) => [`CREATE TABLE ${t.quoted}.half (id integer)`, "SELECT 1 / 0"]
        }
        assert.strictEqual(yield* codeOf(Migrations.migrate(tables, [...Migrations.all, broken])), "Refused")
        assert.strictEqual(yield* codeOf(Migrations.check(tables)), "SchemaVersion")
        yield* Migrations.migrate(tables)
        yield* Migrations.check(tables)
      }).pipe(Effect.provide(Layer.fresh(client))), 60_000)

    it.scopedLive(
      "of a newer version are refused by name if breaking, and accepted if not",
      () =>
        Effect.gen(function*() {
          yield* Migrations.migrate(tables, [...Migrations.all, future(false)])
          yield* Migrations.check(tables)
          yield* Migrations.migrate(tables)
          const sql = yield* SqlClient.SqlClient
          yield* sql.unsafe("UPDATE perdure.migrations SET breaking = true WHERE id = 9000")
          const refused = yield* Effect.flip(Migrations.check(tables))
          assert.strictEqual(refused.code, "SchemaVersion")
          assert.include(refused.message, "9000 (sharding)")
          assert.strictEqual(yield* codeOf(Migrations.migrate(tables)), "SchemaVersion")
        }).pipe(Effect.provide(Layer.fresh(client))),
      60_000
    )

    it.scopedLive(
      "are required by check, which fails on a missing or outdated schema and writes nothing",
      () =>
        Effect.gen(function*() {
          assert.strictEqual(yield* codeOf(Migrations.check(tables)), "SchemaVersion")
          yield* Migrations.migrate(tables)
          assert.strictEqual(
            yield* codeOf(Migrations.check(tables, [...Migrations.all, future(false)])),
            "SchemaVersion"
          )
        }).pipe(Effect.provide(Layer.fresh(client))),
      60_000
    )

    it.scopedLive(
      "rewrite unread ends of children and cancels from JSON into columns",
      () =>
        Effect.gen(function*() {
          yield* Migrations.migrate(tables, Migrations.all.slice(0, 3))
          const sql = yield* SqlClient.SqlClient
          yield* sql.unsafe(`INSERT INTO perdure.runs
            (available_at, priority, epoch, inbox_seq, unread, id, status, queue, workflow, version)
            VALUES (now(), 0, 1, 4, 3, 'r', 'suspended', 'q', 'w', '1')`)
          for (
            const [index, [kind, name, payload]] of [
              [
                "child",
                "a",
                "{\"run\":\"c\",\"status\":\"failed\",\"exit\":{\"kind\":\"failure\",\"value\":\"{\\\"n\\\":1}\"}}"
              ],
              ["child", "b", "{\"run\":\"d\",\"status\":\"terminated\",\"exit\":null}"],
              ["signal", "s", "{\"by\":7}"],
              ["cancel", "cancel", "{\"by\":\"ann\",\"reason\":null}"]
            ].entries()
          ) {
            yield* sql.unsafe(
              "INSERT INTO perdure.inbox (at, ordinal, run, id, kind, name, payload) VALUES (now(), $1, 'r', $2, $3, $4, $5)",
              [index + 1, `m-${index}`, kind, name, payload]
            )
          }
          const driver = yield* SqlJournal.make()
          const inboxes = (yield* driver.inbox([{ run: "r", after: 0 }])).value
          const head = (ordinal: number) => ({ run: "r", ordinal })
          assert.deepStrictEqual(inboxes.flatMap(({ messages }) => messages.map(({ at: _, ...rest }) => rest)), [
            {
              ...head(1),
              kind: "child",
              name: "a",
              child: "c",
              ending: { status: "failed", exit: { kind: "failure", value: "{\"n\":1}" }, endCause: null }
            },
            {
              ...head(2),
              kind: "child",
              name: "b",
              child: "d",
              ending: {
                status: "terminated",
                exit: null,
                endCause: { _tag: "Terminated", by: null, reason: null }
              }
            },
            { ...head(3), kind: "signal", name: "s", payload: "{\"by\":7}" },
            { ...head(4), kind: "cancel", name: "cancel", by: "ann", reason: null }
          ])
          const controls = (yield* driver.controls("r")).value
          assert.deepStrictEqual(controls.map(({ at: _, ...rest }) => rest), [
            { action: "cancel", by: "ann", reason: null, related: null }
          ])
        }).pipe(Effect.provide(Layer.fresh(client))),
      60_000
    )

    it.scopedLive(
      "take what ended runs from outside from their details, and from messages to parents",
      () =>
        Effect.gen(function*() {
          yield* Migrations.migrate(tables, Migrations.all.slice(0, 6))
          const sql = yield* SqlClient.SqlClient
          const runs = [
            ["parent", "suspended", 0, null],
            ["ended", "terminated", 0, "{\"by\":\"ann\",\"reason\":\"a \\\"test\\\"\"}"],
            ["poison", "exhausted", 3, "{\"crashes\" : 3, \"worker\" : \"w1\", \"at\" : 5}"],
            ["stuck", "diverged", 0, "{\"by\":\"kept\"}"]
          ] as const
          for (const [id, status, crashes, detail] of runs) {
            yield* sql.unsafe(
              `INSERT INTO perdure.runs (available_at, priority, epoch, inbox_seq, unread, id, status, queue, workflow,
              version, crashes, detail)
            VALUES (now(), 0, 1, 2, 2, $1, $2, 'q', 'w', '1', $3, $4)`,
              [id, status, crashes, detail]
            )
            yield* sql.unsafe(
              `INSERT INTO perdure.inputs (created_at, depth, run, workflow, root, payload)
            VALUES (now(), 0, $1, 'w', $1, '1')`,
              [id]
            )
            if (detail === null || status === "diverged") continue
            yield* sql.unsafe(
              `INSERT INTO perdure.inbox (at, ordinal, run, id, kind, name, child, status, detail)
            VALUES (now(), $1, 'parent', $2, 'child', 'token', $2, $3, $4)`,
              [id === "ended" ? 1 : 2, id, status, detail]
            )
          }
          const driver = yield* SqlJournal.make()
          const records = (yield* driver.get(["ended", "poison", "stuck"])).value
          const terminated = { _tag: "Terminated", by: "ann", reason: "a \"test\"" } as const
          const exhausted = { _tag: "Exhausted", crashes: 3, worker: "w1" } as const
          assert.deepStrictEqual(records.map(({ detail, endCause, id }) => [id, endCause, detail]).sort(), [
            ["ended", terminated, null],
            ["poison", exhausted, null],
            ["stuck", null, "{\"by\":\"kept\"}"]
          ])
          const [inbox] = (yield* driver.inbox([{ run: "parent", after: 0 }])).value
          assert.deepStrictEqual(
            inbox?.messages.map((message) => message.kind === "child" ? message.ending.endCause : message.kind),
            [terminated, exhausted]
          )
        }).pipe(Effect.provide(Layer.fresh(client))),
      60_000
    )

    it.scopedLive("take the error codes of failed runs from their exits", () =>
      Effect.gen(function*() {
        yield* Migrations.migrate(tables, Migrations.all.slice(0, 3))
        const sql = yield* SqlClient.SqlClient
        const exits = [
          ["tagged", "failure", "{\"_tag\":\"OutOfStock\"}"],
          ["plain", "failure", "\"OutOfStock\""],
          ["died", "defect", "{\"runtimeError\":{\"_tag\":\"TimedOut\"},\"name\":\"x\"}"],
          ["thrown", "defect", "{\"name\":\"TypeError\"}"],
          ["empty", "failure", null],
          ["fine", "success", "{\"_tag\":\"OutOfStock\"}"]
        ]
        for (const [id, kind, value] of exits) {
          yield* sql.unsafe(
            `INSERT INTO perdure.runs (available_at, finished_at, priority, epoch, inbox_seq, unread, id, status, queue,
              workflow, version, exit_kind, exit_value)
            VALUES (now(), now(), 0, 1, 0, 0, $1, 'failed', 'q', 'w', '1', $2, $3)`,
            [id, kind, value]
          )
          yield* sql.unsafe(
            `INSERT INTO perdure.inputs (created_at, depth, run, workflow, root, payload)
            VALUES (now(), 0, $1, 'w', $1, '1')`,
            [id]
          )
        }
        const driver = yield* SqlJournal.make()
        const found = (errorCode: string) =>
          Effect.map(
            driver.find({ filter: { errorCode }, after: null, limit: 10 }),
            ({ value }) => value.runs.map(({ id }) => id)
          )
        assert.deepStrictEqual(yield* Effect.all(["OutOfStock", "TimedOut", "TypeError", "x"].map(found)), [
          ["tagged"],
          ["died"],
          ["thrown"],
          []
        ])
      }).pipe(Effect.provide(Layer.fresh(client))), 60_000)

    it.scopedLive("create two schemas in one database", () =>
      Effect.gen(function*() {
        yield* Migrations.migrate(tables)
        const other = yield* Tables.make("Other_2")
        yield* Migrations.migrate(other)
        yield* Effect.all([Migrations.check(tables), Migrations.check(other)])
      }).pipe(Effect.provide(Layer.fresh(client))), 60_000)
  })
}

describe("a schema name", () => {
  it.effect("of other characters than letters, digits and underscores fails with ConfigurationInvalid", () =>
    Effect.gen(function*() {
      for (const name of ["", "1st", "a b", "a\"b", "a;b", "a.b", "pg_mine", "PG_mine", "x".repeat(49), "naïve"]) {
        const error = yield* Effect.flip(Tables.make(name))
        assert.strictEqual(error._tag, "ConfigurationInvalid", name)
        assert.match(error.message, /"schema" must be a string of 1 to 48 letters, digits and underscores/)
      }
      for (const name of ["perdure", "_x", "A1", "x".repeat(48)]) {
        assert.strictEqual((yield* Tables.make(name)).quoted, `"${name}"`)
      }
    }))
})
