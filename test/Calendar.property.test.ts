/**
 * Calendars fire when the oracle says so, which walks minute by minute: random calendars in the zones of the whole world,
 * mostly about the days on which clocks there are set. Other ones each time; what fails tells its seed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import * as Calendar from "perdure/Calendar"
import { type Change, changesOf, slotsOf } from "./fixtures/calendarOracle.js"
import { calendarOf, type Sample, sampleAbout } from "./fixtures/calendarSamples.js"

/** And the last month of 1994, as the Line Islands left out its last day. */
const YEARS = [Date.UTC(1994, 11, 1), Date.UTC(2036, 0, 1)] as const

const zones = [
  "Africa/Cairo",
  "Africa/Casablanca",
  "America/Asuncion",
  "America/Caracas",
  "America/Havana",
  "America/New_York",
  "America/Sao_Paulo",
  "America/Scoresbysund",
  "America/St_Johns",
  "Antarctica/Casey",
  "Antarctica/Troll",
  "Asia/Beirut",
  "Asia/Gaza",
  "Asia/Kathmandu",
  "Asia/Pyongyang",
  "Asia/Tehran",
  "Australia/Lord_Howe",
  "Europe/Berlin",
  "Europe/Dublin",
  "Europe/Istanbul",
  "Pacific/Apia",
  "Pacific/Chatham",
  "Pacific/Fiji",
  "Pacific/Kiritimati"
]

/** What a calendar is asked for, so that others can be asked in its place. */
interface Subject {
  readonly slots: typeof Calendar.slotsMillis
  readonly next: typeof Calendar.nextMillis
  readonly last: typeof Calendar.lastMillis
}

const library: Subject = { slots: Calendar.slotsMillis, next: Calendar.nextMillis, last: Calendar.lastMillis }

const MOST = 2_000

const show = (slot: number | null | undefined) =>
  slot === null || slot === undefined ? "none" : new Date(slot).toISOString()

/** The first thing that a subject answers other than the oracle. */
const disagreement = (subject: Subject, { from, instants, spec, to, via }: Sample): string | undefined => {
  const calendar = calendarOf(spec, via)
  const [problem] = Calendar.problems(calendar)
  if (problem !== undefined) return problem
  const expected = slotsOf(spec, from, to)
  const found = subject.slots(calendar, from, to, MOST)
  const at = Math.max(found.length, Math.min(expected.length, MOST))
  for (let index = 0; index < at; index++) {
    if (found[index] !== expected[index]) return `slot ${index} is ${show(found[index])}, not ${show(expected[index])}`
  }
  for (const after of instants) {
    const [next, right] = [subject.next(calendar, after), expected.find((slot) => slot > after)]
    // Where the oracle has not looked, it knows only that nothing is before.
    if (right === undefined ? next !== null && next < to : next !== right) {
      return `next after ${show(after)} is ${show(next)}, not ${show(right)}`
    }
    for (const until of instants) {
      if (after < from - 1 || until >= to) continue
      const [last, right] = [
        subject.last(calendar, after, until),
        expected.findLast((slot) => slot > after && slot <= until) ?? null
      ]
      if (last !== right) return `last in ${show(after)} to ${show(until)} is ${show(last)}, not ${show(right)}`
    }
  }
  return undefined
}

const changes = zones.map((zone) => changesOf(zone, ...YEARS)).filter((changes) => changes.length > 0)

/** An instant at which clocks are set, in a zone. Each zone is as likely, however often it has done so. */
const change: fc.Arbitrary<Change> = fc.constantFrom(...changes).chain((changes) => fc.constantFrom(...changes))

const instant: fc.Arbitrary<number> = fc.integer({ min: YEARS[0], max: YEARS[1] })

/** What a report says if some of so many samples are not as the oracle says, with the seed by which they come again. */
const complaint = (samples: fc.Arbitrary<Sample>, numRuns: number): string | undefined =>
  fc.defaultReportMessage(fc.check(
    fc.property(samples, (sample) => assert.isUndefined(disagreement(library, sample))),
    { numRuns }
  ))

describe("a calendar agrees with the oracle", () => {
  it("has zones whose clocks are set in all ways", () => {
    assert.isAtLeast(changes.length, 20)
    const all = changes.flat()
    const ways = new Set(all.map(({ by }) => by))
    for (const by of [-180, -120, -60, -30, 30, 60, 120, 180, 1_440]) assert.isTrue(ways.has(by), `by ${by} minutes`)
    const inAll = (zone: string) =>
      all.filter((change) => change.zone === zone).map(({ at }) => new Date(at).getUTCFullYear())
    assert.includeMembers(inAll("Europe/Berlin"), [1995, 2015, 2035])
  })

  it("about the days on which clocks are set", () => {
    assert.isUndefined(complaint(change.chain((change) => sampleAbout(change)), 700))
  })

  it("on other days", () => {
    const place = fc.record({ zone: fc.constantFrom(...zones, "+05:30", "UTC"), at: instant })
    assert.isUndefined(complaint(place.chain((place) => sampleAbout(place)), 200))
  })

  it("in the zones of the whole world", () => {
    const place = fc.record({ zone: fc.constantFrom(...Intl.supportedValuesOf("timeZone")), at: instant })
    const sample = place.chain(({ at, zone }) =>
      sampleAbout(changesOf(zone, at, at + 366 * 86_400_000)[0] ?? { zone, at })
    )
    assert.isUndefined(complaint(sample, 150))
  })

  it("over most of a year", () => {
    assert.isUndefined(complaint(change.chain((change) => sampleAbout(change, 150 * 86_400_000)), 4))
  })
})

