/** The checker of schedules finds what is wrong, and nothing else. */
import { assert, describe, it } from "@effect/vitest"
import { type Expected, type Made, violations } from "./fixtures/slotChecker.js"

const SECOND = 1_000

const tolerance = { slack: 100, patience: 5 * SECOND, since: { from: -Infinity, to: -Infinity } }

/** Seconds of virtual time: a slot each ten of them. */
const tens = (from: number, to: number) =>
  Array.from({ length: 100 }, (_, n) => n * 10 * SECOND).filter((slot) => slot >= from && slot < to)

const base: Expected = {
  name: "s",
  overlap: "allow",
  catchUp: "all",
  jitter: 0,
  maxRuns: Infinity,
  phases: [{ begins: { from: 0, to: 0 }, slots: tens }],
  until: 50 * SECOND,
  backfilled: [],
  triggered: []
}

/** The run of a slot, made `after` seconds after it, which takes some. */
const made = (second: number, { after = 0, takes = 1, ...rest }: Partial<Made> & {
  readonly after?: number
  readonly takes?: number
} = {}): Made => {
  const createdAt = (second + after) * SECOND
  return {
    run: `${second}`.padStart(4, "0"),
    schedule: "s",
    slot: second * SECOND,
    byHand: false,
    told: second * SECOND,
    status: "completed",
    createdAt,
    endedAt: createdAt + takes * SECOND,
    created: createdAt,
    ended: createdAt + takes * SECOND,
    ...rest
  }
}

const all = (change: Readonly<Record<number, Parameters<typeof made>[1] | null>> = {}, until = 50) =>
  tens(0, until * SECOND).flatMap((slot) => {
    const second = slot / SECOND
    const changed = change[second]
    return changed === null ? [] : [made(second, changed)]
  })

const wrong = (expected: Partial<Expected>, runs: ReadonlyArray<Made>, since = tolerance.since) =>
  violations(runs, [{ ...base, ...expected }], { ...tolerance, since })

const at = (second: number) => new Date(second * SECOND).toISOString().slice(11, 23)

describe("what is right", () => {
  it("is every slot once", () => assert.deepStrictEqual(wrong({}, all()), []))

  it("may come in any order of the rows", () => assert.deepStrictEqual(wrong({}, all().reverse()), []))

  it("may overlap if the policy allows it", () => assert.deepStrictEqual(wrong({}, all({ 10: { takes: 25 } })), []))
})

describe("the checker finds", () => {
  it("a slot with two runs", () =>
    assert.deepStrictEqual(wrong({}, [...all(), made(20, { run: "other" })]), [`s: slot ${at(20)} has 2 runs`]))

  it("a missing slot, also the first and the last", () => {
    for (const slot of [0, 20, 40]) {
      assert.deepStrictEqual(wrong({}, all({ [slot]: null })), [`s: ${at(slot)} has no run`])
    }
    assert.lengthOf(wrong({}, []), 5)
  })

  it("a slot that is none of the calendar's", () => {
    assert.deepStrictEqual(wrong({}, [...all(), made(13)]), [`s: ${at(13)} is no slot of its calendar`])
    assert.deepStrictEqual(wrong({}, [...all(), made(50)]), [`s: ${at(50)} is no slot of its calendar`])
  })

  it("runs out of order, also of those that are made together", () => {
    assert.deepStrictEqual(wrong({}, all({ 10: { after: 15 } })), [`s: ${at(10)} came after ${at(20)}`])
    const together = (run: string) => ({ 10: { after: 15, created: 25, run }, 20: { after: 5, created: 25 } })
    assert.lengthOf(wrong({}, all(together("0030"))), 1)
    assert.lengthOf(wrong({}, all(together("0010"))), 0)
  })

  it("an overlap, however the clocks are", () => {
    const late = all({ 10: { takes: 11 }, 20: { createdAt: 22 * SECOND } })
    for (const overlap of ["skip", "queueOne", "queueAll", "cancelPrevious"] as const) {
      assert.deepStrictEqual(wrong({ overlap }, all({ 10: { takes: 11 } })), [`s: ${at(20)} overlaps ${at(10)}`])
      assert.lengthOf(wrong({ overlap }, late), 1)
      assert.deepStrictEqual(wrong({ overlap }, all({ 10: { takes: 11 }, 20: { after: 2 } })), [])
    }
  })

  it("a run before its time, with another's payload, that failed, or that does not end", () => {
    assert.lengthOf(wrong({}, all({ 10: { after: -1 } })), 1)
    assert.lengthOf(wrong({}, all({ 10: { told: 20 * SECOND } })), 1)
    assert.lengthOf(wrong({}, all({ 10: { status: "failed" } })), 1)
    assert.lengthOf(wrong({}, all({ 10: { status: "cancelled" } })), 1)
    assert.lengthOf(wrong({ overlap: "cancelPrevious" }, all({ 10: { status: "cancelled" } })), 0)
    assert.lengthOf(wrong({}, all({ 10: { ended: null, endedAt: null, status: "running" } })), 1)
  })

  it("a schedule that nobody knows", () =>
    assert.deepStrictEqual(wrong({}, [...all(), made(10, { schedule: "t" })]), ["t: nobody knows it"]))

  it("a trigger that came to nothing, twice, or from nowhere", () => {
    const hand = made(13, { byHand: true, run: "hand" })
    assert.deepStrictEqual(wrong({ triggered: ["hand"] }, [...all(), hand]), [])
    assert.deepStrictEqual(wrong({ triggered: ["hand"] }, all()), ["s: trigger hand was asked for and has no run"])
    assert.lengthOf(wrong({ triggered: ["hand"] }, [...all(), hand, hand]), 1)
    assert.deepStrictEqual(wrong({}, [...all(), hand]), ["s: trigger hand was not asked for"])
  })

  it("a backfill with a slot that has no run, or two", () => {
    const phases = [{ begins: { from: 20 * SECOND, to: 20 * SECOND }, slots: tens }]
    const backfilled = [0, 10 * SECOND]
    const runs = all({ 0: { after: 41 }, 10: { after: 31 } })
    assert.deepStrictEqual(wrong({ phases, backfilled }, runs), [])
    assert.lengthOf(wrong({ phases, backfilled }, runs.slice(1)), 1)
    assert.lengthOf(wrong({ phases, backfilled }, [...runs, made(10, { run: "other" })]), 1)
    assert.lengthOf(wrong({ phases }, runs), 3)
  })
})

