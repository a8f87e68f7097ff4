/** The identity of an operating-system process, beyond its id, and whether a process is alive. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { execFile } from "node:child_process"
import * as fs from "node:fs/promises"
import * as os from "node:os"

/** A process. `start` tells processes of one id apart. Ids are unique within a `space`: a boot and a namespace. */
export const Process = Schema.Struct({
  pid: Schema.Int,
  start: Schema.String,
  space: Schema.String,
  host: Schema.String
})

export type Process = typeof Process.Type

const read = (file: string) => Effect.tryPromise(() => fs.readFile(file, "utf8"))

/** When a process started: on Linux in ticks since boot (field 22 of `stat`), elsewhere from `ps`. */
const startOf = (pid: number): Effect.Effect<string, unknown> =>
  process.platform === "linux"
    // The second field is the command in parentheses, which can contain spaces and parentheses.
    ? Effect.map(read(`/proc/${pid}/stat`), (stat) => stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "")
    : Effect.tryPromise(() =>
      new Promise<string>((resolve, reject) =>
        execFile(
          "ps",
          ["-o", "lstart=", "-p", `${pid}`],
          (error, stdout) => error === null ? resolve(stdout.trim()) : reject(error)
        )
      )
    )

const space: Effect.Effect<string> = Effect.orElseSucceed(
  Effect.map(
    Effect.all([read("/proc/sys/kernel/random/boot_id"), Effect.tryPromise(() => fs.readlink("/proc/self/ns/pid"))]),
    ([boot, namespace]) => `${boot.trim()} ${namespace}`
  ),
  () => os.hostname()
)

/** This process. */
export const incarnation: Effect.Effect<Process> = Effect.gen(function*() {
  return {
    pid: process.pid,
    start: yield* Effect.orElseSucceed(startOf(process.pid), () => ""),
    space: yield* space,
    host: os.hostname()
  }
})

/** Whether a process runs on the kernel of this one, maybe in another container. */
export const isOnThisKernel = (other: Process): Effect.Effect<boolean> =>
  Effect.map(space, (own) => {
    const [boot, namespace] = own.split(" ")
    return namespace !== undefined && other.space.split(" ")[0] === boot
  })

/** Whether a process is alive. `unknown` for a process of another space. */
export const isAlive = (other: Process): Effect.Effect<"alive" | "dead" | "unknown"> =>
  Effect.gen(function*() {
    if (other.space !== (yield* space)) return "unknown"
    const exists = yield* Effect.either(Effect.try({
      try: () => process.kill(other.pid, 0),
      catch: (error) => error instanceof Error && "code" in error && error.code === "EPERM"
    }))
    // EPERM: the process exists and belongs to another user.
    if (exists._tag === "Left" && !exists.left) return "dead"
    const start = yield* Effect.orElseSucceed(startOf(other.pid), () => other.start)
    return start === other.start ? "alive" : "dead"
  })
