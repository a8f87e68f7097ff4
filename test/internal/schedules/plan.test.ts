/** The previous run of a schedule's next decision, by what storage answers to the runs of a plan. */
import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { decodeState, initialState, type State } from "perdure/internal/schedules/model"
import { correctedPlan, type Plan } from "perdure/internal/schedules/plan"
import type { EnqueueResult, RunStatus, ScheduleRecord } from "perdure/JournalDriver"
import { newRun } from "../../fixtures/newRun.js"

const recordOf = (runStatus: RunStatus | null): ScheduleRecord => ({
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

const enqueued = (id: string, answer: Answer): EnqueueResult =>
  answer === "started"
    ? { _tag: "Started", id, epoch: null }
    : answer === "joined"
    ? { _tag: "Joined", id: `other ${id}` }
    : { _tag: "Existing", id: `other ${id}`, payload: "null", status: answer }

/**
 * The previous run after a plan whose runs got these answers; undefined if the planned one is right. `before` is the
 * status of the previous run until then; the runs of these indexes are manual and `parallel`.
 */
const previousRun = (
  before: RunStatus | null,
  answers: ReadonlyArray<Answer>,
  parallel: ReadonlyArray<number> = []
): string | undefined => {
  const runs = answers.map((_, n) => newRun(`run ${n}`))
  const state: State = { ...initialState, last: { slot: answers.length, run: runs.at(-1)?.id ?? "", at: 9 } }
  const record = recordOf(before)
  const plan: Plan = {
    record,
    row: { ...record, run: state.last?.run ?? null },
    before: { ...initialState, last: { slot: -1, run: "before", at: 1 } },
    state,
    runs,
    starts: runs.map((_, n) => ({ slot: n, run: null, serial: !parallel.includes(n) })),
    cancels: null,
    isManual: false,
    dropped: null
  }
  const found = correctedPlan(plan, new Map(answers.map((answer, n) => [`run ${n}`, enqueued(`run ${n}`, answer)])))
  if (found === undefined) return undefined
  const written = Either.getOrThrow(decodeState(found.row.state))
  assert.strictEqual(written.last?.run ?? null, found.row.run)
  return found.row.run ?? undefined
}

describe("the previous run", () => {
  it("is the last run that started, as planned", () => {
    assert.isUndefined(previousRun(null, ["started"]))
    assert.isUndefined(previousRun("running", ["completed", "started"]))
    assert.isUndefined(previousRun(null, []))
  })

  it("is the run that the last one joined", () => {
    assert.strictEqual(previousRun(null, ["joined"]), "other run 0")
    assert.strictEqual(previousRun("running", ["started", "joined"]), "other run 1")
  })

  it("is the last new run if later slots had their runs before", () => {
    assert.strictEqual(previousRun(null, ["started", "completed"]), "run 0")
    assert.strictEqual(previousRun("running", ["started", "started", "running", "failed"]), "run 1")
  })

  it("is a live run rather than an ended one if none is new", () => {
    assert.strictEqual(previousRun(null, ["running"]), "other run 0")
    assert.strictEqual(previousRun(null, ["suspended", "completed"]), "other run 0")
    assert.strictEqual(previousRun("completed", ["running", "paused", "failed"]), "other run 1")
    assert.strictEqual(previousRun(null, ["completed", "failed"]), "other run 1")
  })

  it("stays the same while it is live if all slots had their runs before", () => {
    assert.strictEqual(previousRun("running", ["completed"]), "before")
    assert.strictEqual(previousRun("pending", ["running", "completed"]), "before")
  })

  it("is never a manual run in parallel", () => {
    assert.isUndefined(previousRun("running", ["completed"], [0]))
    assert.strictEqual(previousRun(null, ["running", "joined"], [1]), "other run 0")
  })
})