describe("a slot without a run is excused", () => {
  it("by skip, while the run before is there", () => {
    const skip = { overlap: "skip" } as const
    assert.deepStrictEqual(wrong(skip, all({ 10: { takes: 15 }, 20: null })), [])
    assert.deepStrictEqual(wrong(skip, all({ 10: { takes: 9 }, 20: null })), [`s: ${at(20)} has no run`])
    const hand = made(19, { byHand: true, run: "hand", takes: 5 })
    assert.deepStrictEqual(wrong({ ...skip, triggered: ["hand"] }, [...all({ 20: null }), hand]), [])
    assert.lengthOf(wrong(skip, all({ 10: { takes: 15 }, 20: null, 40: null })), 1)
  })

  it("by queueOne, while one waits", () => {
    const queueOne = { overlap: "queueOne" } as const
    const waits = { 0: { takes: 31 }, 10: { after: 22 }, 20: null, 30: null }
    assert.deepStrictEqual(wrong(queueOne, all(waits)), [])
    assert.deepStrictEqual(
      wrong(queueOne, all({ ...waits, 10: null })),
      [10, 20, 30].map((slot) => `s: ${at(slot)} has no run`)
    )
    assert.lengthOf(wrong(queueOne, all({ ...waits, 40: null })), 1)
    // The one that waits is asked for meanwhile.
    const backfill = { ...queueOne, backfilled: [10 * SECOND] }
    const asked = { ...waits, 10: { after: 2, takes: 25 } }
    assert.lengthOf(wrong(backfill, all(asked)), 0)
    assert.lengthOf(wrong(backfill, all({ ...asked, 40: null })), 1)
  })

  it("by cancelPrevious, for a later one that is due when the run before has ended", () => {
    const cancel = { overlap: "cancelPrevious" } as const
    const waits = { 0: { takes: 25, status: "cancelled" }, 10: null, 20: { after: 6 } }
    assert.deepStrictEqual(wrong(cancel, all(waits)), [])
    assert.lengthOf(wrong(cancel, all({ ...waits, 30: null })), 1)
    assert.lengthOf(wrong(cancel, all({ ...waits, 40: null })), 1)
  })

  it("never by allow or queueAll", () => {
    for (const overlap of ["allow", "queueAll"] as const) {
      assert.lengthOf(wrong({ overlap }, all({ 10: { takes: 15 }, 20: null, 30: { after: 1 } })), 1)
    }
  })

  it("by what catching up passes over", () => {
    const late = { 0: null, 10: null, 20: { after: 65 }, 30: { after: 55 }, 40: { after: 45 } }
    assert.lengthOf(wrong({}, all(late)), 2)
    assert.lengthOf(wrong({ catchUp: "none" }, all({ ...late, 20: null })), 0)
    assert.lengthOf(wrong({ catchUp: "none" }, all({ ...late, 20: null, 30: null })), 1)
    assert.lengthOf(wrong({ catchUp: { within: 70 * SECOND } }, all(late)), 0)
    assert.lengthOf(wrong({ catchUp: { within: 80 * SECOND } }, all(late)), 1)
    const latest = { 0: null, 10: null, 20: null, 30: null, 40: { after: 25 } }
    assert.lengthOf(wrong({ catchUp: "latest" }, all(latest)), 0)
    assert.lengthOf(wrong({ catchUp: "latest" }, all({ ...latest, 40: { after: 15 } })), 4)
  })

  it("by a change, if it had not been dealt with", () => {
    const begins = { from: 21 * SECOND, to: 32 * SECOND }
    const fives = (from: number, to: number) =>
      Array.from({ length: 100 }, (_, n) => (n * 10 + 5) * SECOND).filter((slot) => slot >= from && slot < to)
    const changed = { phases: [...base.phases, { begins, slots: fives }] }
    const before = all({}, 30)
    const after = [made(35), made(45)]
    assert.lengthOf(wrong(changed, [...before, ...after]), 0)
    assert.lengthOf(wrong(changed, [...all({ 20: null }, 30), ...after]), 0)
    assert.lengthOf(wrong(changed, [...before, made(25), ...after]), 0)
    assert.lengthOf(wrong(changed, [...all({ 10: null }, 30), ...after]), 1)
    assert.lengthOf(wrong(changed, [...all({}, 10), ...after]), 1)
    assert.lengthOf(wrong(changed, [...before, made(35), made(40), made(45)]), 1)
    const paused = { phases: [...base.phases, { begins, slots: () => [] }] }
    assert.lengthOf(wrong(paused, before), 0)
    assert.lengthOf(wrong(paused, all({}, 50)), 1)
  })

  it("by the most runs that it may have", () => {
    assert.lengthOf(wrong({ maxRuns: 3 }, all({}, 30)), 0)
    assert.lengthOf(wrong({ maxRuns: 3 }, all({}, 40)), 1)
    assert.lengthOf(wrong({ maxRuns: 4 }, all({}, 30)), 2)
  })

  it("but what it passes over has none", () => {
    const late = { 0: { after: 90 }, 10: { after: 80 }, 20: { after: 70 }, 30: { after: 60 }, 40: { after: 50 } }
    assert.lengthOf(wrong({ catchUp: "all" }, all(late)), 0)
    assert.isAbove(wrong({ catchUp: "none" }, all(late)).length, 0)
    assert.isAbove(wrong({ catchUp: "latest" }, all(late)).length, 0)
    assert.lengthOf(wrong({ catchUp: { within: 100 * SECOND } }, all(late)), 0)
  })
})

