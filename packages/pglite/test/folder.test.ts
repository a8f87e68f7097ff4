import * as Reactivity from "@effect/experimental/Reactivity"
import { assert, describe, it } from "@effect/vitest"
import * as FolderLock from "@perdure/pglite/FolderLock"
import * as PgliteClient from "@perdure/pglite/PgliteClient"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs/promises"
import { createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { incarnation } from "../src/internal/process.js"

const temporary = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "perdure-pglite-"))),
  (folder) => Effect.promise(() => fs.rm(folder, { recursive: true }))
)

const open = (dataDir: string) => PgliteClient.make({ dataDir }).pipe(Effect.provide(Reactivity.layer))

const writer = (folder: string) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [
        "--import",
        "tsx",
        fileURLToPath(new URL("./fixtures/writer.ts", import.meta.url)),
        folder
      ], { cwd: fileURLToPath(new URL("../../..", import.meta.url)), stdio: ["ignore", "pipe", "inherit"] })
    ),
    kill
  )

const kill = (child: ChildProcess) =>
  Effect.async<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("close", () => resume(Effect.void))
    child.kill("SIGKILL")
  })

const lines = (child: ChildProcess) =>
  child.stdout === null
    ? Stream.empty
    : Stream.fromAsyncIterable(createInterface({ input: child.stdout }), (cause) => new Error(String(cause)))

const locks = (folder: string) =>
  Effect.promise(async () => (await fs.readdir(folder)).filter((name) => name.endsWith(".lock")))

const plant = (folder: string, name: string, claim: unknown) =>
  Effect.promise(async () => {
    const file = path.join(folder, `perdure-${name}.lock`)
    await fs.writeFile(file, JSON.stringify(claim))
    return file
  })

describe("a folder", () => {
  it.scoped("keeps its data when it is closed and opened", () =>
    Effect.gen(function*() {
      const folder = yield* temporary
      const inner = path.join(folder, "missing", "folders")
      yield* Effect.promise(() => fs.mkdir(path.join(inner, "unfinished-of-a-killed-process"), { recursive: true }))
      yield* Effect.scoped(Effect.flatMap(open(inner), (sql) => sql.unsafe("create table t as select 7 as a")))
      assert.deepStrictEqual(yield* Effect.promise(() => fs.readdir(inner)), ["postgres"])
      const rows = yield* Effect.scoped(Effect.flatMap(open(inner), (sql) => sql`select a from t`))
      assert.deepStrictEqual(rows, [{ a: 7 }])
    }), 180_000)

  it.scoped(
    "keeps acknowledged rows when its process is killed repeatedly",
    () =>
      Effect.gen(function*() {
        const folder = yield* temporary
        let acknowledged = 0
        for (const kills of [1, 40, 7, 150]) {
          yield* Effect.scoped(Effect.gen(function*() {
            const child = yield* writer(folder)
            const last = yield* lines(child).pipe(
              Stream.mapAccum(0, (written, line) => {
                const [word, found] = line.split(" ")
                if (word === "open") assert.isAtLeast(Number(found), acknowledged)
                return [written + 1, { written, line }]
              }),
              Stream.takeUntil(({ written }) => written === kills),
              Stream.runLast
            )
            yield* kill(child)
            acknowledged = last._tag === "Some" ? Number(last.value.line) : Number.NaN
          }))
        }
        const sql = yield* open(folder)
        const [row] = yield* sql<{ n: number; max: number }>`select count(*)::int as n, max(n) as max from numbers`
        assert.isAtLeast(row?.max ?? 0, acknowledged)
        assert.isAtLeast(acknowledged, 198)
        // Rows were written in order, so none is missing.
        assert.strictEqual(row?.n, row?.max)
        yield* sql`select n, length(filler) from numbers`
      }),
    180_000
  )

  it.scoped(
    "cannot be opened by a second process until the first one is killed",
    () =>
      Effect.gen(function*() {
        const folder = yield* temporary
        const child = yield* writer(folder)
        yield* Stream.runHead(lines(child))
        const error = yield* Effect.flip(Effect.scoped(open(folder)))
        assert.instanceOf(error, FolderLock.FolderInUse)
        assert.strictEqual(error._tag === "FolderInUse" ? error.pid : 0, child.pid)
        assert.include(error.message, `the folder ${folder} is in use by process ${child.pid} on `)
        assert.include(error.message, "or use another folder")
        yield* kill(child)
        const sql = yield* open(folder)
        assert.lengthOf(yield* sql`select 1`, 1)
      }),
    180_000
  )
})

