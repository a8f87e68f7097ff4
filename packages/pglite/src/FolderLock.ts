/**
 * A lock on a folder, for one process at a time. PGlite does not detect a second process on the same files, and two of
 * them would destroy the database. The lock handles these cases:
 *
 * - The owner was killed: the next process deletes the lock of a dead process.
 * - The process id of the owner now belongs to another process: the lock also has the start time of its owner.
 * - The owner is on another machine or in another container, where its process cannot be inspected: the owner renews
 *   the lock every few seconds, and a lock that is too old is deleted.
 *
 * A process writes its own lock file (`perdure-<token>.lock`, under another name and then renamed, so that no process
 * reads a partial file). Then it reads all lock files, deletes those of dead processes, and removes its own if another
 * live one remains. Every process reads after it has written, so two can never both succeed. Two that start at the same
 * moment can both fail.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { incarnation, isAlive, Process } from "./internal/process.js"

/**
 * Another process has the folder open, or this process has it open already. `pid` and `host` say which.
 *
 * @since 0.1.0
 * @category errors
 */
export class FolderInUse extends Schema.TaggedError<FolderInUse>("@perdure/pglite/FolderInUse")("FolderInUse", {
  folder: Schema.String,
  pid: Schema.Number,
  host: Schema.String,
  lock: Schema.String
}) {
  override get message(): string {
    const owner = this.pid === process.pid ? `this process (${this.pid})` : `process ${this.pid} on ${this.host}`
    return `the folder ${this.folder} is in use by ${owner}, and PGlite takes one process at a time: ` +
      `stop that process, or use another folder, or use PostgreSQL to share a database ` +
      `(if the process is gone for certain, delete ${this.lock})`
  }
}

/**
 * The folder cannot be read or written. `cause` is the file system's error.
 *
 * @since 0.1.0
 * @category errors
 */
export class FolderUnusable extends Schema.TaggedError<FolderUnusable>("@perdure/pglite/FolderUnusable")(
  "FolderUnusable",
  { folder: Schema.String, detail: Schema.String, cause: Schema.optional(Schema.Defect) }
) {
  override get message(): string {
    return `the folder ${this.folder} cannot be used: ${this.detail}`
  }
}

/** The time between two renewals of a lock. */
const RENEWAL_INTERVAL = Duration.seconds(5)

/** How long the lock of a process that cannot be inspected is valid after its last renewal. */
const VALIDITY = Duration.seconds(30)

const LockFile = Schema.parseJson(Process)

const isLock = (name: string) => name.startsWith("perdure-") && name.endsWith(".lock")

/**
 * Locks the folder, which is created if it does not exist, until the scope closes.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * import * as FolderLock from "@perdure/pglite/FolderLock"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.scoped(Effect.zipRight(FolderLock.acquire("data"), Effect.log("this process has the folder")))
 */
export const acquire = (folder: string): Effect.Effect<void, FolderInUse | FolderUnusable, Scope.Scope> =>
  Effect.gen(function*() {
    const files = <A>(evaluate: () => Promise<A>) =>
      Effect.tryPromise({
        try: evaluate,
        catch: (cause) => new FolderUnusable({ folder, detail: String(cause), cause })
      })
    const token = randomUUID()
    const own = `perdure-${token}.lock`
    const at = (name: string) => path.join(folder, name)

    const write = Effect.gen(function*() {
      const self = yield* Effect.orDie(Schema.encode(LockFile)(yield* incarnation))
      yield* files(async () => {
        await fs.mkdir(folder, { recursive: true })
        await fs.writeFile(at(`${own}.new`), `${self}\n`)
        await fs.rename(at(`${own}.new`), at(own))
      })
    })

    /** The live owner of a lock; undefined if the owner is dead or the lock was removed. */
    const liveOwner = (name: string, now: number) =>
      Effect.gen(function*() {
        const read = yield* Effect.either(files(async () => ({
          text: await fs.readFile(at(name), "utf8"),
          renewed: (await fs.stat(at(name))).mtimeMs
        })))
        if (Either.isLeft(read)) return undefined
        const owner = yield* Effect.option(Schema.decode(LockFile)(read.right.text))
        // No process writes such a file. If one exists, it counts as a lock.
        if (owner._tag === "None") return { pid: -1, host: "?" }
        const alive = yield* isAlive(owner.value)
        if (alive === "unknown") {
          return now - read.right.renewed < Duration.toMillis(VALIDITY) ? owner.value : undefined
        }
        return alive === "alive" ? owner.value : undefined
      })

    const remove = (name: string) => Effect.ignore(files(() => fs.rm(at(name), { force: true })))

    const checkOthers = Effect.gen(function*() {
      // The time of the file system, which differs from that of this machine if the folder is shared.
      const now = (yield* files(() => fs.stat(at(own)))).mtimeMs
      for (const name of (yield* files(() => fs.readdir(folder))).filter(isLock)) {
        if (name === own) continue
        const other = yield* liveOwner(name, now)
        if (other !== undefined) {
          return yield* new FolderInUse({ folder, pid: other.pid, host: other.host, lock: at(name) })
        }
        yield* remove(name)
      }
    })

    yield* Effect.acquireRelease(
      Effect.tapError(Effect.zipRight(write, checkOthers), () => remove(own)),
      () => remove(own)
    )

    const renew = Effect.gen(function*() {
      const seconds = (yield* Clock.currentTimeMillis) / 1000
      yield* Effect.ignore(files(() => fs.utimes(at(own), seconds, seconds)))
    })
    yield* Effect.forkScoped(Effect.withClock(Effect.repeat(renew, Schedule.spaced(RENEWAL_INTERVAL)), Clock.make()))
  })
