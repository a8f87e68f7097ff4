/** Which run the next slot waits for, once storage has said what has become of those that were to be started. */
import { assert, describe, it } from "@effect/vitest"
import type { Enqueued, RunStatus, ScheduleRecord } from "perdure/JournalDriver"
import { corrected, type Plan } from "perdure/internal/schedules/plan"
import { initial } from "perdure/internal/schedules/rows"
import { decodeState, type State } from "perdure/internal/schedules/settings"
import * as Either from "effect/Either"
import { newRun } from "../../fixtures/newRun.js"

const record = (runStatus: RunStatus | null): ScheduleRecord => ({
  name: "s",
  needs: "",
  dueAt: 0,
  run: "before",
  waits: false,
  settings: "",
  state: "",
  definition: null,
  revision: 1,
  seenAt: 0,
  runStatus
})

type Answer = "started" | "joined" | RunStatus

const enqueued = (id: string, answer: Answer): Enqueued =>
  answer === "started"
    ? { _tag: "Started", id, epoch: null }
    : answer === "joined"
    ? { _tag: "Joined", id: `other ${id}` }
    : { _tag: "Existing", id: `other ${id}`, payload: "null", status: answer }

/** The run that is waited for after some were to be started one after the other, besides those by hand (`beside`). */
const standing = (
  before: RunStatus | null,
  answers: ReadonlyArray<Answer>,
  beside: ReadonlyArray<number> = []
): string | undefined => {
  const runs = answers.map((_, n) => newRun(`run ${n}`))
  const state: State = { ...initial, last: { slot: answers.length, run: runs.at(-1)?.id ?? "", at: 9 } }
  const one = record(before)
  const plan: Plan = {
    record: one,
    row: { ...one, run: state.last?.run ?? null },
    before: { ...initial, last: { slot: -1, run: "before", at: 1 } },
    state,
    runs,
    starts: runs.map((_, n) => ({ slot: n, run: null, beside: beside.includes(n) })),
    cancels: null,
    isByHand: false,
    dropped: null,
    refused: null
  }
  const found = corrected(plan, new Map(answers.map((answer, n) => [`run ${n}`, enqueued(`run ${n}`, answer)])))
  if (found === undefined) return undefined
  const written = Either.getOrThrow(decodeState(found.row.state))
  assert.strictEqual(written.last?.run ?? null, found.row.run)
  return found.row.run ?? undefined
}

describe("the run that the next slot waits for", () => {
  it("is the last that was started, as was planned", () => {
    assert.isUndefined(standing(null, ["started"]))
    assert.isUndefined(standing("running", ["completed", "started"]))
    assert.isUndefined(standing(null, []))
  })

  it("is the one that the last of them joined", () => {
    assert.strictEqual(standing(null, ["joined"]), "other run 0")
    assert.strictEqual(standing("running", ["started", "joined"]), "other run 1")
  })

  it("is the last new one, if slots after it have had their runs", () => {
    assert.strictEqual(standing(null, ["started", "completed"]), "run 0")
    assert.strictEqual(standing("running", ["started", "started", "running", "failed"]), "run 1")
  })

  it("is one that goes on, if there is no new one, rather than one that has ended", () => {
    assert.strictEqual(standing(null, ["running"]), "other run 0")
    assert.strictEqual(standing(null, ["suspended", "completed"]), "other run 0")
    assert.strictEqual(standing("completed", ["running", "paused", "failed"]), "other run 1")
    assert.strictEqual(standing(null, ["completed", "failed"]), "other run 1")
  })

  it("stays the one before while that goes on, if all have had their runs", () => {
    assert.strictEqual(standing("running", ["completed"]), "before")
    assert.strictEqual(standing("pending", ["running", "completed"]), "before")
  })

  it("is none that was asked for beside the others", () => {
    assert.isUndefined(standing("running", ["completed"], [0]))
    assert.strictEqual(standing(null, ["running", "joined"], [1]), "other run 0")
  })
})