describe("FolderLock", () => {
  const refused = (folder: string) => Effect.flip(Effect.scoped(FolderLock.acquire(folder)))

  it.scoped("is refused to the process that owns it, and free once its scope closes", () =>
    Effect.gen(function*() {
      const folder = yield* temporary
      yield* Effect.scoped(Effect.gen(function*() {
        yield* FolderLock.acquire(folder)
        const error = yield* refused(folder)
        assert.include(error.message, `this process (${process.pid})`)
        assert.lengthOf(yield* locks(folder), 1)
      }))
      assert.lengthOf(yield* locks(folder), 0)
      yield* FolderLock.acquire(folder)
    }))

  it.scoped("deletes the lock of a dead process, also if another process has its id", () =>
    Effect.gen(function*() {
      const folder = yield* temporary
      const self = yield* incarnation
      yield* plant(folder, "gone", { ...self, pid: 2 ** 22 + 1 })
      yield* plant(folder, "reused", { ...self, start: "another start" })
      yield* FolderLock.acquire(folder)
      assert.lengthOf(yield* locks(folder), 1)
    }))

  /** Sets when a lock was renewed last, in milliseconds before it was planted. */
  const age = (file: string, millis: number) =>
    Effect.promise(async () => {
      const { mtimeMs } = await fs.stat(file)
      await fs.utimes(file, (mtimeMs - millis) / 1000, (mtimeMs - millis) / 1000)
    })

  const elsewhere = (folder: string) =>
    Effect.flatMap(
      incarnation,
      (self) => plant(folder, "elsewhere", { ...self, space: "another machine", host: "far", pid: 7 })
    )

  it.scoped("respects the lock of another machine that is renewed while it waits", () =>
    Effect.gen(function*() {
      const folder = yield* temporary
      const file = yield* elsewhere(folder)
      const waiting = yield* Effect.fork(refused(folder))
      // The waiting process has read the lock when its own lock exists beside it, and looks again until it ends.
      const renewal = Effect.zipRight(Effect.yieldNow(), age(file, -1_000))
      yield* Effect.raceFirst(Fiber.await(waiting), Effect.forever(renewal))
      assert.include((yield* Fiber.join(waiting)).message, "process 7 on far")
    }), 60_000)

  it.scoped("waits for the lock of a dead process of another machine to get too old", () =>
    Effect.gen(function*() {
      const folder = yield* temporary
      const file = yield* elsewhere(folder)
      yield* age(file, 29_000)
      yield* FolderLock.acquire(folder)
      assert.lengthOf(yield* locks(folder), 1)
    }), 60_000)

  /** The lock of a process with this process's id in another container on this machine. */
  const contained = (folder: string) =>
    Effect.gen(function*() {
      const self = yield* incarnation
      const [boot] = self.space.split(" ")
      yield* plant(folder, "contained", { ...self, space: `${boot} pid:[1]`, socket: true })
      yield* Effect.acquireRelease(
        Effect.async<Server>((resume) => {
          const listening = createServer()
          listening.listen(path.join(folder, "perdure-contained.sock"), () => resume(Effect.succeed(listening)))
        }),
        (listening) => Effect.async<void>((resume) => void listening.close(() => resume(Effect.void)))
      )
    })

  it.scoped("is free as soon as its owner in another container is dead, although its id is that of this process", () =>
    Effect.gen(function*() {
      const folder = yield* temporary
      yield* Effect.scoped(Effect.gen(function*() {
        yield* contained(folder)
        const error = yield* refused(folder)
        assert.include(error.message, `process ${process.pid} on `)
        assert.notInclude(error.message, "this process")
        // What a killed process leaves: a socket file on which no process listens.
        yield* Effect.promise(() =>
          fs.rename(path.join(folder, "perdure-contained.sock"), path.join(folder, "kept.sock"))
        )
      }))
      yield* Effect.promise(() =>
        fs.rename(path.join(folder, "kept.sock"), path.join(folder, "perdure-contained.sock"))
      )
      assert.lengthOf(yield* locks(folder), 1)
      yield* FolderLock.acquire(folder)
      const names = yield* Effect.promise(() => fs.readdir(folder))
      assert.deepStrictEqual(names.filter((name) => name.includes("contained")), [])
    }))

  it.scoped("leaves no file when it is refused or released", () =>
    Effect.gen(function*() {
      const folder = yield* temporary
      yield* Effect.scoped(Effect.gen(function*() {
        yield* FolderLock.acquire(folder)
        const before = yield* Effect.promise(() => fs.readdir(folder))
        yield* refused(folder)
        assert.deepStrictEqual(yield* Effect.promise(() => fs.readdir(folder)), before)
      }))
      assert.deepStrictEqual(yield* Effect.promise(() => fs.readdir(folder)), [])
    }))

  it.scoped("respects a lock file that it cannot read", () =>
    Effect.gen(function*() {
      const folder = yield* temporary
      const file = yield* plant(folder, "odd", "?")
      const error = yield* refused(folder)
      assert.include(error.message, `delete ${file}`)
    }))

  it.scoped("never has two owners when several start at once", () =>
    Effect.gen(function*() {
      const folder = yield* temporary
      for (let round = 0; round < 20; round++) {
        let holders = 0
        yield* Effect.scoped(Effect.gen(function*() {
          const attempts = yield* Effect.forEach([1, 2, 3], () => Effect.either(FolderLock.acquire(folder)), {
            concurrency: "unbounded"
          })
          holders = attempts.filter((attempt) => attempt._tag === "Right").length
        }))
        assert.isAtMost(holders, 1)
      }
      yield* FolderLock.acquire(folder)
    }))

  it.effect("fails with FolderUnusable if the folder cannot be created", () =>
    Effect.gen(function*() {
      const error = yield* refused("/dev/null/folder")
      assert.instanceOf(error, FolderLock.FolderUnusable)
      assert.include(error.message, "/dev/null/folder")
    }))
})
