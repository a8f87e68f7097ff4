/**
 * 105,000 schedules, ten of them due: the plans use indexes, whatever the statistics are, and the search for due
 * schedules reads only those, also after each of them was due many times.
 */
import { assert, describe, it } from "@effect/vitest"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Migrations from "../src/Migrations.js"
import { due as dueSchedules } from "../src/statements/schedules/due.js"
import { named } from "../src/statements/schedules/named.js"
import { page } from "../src/statements/schedules/page.js"
import { remove } from "../src/statements/schedules/remove.js"
import { see } from "../src/statements/schedules/see.js"
import { encodeRow, write } from "../src/statements/schedules/write.js"
import { matchesFile } from "./support/file.js"
import * as Plans from "./support/plans.js"
import * as Session from "./support/Session.js"

const LIMIT = 100

/** The needs of the due schedules. Other needs have fewer schedules. */
const most = "need-0"

const due = Array.from({ length: 10 }, (_, n) => `s${String(n + 1).padStart(7, "0")}`)

const prepare = (session: Session.Session) =>
  Effect.gen(function*() {
    yield* session.run(Migrations.script(Plans.tables))
    // The test decides when tables are analyzed. They are never vacuumed.
    for (const table of filled) yield* session.run(`ALTER TABLE perdure.${table} SET (autovacuum_enabled = off)`)
  })

const filled = ["schedules", "runs"]

const analyze = (session: Session.Session) =>
  Effect.forEach(filled, (table) => session.run(`ANALYZE perdure.${table}`), { discard: true })

/** Ten are due, five wait for runs of which two have ended; some of the others will never be due. */
const fill = (session: Session.Session) =>
  Effect.gen(function*() {
    yield* session.run(`INSERT INTO perdure.runs (available_at, priority, epoch, inbox_seq, unread, id, status, queue,
        workflow, version)
      SELECT now(), 0, 0, 0, 0, 'r' || i, CASE WHEN i % 2 = 0 THEN 'completed' ELSE 'suspended' END, 'q', 'flow', '1'
      FROM generate_series(1, 20000) AS i`)
    yield* session.run(`INSERT INTO perdure.schedules (due_at, seen_at, waits, name, needs, run, settings, state)
      SELECT CASE WHEN i <= 10 THEN now() - i * interval '1 s' WHEN i % 50 = 0 THEN 'infinity'
          ELSE now() + interval '1 day' + i * interval '1 s' END, now() - interval '1 hour', i % 20000 = 1234,
        's' || lpad(i::text, 7, '0'), 'need-' || greatest(0, (i - 99001) / 1000), 'r' || (i % 20000 + i / 20000 + 1), '{}', '{}'
      FROM generate_series(1, 105000) AS i`)
  })

const names = (all: ReadonlyArray<string>) => JSON.stringify(all)

const Names = Schema.parseJson(Schema.Array(Schema.String))

const row = (name: string, revision: number) =>
  encodeRow({
    name,
    needs: most,
    // Another instant each time, in the past.
    dueAt: revision,
    run: "r1",
    waits: false,
    settings: "{}",
    state: "{}",
    definition: null,
    revision
  })

const statements = [
  ["named", named, [names(due), null, LIMIT]],
  ["page", page, ["s0050000", LIMIT]],
  ["due", dueSchedules, [names([most]), LIMIT]],
  ["write", write, [JSON.stringify([row("s0000001", 1), row("new", 0)]), "15000"]],
  ["remove", remove, [JSON.stringify([{ name: "s0000001", revision: 1 }])]],
  ["see", see, [names(due)]]
] as const

/** Pages of the table and its indexes. */
const size = (session: Session.Session) =>
  Effect.map(
    session.run("SELECT (pg_total_relation_size('perdure.schedules') / 8192)::int AS pages"),
    ([found]) => Number(found?.["pages"])
  )

const place = (name: string): number => statements.findIndex(([each]) => each === name)

/** Half of the cost from which the server compiles a statement (JIT). */
const costly = 50_000

const check = (name: string, plan: Plans.Plan): Plans.Plan => {
  assert.deepStrictEqual(plan.reads.filter((read) => read.startsWith("Seq Scan")), [], `${name} reads no whole table`)
  // A page starts where the page before ended.
  assert.deepStrictEqual(plan.walked, [], `${name} looks things up in indexes`)
  assert.deepStrictEqual(plan.filtered, [], `${name} joins by keys`)
  assert.isBelow(plan.cost, costly, `${name} is cheap`)
  return plan
}

/** A session with all statements prepared, and a function that checks their plans. */
const prepared = (server: TestDatabase.Server) =>
  Effect.gen(function*() {
    const { session, url } = yield* Session.alone(server)
    yield* prepare(session)
    yield* session.run("SET plan_cache_mode = force_generic_plan")
    for (const [index, [, verb]] of statements.entries()) yield* Plans.prepare(session, index, verb)
    const checked = (stage: string) =>
      Effect.forEach(
        statements.entries(),
        ([index, [name, , parameters]]) =>
          Effect.map(Plans.explain(session, index, parameters), (plan) => check(`${name}, ${stage}`, plan))
      )
    return { session, url, checked }
  })

const dueParameters = [names([most]), LIMIT]

/** A new session with the two statements of a schedule loop prepared. */
const firing = (url: string) =>
  Effect.gen(function*() {
    const session = yield* Session.connect(url)
    yield* session.run("SET plan_cache_mode = force_generic_plan")
    yield* Plans.prepare(session, place("due"), dueSchedules)
    yield* Plans.prepare(session, place("write"), write)
    return session
  })

