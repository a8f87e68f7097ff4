/** Plans of statements for workers and singletons. */
import { assert, describe, it } from "@effect/vitest"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Migrations from "../src/Migrations.js"
import { singletonAcquire } from "../src/statements/enqueue/singletonAcquire.js"
import { singletonRelease } from "../src/statements/enqueue/singletonRelease.js"
import { singletonSettle } from "../src/statements/enqueue/singletonSettle.js"
import { heartbeat } from "../src/statements/workers/heartbeat.js"
import { ping } from "../src/statements/workers/ping.js"
import { pong } from "../src/statements/workers/pong.js"
import { samples } from "../src/statements/workers/samples.js"
import { workers } from "../src/statements/workers/workers.js"
import type { Verb } from "../src/Verb.js"
import * as Plans from "./support/plans.js"
import * as Session from "./support/Session.js"

const keys = JSON.stringify([{ workflow: "flow", key: "k-1", run: "new" }])

const held = JSON.stringify([{
  i: 0,
  workflow: "flow",
  singleton: "k-1",
  run: "new",
  holder: "r1",
  queue: "q",
  version: "1",
  priority: 0,
  payload: "1",
  quiet: 100
}])

const all: ReadonlyArray<readonly [verb: Verb, parameters: ReadonlyArray<unknown>]> = [
  [heartbeat, ["w", "1", 1000, "{}"]],
  [workers, ["w", "", 1]],
  [samples, ["w", 10]],
  [ping, ["w", "n"]],
  [pong, ["w", "1", "n"]],
  [singletonAcquire, [keys]],
  [singletonSettle, [held]],
  [singletonRelease, [keys]]
]

const fill = (session: Session.Session) =>
  Effect.gen(function*() {
    const each = "FROM generate_series(1, 20000) AS i"
    yield* session.run(`INSERT INTO perdure.runs (available_at, priority, epoch, inbox_seq, unread, id, status, queue,
      workflow, version) SELECT now(), 0, 0, 1, 1, 'r' || i, 'pending', 'q', 'flow', '1' ${each}`)
    yield* session.run(`INSERT INTO perdure.inputs (created_at, depth, run, workflow, root, payload, idempotency_key)
      SELECT now(), 0, 'r' || i, 'flow', 'r' || i, '{}', 'i-' || i ${each}`)
    yield* session.run(`INSERT INTO perdure.inbox (at, ordinal, consumed, run, id, kind, name, payload)
      SELECT now(), 1, false, 'r' || i, 'm', 'signal', 'x', '1' ${each}`)
    yield* session.run(`INSERT INTO perdure.singletons (workflow, key, run) SELECT 'flow', 'k-' || i, 'r' || i ${each}`)
    yield* session.run(`INSERT INTO perdure.samples (at, worker, incarnation, info)
      SELECT now() - i * interval '10 s', 'w' || i % 50, '1', '{}' ${each}`)
  })

for (const server of TestDatabase.servers) {
  describe(`a statement for workers or singletons on ${server.name}`, () => {
    it.scopedLive(
      "uses indexes, also in a plan that was made while the tables were empty",
      () =>
        Effect.gen(function*() {
          const { session } = yield* Session.alone(server)
          yield* session.run(Migrations.script(Plans.tables))
          yield* session.run("SET plan_cache_mode = force_generic_plan")
          const explained = Effect.forEach(all, ([, parameters], index) => Plans.explain(session, index, parameters))
          for (const [index, [verb]] of all.entries()) yield* Plans.prepare(session, index, verb)
          yield* explained
          yield* fill(session)
          const kept = yield* explained
          for (const table of ["runs", "inputs", "inbox", "singletons", "samples"]) {
            yield* session.run(`ANALYZE perdure.${table}`)
          }
          const fresh = yield* explained
          for (const [index, [verb]] of all.entries()) {
            const walks = (plan: Plans.Plan | undefined) => plan?.reads.filter((read) => read.startsWith("Seq Scan"))
            // A worker has some hundred samples, and the statement reads them every ten seconds.
            const fine = (read: string) => read === "Seq Scan workers" || read === "Seq Scan samples"
            assert.deepStrictEqual(walks(kept[index])?.filter((read) => !fine(read)), [], `${verb.name}, kept`)
            assert.deepStrictEqual(walks(fresh[index])?.filter((read) => read !== "Seq Scan workers"), [], verb.name)
          }
        }),
      60_000
    )
  })
}
