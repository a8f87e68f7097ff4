/** `Step.transaction`: the writes of the body and its entry commit together, wherever the connection is cut. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import * as PgJournal from "@perdure/postgres/PgJournal"
import * as FaultProxy from "@perdure/testing/FaultProxy"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Journal } from "perdure/Journal"
import * as Published from "perdure/Published"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"
import { connect } from "./harness.js"

class Refused extends Schema.TaggedError<Refused>()("Refused", { n: Schema.Number }) {}

const Mode = Schema.Literal("pay", "refuse", "die")

/** In one transaction: writes a row, sends a signal to another run, and starts a run. */
const Pay = Workflow.make("Pay", {
  payload: { n: Schema.Number, mode: Mode, tell: Schema.NullOr(Schema.String) },
  success: Schema.Number,
  error: Refused
})

const Receipt = Workflow.make("Receipt", { payload: { n: Schema.Number }, success: Schema.Number })

const ReceiptLive = Receipt.toLayer(({ n }) => Effect.succeed(n))

const Paid = Signal.make("Paid", { payload: { n: Schema.Number } })

const Progress = Published.make("progress", Schema.Number)

const Waits = Workflow.make("Waits", { payload: { n: Schema.Number }, success: Schema.Number })

const WaitsLive = Waits.toLayer(() => Effect.map(Paid.receive, ({ n }) => n))

const Doom = Schema.Literal("catches", "defers", "raises", "swallows", "terminates")

/** Its transaction can never be committed. */
const Doomed = Workflow.make("Doomed", { payload: { doom: Doom } })

const DoomedLive = (bodies: Array<string>) =>
  Doomed.toLayer(({ doom }) =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const journal = yield* Journal
      const terminate = Effect.flatMap(
        Step.Current,
        ({ runId }) => Effect.flatMap(Doomed.attach(runId), (run) => run.terminate())
      )
      const insert = (n: number) => sql`insert into public.unique_now values (${n})`
      const work = {
        catches: Effect.zipRight(Effect.orDie(insert(1)), Effect.ignore(insert(1))),
        defers: Effect.orDie(sql`insert into public.unique_later values (1), (1)`),
        raises: Effect.orDie(sql`insert into public.raises_later values (1)`),
        // The last statement succeeds in its savepoint, and the transaction is aborted before it.
        swallows: Effect.zipRight(Effect.ignore(sql`select 1 / 0`), Effect.ignore(insert(2))),
        terminates: Effect.orDie(Effect.provideService(terminate, Journal, journal))
      }
      yield* Step.transaction("doomed", Effect.zipRight(Effect.sync(() => bodies.push(doom)), work[doom]))
    })
  )

/** The effect of a test inside the bodies of one worker. */
class Inside extends Context.Tag("test/faults/Inside")<Inside, { readonly body: Effect.Effect<void> }>() {}

const PayLive = Pay.toLayer(({ mode, n, tell }) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const { body } = yield* Inside
    yield* Step.run("before", Effect.void)
    const paid = yield* Step.transaction(
      "the-payment",
      Effect.gen(function*() {
        const { attempt, runId } = yield* Step.Current
        yield* Effect.orDie(sql`insert into public.account (run, n, attempt) values (${runId}, ${n}, ${attempt})`)
        yield* body
        yield* Effect.orDie(Receipt.start({ n }))
        if (tell !== null) yield* Effect.orDie(Paid.send(tell, { n }))
        if (mode === "refuse") return yield* new Refused({ n })
        if (mode === "die") return yield* Effect.dieMessage("no such account")
        return n + 1
      }),
      { success: Schema.Number, error: Refused }
    )
    yield* Step.run("after", Effect.void)
    return paid
  })
)

const worker = (options: Worker.WorkerOptions, body: Effect.Effect<void> = Effect.void) =>
  Layer.mergeAll(PayLive, ReceiptLive, WaitsLive, Worker.layer({ pollInterval: "200 millis", ...options })).pipe(
    Layer.provide(Layer.succeed(Inside, { body }))
  )

type Storage = Layer.Layer<Journal | SqlClient.SqlClient, unknown>

