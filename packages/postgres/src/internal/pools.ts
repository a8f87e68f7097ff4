/**
 * The pools of one journal. Each kind of work has connections that the others cannot take:
 *
 * | pool          | what uses it                                                     | connections              |
 * |---------------|------------------------------------------------------------------|--------------------------|
 * | `liveness`    | heartbeats                                                       | 1                        |
 * | `application` | the `SqlClient` of the layer: the user's SQL, `Step.transaction` | `applicationConnections` |
 * | `journal`     | the rest; calls of user code cannot take all of its connections  | the rest                 |
 *
 * Connections are made when they are needed. A statement waits for a connection as long as it takes, so a slow query of
 * the application delays others of the application, and fails none.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Pg from "pg"
import type { Connect } from "./connection.js"
import { Fleet } from "./Fleet.js"
import { journalClient } from "./JournalClient.js"

/** The fewest connections that let all pools work: one for each, and one more for what calls of user code block. */
export const MIN_CONNECTIONS = 4

const DEFAULT_CONNECTIONS = 16

/** Connections for heartbeats. */
const LIVENESS_CONNECTIONS = 1

/** Connections of the pool `journal` that claims, commits and inbox reads always find. */
const WORKER_CONNECTIONS = 3

/** What the journal's own connections need, whatever the defaults of the database are. */
const SETTINGS = "-c default_transaction_isolation=read\\ committed"

/** How many connections each pool has. */
export interface Sizes {
  readonly application: number
  readonly journal: number
  /** Statements of the pool `journal` that calls of user code can have at the same time. */
  readonly calls: number
}

/** The sizes of the pools. */
export const sizesOf = (options: {
  readonly maxConnections?: number | undefined
  readonly applicationConnections?: number | undefined
}): Sizes => {
  const shared = (options.maxConnections ?? DEFAULT_CONNECTIONS) - LIVENESS_CONNECTIONS
  const application = options.applicationConnections ?? Math.max(1, Math.floor(shared * 0.4))
  const journal = shared - application
  return { application, journal, calls: Math.max(1, journal - WORKER_CONNECTIONS) }
}

/** The most connections that the application can have of a total. */
export const maxApplicationConnections = (maxConnections = DEFAULT_CONNECTIONS): number =>
  maxConnections - (MIN_CONNECTIONS - 1)

export interface PoolOptions {
  readonly connect: Connect
  readonly prepare: boolean
  readonly statementMillis: number
  readonly lifetimeSeconds: number
  readonly sizes: Sizes
  /** The application's own pool or client, which takes the place of the pool `application`. */
  readonly existing: Pg.Pool | PgClient.PgClient | undefined
}

/** The clients over the pools. They do not connect yet. The scope closes the pools, and no existing one. */
export const make = ({ connect, existing, lifetimeSeconds, prepare, sizes, statementMillis }: PoolOptions) =>
  Effect.gen(function*() {
    const warnings = yield* Queue.unbounded<string>()
    yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(warnings), (each) => Effect.logWarning(each))))
    const fleet = new Fleet(prepare, (message) => warnings.unsafeOffer(message))

    const pool = (max: number, settings: string | null) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          // It limits an attempt to connect. In the options of a pool, it would also limit the wait for a connection.
          const { connectionTimeoutMillis: _, ...config } = connect(null)
          const made = new Pg.Pool({
            ...config,
            max,
            maxLifetimeSeconds: lifetimeSeconds,
            Client: journalClient({
              fleet,
              config: () => connect(fleet.sendsSettings ? settings : null),
              statementMillis
            })
          })
          // A connection that breaks while it is idle leaves the pool. Statements report their own errors.
          made.on("error", () => {})
          fleet.follow(made)
          return made
        }),
        (made) => Effect.ignore(Effect.timeout(Effect.tryPromise(() => made.end()), "5 seconds"))
      )

    // Fails only if the pool cannot be made, which cannot happen.
    const clientOf = (acquire: Parameters<typeof PgClient.fromPool>[0]["acquire"]) =>
      Effect.orDie(PgClient.fromPool({ acquire }))

    const application = existing === undefined
      ? yield* clientOf(pool(sizes.application, null))
      : existing instanceof Pg.Pool
      ? yield* clientOf(Effect.succeed(existing))
      : existing
    return {
      application,
      journal: yield* clientOf(pool(sizes.journal, SETTINGS)),
      liveness: yield* clientOf(pool(LIVENESS_CONNECTIONS, SETTINGS))
    }
  })
