/** Finds a port for a server of a test. */
import * as Effect from "effect/Effect"
import { createServer } from "node:net"
import { ClusterError } from "../ClusterError.js"

/** A TCP port of 127.0.0.1 that nothing uses now. */
export const freePort: Effect.Effect<number, ClusterError> = Effect.async((resume) => {
  const server = createServer()
  server.once(
    "error",
    (cause) => resume(new ClusterError({ operation: "find a free port", detail: cause.message, cause }))
  )
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() =>
      resume(
        address !== null && typeof address === "object"
          ? Effect.succeed(address.port)
          : new ClusterError({ operation: "find a free port", detail: "no address" })
      )
    )
  })
})
