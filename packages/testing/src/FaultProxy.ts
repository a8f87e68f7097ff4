/**
 * A TCP proxy to a database that fails on demand: it cuts connections, refuses new ones, holds bytes back, delays them,
 * or cuts a connection at a chosen statement. Each fault takes effect immediately, so no test depends on timing.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { connect, createServer, type Socket } from "node:net"
import { ClusterError } from "./ClusterError.js"

/**
 * Where a connection is cut, once the client sends bytes that contain the armed text:
 *
 * - `before`: the server does not receive the bytes.
 * - `after`: the server executes the statement, and the client does not receive the answer.
 * - `hang`: the server does not receive the bytes, and the client gets no error: it waits.
 *
 * @since 0.1.0
 * @category models
 */
export type Point = "before" | "after" | "hang"

/**
 * A running proxy.
 *
 * @since 0.1.0
 * @category models
 */
export interface FaultProxy {
  /** The URL of the database through the proxy. */
  readonly url: string
  /** The number of open connections. */
  readonly connections: Effect.Effect<number>
  /** Cuts all open connections, with a TCP reset. Returns their number. */
  readonly cut: Effect.Effect<number>
  /** Cuts all connections and refuses new ones until the scope closes. */
  readonly away: Effect.Effect<void, never, Scope.Scope>
  /** Keeps the bytes of all connections, also of new ones, until the scope closes. */
  readonly stalled: Effect.Effect<void, never, Scope.Scope>
  /** Delays all bytes by this real time, in each direction, until the scope closes. */
  readonly delayed: (by: Duration.DurationInput) => Effect.Effect<void, never, Scope.Scope>
  /** Sends new connections to the server of this URL. Open ones stay where they are. */
  readonly redirect: (url: string) => Effect.Effect<void>
  /** Arms a cut of the next request that contains `text`. The inner effect ends when the connection is cut. */
  readonly arm: (text: string, point: Point) => Effect.Effect<Effect.Effect<void>>
}

interface Trap {
  readonly text: string
  readonly point: Point
  readonly sprung: Deferred.Deferred<void>
}

interface Link {
  readonly client: Socket
  readonly server: Socket
  /** Set while a trap with the point `after` waits for the answer of the server. */
  trap: Trap | undefined
  /** Set once a trap with the point `hang` has closed the connection to the server. */
  dead: boolean
}

const reset = (link: Link) => {
  link.client.resetAndDestroy()
  link.server.destroy()
}

