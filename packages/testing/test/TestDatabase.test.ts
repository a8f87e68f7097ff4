import { assert, describe, it } from "@effect/vitest"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { query } from "../src/internal/admin.js"

describe.each(TestDatabase.servers)("TestDatabase on $name", (server) => {
  it.effect("is the version in its name", () =>
    Effect.gen(function*() {
      const [row] = yield* query(server.url, "show server_version")
      assert.match(String(row?.["server_version"]), new RegExp(`^${server.version}\\.`))
    }))

  it.effect("makes an empty database for each caller and drops it", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const one = yield* Scope.extend(TestDatabase.freshOn(server), scope)
      const two = yield* Scope.extend(TestDatabase.freshOn(server), scope)
      yield* query(one.url, "create table t (a int)")
      yield* query(two.url, "create table t (a int)")
      yield* Scope.close(scope, Exit.void)
      const left = yield* query(
        server.url,
        `select datname from pg_database where datname in ('${one.name}', '${two.name}')`
      )
      assert.deepStrictEqual(left, [])
    }))

  it.scoped("copies a template that is prepared once", () =>
    Effect.gen(function*() {
      let prepared = 0
      const template: TestDatabase.Template = {
        key: "TestDatabase.test: one table",
        prepare: (url) => {
          prepared++
          return query(url, "create table kept (a int)", "insert into kept values (42)")
        }
      }
      const one = yield* TestDatabase.freshOn(server, template)
      yield* query(one.url, "delete from kept")
      const two = yield* TestDatabase.freshOn(server, template)
      assert.deepStrictEqual(yield* query(two.url, "select a from kept"), [{ a: 42 }])
      assert.strictEqual(prepared, 1)
    }))
})

it.scoped("TestDatabase.fresh makes a database on the first server", () =>
  Effect.gen(function*() {
    const database = yield* TestDatabase.fresh
    const [row] = yield* query(database.url, "select current_database() as name")
    assert.strictEqual(row?.["name"], database.name)
    assert.strictEqual(database.server, TestDatabase.servers[0])
  }))
