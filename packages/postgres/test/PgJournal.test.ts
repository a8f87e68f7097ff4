import { assert, describe, it } from "@effect/vitest"
import { servers } from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { ConfigurationInvalid } from "perdure/Errors"
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
        maxConnections: 0,
        maxTransactions: 1.5,
        // @ts-expect-error: not a boolean
        prepare: "yes",
        connectTimeout: "0 seconds",
        statementTimeout: "30 days",
        // @ts-expect-error: not a duration
        startTimeout: "soon",
        applicationName: "",
        // @ts-expect-error: not an object
        ssl: "require",
        schema: "pg_mine",
        maxConnection: 3
      }))
      assert.deepStrictEqual(problems, [
        `"maxConnection" is not an option: did you mean "maxConnections"?`,
        `"schema" must be a string of 1 to 48 letters, digits and underscores that starts neither with a digit nor with pg_, ` +
        `got "pg_mine"`,
        `"url" must be a Redacted connection string: use Redacted.make("postgres://host/database")`,
        `"maxConnections" must be an integer from 1 to 2147483647, got 0`,
        `"maxTransactions" must be an integer from 1 to 2147483647, got 1.5`,
        `"prepare" must be true or false, got "yes"`,
        `"connectTimeout" must be a finite duration of at least 1 ms and at most 2147483647 ms, such as "1 minute", ` +
        `got "0 seconds"`,
        `"statementTimeout" must be a finite duration of at least 1 ms and at most 2147483647 ms, such as "1 minute", ` +
        `got "30 days"`,
        `"startTimeout" must be a duration, such as "1 minute", got "soon"`,
        `"applicationName" must be a string that is not empty, got ""`,
        `"ssl" must be true or false or an object of TLS options, got "require"`
      ])
    }))

  it.effect("does not show the connection string in a problem", () =>
    Effect.gen(function*() {
      const [problem = ""] = yield* problemsOf(PgJournal.layer({ url: Redacted.make("postgres://ann:secret@[::") }))
      assert.include(problem, `"url" must be a Redacted connection string`)
      assert.notInclude(problem, "secret")
    }))
})
