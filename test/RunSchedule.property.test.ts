/**
 * Random schedules through random downtimes and busy times: each decision agrees with a naive schedule, which keeps a
 * list of its slots, and with the invariants of all policies. The stories differ in each run; a failure prints its
 * seed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { decide, wakeUp } from "perdure/internal/schedules/decision"
import type { ManualRun, Settings, State } from "perdure/internal/schedules/model"
import { initialState, Overlap } from "perdure/internal/schedules/model"
import { jitterOf, Slots, type Stretches } from "perdure/internal/schedules/Slots"
import { type Spec, slotsOf } from "./fixtures/calendarOracle.js"
import { calendarOf } from "./fixtures/calendarSamples.js"
import { NaiveSchedule } from "./fixtures/naiveSchedule.js"

const SECOND_MILLIS = 1_000
const BEGIN = Date.UTC(2026, 2, 29, 0, 30)
const NAME = "some schedule"

/** What happens before the next decision. */
interface Event {
  /** For how many milliseconds no process decides after the schedule is due. */
  readonly down: number
  /** After how many milliseconds a process decides though nothing is due; null: none does. */
  readonly early: number | null
  readonly limit: number
  /** How long the next run takes. */
  readonly takes: number
  /** Manual runs: whether each is serial. */
  readonly manual: ReadonlyArray<boolean>
  /** The policy changes to this one. */
  readonly overlap: Overlap | null
}

interface Story {
  readonly spec: Spec
  readonly settings: Pick<Settings, "overlap" | "catchUp" | "jitter" | "maxRuns">
  /** For how many milliseconds the schedule has slots. */
  readonly duration: number
  readonly events: ReadonlyArray<Event>
}

const seconds = (least: number, most: number) => fc.integer({ min: least * SECOND_MILLIS, max: most * SECOND_MILLIS })

const every: fc.Arbitrary<Spec> = fc.record({
  kind: fc.constant("every" as const),
  seconds: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 20, max: 200 })),
  anchor: fc.integer({ min: 0, max: 1_000 }).map((anchor) => anchor * SECOND_MILLIS)
})

const spec: fc.Arbitrary<Spec> = fc.oneof(
  { weight: 3, arbitrary: every },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("join" as const), parts: fc.array(every, { minLength: 1, maxLength: 3 }) })
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("except" as const),
      inner: every,
      zone: fc.constant("UTC"),
      dates: fc.constant([]),
      ranges: fc.array(
        fc.tuple(seconds(0, 900), seconds(1, 300)).map(([from, duration]) => ({
          from: BEGIN + from,
          to: BEGIN + from + duration
        })),
        { maxLength: 2 }
      )
    })
  }
)

const rarely = <A>(arbitrary: fc.Arbitrary<A>, otherwise: A, weight = 6) =>
  fc.oneof({ weight, arbitrary: fc.constant(otherwise) }, { weight: 1, arbitrary })

const story: fc.Arbitrary<Story> = fc.record({
  spec,
  settings: fc.record({
    overlap: fc.constantFrom("skip", "queueOne", "queueAll", "cancelPrevious", "allow"),
    catchUp: fc.oneof(
      fc.constantFrom("none" as const, "latest" as const, "all" as const),
      seconds(0, 200).map((within) => ({ within }))
    ),
    jitter: fc.oneof(fc.constant(0), seconds(0, 1), seconds(1, 300)),
    maxRuns: rarely<number | null>(fc.integer({ min: 1, max: 10 }), null, 3)
  }),
  duration: seconds(1, 1_200),
  events: fc.array(
    fc.record({
      down: fc.oneof(fc.constant(0), fc.constantFrom(59_999, 60_000, 60_001), seconds(0, 3), seconds(0, 300)),
      early: rarely<number | null>(seconds(0, 10), null),
      limit: fc.integer({ min: 1, max: 8 }),
      takes: fc.oneof(fc.constant(0), seconds(0, 5), seconds(0, 200)),
      manual: rarely<ReadonlyArray<boolean>>(fc.array(fc.boolean(), { maxLength: 4 }), [], 10),
      overlap: rarely<Overlap | null>(fc.constantFrom(...Overlap.literals), null, 20)
    }),
    { minLength: 1, maxLength: 40 }
  )
})

