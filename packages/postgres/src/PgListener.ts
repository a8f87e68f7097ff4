/**
 * LISTEN on a connection of its own: connects again when it is lost, and tests itself by sending notices through the
 * pool. When none comes back, as behind a transaction pooler, it says so once and stays quiet: the journal polls.
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

/** The connection is gone. */
class Lost extends Data.TaggedError("Lost")<{ readonly cause: unknown }> {}

/** A notice that was sent did not come back. */
class NoEcho extends Data.TaggedError("NoEcho")<{ readonly heardBefore: boolean }> {}

/**
 * @since 0.1.0
 * @category models
 */
export interface PgListenerOptions {
  /** How to connect. */
  readonly client: Pg.ClientConfig
  /** How long an echo may take. Default 5 seconds. */
  readonly echoTimeout?: Duration.DurationInput
  /** How often to test that notices still come. Default 30 seconds. */
  readonly testInterval?: Duration.DurationInput
  /** How long to wait before looking again whether notices come at all. Default 1 minute. */
  readonly deafInterval?: Duration.DurationInput
}

const connect = (config: Pg.ClientConfig, lost: Deferred.Deferred<never, Lost>) =>
  Effect.acquireRelease(
    Effect.async<Pg.Client, Lost>((resume) => {
      const client = new Pg.Client(config)
      const gone = (cause: unknown) => Deferred.unsafeDone(lost, Effect.fail(new Lost({ cause })))
      client.on("error", gone)
      client.on("end", () => gone("the connection ended"))
      client.connect((cause: Error | null) => resume(cause ? Effect.fail(new Lost({ cause })) : Effect.succeed(client)))
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

    /** One connection's life. Ends only by failing. */
    const session = (channel: string, heard: Queue.Enqueue<string>, state: { heardBefore: boolean; warned: boolean }) =>
      Effect.gen(function*() {
        const lost = yield* Deferred.make<never, Lost>()
        const client = yield* connect(options.client, lost)
        const echoes = new Map<string, Deferred.Deferred<void>>()
        client.on("notification", ({ channel: on, payload }) => {
          if (on !== channel || payload === undefined) return
          const echo = echoes.get(payload)
          if (echo === undefined) heard.unsafeOffer(payload)
          else Deferred.unsafeDone(echo, Effect.void)
        })
        yield* Effect.tryPromise({
          try: () => client.query(`LISTEN ${Pg.escapeIdentifier(channel)}`),
          catch: (cause) => new Lost({ cause })
        })
        // By the pool: on this connection the echo would come even if nothing else did.
        const test = Effect.gen(function*() {
          const payload = JSON.stringify(["Echo", yield* Effect.sync(() => randomUUID())])
          const echo = yield* Deferred.make<void>()
          yield* Effect.acquireUseRelease(
            Effect.sync(() => echoes.set(payload, echo)),
            () =>
              Effect.zipRight(
                Effect.mapError(
                  sql.unsafe("SELECT pg_notify($1, $2)", [channel, payload]).withoutTransform,
                  (cause) => new Lost({ cause })
                ),
                Effect.timeoutFail(Deferred.await(echo), {
                  duration: echoTimeout,
                  onTimeout: () => new NoEcho({ heardBefore: state.heardBefore })
                })
              ),
            () => Effect.sync(() => echoes.delete(payload))
          )
          if (state.warned) yield* Effect.logInfo(`Notices on "${channel}" are heard now`)
          state.heardBefore = true
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
          const heard = yield* Queue.unbounded<string>()
          const state = { heardBefore: false, warned: false }
          const deaf = Effect.gen(function*() {
            if (!state.warned) {
              state.warned = true
              yield* Effect.logWarning(
                `No notice comes back on channel "${channel}" (a transaction pooler?): the journal polls instead`
              )
            }
            yield* Effect.sleep(options.deafInterval ?? "1 minute")
          })
          const once: Effect.Effect<void, Lost> = Effect.catchTag(
            session(channel, heard, state),
            "NoEcho",
            ({ heardBefore }) => heardBefore ? Effect.fail(new Lost({ cause: "no echo any more" })) : deaf
          )
          yield* once.pipe(
            Effect.tapError(({ cause }) => Effect.logDebug("The connection that listens was lost", cause)),
            Effect.retry(backoff),
            Effect.forever,
            // Connections live by real time, whatever clock the program goes by.
            Effect.withClock(Clock.make()),
            Effect.forkScoped
          )
          return Stream.fromQueue(heard)
        }))
    })
  })

/**
 * A listener for the journal, on a connection of its own; its self-test goes through the `SqlClient`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: PgListenerOptions): Layer.Layer<Listener, never, SqlClient.SqlClient> =>
  Layer.effect(Listener, make(options))
