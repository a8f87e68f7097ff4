/**
 * A shop in one file: an order's row and its run are made in one transaction, so there is never one without the other;
 * and what follows a run's end is started with the commit that ends it.
 *
 *     npx tsx examples/shop/main.ts            checks the definitions, sells three things, fails to sell a fourth
 *     npx tsx examples/shop/main.ts --check    only checks; its exit code is not zero when something is wrong
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as SqlClient from "@effect/sql/SqlClient"
import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as Check from "perdure/Check"
import * as Continuation from "perdure/Continuation"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { item: Schema.String }) {}
class Declined extends Schema.TaggedError<Declined>()("Declined", {}) {}

const Thank = Workflow.make("Thank", { payload: { order: Schema.String, parcel: Schema.String } })
const Apologize = Workflow.make("Apologize", { payload: { order: Schema.String, why: Schema.String } })

const Ship = Workflow.make("Ship", {
  payload: { order: Schema.String, item: Schema.String },
  success: Schema.String,
  error: OutOfStock,
  idempotencyKey: ({ order }) => order
}).pipe(
  Continuation.onSuccess(Thank, (parcel, { order }) => ({ order, parcel })),
  Continuation.onFailure(Apologize, ({ detail }, { order }) => ({ order, why: detail }))
)

const ShipLive = Ship.toLayer(({ item, order }) =>
  Step.run("pack", item === "moon" ? new OutOfStock({ item }) : Effect.succeed(`parcel of ${order}`), {
    success: Schema.String,
    error: OutOfStock
  })
)

const mail = (text: string) => Step.run("mail", Console.log(text))
const ThankLive = Thank.toLayer(({ order, parcel }) => mail(`mail: thank you for ${order}, here is your ${parcel}`))
const ApologizeLive = Apologize.toLayer(({ order, why }) => mail(`mail: sorry about ${order}: ${why}`))

/** All that this process is made of. */
const Main = Layer.mergeAll(ShipLive, ThankLive, ApologizeLive, Worker.layer())

/** The row of an order and its run, or neither. */
const buy = (order: string, item: string, pays: boolean) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    return yield* sql.withTransaction(Effect.gen(function*() {
      yield* sql`insert into orders values (${order}, ${item})`
      const run = yield* Ship.start({ order, item })
      // Whatever fails from here on takes the run with it: no worker has heard of it yet.
      if (!pays) return yield* new Declined()
      return run
    }))
  })

const shop = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`create table orders (id text primary key, item text not null)`
  const runs = [yield* buy("o-1", "lamp", true), yield* buy("o-2", "moon", true), yield* buy("o-3", "desk", true)]
  const declined = yield* Effect.flip(buy("o-4", "bike", false))
  yield* Console.log(`o-4: ${declined._tag}`)
  for (const run of runs) yield* Effect.exit(run.result)
  // The continuations of the runs start as soon as these have ended; wait until all of them have ended, too.
  const open = sql<{ n: number }>`select count(*)::int as n from perdure.runs where finished_at is null`
  yield* Effect.repeat(open, { until: ([row]) => row?.n === 0 })
  const [counts] = yield* sql`select (select count(*)::int from orders) as orders,
    (select count(*)::int from perdure.runs where workflow = 'Ship') as shipments`
  yield* Console.log(JSON.stringify(counts))
})

const checked = Effect.tap(
  Check.orFail(Main),
  ({ workflows }) => Console.log(`checked ${workflows.map(({ name }) => name).sort().join(", ")}`)
)

/** Standard output is for results. */
const logger = Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.stringLogger))

const program = process.argv.includes("--check")
  ? checked
  : Effect.zipRight(checked, Effect.provide(shop, Layer.provideMerge(Main, PgliteJournal.layer())))

program.pipe(Effect.provide(logger), NodeRuntime.runMain({ disablePrettyLogger: true }))
