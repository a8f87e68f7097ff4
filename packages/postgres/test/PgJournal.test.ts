import { assert, describe, it } from "@effect/vitest"
import { servers } from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import { ConfigurationInvalid } from "perdure/Errors"
import * as Pg from "pg"
import * as PgJournal from "../src/PgJournal.js"
import { suite } from "./support/contract.js"

suite(servers[0])

describe("PgJournal", () => {
  const problemsOf = <A>(layer: Layer.Layer<A, unknown>) =>
    Effect.map(Effect.flip(Effect.scoped(Layer.build(layer))), (error) => {
      assert.instanceOf(error, ConfigurationInvalid)
      return error.problems
    })

  it.effect("fails with ConfigurationInvalid, which lists all problems of the options", () =>
    Effect.gen(function*() {
      const problems = yield* problemsOf(PgJournal.layer({
        // @ts-expect-error: the URL must be redacted
        url: "postgres://localhost/app",
        host: "one,two",
        port: 99_999,
        // @ts-expect-error: the password must be redacted
        password: "secret",
        // @ts-expect-error: not an object
        ssl: "require",
        applicationName: "",
        maxConnections: 3,
        applicationConnections: 0,
        maxTransactions: 1.5,
        maxConnectionLifetime: "10 millis",
        // @ts-expect-error: not a boolean
        prepare: "yes",
        connectTimeout: "0 seconds",
        statementTimeout: "30 days",
        // @ts-expect-error: not a duration
        startTimeout: "soon",
        schema: "pg_mine",
        maxConnection: 3
      }))
      const timer = "must be a finite duration of at least 1 ms and at most 2147483647 ms, such as \"1 minute\""
      assert.deepStrictEqual(problems, [
        `"maxConnection" is not an option: did you mean "maxConnections"?`,
        `"schema" must be a string of 1 to 48 letters, digits and underscores that starts neither with a digit nor with pg_, ` +
        `got "pg_mine"`,
        `"url" must be a Redacted connection string: use Redacted.make("postgres://host/database")`,
        `"host" must be the name of one host, or the folder of a socket, got "one,two"`,
        `"port" must be an integer from 1 to 65535, got 99999`,
        `"password" must be a Redacted string: use Redacted.make`,
        `"ssl" must be true or false or an object of TLS options, got "require"`,
        `"applicationName" must be a string that is not empty, got ""`,
        `"maxConnections" must be an integer from 4 to 2147483647, got 3`,
        `"applicationConnections" must be an integer from 1 to 2147483647, got 0`,
        `"maxTransactions" must be an integer from 1 to 2147483647, got 1.5`,
        `"maxConnectionLifetime" must be a finite duration of at least 1000 ms and at most 2147483647 ms, ` +
        `such as "1 minute", got "10 millis"`,
        `"prepare" must be true or false, got "yes"`,
        `"connectTimeout" ${timer}, got "0 seconds"`,
        `"statementTimeout" ${timer}, got "30 days"`,
        `"startTimeout" must be a duration, such as "1 minute", got "soon"`
      ])
    }))

  it.effect("fails with ConfigurationInvalid if options contradict each other", () =>
    Effect.gen(function*() {
      const url = Redacted.make("postgres://localhost/app")
      const pool = new Pg.Pool({ max: 1 })
      const problemOf = (options: PgJournal.PgJournalOptions) =>
        Effect.map(problemsOf(PgJournal.layer(options)), (problems) => problems.join("; "))
      assert.include(yield* problemOf({}), `"url" is missing`)
      assert.include(yield* problemOf({ url, pool }), `"url" and "pool" exclude each other`)
      assert.include(
        yield* problemOf({ url, maxConnections: 10, applicationConnections: 8 }),
        `"applicationConnections" must be at most 7, which is three less than "maxConnections", got 8`
      )
      assert.include(
        yield* problemOf({ url, maxTransactions: 7 }),
        `"maxTransactions" must be at most "applicationConnections" (6), got 7`
      )
      assert.include(yield* problemOf({ pool, applicationConnections: 2 }), `"applicationConnections" must be left out`)
    }))

  const badUrls: ReadonlyArray<readonly [url: string, problem: RegExp]> = [
    ["", /It is empty: set the environment variable/],
    ["  ", /It is empty/],
    ["localhost/app", /must start with "postgres:\/\/"/],
    ["mysql://localhost/app", /must start with "postgres:\/\/"/],
    ["postgres://one:5432,two:5432/app", /names several hosts/],
    ["postgres://one,two/app", /names several hosts/],
    ["postgres://localhost:99999/app", /has the port 99999/],
    ["postgres://localhost:0/app", /has the port 0/],
    ["postgres://localhost/app?port=99999", /has the port 99999/],
    ["postgres:///app", /names no host/],
    ["postgres://localhost/app?sslmode=required", /has an unknown sslmode/],
    [
      "postgres://localhost/app?sslmode=verify-full&sslrootcert=/no/such.pem",
      /\/no\/such.pem.*cannot be read \(ENOENT\)/
    ],
    ["postgres://ann:secret@[::", /cannot be parsed/]
  ]
  for (const [text, problem] of badUrls) {
    it.effect(`names the problem of the connection string "${text.replace("secret", "…")}" immediately`, () =>
      Effect.gen(function*() {
        const problems = yield* problemsOf(PgJournal.layer({ url: Redacted.make(text) }))
        assert.lengthOf(problems, 1)
        assert.match(problems[0] ?? "", problem)
        assert.notInclude(problems[0] ?? "", "secret")
      }))
  }

  it.effect("reads the connection string of a configuration, which must not be empty", () =>
    Effect.gen(function*() {
      const config = ConfigProvider.fromMap(new Map([["DATABASE_URL", ""]]))
      const layer = PgJournal.layerConfig({ url: Config.redacted("DATABASE_URL") })
      const [problem = ""] = yield* Effect.withConfigProvider(problemsOf(layer), config)
      assert.match(problem, /It is empty/)
    }))

  it.effect("does not show the connection string in a problem", () =>
    Effect.gen(function*() {
      const [problem = ""] = yield* problemsOf(PgJournal.layer({ url: Redacted.make("postgres://ann:secret@[::") }))
      assert.include(problem, `"url" must be a Redacted connection string`)
      assert.notInclude(problem, "secret")
    }))
})