/**
 * Starts a proxy to the server of a database URL. It is closed with the scope.
 *
 * @example
 * ```ts
 * import * as FaultProxy from "@perdure/testing/FaultProxy"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const proxy = yield* FaultProxy.make("postgres://postgres@127.0.0.1:5432/postgres")
 *   const sprung = yield* proxy.arm("COMMIT", "after")
 *   // ... commit something through `proxy.url` ...
 *   yield* sprung
 * }))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (url: string): Effect.Effect<FaultProxy, ClusterError, Scope.Scope> =>
  Effect.gen(function*() {
    let target = new URL(url)
    const links = new Set<Link>()
    const traps: Array<Trap> = []
    let refusing = 0
    let delay = Duration.zero
    let gate: Deferred.Deferred<void> | undefined
    const fork = yield* forkIn

    /** Bytes go through a queue, so that a delay keeps their order. */
    const pump = (link: Link, from: Socket, to: Socket, look: (chunk: Buffer) => boolean) => {
      const chunks = Effect.runSync(Queue.unbounded<Buffer | null>())
      from.on("data", (chunk) => Queue.unsafeOffer(chunks, chunk))
      from.on("end", () => Queue.unsafeOffer(chunks, null))
      const step = Effect.gen(function*() {
        const chunk = yield* Queue.take(chunks)
        if (Duration.greaterThan(delay, Duration.zero)) yield* Effect.sleep(delay)
        while (gate !== undefined) yield* Deferred.await(gate)
        if (chunk === null) to.end()
        else if (!link.dead && look(chunk)) to.write(chunk)
        return chunk !== null
      })
      return fork(Effect.repeat(step, { while: (more) => more }))
    }

    const spring = (link: Link, trap: Trap) => {
      reset(link)
      Deferred.unsafeDone(trap.sprung, Effect.void)
    }

    const fromClient = (link: Link) => (chunk: Buffer) => {
      const index = traps.findIndex((trap) => chunk.includes(trap.text))
      const [trap] = index === -1 ? [] : traps.splice(index, 1)
      if (trap === undefined) return true
      if (trap.point === "after") {
        link.trap = trap
        return true
      }
      if (trap.point === "hang") {
        link.dead = true
        Deferred.unsafeDone(trap.sprung, Effect.void)
        return false
      }
      spring(link, trap)
      return false
    }

    const fromServer = (link: Link) => () => {
      if (link.trap === undefined) return true
      spring(link, link.trap)
      return false
    }

    const accept = (client: Socket) => {
      if (refusing > 0) {
        client.resetAndDestroy()
        return
      }
      const server = connect({ host: target.hostname, port: Number(target.port === "" ? 5432 : target.port) })
      const link: Link = { client, server, trap: undefined, dead: false }
      links.add(link)
      const pumps = [pump(link, client, server, fromClient(link)), pump(link, server, client, fromServer(link))]
      const close = () => {
        client.destroy()
        server.destroy()
        if (!links.delete(link)) return
        for (const fiber of pumps) fiber.unsafeInterruptAsFork(fiber.id())
      }
      for (const socket of [client, server]) {
        socket.setNoDelay(true)
        socket.on("error", () => {})
        socket.on("close", close)
      }
    }

    const listener = yield* Effect.acquireRelease(
      Effect.async<ReturnType<typeof createServer>, ClusterError>((resume) => {
        const made = createServer(accept)
        made.once("error", (cause) => resume(new ClusterError({ operation: "listen", detail: cause.message, cause })))
        made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
      }),
      (made) =>
        Effect.async<void>((resume) => {
          made.close(() => resume(Effect.void))
          for (const link of links) reset(link)
        })
    )
    const address = listener.address()
    if (address === null || typeof address === "string") {
      return yield* new ClusterError({ operation: "listen", detail: "the proxy has no address" })
    }
    const through = new URL(url)
    through.hostname = "127.0.0.1"
    through.port = `${address.port}`

    const cut = Effect.sync(() => {
      const count = links.size
      for (const link of links) reset(link)
      return count
    })

    return {
      url: through.href,
      connections: Effect.sync(() => links.size),
      cut,
      away: Effect.acquireRelease(
        Effect.zipRight(
          Effect.sync(() => {
            refusing++
          }),
          cut
        ),
        () =>
          Effect.sync(() => {
            refusing--
          })
      ),
      stalled: Effect.acquireRelease(
        Effect.map(Deferred.make<void>(), (closed) => {
          gate = closed
          return closed
        }),
        (closed) =>
          Effect.suspend(() => {
            if (gate === closed) gate = undefined
            return Deferred.succeed(closed, undefined)
          })
      ),
      delayed: (by) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            const before = delay
            delay = Duration.decode(by)
            return before
          }),
          (before) =>
            Effect.sync(() => {
              delay = before
            })
        ),
      redirect: (to) =>
        Effect.sync(() => {
          target = new URL(to)
        }),
      arm: (text, point) =>
        Effect.map(Deferred.make<void>(), (sprung) => {
          traps.push({ text, point, sprung })
          return Deferred.await(sprung)
        })
    }
  })

/** Forks fibers from socket callbacks, on the real clock: a `TestClock` must not stop the network. */
const forkIn = Effect.gen(function*() {
  const clock = Clock.make()
  const fibers = new Set<Fiber.RuntimeFiber<unknown>>()
  yield* Effect.addFinalizer(() => Fiber.interruptAll(fibers))
  return (self: Effect.Effect<unknown>) => {
    const fiber = Effect.runFork(Effect.withClock(self, clock))
    fibers.add(fiber)
    fiber.addObserver(() => fibers.delete(fiber))
    return fiber
  }
})