const setUp = (storage: Storage) =>
  Effect.gen(function*() {
    const context = yield* Effect.orDie(Layer.build(storage))
    const sql = Context.get(context, SqlClient.SqlClient)
    const rows = (text: string, values: ReadonlyArray<unknown> = []) =>
      Effect.orDie(sql.unsafe<Record<string, unknown>>(text, [...values]))
    yield* rows("create table public.account (run text not null, n int not null, attempt int not null)")
    const use = <A, E>(effect: Effect.Effect<A, E, Journal>) => Effect.provide(effect, context)
    const launch = (options: Worker.WorkerOptions, body?: Effect.Effect<void>) =>
      Effect.asVoid(Effect.provide(Layer.build(worker(options, body)), context))
    return { context, rows, use, launch }
  })

const entries =
  "select name, exit_kind, count(*)::int as count from perdure.journal where run = $1 and kind = 'step' group by 1, 2 order by min(seq)"

const suite = (name: string, storage: Effect.Effect<Storage, unknown, Scope.Scope>) =>
  describe(`a transaction on ${name}`, () => {
    it.scopedLive("commits the writes, starts and signals of its body with its entry; if the body fails, the entry alone", () =>
      Effect.gen(function*() {
        const { launch, rows, use } = yield* setUp(yield* storage)
        yield* launch({})
        const waiting = yield* use(Waits.start({ n: 0 }))
        const run = yield* use(Pay.start({ n: 1, mode: "pay", tell: waiting.id }))
        assert.strictEqual(yield* run.result, 2)
        assert.strictEqual(yield* waiting.result, 1)
        assert.deepStrictEqual(yield* rows("select run, n from public.account"), [{ run: run.id, n: 1 }])
        assert.deepStrictEqual(
          yield* rows("select count(*)::int as count from perdure.runs where workflow = 'Receipt'"),
          [{ count: 1 }]
        )
        assert.deepStrictEqual(yield* rows(entries, [run.id]), [
          { name: "before", exit_kind: "success", count: 1 },
          { name: "the-payment", exit_kind: "success", count: 1 },
          { name: "after", exit_kind: "success", count: 1 }
        ])

        const last = yield* use(Waits.start({ n: 0 }))
        const refused = yield* use(Pay.start({ n: 1, mode: "refuse", tell: last.id }))
        assert.deepStrictEqual(yield* Effect.flip(refused.result), new Refused({ n: 1 }))
        const died = yield* use(Pay.start({ n: 2, mode: "die", tell: last.id }))
        const ended = yield* Effect.flip(died.result)
        assert.strictEqual(ended._tag, "RunEnded")
        assert.include(JSON.stringify(ended), "no such account")
        assert.deepStrictEqual(yield* rows("select 1 from public.account where run <> $1", [run.id]), [])
        assert.deepStrictEqual(yield* rows("select 1 from perdure.runs where workflow = 'Receipt' offset 1"), [])
        assert.deepStrictEqual(yield* rows("select 1 from perdure.inbox where run = $1", [last.id]), [])
        assert.deepStrictEqual(
          yield* Effect.forEach([refused, died], ({ id }) => rows(entries, [id])),
          ["failure", "defect"].map((exit_kind) => [
            { name: "before", exit_kind: "success", count: 1 },
            { name: "the-payment", exit_kind, count: 1 }
          ])
        )
        yield* use(Paid.send(last.id, { n: 7 }))
        assert.strictEqual(yield* last.result, 7)
      }))

    it.scopedLive("that the database will never commit fails its step once, with the message of the database", () =>
      Effect.gen(function*() {
        const { context, rows, use } = yield* setUp(yield* storage)
        yield* rows("create table public.unique_now (n int primary key)")
        yield* rows("create table public.unique_later (n int unique deferrable initially deferred)")
        yield* rows("create table public.raises_later (n int)")
        yield* rows(`create function public.never() returns trigger language plpgsql as
          'begin raise exception ''not on a Sunday'' using errcode = ''U0001''; end'`)
        yield* rows(`create constraint trigger never after insert on public.raises_later deferrable initially deferred
          for each row execute function public.never()`)
        const bodies: Array<string> = []
        yield* Effect.provide(Layer.build(Layer.merge(DoomedLive(bodies), Worker.layer())), context)
        const messages = {
          catches: /duplicate key.*23505/,
          defers: /duplicate key.*23505/,
          raises: /not on a Sunday/,
          swallows: /division by zero.*22012/,
          terminates: /transaction step doomed of run .* ended or released its own run/
        }
        for (const doom of Doom.literals) {
          const run = yield* use(Doomed.start({ doom }))
          const ended = yield* Effect.flip(run.result)
          assert.match(JSON.stringify(ended), messages[doom], doom)
          assert.deepStrictEqual(yield* rows(entries, [run.id]), [{ name: "doomed", exit_kind: "defect", count: 1 }])
        }
        assert.deepStrictEqual(bodies, [...Doom.literals])
        assert.deepStrictEqual(yield* rows("select n from public.unique_now"), [])
      }))

    it.scopedLive("that met another transaction runs again, though its body dies of the conflict", () =>
      Effect.gen(function*() {
        const { context, rows, use } = yield* setUp(yield* storage)
        const Met = Workflow.make("Met", { payload: {}, success: Schema.Number })
        let bodies = 0
        const live = Met.toLayer(() =>
          Effect.gen(function*() {
            const sql = yield* SqlClient.SqlClient
            const conflict = sql.unsafe("do 'begin raise exception ''serialize'' using errcode = ''40001''; end'")
            const body = Effect.gen(function*() {
              bodies++
              yield* sql`insert into public.account (run, n, attempt) values ('met', ${bodies}, 1)`
              if (bodies === 1) yield* conflict
              return bodies
            })
            return yield* Step.transaction("meet", Effect.orDie(body), { success: Schema.Number })
          })
        )
        yield* Effect.provide(Layer.build(Layer.merge(live, Worker.layer())), context)
        assert.strictEqual(yield* use(Met.execute({})), 2)
        assert.deepStrictEqual(yield* rows("select n from public.account"), [{ n: 2 }])
      }))

    it.scopedLive("of the caller commits the values that it publishes for a run, which are visible only after it", () =>
      Effect.gen(function*() {
        const { context, launch, rows, use } = yield* setUp(yield* storage)
        const sql = Context.get(context, SqlClient.SqlClient)
        yield* launch({})
        const waiting = yield* use(Waits.start({ n: 0 }))
        const publish = (n: number) =>
          use(Effect.tap(
            Progress.publishFor(waiting.id, n),
            () => Effect.orDie(sql`insert into public.account (run, n, attempt) values (${waiting.id}, ${n}, 1)`)
          ))
        const undone = yield* Effect.flip(sql.withTransaction(Effect.gen(function*() {
          assert.isTrue(yield* publish(1))
          assert.deepStrictEqual(yield* use(Progress.get(waiting.id)), Option.some(1))
          return yield* new Refused({ n: 1 })
        })))
        assert.deepInclude(undone, { _tag: "Refused", n: 1 })
        assert.deepStrictEqual(yield* use(Progress.get(waiting.id)), Option.none())
        const watched = yield* Effect.fork(use(Stream.runCollect(Stream.take(Progress.changes(waiting.id), 1))))
        assert.isTrue(yield* sql.withTransaction(publish(2)))
        assert.deepStrictEqual([...yield* Fiber.join(watched)], [2])
        assert.deepStrictEqual(yield* rows("select n from public.account"), [{ n: 2 }])
        yield* use(Paid.send(waiting.id, { n: 7 }))
        assert.strictEqual(yield* waiting.result, 7)
        assert.isFalse(yield* sql.withTransaction(publish(3)))
        assert.deepStrictEqual(yield* use(Progress.get(waiting.id)), Option.some(2))
      }))
  })

