/** A server of PostgreSQL's protocol whose TLS certificate no authority has signed. */
import * as Effect from "effect/Effect"
import { createServer, type Server } from "node:net"
import { TLSSocket } from "node:tls"

/** Made for this test only. It protects nothing. */
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgGNelF9EwLumm+GJM
M44hzXQovv3pNzwbRUM2VB2woWmhRANCAATv8qHApliO2d3R0tZw47rjZ0+qb8qk
VBWjxFlER83ekc6gsmH8FgmZ7v8TYlz3gXJU1sbb1pHVtRu4IFgvdL12
-----END PRIVATE KEY-----`

const cert = `-----BEGIN CERTIFICATE-----
MIIBEjCBuAIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwIBcN
MjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMMCTEyNy4w
LjAuMTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABO/yocCmWI7Z3dHS1nDjuuNn
T6pvyqRUFaPEWURHzd6RzqCyYfwWCZnu/xNiXPeBclTWxtvWkdW1G7ggWC90vXYw
CgYIKoZIzj0EAwIDSQAwRgIhAM9K9hmnmbeCNhl6hFGpn6WaUUU8moCjMs8FWhQS
GycGAiEAzzIPmIR35KNI7EZDIp5lo4bsd25SJtFuiEDbcriV+fk=
-----END CERTIFICATE-----`

/** The port of the server. It is closed with the scope. */
export const tlsServer = Effect.map(
  Effect.acquireRelease(
    Effect.async<Server>((resume) => {
      const server = createServer((socket) => {
        socket.on("error", () => {})
        socket.once("data", () => {
          socket.write("S")
          new TLSSocket(socket, { isServer: true, key, cert }).on("error", () => {})
        })
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  ),
  (server) => {
    const address = server.address()
    return address !== null && typeof address === "object" ? address.port : 0
  }
)
