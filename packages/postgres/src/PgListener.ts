/**
 * LISTEN on its own connection. The listener reconnects when the connection is lost. It tests itself with notifications
 * that it sends through the pool. If none comes back, as behind a transaction pooler, it logs one warning, and the
 * journal only polls until a later test succeeds.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { Listener } from "@perdure/sql/Listener"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import * as Pg from "pg"

/** The connection is lost. */
class ConnectionLost extends Data.TaggedError("ConnectionLost")<{ readonly cause: unknown }> {}

/** A notification that was sent did not come back. */
class NoEcho extends Data.TaggedError("NoEcho")<{ readonly echoedBefore: boolean }> {}

/**
 * Options of the listener.
 *
 * @since 0.1.0
 * @category models
 */
export interface PgListenerOptions {
  /** The configuration of the connection. */
  readonly client: Pg.ClientConfig
  /** How long a notification of a test may take. Default 5 seconds. */
  readonly echoTimeout?: Duration.DurationInput
  /** The time between two tests. Default 30 seconds. */
  readonly testInterval?: Duration.DurationInput
  /** The time until the next test after no notification came back. Default 1 minute. */
  readonly retestInterval?: Duration.DurationInput
}

const connect = (config: Pg.ClientConfig, lost: Deferred.Deferred<never, ConnectionLost>) =>
  Effect.acquireRelease(
    Effect.async<Pg.Client, ConnectionLost>((resume) => {
      const client = new Pg.Client(config)
      const onLost = (cause: unknown) => Deferred.unsafeDone(lost, Effect.fail(new ConnectionLost({ cause })))
      client.on("error", onLost)
      client.on("end", () => onLost("the connection ended"))
      client.connect((cause: Error | null) =>
        resume(cause ? Effect.fail(new ConnectionLost({ cause })) : Effect.succeed(client))
      )
    }),
    (client) => Effect.ignore(Effect.tryPromise(() => client.end()))
  )

const backoff = Schedule.exponential("100 millis").pipe(
  Schedule.union(Schedule.spaced("10 seconds")),
  Schedule.jittered
)

const make = (options: PgListenerOptions) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const echoTimeout = options.echoTimeout ?? "5 seconds"

    /** Listens on one connection. Ends only with a failure. */
    const session = (
      channel: string,
      payloads: Queue.Enqueue<string>,
      state: { echoedBefore: boolean; warned: boolean }
    ) =>
      Effect.gen(function*() {
        const lost = yield* Deferred.make<never, ConnectionLost>()
        const client = yield* connect(options.client, lost)
        const echoes = new Map<string, Deferred.Deferred<void>>()
        client.on("notification", ({ channel: on, payload }) => {
          if (on !== channel || payload === undefined) return
          const echo = echoes.get(payload)
          if (echo === undefined) payloads.unsafeOffer(payload)
          else Deferred.unsafeDone(echo, Effect.void)
        })
        yield* Effect.tryPromise({
          try: () => client.query(`LISTEN ${Pg.escapeIdentifier(channel)}`),
          catch: (cause) => new ConnectionLost({ cause })
        })
        // Through the pool: a notification from this connection would come back even behind a pooler.
        const test = Effect.gen(function*() {
          const payload = JSON.stringify(["Echo", yield* Effect.sync(() => randomUUID())])
          const echo = yield* Deferred.make<void>()
          yield* Effect.acquireUseRelease(
            Effect.sync(() => echoes.set(payload, echo)),
            () =>
              Effect.zipRight(
                Effect.mapError(
                  sql.unsafe("SELECT pg_notify($1, $2)", [channel, payload]).withoutTransform,
                  (cause) => new ConnectionLost({ cause })
                ),
                Effect.timeoutFail(Deferred.await(echo), {
                  duration: echoTimeout,
                  onTimeout: () => new NoEcho({ echoedBefore: state.echoedBefore })
                })
              ),
            () => Effect.sync(() => echoes.delete(payload))
          )
          if (state.warned) yield* Effect.logInfo(`Notifications on channel "${channel}" are received again`)
          state.echoedBefore = true
          state.warned = false
        })
        const tests = Effect.zipRight(
          test,
          Effect.forever(Effect.zipLeft(
            Effect.sleep(options.testInterval ?? "30 seconds"),
            test
          ))
        )
        return yield* Effect.raceFirst(Deferred.await(lost), tests)
      }).pipe(Effect.scoped)

    return Listener.of({
      listen: (channel) =>
        Stream.unwrapScoped(Effect.gen(function*() {
          const payloads = yield* Queue.unbounded<string>()
          const state = { echoedBefore: false, warned: false }
          const warn = Effect.gen(function*() {
            if (!state.warned) {
              state.warned = true
              yield* Effect.logWarning(
                `No notification comes back on channel "${channel}" (a transaction pooler?): the journal only polls`
              )
            }
            yield* Effect.sleep(options.retestInterval ?? "1 minute")
          })
          const once: Effect.Effect<void, ConnectionLost> = Effect.catchTag(
            session(channel, payloads, state),
            "NoEcho",
            ({ echoedBefore }) =>
              echoedBefore ? Effect.fail(new ConnectionLost({ cause: "no notification comes back" })) : warn
          )
          yield* once.pipe(
            Effect.tapError(({ cause }) => Effect.logDebug("The connection of LISTEN was lost", cause)),
            Effect.retry(backoff),
            Effect.forever,
            // Connections use real time, also under a `TestClock`.
            Effect.withClock(Clock.make()),
            Effect.forkScoped
          )
          return Stream.fromQueue(payloads)
        }))
    })
  })

/**
 * A listener for the journal on its own connection. Its tests use the `SqlClient`.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * import * as PgListener from "@perdure/postgres/PgListener"
 *
 * const ListenerLive = PgListener.layer({ client: { host: "localhost", database: "app" } })
 */
export const layer = (options: PgListenerOptions): Layer.Layer<Listener, never, SqlClient.SqlClient> =>
  Layer.effect(Listener, make(options))