for (const server of TestDatabase.servers) {
  suite(
    server.name,
    Effect.map(TestDatabase.freshOn(server), ({ url }) => PgJournal.layer({ url: Redacted.make(url) }))
  )
}

suite("PGlite", Effect.succeed(PgliteJournal.layer()))

/** Every place where a transaction can be cut: what the client sends, before or after the server executes it. */
const places = ["BEGIN", "insert into public.account", "perdure:enqueue", "perdure:deliver", "the-payment", "COMMIT"]
const allCuts = places.flatMap((text) => (["before", "after"] as const).map((point) => ({ text, point })))

/** On the older server, only the most important place. */
const cutsOn = TestDatabase.servers.map((server, index) => ({
  server,
  name: server.name,
  cuts: index === 0 ? allCuts : allCuts.filter(({ text }) => text === "COMMIT")
}))

describe.each(cutsOn)("a transaction on $name", ({ cuts, server }) => {
  it.scopedLive("is applied exactly once, wherever its connection is cut", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const database = yield* connect(url)
      const proxy = yield* FaultProxy.make(url)
      // The client has its own connection, so that the cuts affect the worker.
      const client = yield* setUp(PgJournal.layer({ url: Redacted.make(url) }))
      const storage = yield* Layer.build(PgJournal.layer({ url: Redacted.make(proxy.url), listen: false }))
      yield* Effect.provide(Layer.build(worker({ leaseDuration: "600 millis" })), storage)
      for (const [n, { point, text }] of cuts.entries()) {
        const waiting = yield* client.use(Waits.start({ n }))
        yield* database.until("select 1 from perdure.runs where id = $1 and status in ('running', 'suspended')", [
          waiting.id
        ])
        const sprung = yield* proxy.arm(text, point)
        const run = yield* client.use(Pay.start({ n, mode: "pay", tell: waiting.id }))
        assert.strictEqual(yield* run.result, n + 1)
        yield* sprung
        assert.strictEqual(yield* waiting.result, n)
        assert.deepStrictEqual(
          yield* database.rows("select run, n from account where n = $1", [n]),
          [{ run: run.id, n }],
          `${text} ${point}`
        )
        assert.deepStrictEqual(yield* database.rows(entries, [run.id]), [
          { name: "before", exit_kind: "success", count: 1 },
          { name: "the-payment", exit_kind: "success", count: 1 },
          { name: "after", exit_kind: "success", count: 1 }
        ])
        assert.deepStrictEqual(
          yield* database.rows("select count(*)::int as count from perdure.inbox where run = $1", [waiting.id]),
          [{ count: 1 }]
        )
      }
      yield* database.until(
        "select 1 from perdure.runs where workflow = 'Receipt' and status = 'completed' having count(*) = $1",
        [cuts.length]
      )
    }), 120_000)

  it.scopedLive("of a worker that has lost its run is rolled back", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const database = yield* connect(url)
      const storage = PgJournal.layer({ url: Redacted.make(url) })
      // It neither listens nor polls, so the heir claims the run once it is released.
      const lost = yield* setUp(PgJournal.layer({ url: Redacted.make(url), listen: false }))
      const inside = yield* Deferred.make<void>()
      const goOn = yield* Deferred.make<void>()
      const rolledBack = yield* Deferred.make<void>()
      yield* lost.launch(
        { id: "lost", leaseDuration: "10 minutes", pollInterval: "10 minutes" },
        Effect.zipRight(
          Deferred.succeed(inside, undefined),
          Effect.ensuring(Deferred.await(goOn), Deferred.succeed(rolledBack, undefined))
        )
      )
      const run = yield* lost.use(Pay.start({ n: 1, mode: "pay", tell: null }))
      yield* Deferred.await(inside)
      yield* database.rows("update perdure.workers set lease_until = 'epoch' where id = 'lost'")
      yield* Effect.provide(Layer.build(worker({ id: "heir", leaseDuration: "1 minute" })), yield* Layer.build(storage))
      assert.strictEqual(yield* run.result, 2)
      yield* Deferred.succeed(goOn, undefined)
      yield* Deferred.await(rolledBack)
      yield* database.until(
        "select 1 from pg_stat_activity where datname = current_database() and state like 'idle in transaction%' having count(*) = 0"
      )
      assert.deepStrictEqual(yield* database.rows("select run, n from account"), [{ run: run.id, n: 1 }])
      assert.deepStrictEqual(
        yield* database.rows("select name, worker, epoch from perdure.journal order by seq"),
        [
          { name: "before", worker: "lost", epoch: 1 },
          { name: "the-payment", worker: "heir", epoch: 2 },
          { name: "after", worker: "heir", epoch: 2 }
        ]
      )
      assert.deepStrictEqual(
        yield* database.rows("select count(*)::int as count from perdure.runs where workflow = 'Receipt'"),
        [{ count: 1 }]
      )
    }))
})