const settingsOf = ({ duration, settings, spec }: Story): Settings => ({
  workflow: "Job",
  version: "1",
  payload: null,
  calendar: calendarOf(spec, "fields"),
  startsAt: BEGIN,
  endsAt: BEGIN + duration,
  run: { queue: null, priority: null, expiresIn: null, tags: [], attributes: {} },
  ...settings
})

const slotsOfAll = (slots: Slots, stretches: Stretches): ReadonlyArray<number> =>
  stretches.flatMap(([first, last]) => slots.between(first, last + 1, Infinity))

/** Plays a story. Returns the first problem, in words. */
const problemOf = (subject: typeof decide, told: Story): string | undefined => {
  const first = settingsOf(told)
  let settings = first
  const slots = new Slots({ name: NAME, settings })
  const naive = new NaiveSchedule(
    settings,
    slotsOf(told.spec, BEGIN, BEGIN + told.duration),
    (slot) => slots.fireAt(slot)
  )
  const fired: Array<number> = []
  let state: State = { ...initialState, nextSlot: slots.after(BEGIN - 1) }
  let [now, busyUntil, dueAt, waits] = [BEGIN, -Infinity, 0, false]
  for (const [index, event] of told.events.entries()) {
    const manual = event.manual.map((serial, n): ManualRun => ({ slot: now, run: `manual ${index} ${n}`, serial }))
    const before: State = { ...state, backlog: state.backlog.concat(manual) }
    naive.backlog.push(...manual)
    if (event.overlap !== null) {
      settings = { ...first, overlap: event.overlap }
      naive.settings = settings
      const woken = wakeUp({ name: NAME, settings, state }, now < busyUntil, now)
      dueAt = woken.dueAt
      waits = woken.waits
    }
    const wakesAt = manual.length > 0 ? now : Math.min(dueAt, waits ? busyUntil : Infinity)
    const isEarly = event.early !== null && now + event.early < wakesAt
    now = isEarly ? now + (event.early ?? 0) : Math.max(now, wakesAt === Infinity ? now : wakesAt) + event.down
    const situation = { now, limit: event.limit, busy: now < busyUntil }
    const isDue = manual.length > 0 || dueAt <= now || (waits && !situation.busy)
    const decision = subject({ name: NAME, settings, state: before }, situation)
    const expected = naive.decide({ now, limit: event.limit, isBusy: situation.busy })
    state = decision.state
    const starts = decision.starts.map(({ run, slot }) => run ?? slot)
    const place = `decision ${index} at ${now - BEGIN}`
    const show = (value: unknown) => JSON.stringify(value)
    const differs = (what: string, actual: unknown, wanted: unknown) =>
      show(actual) === show(wanted) ? [] : [`${place}: ${what} ${show(actual)}, expected ${show(wanted)}`]
    const slotRuns = decision.starts.flatMap(({ run, slot }) => run === null ? [slot] : [])
    const [problem] = [
      ...differs("starts", starts, expected.starts),
      ...differs("cancels", decision.cancels, expected.cancels),
      ...differs("next slot", state.nextSlot, naive.ahead[0] ?? null),
      ...differs("waiting", slotsOfAll(slots, state.waiting), naive.waiting),
      ...differs("started", state.started, naive.started),
      ...differs("skipped", state.skipped, naive.skipped),
      ...differs("backlog", state.backlog, naive.backlog),
      ...differs("due", `${decision.dueAt}`, `${expected.dueAt}`),
      ...differs("waits", decision.waits, expected.waits),
      // Otherwise the stretches grow by one with each slot.
      ...state.waiting.flatMap(([first], n) => {
        const last = state.waiting[n - 1]?.[1]
        return last !== undefined && slots.after(last) === first ? [`${place}: two stretches touch`] : []
      }),
      ...differs(
        "ended",
        state.status === "ended",
        before.status === "ended" ||
          (naive.ahead.length === 0 && naive.waiting.length === 0 && naive.backlog.length === 0)
      ),
      ...slotRuns.flatMap((slot, n) => {
        const last = slotRuns[n - 1] ?? fired.at(-1) ?? -Infinity
        return slot > last ? [] : [`${place}: slot ${slot - BEGIN} starts after ${last - BEGIN}`]
      }),
      ...slotRuns.filter((slot) => slot > now).map((slot) => `${place}: slot ${slot - BEGIN} starts early`),
      ...(fired.length + slotRuns.length > (settings.maxRuns ?? Infinity) ? [`${place}: more runs than maxRuns`] : []),
      ...(state.waiting.length > 0 && !situation.busy && starts.length === 0
        ? [`${place}: a slot waits, but no run is live`]
        : []),
      ...(starts.length > event.limit ? [`${place}: more runs than the limit`] : []),
      // A due schedule makes progress; otherwise it stays due for ever.
      ...(isDue && show([before, dueAt, waits]) === show([state, decision.dueAt, decision.waits]) &&
          situation.busy === now < busyUntil
          && decision.dueAt <= now
        ? [`${place}: it is due and nothing changes`]
        : []),
      ...(!isDue && (starts.length > 0 || decision.cancels) ? [`${place}: it acts though it is not due`] : [])
    ]
    if (problem !== undefined) return problem
    fired.push(...slotRuns)
    if (decision.starts.some(({ serial }) => serial)) busyUntil = now + event.takes
    dueAt = decision.dueAt
    waits = decision.waits
  }
  return undefined
}