describe("what had been missed when somebody first looked has no run, whoever waits for whom:", () => {
  const since = { from: 200.5 * SECOND, to: 201 * SECOND }
  /** A slot each ten seconds until then; the runs of these, made from then on, one after the other or together. */
  const runs = (overlap: Expected["overlap"], seconds: ReadonlyArray<number>) =>
    seconds.map((second, n) => made(second, { after: 201 + (overlap === "allow" ? 0 : 2 * n) - second }))
  const recent = [150, 160, 170, 180, 190]
  // Of those that count, these have runs.
  const policies = [
    ["skip", [150]],
    ["queueOne", [150, 160]],
    ["queueAll", recent],
    ["cancelPrevious", [190]],
    ["allow", recent]
  ] as const

  for (const [overlap, seconds] of policies) {
    const schedule = { overlap, until: 200 * SECOND }
    it(`${overlap}, but what counts`, () => {
      for (const catchUp of ["none", { within: 60 * SECOND }, { within: 5 * SECOND }] as const) {
        assert.deepStrictEqual(wrong({ ...schedule, catchUp }, runs(overlap, seconds), since), [])
        const missed = `s: ${at(140)} was caught up with`
        assert.deepStrictEqual(wrong({ ...schedule, catchUp }, runs(overlap, [140, ...seconds]), since), [missed])
        // With jitter, it may have fired later.
        const jitter = 500
        assert.notInclude(wrong({ ...schedule, catchUp, jitter }, runs(overlap, [140, ...seconds]), since), missed)
        assert.include(
          wrong({ ...schedule, catchUp, jitter }, runs(overlap, [130, ...seconds]), since),
          `s: ${at(130)} was caught up with`
        )
      }
      assert.notInclude(
        wrong({ ...schedule, catchUp: { within: 61 * SECOND } }, runs(overlap, [140, ...seconds]), since).join(),
        "caught up"
      )
    })

    it(`${overlap}, but the latest`, () => {
      const latest = { ...schedule, catchUp: "latest" } as const
      assert.deepStrictEqual(wrong(latest, runs(overlap, [190]), since), [])
      for (const slot of [0, 140, 180]) {
        const told = wrong(latest, runs(overlap, [slot, 190]), since)
        assert.deepStrictEqual(told.filter((each) => each.includes("caught up")), [
          `s: ${at(slot)} was caught up with, which is not the latest`
        ])
      }
      // Nobody knows whether the last had come.
      assert.deepStrictEqual(wrong({ ...latest, jitter: 15 * SECOND }, runs(overlap, [180, 190]), since), [])
      // None was missed.
      const begins = { from: 150 * SECOND, to: 150 * SECOND }
      const young = { ...latest, phases: [{ begins, slots: tens }] }
      assert.deepStrictEqual(wrong(young, runs(overlap, seconds), since), [])
    })
  }
})
