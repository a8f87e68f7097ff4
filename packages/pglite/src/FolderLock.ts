/**
 * A lock on a folder, for one process at a time. PGlite does not detect a second process on the same files, and two of
 * them would destroy the database. The lock handles these cases:
 *
 * - The owner was killed: the next process deletes the lock of a dead process.
 * - The process id of the owner now belongs to another process: the lock also has the start time of its owner.
 * - The owner is in another container of this machine (also an earlier life of this one), where its process cannot be
 *   inspected: a socket file beside the lock refuses connections as soon as the owner is dead.
 * - The owner is on another machine, or the folder cannot have sockets: the owner renews the lock every few seconds.
 *   The next process waits until the lock is renewed, which shows that the owner lives, or is too old, and deletes it.
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
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { incarnation, isAlive, isOnThisKernel, Process } from "./internal/process.js"
import * as Socket from "./internal/socket.js"

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
  lock: Schema.String,
  /** Whether this process itself is the owner. Process ids are not unique across containers. */
  isOwn: Schema.optionalWith(Schema.Boolean, { default: () => false })
}) {
  override get message(): string {
    const owner = this.isOwn ? `this process (${this.pid})` : `process ${this.pid} on ${this.host}`
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

/** The time between two looks at the lock of a process that cannot be inspected. */
const LOOK_MILLIS = 500

/** `socket`: the owner listens on a socket file beside the lock. Locks of 0.1.0 have none. */
const LockFile = Schema.parseJson(
  Schema.Struct({ ...Process.fields, socket: Schema.optionalWith(Schema.Boolean, { default: () => false }) })
)

type Owner = typeof LockFile.Type

const socketOf = (lock: string) => `${lock.slice(0, -".lock".length)}.sock`

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
      yield* files(() => fs.mkdir(folder, { recursive: true }))
      const socket = yield* Socket.listen(at(socketOf(own)))
      const self = yield* Effect.orDie(Schema.encode(LockFile)({ ...(yield* incarnation), socket }))
      yield* files(async () => {
        await fs.writeFile(at(`${own}.new`), `${self}\n`)
        await fs.rename(at(`${own}.new`), at(own))
      })
    })

    /** When a lock was renewed last; undefined if it was removed. */
    const renewedAt = (name: string) =>
      Effect.orElseSucceed(Effect.map(files(() => fs.stat(at(name))), ({ mtimeMs }) => mtimeMs), () => undefined)

    /** Waits until the lock of another machine is renewed or too old. `age`: since its last renewal. */
    const isRenewed = (name: string, owner: Owner, renewed: number, age: number) =>
      Effect.gen(function*() {
        let remaining = Duration.toMillis(VALIDITY) - age
        if (remaining > 0) {
          yield* Effect.logInfo(
            `the folder ${folder} has a lock of process ${owner.pid} on ${owner.host}, which cannot be inspected from ` +
              `here: waiting up to ${Math.ceil(remaining / 1000)} s to see whether that process renews it`
          )
        }
        while (remaining > 0) {
          const pause = Math.min(remaining, LOOK_MILLIS)
          yield* Effect.sleep(Duration.millis(pause))
          remaining -= pause
          const now = yield* renewedAt(name)
          if (now === undefined) return false
          if (now !== renewed) return true
        }
        return false
      }).pipe(Effect.withClock(Clock.make()))

    const isOwnerAlive = (name: string, owner: Owner, renewed: number, age: number) =>
      Effect.gen(function*() {
        const alive = yield* isAlive(owner)
        if (alive !== "unknown") return alive === "alive"
        const hasSocket = owner.socket && (yield* isOnThisKernel(owner))
        const answer = hasSocket ? yield* Socket.probe(at(socketOf(name))) : "unknown"
        return answer === "unknown" ? yield* isRenewed(name, owner, renewed, age) : answer === "alive"
      })

    /** The live owner of a lock; undefined if the owner is dead or the lock was removed. */
    const liveOwner = (name: string, now: number) =>
      Effect.gen(function*() {
        const read = yield* Effect.either(files(async () => ({
          text: await fs.readFile(at(name), "utf8"),
          renewed: (await fs.stat(at(name))).mtimeMs
        })))
        if (Either.isLeft(read)) return undefined
        const { renewed, text } = read.right
        const owner = yield* Effect.option(Schema.decode(LockFile)(text))
        // No process writes such a file. If one exists, it counts as a lock.
        if (owner._tag === "None") return { pid: -1, host: "?", isOwn: false }
        if (!(yield* isOwnerAlive(name, owner.value, renewed, now - renewed))) return undefined
        const self = yield* incarnation
        const { host, pid, space } = owner.value
        return { pid, host, isOwn: pid === self.pid && space === self.space }
      })

    const remove = (name: string) =>
      Effect.ignore(files(async () => {
        await fs.rm(at(name), { force: true })
        await fs.rm(at(socketOf(name)), { force: true })
      }))

    const checkOthers = Effect.gen(function*() {
      // The time of the file system, which differs from that of this machine if the folder is shared.
      const now = (yield* files(() => fs.stat(at(own)))).mtimeMs
      for (const name of (yield* files(() => fs.readdir(folder))).filter(isLock)) {
        if (name === own) continue
        const other = yield* liveOwner(name, now)
        if (other !== undefined) {
          return yield* new FolderInUse({ folder, ...other, lock: at(name) })
        }
        yield* remove(name)
      }
    })

    // A failure removes the lock although the scope of the caller stays open.
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    yield* Scope.addFinalizer(scope, remove(own))

    const renew = Effect.gen(function*() {
      const seconds = (yield* Clock.currentTimeMillis) / 1000
      yield* Effect.ignore(files(() => fs.utimes(at(own), seconds, seconds)))
    })
    const renewal = Effect.withClock(Effect.repeat(renew, Schedule.spaced(RENEWAL_INTERVAL)), Clock.make())
    yield* Effect.uninterruptibleMask((restore) =>
      write.pipe(
        // Also while this process waits for the end of another one: a lock that is not renewed is deleted.
        Effect.zipRight(Effect.forkScoped(restore(renewal))),
        Effect.zipRight(restore(checkOthers)),
        Scope.extend(scope),
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
    )
  })
