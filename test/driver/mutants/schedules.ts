/** Mutants of the verbs for schedules. */
import * as Effect from "effect/Effect"
import type { JournalDriver, ScheduleRecord, VerbRequest, VerbValues } from "perdure/JournalDriver"
import { type Mutant, mutant, rewriteJson } from "./Mutant.js"

type Due = VerbValues["dueSchedules"]

/** Replaces the revisions of a request by those that are stored, 0 for none. */
const current = <A extends { readonly name: string }>(driver: JournalDriver, requested: ReadonlyArray<A>) =>
  Effect.map(
    driver.schedules({ names: requested.map(({ name }) => name), after: null, limit: requested.length }),
    ({ value }) => {
      const revisions = new Map(value.map(({ name, revision }) => [name, revision]))
      return requested.map((each) => ({ ...each, revision: revisions.get(each.name) ?? 0 }))
    }
  )

const changeDue = (change: (due: Due, now: number) => Partial<Due>) => (driver: JournalDriver) => ({
  dueSchedules: (request: VerbRequest<"dueSchedules">) =>
    Effect.map(driver.dueSchedules(request), ({ now, value }) => ({ now, value: { ...value, ...change(value, now) } }))
})

const changeRows = (change: (row: ScheduleRecord) => ScheduleRecord) => (driver: JournalDriver) => ({
  schedules: (request: VerbRequest<"schedules">) =>
    Effect.map(driver.schedules(request), ({ now, value }) => ({ now, value: value.map(change) }))
})

const byName = (a: ScheduleRecord, b: ScheduleRecord): number => a.name < b.name ? -1 : a.name > b.name ? 1 : 0