const agrees = (subject: typeof decide, numRuns: number) =>
  fc.check(fc.property(story, (told) => void assert.isUndefined(problemOf(subject, told))), { numRuns })

describe("decisions about random schedules", () => {
  it("agree with a naive schedule", () => {
    const result = agrees(decide, 3_000)
    assert.isFalse(result.failed, fc.defaultReportMessage(result) ?? "")
  })

  it("delay each slot by less than its jitter, the same each time", () =>
    fc.assert(fc.property(fc.integer(), seconds(1, 300), (slot, jitter) => {
      const late = jitterOf(NAME, slot, jitter)
      assert.isTrue(late >= 0 && late < jitter)
      assert.strictEqual(jitterOf(NAME, slot, jitter), late)
    })))
})

describe("a faulty decision", () => {
  const mutants: Readonly<Record<string, typeof decide>> = {
    "ignores the previous run": (schedule, situation) => decide(schedule, { ...situation, busy: false }),
    "forgets waiting slots": (schedule, situation) => {
      const decision = decide(schedule, situation)
      return { ...decision, state: { ...decision.state, waiting: [] } }
    },
    "fires early": (schedule, situation) => decide(schedule, { ...situation, now: situation.now + 1 }),
    "loses a slot": (schedule, situation) => {
      const decision = decide(schedule, situation)
      const nextSlot = decision.starts.length > 1 && decision.state.nextSlot !== null
        ? new Slots(schedule).after(decision.state.nextSlot)
        : decision.state.nextSlot
      return { ...decision, state: { ...decision.state, nextSlot } }
    },
    "misses no slot while others wait": (schedule, situation) =>
      decide(
        schedule.state.waiting.length > 0
          ? { ...schedule, settings: { ...schedule.settings, catchUp: "all" } }
          : schedule,
        situation
      ),
    "catches up with all missed slots": (schedule, situation) =>
      decide({ ...schedule, settings: { ...schedule.settings, catchUp: "all" } }, situation),
    "ignores maxRuns": (schedule, situation) =>
      decide({ ...schedule, settings: { ...schedule.settings, maxRuns: null } }, situation),
    "starts more runs than the limit": (schedule, situation) =>
      decide(schedule, { ...situation, limit: situation.limit + 1 }),
    "splits stretches": (schedule, situation) => {
      const decision = decide(schedule, situation)
      const waiting = decision.state.waiting.flatMap(([first, last]): Stretches => {
        const next = new Slots(schedule).after(first)
        return next !== null && next <= last ? [[first, first], [next, last]] : [[first, last]]
      })
      return { ...decision, state: { ...decision.state, waiting } }
    },
    "does not count skipped slots": (schedule, situation) => {
      const decision = decide(schedule, situation)
      return { ...decision, state: { ...decision.state, skipped: schedule.state.skipped } }
    },
    "cancels no run": (schedule, situation) => ({ ...decide(schedule, situation), cancels: false }),
    "does not wait": (schedule, situation) => ({ ...decide(schedule, situation), waits: false }),
    "is due once more": (schedule, situation) => {
      const decision = decide(schedule, situation)
      const dueAt = decision.starts.length > 0 ? Math.min(decision.dueAt, situation.now) : decision.dueAt
      return { ...decision, dueAt }
    },
    "is due for ever": (schedule, situation) => ({ ...decide(schedule, situation), dueAt: 0 })
  }
  for (const [fault, mutant] of Object.entries(mutants)) {
    it(`is detected: it ${fault}`, () => assert.isTrue(agrees(mutant, 3_000).failed))
  }
})
