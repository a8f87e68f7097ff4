/**
 * Random schedules through random downtimes and busy times: what `turn` says is what a naive schedule does, which has a list
 * of its slots; and what must hold, whatever the policies are, does. Other ones each time; what fails tells its seed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { initial } from "perdure/internal/schedules/rows"
import type { Asked, Settings, State } from "perdure/internal/schedules/settings"
import { Overlap } from "perdure/internal/schedules/settings"
import { jitterOf, Slots, type Stretches } from "perdure/internal/schedules/slots"
import { turn, wakes as wakesOf } from "perdure/internal/schedules/turn"
import { type Spec, slotsOf } from "./fixtures/calendarOracle.js"
import { calendarOf } from "./fixtures/calendarSamples.js"
import { NaiveSchedule } from "./fixtures/naiveSchedule.js"

const SECOND = 1_000
const BEGIN = Date.UTC(2026, 2, 29, 0, 30)
const NAME = "some schedule"

/** What happens before the schedule is looked at once more. */
interface Event {
  /** How long nobody is there after it should be looked at; milliseconds. */
  readonly down: number
  /** Looked at though nothing is due, so much later. */
  readonly early: number | null
  readonly most: number
  /** How long its next run takes. */
  readonly takes: number
  readonly asked: ReadonlyArray<boolean>
  /** Its policy is another one from then on. */
  readonly overlap: Overlap | null
}

interface Story {
  readonly spec: Spec
  readonly settings: Pick<Settings, "overlap" | "catchUp" | "jitter" | "maxRuns">
  /** How long it has slots. */
  readonly lasts: number
  readonly events: ReadonlyArray<Event>
}

const seconds = (least: number, most: number) => fc.integer({ min: least * SECOND, max: most * SECOND })

