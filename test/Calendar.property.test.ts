import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import type * as Calendar from "perdure/Calendar"
import { change, changes, disagreement, library, type Subject, suite } from "./fixtures/calendarAgreement.js"
import { sampleAbout } from "./fixtures/calendarSamples.js"

suite({ clockChanges: 120, otherDays: 40, allZones: 40, years: 1 })

describe("the zones of the samples", () => {
  it("have clock changes of every kind", () => {
    assert.isAtLeast(changes.length, 20)
    const all = changes.flat()
    const kinds = new Set(all.map(({ by }) => by))
    for (const by of [-180, -120, -60, -30, 30, 60, 120, 180, 1_440]) assert.isTrue(kinds.has(by), `by ${by} minutes`)
    const years = (zone: string) =>
      all.filter((change) => change.zone === zone).map(({ at }) => new Date(at).getUTCFullYear())
    assert.includeMembers(years("Europe/Berlin"), [1995, 2015, 2035])
  })
})

/** Applies a change to all parts of a calendar. */
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

/** A subject that reads another calendar instead. */
const reading = (change: (part: Calendar.Calendar) => Calendar.Calendar): Subject => ({
  slots: (calendar, ...range) => library.slots(altered(calendar, change), ...range),
  next: (calendar, after) => library.next(altered(calendar, change), after),
  last: (calendar, ...range) => library.last(altered(calendar, change), ...range)
})

/** A subject that returns other instants. */
const returning = (change: (slot: number) => number): Subject => ({
  slots: (...args) => library.slots(...args).map(change),
  next: (...args) => {
    const found = library.next(...args)
    return found === null ? null : change(found)
  },
  last: (...args) => {
    const found = library.last(...args)
    return found === null ? null : change(found)
  }
})

const gaps = new Set(changes.flat().filter(({ by }) => by > 0).map(({ at }) => at))

const faulty: Readonly<Record<string, Subject>> = {
  "fires twice where clocks show a time twice": reading((part) =>
    part._tag === "Wall" ? { ...part, repeated: "both" } : part
  ),
  "never fires a second time": reading((part) => part._tag === "Wall" ? { ...part, repeated: "first" } : part),
  "confuses the two rules for days": reading((part) =>
    part._tag === "Wall" ? { ...part, match: part.match === "both" ? "either" : "both" } : part
  ),
  "ignores the last day of the month": reading((part) =>
    part._tag === "Wall" && part.days?.includes(-1) ? { ...part, days: [31] } : part
  ),
  "ignores the clock changes of one zone": reading((part) =>
    part._tag === "Wall" && part.zone === "Australia/Lord_Howe" ? { ...part, zone: "+10:30" } : part
  ),
  "ignores the clock change of Ramadan": reading((part) =>
    part._tag === "Wall" && part.zone === "Africa/Casablanca" ? { ...part, zone: "Europe/Lisbon" } : part
  ),
  "reads dates in UTC": reading((part) => part._tag === "Except" ? { ...part, zone: "UTC" } : part),
  "includes the ends of ranges": reading((part) =>
    part._tag === "Except" ? { ...part, ranges: part.ranges.map(({ from, to }) => ({ from, to: to + 1 })) } : part
  ),
  "ignores a part of a join": reading((part) =>
    part._tag === "Join" && part.calendars.length > 1 ? { ...part, calendars: part.calendars.slice(1) } : part
  ),
  "is late by an hour in one hour of the day": returning((slot) =>
    slot % 86_400_000 === 3_600_000 ? slot + 3_600_000 : slot
  ),
  "fires a minute after gaps": returning((slot) => gaps.has(slot) ? slot + 60_000 : slot),
  "returns the instant itself as the next slot": {
    ...library,
    next: (calendar, after) => library.next(calendar, after - 1)
  },
  "excludes the end": { ...library, last: (calendar, from, to) => library.last(calendar, from, to - 1) },
  "excludes the beginning": {
    ...library,
    slots: (calendar, from, ...to) => library.slots(calendar, from + 1, ...to)
  },
  "returns one slot too many": {
    ...library,
    slots: (calendar, from, to, most) => library.slots(calendar, from, to + 1, most)
  }
}

/** Fixed, so that every run finds the same faults. */
const SEED = 1

describe("the oracle finds a calendar that", () => {
  const samples = change.chain((change) => sampleAbout(change, 86_400_000))
  for (const [fault, subject] of Object.entries(faulty)) {
    it(`${fault}`, () => {
      const property = fc.property(samples, (sample) => disagreement(subject, sample) === undefined)
      const { failed, numRuns } = fc.check(property, { seed: SEED, numRuns: 1_000, endOnFailure: true })
      assert.isTrue(failed, `found nothing in ${numRuns} samples`)
    })
  }
})