export const scheduleMutants: ReadonlyArray<Mutant> = [
  mutant("schedules", "a write ignores the revision", (driver) => ({
    writeSchedules: (request) =>
      Effect.flatMap(
        current(driver, request.schedules),
        (schedules) => driver.writeSchedules({ ...request, schedules })
      )
  })),
  mutant("schedules", "a deletion ignores the revision", (driver) => ({
    removeSchedules: (schedules) => Effect.flatMap(current(driver, schedules), (all) => driver.removeSchedules(all))
  })),
  mutant("schedules", "an insert replaces an existing row", (driver) => ({
    writeSchedules: (request) =>
      Effect.flatMap(current(driver, request.schedules), (found) =>
        driver.writeSchedules({
          ...request,
          schedules: request.schedules.map((row, index) =>
            row.revision === 0 ? { ...row, revision: found[index]?.revision ?? 0 } : row
          )
        }))
  })),
  mutant("schedules", "a write is not rolled back with its transaction", (driver) => {
    // Repeated when the transaction is rolled back.
    let written: ReadonlyArray<VerbRequest<"writeSchedules">> = []
    return {
      writeSchedules: (request) =>
        Effect.tap(driver.writeSchedules(request), () =>
          Effect.sync(() => {
            written = [...written, request]
          })),
      transaction: (self) => {
        written = []
        return Effect.tapError(
          driver.transaction(self),
          () => Effect.ignore(Effect.forEach(written, (request) => driver.writeSchedules(request)))
        )
      }
    }
  }),
  mutant("schedules", "no schedule waits for its run", (driver) => ({
    writeSchedules: (request) =>
      driver.writeSchedules({ ...request, schedules: request.schedules.map((row) => ({ ...row, waits: false })) })
  })),
  mutant(
    "schedules",
    "a schedule that waits is not due when its run ends",
    changeDue(({ schedules }, now) => ({
      schedules: schedules.filter(({ dueAt, waits }) => !waits || dueAt <= now)
    }))
  ),
  mutant(
    "schedules",
    "a schedule that waits for a deleted run is never due",
    changeDue(({ schedules }, now) => ({
      schedules: schedules.filter(({ dueAt, runStatus, waits }) => !waits || dueAt <= now || runStatus !== null)
    }))
  ),
  mutant("schedules", "a schedule that waits is always due", (driver) => ({
    dueSchedules: (request) =>
      Effect.gen(function*() {
        const { now, value } = yield* driver.dueSchedules(request)
        const { value: all } = yield* driver.schedules({ names: null, after: null, limit: 1_000 })
        const waiting = all.filter(({ needs, waits }) => waits && request.needs.includes(needs))
        const others = value.schedules.filter((each) => !waiting.some(({ name }) => name === each.name))
        return { now, value: { ...value, schedules: [...waiting, ...others].slice(0, request.limit) } }
      })
  })),
  mutant(
    "schedules",
    "a schedule that waits is not due at its dueAt",
    changeDue(({ schedules }) => ({
      schedules: schedules.filter(({ runStatus, waits }) => !waits || runStatus !== "running")
    }))
  ),
  mutant("schedules", "awaited runs are not returned", changeDue(() => ({ awaited: [] }))),
  mutant(
    "schedules",
    "due schedules are ordered by name",
    changeDue(({ schedules }) => ({ schedules: schedules.toSorted(byName) }))
  ),
  mutant("schedules", "the limit of due schedules is ignored", (driver) => ({
    dueSchedules: (request) => driver.dueSchedules({ ...request, limit: 1_000 })
  })),
  mutant("schedules", "the needs of due schedules are ignored", (driver) => ({
    dueSchedules: (request) =>
      Effect.flatMap(
        driver.schedules({ names: null, after: null, limit: 1_000 }),
        ({ value }) => driver.dueSchedules({ ...request, needs: value.map(({ needs }) => needs) })
      )
  })),
  mutant("schedules", "nextDue is that of a schedule with other needs", (driver) => ({
    dueSchedules: (request) =>
      Effect.gen(function*() {
        const { now, value } = yield* driver.dueSchedules(request)
        const { value: all } = yield* driver.schedules({ names: null, after: null, limit: 1_000 })
        const others = all.filter(({ dueAt, needs }) => dueAt < Infinity && !request.needs.includes(needs))
        const next = Math.min(value.nextDue ?? Infinity, ...others.map(({ dueAt }) => dueAt))
        return { now, value: { ...value, nextDue: next === Infinity ? null : next } }
      })
  })),
  mutant(
    "schedules",
    "nextDue is that of a schedule that is already due",
    changeDue(({ nextDue, schedules }) => ({
      nextDue: schedules.find(({ dueAt }) => dueAt < Infinity)?.dueAt ?? nextDue
    }))
  ),
  mutant(
    "schedules",
    "nextDue is Infinity if no schedule follows",
    changeDue(({ nextDue }) => ({ nextDue: nextDue ?? Infinity }))
  ),
  mutant("schedules", "seeSchedules increments the revision", (driver) => ({
    seeSchedules: (names) =>
      Effect.gen(function*() {
        const before = yield* driver.schedules({ names, after: null, limit: names.length })
        const answer = yield* driver.seeSchedules(names)
        const changed = before.value.filter(({ seenAt }) => seenAt < answer.now - 30_000)
        yield* driver.writeSchedules({ schedules: changed, hint: false })
        return answer
      })
  })),
  mutant("schedules", "seeSchedules writes nothing", (driver) => ({
    seeSchedules: (names) => Effect.map(driver.seeSchedules([]), ({ now }) => ({ now, value: new Set(names).size }))
  })),
  mutant("schedules", "seeSchedules counts unknown names", (driver) => ({
    seeSchedules: (names) => Effect.map(driver.seeSchedules(names), ({ now }) => ({ now, value: new Set(names).size }))
  })),
  mutant("schedules", "the limit of a page of schedules is ignored", (driver) => ({
    schedules: (request) => driver.schedules({ ...request, limit: 1_000 })
  })),
  mutant("schedules", "every page of schedules starts at the first", (driver) => ({
    schedules: (request) => driver.schedules({ ...request, after: null })
  })),
  mutant("schedules", "the state of schedules is parsed and written again", (driver) => ({
    writeSchedules: (request) =>
      driver.writeSchedules({
        ...request,
        schedules: request.schedules.map((row) => ({ ...row, state: rewriteJson(row.state) }))
      })
  })),
  mutant("schedules", "the definition of schedules is not stored", changeRows((row) => ({ ...row, definition: null }))),
  mutant(
    "schedules",
    "the status of a schedule's run is not returned",
    changeRows((row) => ({ ...row, runStatus: null }))
  )
]