/** Change all calendars of a kind in a calendar. */
const altered = (
  calendar: Calendar.Calendar,
  change: (part: Calendar.Calendar) => Calendar.Calendar
): Calendar.Calendar => {
  const changed = change(calendar)
  switch (changed._tag) {
    case "Join":
      return { ...changed, calendars: changed.calendars.map((part) => altered(part, change)) }
    case "Except":
      return { ...changed, calendar: altered(changed.calendar, change) }
    default:
      return changed
  }
}

/** Whoever takes a calendar for another. */
const mistaking = (change: (part: Calendar.Calendar) => Calendar.Calendar): Subject => ({
  slots: (calendar, ...range) => library.slots(altered(calendar, change), ...range),
  next: (calendar, after) => library.next(altered(calendar, change), after),
  last: (calendar, ...range) => library.last(altered(calendar, change), ...range)
})

/** Whoever says another instant for a slot. */
const saying = (change: (slot: number) => number): Subject => ({
  slots: (...asked) => library.slots(...asked).map(change),
  next: (...asked) => {
    const found = library.next(...asked)
    return found === null ? null : change(found)
  },
  last: (...asked) => {
    const found = library.last(...asked)
    return found === null ? null : change(found)
  }
})

const gaps = new Set(changes.flat().filter(({ by }) => by > 0).map(({ at }) => at))

const faulty: Readonly<Record<string, Subject>> = {
  "fires what clocks show twice both times": mistaking((part) =>
    part._tag === "Wall" ? { ...part, repeated: "both" } : part
  ),
  "never fires a second time": mistaking((part) => part._tag === "Wall" ? { ...part, repeated: "first" } : part),
  "takes one rule of days for the other": mistaking((part) =>
    part._tag === "Wall" ? { ...part, match: part.match === "both" ? "either" : "both" } : part
  ),
  "knows no last day of the month": mistaking((part) =>
    part._tag === "Wall" && part.days?.includes(-1) ? { ...part, days: [31] } : part
  ),
  "does not set the clocks of one zone": mistaking((part) =>
    part._tag === "Wall" && part.zone === "Australia/Lord_Howe" ? { ...part, zone: "+10:30" } : part
  ),
  "has the clocks of one zone never be set back for Ramadan": mistaking((part) =>
    part._tag === "Wall" && part.zone === "Africa/Casablanca" ? { ...part, zone: "Europe/Lisbon" } : part
  ),
  "takes dates for those of UTC": mistaking((part) => part._tag === "Except" ? { ...part, zone: "UTC" } : part),
  "takes ranges with their ends": mistaking((part) =>
    part._tag === "Except" ? { ...part, ranges: part.ranges.map(({ from, to }) => ({ from, to: to + 1 })) } : part
  ),
  "forgets a part": mistaking((part) =>
    part._tag === "Join" && part.calendars.length > 1 ? { ...part, calendars: part.calendars.slice(1) } : part
  ),
  "is late by an hour in an hour of all": saying((slot) => slot % 86_400_000 === 3_600_000 ? slot + 3_600_000 : slot),
  "fires a minute after gaps": saying((slot) => gaps.has(slot) ? slot + 60_000 : slot),
  "says an instant itself for the next": { ...library, next: (calendar, after) => library.next(calendar, after - 1) },
  "leaves out the end": { ...library, last: (calendar, from, to) => library.last(calendar, from, to - 1) },
  "leaves out the beginning": {
    ...library,
    slots: (calendar, from, ...to) => library.slots(calendar, from + 1, ...to)
  },
  "says one more": { ...library, slots: (calendar, from, to, most) => library.slots(calendar, from, to + 1, most) }
}

/** With the same samples each time, so that a fault that is found is found by everybody. */
const SEED = 1

describe("the oracle tells whoever", () => {
  const samples = change.chain((change) => sampleAbout(change, 86_400_000))
  for (const [fault, subject] of Object.entries(faulty)) {
    it(`${fault}`, () => {
      const property = fc.property(samples, (sample) => disagreement(subject, sample) === undefined)
      const { failed, numRuns } = fc.check(property, { seed: SEED, numRuns: 1_000, endOnFailure: true })
      assert.isTrue(failed, `not in ${numRuns} samples`)
    })
  }
})