const every: fc.Arbitrary<Spec> = fc.record({
  kind: fc.constant("every" as const),
  seconds: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 20, max: 200 })),
  anchor: fc.integer({ min: 0, max: 1_000 }).map((anchor) => anchor * SECOND)
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
        fc.tuple(seconds(0, 900), seconds(1, 300)).map(([from, lasts]) => ({
          from: BEGIN + from,
          to: BEGIN + from + lasts
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
  lasts: seconds(1, 1_200),
  events: fc.array(
    fc.record({
      down: fc.oneof(fc.constant(0), fc.constantFrom(59_999, 60_000, 60_001), seconds(0, 3), seconds(0, 300)),
      early: rarely<number | null>(seconds(0, 10), null),
      most: fc.integer({ min: 1, max: 8 }),
      takes: fc.oneof(fc.constant(0), seconds(0, 5), seconds(0, 200)),
      asked: rarely<ReadonlyArray<boolean>>(fc.array(fc.boolean(), { maxLength: 4 }), [], 10),
      overlap: rarely<Overlap | null>(fc.constantFrom(...Overlap.literals), null, 20)
    }),
    { minLength: 1, maxLength: 40 }
  )
})

const settingsOf = ({ lasts, settings, spec }: Story): Settings => ({
  workflow: "Job",
  version: "1",
  payload: null,
  calendar: calendarOf(spec, "fields"),
  from: BEGIN,
  until: BEGIN + lasts,
  run: { queue: null, priority: null, expiresIn: null, tags: [], attributes: {} },
  ...settings
})

const slotsOfAll = (slots: Slots, queue: Stretches): ReadonlyArray<number> =>
  queue.flatMap(([first, last]) => slots.between(first, last + 1, Infinity))

/** How a story goes; the first thing that is wrong with it, in words. */
const wrongOf = (subject: typeof turn, told: Story): string | undefined => {
  const first = settingsOf(told)
  let settings = first
  const slots = new Slots(NAME, settings)
  const naive = new NaiveSchedule(settings, slotsOf(told.spec, BEGIN, BEGIN + told.lasts), (slot) => slots.fireAt(slot))
  const fired: Array<number> = []
  let state: State = { ...initial, slot: slots.after(BEGIN - 1) }
  let [now, busyUntil, dueAt, waits] = [BEGIN, -Infinity, 0, false]
  for (const [index, event] of told.events.entries()) {
    const asked = event.asked.map((serial, n): Asked => ({ slot: now, run: `asked ${index} ${n}`, serial }))
    const before: State = { ...state, backlog: state.backlog.concat(asked) }
    naive.asked.push(...asked)
    if (event.overlap !== null) {
      settings = { ...first, overlap: event.overlap }
      naive.settings = settings
      const woken = wakesOf(slots, settings, state, now < busyUntil, now)
      dueAt = woken.dueAt
      waits = woken.waits
    }
    const wakes = asked.length > 0 ? now : Math.min(dueAt, waits ? busyUntil : Infinity)
    const isEarly = event.early !== null && now + event.early < wakes
    now = isEarly ? now + (event.early ?? 0) : Math.max(now, wakes === Infinity ? now : wakes) + event.down
    const look = { now, most: event.most, busy: now < busyUntil }
    const isDue = asked.length > 0 || dueAt <= now || (waits && !look.busy)
    const done = subject(NAME, settings, before, look)
    const expected = naive.look({ now, most: event.most, isBusy: look.busy })
    state = done.state
    const starts = done.starts.map(({ run, slot }) => run ?? slot)
    const place = `look ${index} at ${now - BEGIN}`
    const show = (value: unknown) => JSON.stringify(value)
    const differs = (what: string, is: unknown, should: unknown) =>
      show(is) === show(should) ? [] : [`${place}: ${what} ${show(is)}, it should be ${show(should)}`]
    const regular = done.starts.flatMap(({ run, slot }) => run === null ? [slot] : [])
    const [problem] = [
      ...differs("starts", starts, expected.starts),
      ...differs("cancels", done.cancels, expected.cancels),
      ...differs("next slot", state.slot, naive.left[0] ?? null),
      ...differs("waiting", slotsOfAll(slots, state.queue), naive.waiting),
      ...differs("started", state.started, naive.started),
      ...differs("skipped", state.skipped, naive.skipped),
      ...differs("backlog", state.backlog, naive.asked),
      ...differs("due", `${done.dueAt}`, `${expected.dueAt}`),
      ...differs("waits", done.waits, expected.waits),
      // Or they grow without end, one a slot.
      ...state.queue.flatMap(([first], n) => {
        const last = state.queue[n - 1]?.[1]
        return last !== undefined && slots.after(last) === first ? [`${place}: two stretches wait that are one`] : []
      }),
      ...differs(
        "ended",
        state.status === "ended",
        before.status === "ended" ||
          (naive.left.length === 0 && naive.waiting.length === 0 && naive.asked.length === 0)
      ),
      ...regular.flatMap((slot, n) => {
        const last = regular[n - 1] ?? fired.at(-1) ?? -Infinity
        return slot > last ? [] : [`${place}: slot ${slot - BEGIN} comes after ${last - BEGIN}`]
      }),
      ...regular.filter((slot) => slot > now).map((slot) => `${place}: slot ${slot - BEGIN} comes before its time`),
      ...(fired.length + regular.length > (settings.maxRuns ?? Infinity)
        ? [`${place}: more runs than it may have`]
        : []),
      ...(state.queue.length > 0 && !look.busy && starts.length === 0 ? [`${place}: it waits for nobody`] : []),
      ...(starts.length > event.most ? [`${place}: more runs than it may start at a time`] : []),
      // What is due makes progress, or is looked at without end.
      ...(isDue && show([before, dueAt, waits]) === show([state, done.dueAt, done.waits]) &&
          look.busy === now < busyUntil
          && done.dueAt <= now
        ? [`${place}: it is due and nothing comes of it`]
        : []),
      ...(!isDue && (starts.length > 0 || done.cancels) ? [`${place}: it is not due`] : [])
    ]
    if (problem !== undefined) return problem
    fired.push(...regular)
    if (done.starts.some(({ beside }) => !beside)) busyUntil = now + event.takes
    dueAt = done.dueAt
    waits = done.waits
  }
  return undefined
}

const agrees = (subject: typeof turn, numRuns: number) =>
  fc.check(fc.property(story, (told) => void assert.isUndefined(wrongOf(subject, told))), { numRuns })

describe("turns of random schedules", () => {
  it("are as a naive schedule has them", () => {
    const result = agrees(turn, 3_000)
    assert.isFalse(result.failed, fc.defaultReportMessage(result) ?? "")
  })

  it("fire each slot within its jitter, wherever they are asked", () =>
    fc.assert(fc.property(fc.integer(), seconds(1, 300), (slot, jitter) => {
      const late = jitterOf(NAME, slot, jitter)
      assert.isTrue(late >= 0 && late < jitter)
      assert.strictEqual(jitterOf(NAME, slot, jitter), late)
    })))
})

describe("a turn that is wrong", () => {
  const mutants: Readonly<Record<string, typeof turn>> = {
    "does not know that it is busy": (name, settings, state, look) =>
      turn(name, settings, state, { ...look, busy: false }),
    "forgets what waits": (name, settings, state, look) => {
      const done = turn(name, settings, state, look)
      return { ...done, state: { ...done.state, queue: [] } }
    },
    "fires early": (name, settings, state, look) => turn(name, settings, state, { ...look, now: look.now + 1 }),
    "passes over a slot": (name, settings, state, look) => {
      const done = turn(name, settings, state, look)
      const slot = done.starts.length > 1 && done.state.slot !== null
        ? new Slots(name, settings).after(done.state.slot)
        : done.state.slot
      return { ...done, state: { ...done.state, slot } }
    },
    "remembers what nobody has seen": (name, settings, state, look) =>
      turn(name, state.queue.length > 0 ? { ...settings, catchUp: "all" } : settings, state, look),
    "catches up with everything": (name, settings, state, look) =>
      turn(name, { ...settings, catchUp: "all" }, state, look),
    "has no maximum": (name, settings, state, look) => turn(name, { ...settings, maxRuns: null }, state, look),
    "starts too many": (name, settings, state, look) => turn(name, settings, state, { ...look, most: look.most + 1 }),
    "waits in pieces": (name, settings, state, look) => {
      const done = turn(name, settings, state, look)
      const queue = done.state.queue.flatMap(([first, last]): Stretches => {
        const next = new Slots(name, settings).after(first)
        return next !== null && next <= last ? [[first, first], [next, last]] : [[first, last]]
      })
      return { ...done, state: { ...done.state, queue } }
    },
    "counts no slot that it passes over": (name, settings, state, look) => {
      const done = turn(name, settings, state, look)
      return { ...done, state: { ...done.state, skipped: state.skipped } }
    },
    "cancels nobody": (name, settings, state, look) => ({ ...turn(name, settings, state, look), cancels: false }),
    "does not wait": (name, settings, state, look) => ({ ...turn(name, settings, state, look), waits: false }),
    "is looked at once more": (name, settings, state, look) => {
      const done = turn(name, settings, state, look)
      return { ...done, dueAt: done.starts.length > 0 ? Math.min(done.dueAt, look.now) : done.dueAt }
    },
    "is looked at without end": (name, settings, state, look) => ({ ...turn(name, settings, state, look), dueAt: 0 })
  }
  for (const [what, mutant] of Object.entries(mutants)) {
    it(`is found: it ${what}`, () => assert.isTrue(agrees(mutant, 3_000).failed))
  }
})
