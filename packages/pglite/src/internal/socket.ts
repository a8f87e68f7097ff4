/**
 * A socket file that tells whether its owner lives. The kernel refuses connections as soon as the owner is dead,
 * however it died, also to processes of other containers that share the folder. It says nothing across machines.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as net from "node:net"

/** Longer paths do not fit into the address of a socket on every system. */
const MAX_PATH_BYTES = 100

/** Listens on a socket file until the scope closes. False if the folder or the system cannot have one. */
export const listen = (file: string): Effect.Effect<boolean, never, Scope.Scope> =>
  Buffer.byteLength(file) > MAX_PATH_BYTES
    ? Effect.succeed(false)
    : Effect.map(
      Effect.acquireRelease(
        Effect.async<net.Server | undefined>((resume) => {
          const server = net.createServer((socket) => socket.destroy())
          server.once("error", () => resume(Effect.succeed(undefined)))
          server.listen(file, () => resume(Effect.succeed(server)))
          // An open lock does not keep the process alive.
          server.unref()
        }),
        (server) =>
          server === undefined ? Effect.void : Effect.async<void>((resume) => {
            server.close(() => resume(Effect.void))
          })
      ),
      (server) => server !== undefined
    )

/** Whether a process listens on the socket file. `unknown` if the file is missing or cannot be used. */
export const probe = (file: string): Effect.Effect<"alive" | "dead" | "unknown"> =>
  Effect.async((resume) => {
    const socket = net.connect(file)
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed("alive"))
    })
    socket.once("error", (error) => {
      resume(Effect.succeed("code" in error && error.code === "ECONNREFUSED" ? "dead" : "unknown"))
    })
    return Effect.sync(() => socket.destroy())
  })