/** Reads the due schedules and writes them again, `times` times. */
const fireAll = (session: Session.Session, times: number) =>
  Effect.gen(function*() {
    const [asking, writing] = [place("due"), place("write")]
    for (let fire = 1; fire <= times; fire++) {
      const [answer] = yield* Plans.execute(session, asking, dueParameters)
      assert.isString(answer?.["schedules"])
      const written = JSON.stringify(due.map((name) => row(name, fire)))
      const [changed] = yield* Plans.execute(session, writing, [written, "15000"])
      assert.deepStrictEqual(yield* Schema.decodeUnknown(Names)(changed?.["names"]), due)
    }
  })

/** The index reads of `due`: ten due schedules, the next one, five that wait, and the twelve that it returns. */
const found = [
  { index: "runs_pkey", rows: 5, removed: 0 },
  { index: "runs_pkey", rows: 12, removed: 0 },
  { index: "schedules_due", rows: 1, removed: 0 },
  { index: "schedules_due", rows: 10, removed: 0 },
  { index: "schedules_pkey", rows: 12, removed: 0 },
  { index: "schedules_waiting", rows: 5, removed: 0 }
]

for (const server of TestDatabase.servers) {
  describe(`schedules on ${server.name}`, () => {
    it.scopedLive(
      "are found by index, also by plans that were made while the table was empty",
      () =>
        Effect.gen(function*() {
          const { checked, session } = yield* prepared(server)
          yield* checked("empty")
          yield* fill(session)
          yield* checked("full, as planned before")
          yield* analyze(session)
          const generic = yield* checked("full, analyzed, planned for any values")
          yield* session.run("SET plan_cache_mode = force_custom_plan")
          const custom = yield* checked("full, analyzed, planned for these values")
          const pinned: Record<string, unknown> = {}
          for (const [index, [name]] of statements.entries()) {
            const [general, special] = [generic[index], custom[index]]
            assert(general !== undefined && special !== undefined)
            // Else the server would plan the statement each time. A page is read by people, who do not notice that.
            if (name !== "page") assert.isAtMost(general.cost, special.cost * 1.001, `${name} is planned once`)
            assert.deepStrictEqual(
              general.reads,
              special.reads,
              `${name} is planned alike for these and for any values`
            )
            pinned[name] = { reads: general.reads, loops: general.loops }
          }
          // One file for all versions of Postgres.
          yield* matchesFile("./schedulePlans.snapshot.json", `${JSON.stringify(pinned, null, 2)}\n`)

          yield* session.run("UPDATE perdure.schedules SET due_at = now() - interval '1 hour'")
          yield* analyze(session)
          yield* checked("all of them due, planned for these values")
          yield* session.run("SET plan_cache_mode = force_generic_plan")
          yield* checked("all of them due, planned for any values")
        }),
      60_000
    )

    it.scopedLive("are written in a transaction with an idle timeout, if the request has one", () =>
      Effect.gen(function*() {
        const { session } = yield* prepared(server)
        const allowed = Effect.map(
          session.run("SHOW idle_in_transaction_session_timeout"),
          ([shown]) => shown?.["idle_in_transaction_session_timeout"]
        )
        const write = (name: string, idle: string | null) =>
          Plans.execute(session, place("write"), [JSON.stringify([row(name, 0)]), idle])
        yield* session.run("BEGIN")
        yield* write("a", null)
        assert.strictEqual(yield* allowed, "0")
        yield* write("b", "15000")
        assert.strictEqual(yield* allowed, "15s")
        yield* session.run("COMMIT")
        assert.strictEqual(yield* allowed, "0")
      }))

    it.scopedLive(
      "that are due are found without reading others, also after they were due many times",
      () =>
        Effect.gen(function*() {
          const { session, url } = yield* prepared(server)
          yield* fill(session)
          yield* analyze(session)
          const [asking, parameters] = [place("due"), dueParameters]
          const rows = Effect.map(Plans.rowsRead(session, asking, parameters), (read) =>
            read.toSorted((a, b) => a.index < b.index ? -1 : a.index > b.index ? 1 : a.rows - b.rows))
          const pages = Plans.buffers(session, asking, parameters)
          assert.deepStrictEqual(yield* rows, found)
          for (const [name, count] of [["named", due.length], ["page", LIMIT]] as const) {
            const [, , values] = statements[place(name)] ?? []
            assert.deepStrictEqual(
              yield* Plans.rowsRead(session, place(name), values ?? []),
              ["schedules_pkey", "runs_pkey"].map((index) => ({ index, rows: count, removed: 0 })),
              `${name} reads what it answers`
            )
          }
          const before = yield* pages
          const small = yield* size(session)
          assert.isBelow(before, 200, "some pages for each row that is answered")
          yield* Effect.scoped(Effect.flatMap(firing(url), (firing) =>
            fireAll(firing, 200)))
          assert.deepStrictEqual(yield* rows, found)
          // Later row versions reuse the space of dead ones without a vacuum.
          const last = yield* firing(url)
          yield* Plans.execute(last, asking, parameters)
          assert.isAtMost(yield* Plans.buffers(last, asking, parameters), before * 1.2)
          assert.isAtMost((yield* size(session)) - small, 50)
        }),
      60_000
    )
  })
}
