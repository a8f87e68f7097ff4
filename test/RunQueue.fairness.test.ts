/** Keys take turns: whoever has one run does not wait for whoever has a hundred thousand. */
import { assert, describe, layer } from "@effect/vitest"
import * as PgJournal from "@perdure/postgres/PgJournal"
import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { JournalError } from "perdure/Errors"
import { JournalDriver } from "perdure/JournalDriver"
import type { NewRun } from "perdure/JournalDriver"
import * as JournalMemory from "perdure/JournalMemory"

const BACKLOG = 100_000
/** Of those, this many are started one by one. */
const SINGLES = 3_000
const BATCH = 20

const newRun = (id: string, key: string): NewRun => ({
  id,
  workflow: "flow",
  version: "1",
  queue: "tenants",
  priority: 0,
  payload: "{}",
  idempotencyKey: null,
  availableAt: null,
  parent: null,
  root: id,
  depth: 0,
  key,
  expiresAt: null,
  tags: [],
  attributes: {},
  singleton: null
})

const postgres = TestDatabase.servers.map((server) => ({
  name: server.name,
  driver: Layer.unwrapScoped(
    Effect.map(TestDatabase.freshOn(server), ({ url }) => PgJournal.layerDriver({ url: Redacted.make(url) }))
  )
}))

const drivers: ReadonlyArray<{ readonly name: string; readonly driver: Layer.Layer<JournalDriver, unknown> }> = [
  { name: "memory", driver: JournalMemory.layerDriver },
  { name: "PGlite", driver: PgliteJournal.layerDriver() },
  ...postgres
]

describe.each(drivers)("$name", ({ driver }) => {
  layer(driver, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect(`one key's ${BACKLOG} runs delay another key's run by two claims at most`, () =>
      Effect.gen(function*() {
        const journal = yield* JournalDriver
        const worker = { id: "w", incarnation: "1" }
        yield* journal.heartbeat({ worker, leaseMillis: 600_000, info: null })
        const many = Array.from({ length: BACKLOG - SINGLES }, (_, n) =>
          newRun(`many-${String(n).padStart(6, "0")}`, "many"))
        for (const runs of Chunk.chunksOf(Chunk.fromIterable(many), 10_000)) {
          yield* journal.enqueue({ runs: Chunk.toReadonlyArray(runs), claim: null })
        }
        const claim: Effect.Effect<ReadonlyArray<string>, JournalError> = Effect.map(
          journal.claim({
            worker,
            workflows: [{ name: "flow", version: "1" }],
            queues: ["tenants"],
            limit: BATCH,
            hot: new Map()
          }),
          ({ value }) =>
            value.runs.map(({ id }) => id)
        )
        // One by one, as most are started: each says that its key is to be looked at.
        yield* Effect.forEach(
          Array.from({ length: SINGLES }, (_, n) => newRun(`many-single-${n}`, "many")),
          (run) => journal.enqueue({ runs: [run], claim: null }),
          { concurrency: 8 }
        )
        for (let turn = 0; turn < 3; turn++) assert.strictEqual((yield* claim).length, BATCH)
        for (let turn = 0; turn < 10; turn++) {
          const few = Array.from({ length: 1 + turn * 2 }, (_, n) => newRun(`few-${turn}-${n}`, `few ${turn} ${n}`))
          yield* journal.enqueue({ runs: few, claim: null })
          const [first, second] = [yield* claim, yield* claim]
          const claimed = new Set([...first, ...second])
          assert.deepStrictEqual(few.filter(({ id }) => !claimed.has(id)), [])
          // Nor does the one with many stand still.
          assert.isAbove([...claimed].filter((id) => id.startsWith("many")).length, 0)
        }
      }), 120_000)
  })
})
