/**
 * One process a folder: PGlite runs a whole PostgreSQL inside the process and does not notice a second one on the same
 * files, which would destroy them. This lock does, and it survives what happens to processes:
 *
 * - killed: a lock whose process is gone is swept by the next one that comes;
 * - its process id given to another process: the lock says when its process started, too;
 * - another machine or container on a shared folder, whose processes cannot be seen from here: a lock is renewed every
 *   few seconds, and one that has not been for `patience` is swept.
 *
 * How: whoever wants the folder first writes a claim of its own (`perdure-<token>.lock`, made under another name and
 * renamed, so that nobody reads half of it), then looks at all claims, sweeps the dead ones, and withdraws its own if a
 * living one is left. Each looks after it has written, so two can never both stay. Two that come at the very same moment
 * may both withdraw.
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
    const holder = this.pid === process.pid ? `this process (${this.pid})` : `process ${this.pid} on ${this.host}`
    return `the folder ${this.folder} is in use by ${holder}, and PGlite takes one process at a time: ` +
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

/** How often a lock is renewed. */
const beat = Duration.seconds(5)

/** How long a lock of a process that cannot be seen from here holds after it was renewed last. */
const patience = Duration.seconds(30)

const Claim = Schema.parseJson(Process)

const isLock = (name: string) => name.startsWith("perdure-") && name.endsWith(".lock")

/**
 * Hold the folder (which is made if need be) until the scope closes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const acquire = (folder: string): Effect.Effect<void, FolderInUse | FolderUnusable, Scope.Scope> =>
  Effect.gen(function*() {
    const files = <A>(evaluate: () => Promise<A>) =>
      Effect.tryPromise({
        try: evaluate,
        catch: (cause) => new FolderUnusable({ folder, detail: String(cause), cause })
      })
    const token = randomUUID()
    const mine = `perdure-${token}.lock`
    const at = (name: string) => path.join(folder, name)

    const write = Effect.gen(function*() {
      const self = yield* Effect.orDie(Schema.encode(Claim)(yield* incarnation))
      yield* files(async () => {
        await fs.mkdir(folder, { recursive: true })
        await fs.writeFile(at(`${mine}.new`), `${self}\n`)
        await fs.rename(at(`${mine}.new`), at(mine))
      })
    })

    /** The process of a living claim; undefined when it is dead or has gone meanwhile. */
    const holder = (name: string, now: number) =>
      Effect.gen(function*() {
        const read = yield* Effect.either(files(async () => ({
          text: await fs.readFile(at(name), "utf8"),
          renewed: (await fs.stat(at(name))).mtimeMs
        })))
        if (Either.isLeft(read)) return undefined
        const claim = yield* Effect.option(Schema.decode(Claim)(read.right.text))
        // Nobody writes such a file; if somebody did, it is safer to believe it.
        if (claim._tag === "None") return { pid: -1, host: "?" }
        const alive = yield* isAlive(claim.value)
        if (alive === "unknown") {
          return now - read.right.renewed < Duration.toMillis(patience) ? claim.value : undefined
        }
        return alive === "alive" ? claim.value : undefined
      })

    const remove = (name: string) => Effect.ignore(files(() => fs.rm(at(name), { force: true })))

    const look = Effect.gen(function*() {
      // The file system's own time, which is not this machine's when the folder is shared.
      const now = (yield* files(() => fs.stat(at(mine)))).mtimeMs
      for (const name of (yield* files(() => fs.readdir(folder))).filter(isLock)) {
        if (name === mine) continue
        const other = yield* holder(name, now)
        if (other !== undefined) {
          return yield* new FolderInUse({ folder, pid: other.pid, host: other.host, lock: at(name) })
        }
        yield* remove(name)
      }
    })

    yield* Effect.acquireRelease(Effect.tapError(Effect.zipRight(write, look), () => remove(mine)), () => remove(mine))

    const renew = Effect.gen(function*() {
      const seconds = (yield* Clock.currentTimeMillis) / 1000
      yield* Effect.ignore(files(() => fs.utimes(at(mine), seconds, seconds)))
    })
    yield* Effect.forkScoped(Effect.withClock(Effect.repeat(renew, Schedule.spaced(beat)), Clock.make()))
  })
