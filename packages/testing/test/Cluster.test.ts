import { assert, describe, it } from "@effect/vitest"
import * as Cluster from "@perdure/testing/Cluster"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { existsSync, watch } from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { query } from "../src/internal/admin.js"

const hang = (url: string, name: string) => query(url, `set application_name = '${name}'`, "select pg_sleep(600)")

/** Waits until `count` clients of this name sleep, by the statistics of the database. */
const sleeping = (url: string, name: string, count: number): Effect.Effect<void, unknown> =>
  Effect.repeat(
    query(
      url,
      `select count(*)::int as n from pg_stat_activity where application_name = '${name}' and wait_event = 'PgSleep'`
    ),
    { until: (rows) => rows[0]?.["n"] === count }
  )

/** Waits until the folder is deleted, by a watcher of the file system. */
const gone = (folder: string): Effect.Effect<void> =>
  Effect.async((resume) => {
    const watcher = watch(path.dirname(folder))
    const look = () => {
      if (existsSync(folder)) return
      watcher.close()
      resume(Effect.void)
    }
    watcher.on("change", look)
    look()
  })

describe("Cluster", () => {
  it.scoped("keeps its data after a crash and a restart", () =>
    Effect.gen(function*() {
      const cluster = yield* Cluster.start({ fsync: false })
      yield* query(cluster.url, "create table t (a int)", "insert into t values (7)")
      yield* cluster.restart("immediate")
      assert.deepStrictEqual(yield* query(cluster.url, "select a from t"), [{ a: 7 }])
      yield* cluster.stop("fast")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(query(cluster.url, "select 1"))))
      yield* cluster.start
      yield* cluster.start
      assert.deepStrictEqual(yield* query(cluster.url, "select a from t"), [{ a: 7 }])
    }))

  it.scoped("uses fsync by default and applies settings", () =>
    Effect.gen(function*() {
      const cluster = yield* Cluster.start({ settings: { max_connections: "23" } })
      assert.deepStrictEqual(
        yield* query(cluster.url, "select current_setting('fsync') as f, current_setting('max_connections') as m"),
        [{ f: "on", m: "23" }]
      )
    }))

  it.scoped("kills and stops the connections of its clients", () =>
    Effect.gen(function*() {
      const cluster = yield* Cluster.start({ fsync: false })
      const victim = yield* Effect.fork(Effect.exit(hang(cluster.url, "victim")))
      yield* sleeping(cluster.url, "victim", 1)
      assert.isAtLeast(yield* cluster.killBackends, 1)
      const exit = yield* Fiber.join(victim)
      assert.match(String(exit), /terminating connection due to administrator command/)

      const fiber = yield* Effect.fork(
        Effect.exit(query(cluster.url, "set application_name = 'ice'", "select pg_sleep(600)"))
      )
      yield* sleeping(cluster.url, "ice", 1)
      const frozen = yield* Scope.make()
      assert.isAtLeast(yield* Scope.extend(cluster.pauseBackends, frozen), 1)
      // A cancel takes effect only when the stopped process continues.
      yield* query(cluster.url, "select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'ice'")
      assert.isNull(fiber.unsafePoll())
      yield* Scope.close(frozen, Exit.void)
      assert.match(String(yield* Fiber.join(fiber)), /canceling statement/)
    }))

  it.effect("fails for a version that is not installed and lists the installed ones", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.scoped(Cluster.start({ version: 7 })))
      assert.match(String(exit), /version 7 is installed, only \[18/)
    }))

  it.effect("is deleted when its owner process is killed", () =>
    Effect.gen(function*() {
      const script = fileURLToPath(new URL("./fixtures/owner.ts", import.meta.url))
      const root = fileURLToPath(new URL("../../..", import.meta.url))
      const owner = spawn(process.execPath, ["--import", "tsx", script], {
        cwd: root,
        stdio: ["ignore", "pipe", "inherit"]
      })
      const dataDir = yield* Effect.async<string>((resume) => {
        owner.stdout.setEncoding("utf8").once("data", (text: string) => resume(Effect.succeed(text.trim())))
      })
      assert.isTrue(existsSync(`${dataDir}/postmaster.pid`))
      owner.kill("SIGKILL")
      yield* gone(path.dirname(dataDir))
    }))
})
