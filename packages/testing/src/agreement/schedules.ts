/** The operations of a player on schedules. Like a process, it reads rows before it writes them. */
import * as Effect from "effect/Effect"
import type { JournalError } from "perdure/Errors"
import type * as Driver from "perdure/JournalDriver"
import { value } from "../contract/Fixture.js"
import * as Pool from "./pool.js"
import type { RowRef, ScheduleOperation } from "./ScheduleCommand.js"

type Outcome = Effect.Effect<unknown, JournalError>

/** Not in the order of the numbers, and with characters that collations order differently. */
const names = ["b", "B", "a-1", "a_1", "é"]

const scheduleName = (prefix: string, n: number): string => `${prefix}-schedule-${names[n] ?? "unknown"}`

const needsName = (prefix: string, n: number): string => `${prefix}-needs-${n}`

const numbers = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, n) => n)

/** Everything that can be read of the pool's schedules. */
export const everything = (driver: Driver.JournalDriver, prefix: string): Outcome =>
  Effect.all({
    rows: value(
      driver.schedules({
        names: numbers(Pool.scheduleCount).map((n) => scheduleName(prefix, n)),
        after: null,
        limit: Pool.scheduleCount
      })
    ),
    due: Effect.forEach(
      numbers(Pool.needsCount),
      (n) => value(driver.dueSchedules({ needs: [needsName(prefix, n)], limit: Pool.scheduleCount }))
    )
  })

/** The request of an operation, from the rows that are stored now. It can be executed more than once. */
export const prepare = (
  driver: Driver.JournalDriver,
  prefix: string,
  now: Driver.Millis,
  operation: ScheduleOperation
): Effect.Effect<Outcome, JournalError> => {
  const nameOf = (n: number) => scheduleName(prefix, n)
  switch (operation._tag) {
    case "WriteSchedules": {
      const { hint, rows } = operation
      return Effect.map(revisions(driver, prefix, rows), (found) =>
        value(driver.writeSchedules({
          schedules: rows.map((row, index) => ({
            name: nameOf(row.schedule),
            needs: needsName(prefix, row.needs),
            dueAt: now + row.delay,
            run: row.run === null ? null : Pool.runId(prefix, row.run),
            waits: row.waits,
            settings: `{ "n": ${row.schedule} }`,
            state: `{ "state":  ${row.state} }`,
            definition: row.definition === null ? null : `[${row.definition}]`,
            revision: found[index] ?? 0
          })),
          hint
        })))
    }
    case "RemoveSchedules": {
      const { rows } = operation
      return Effect.map(
        revisions(driver, prefix, rows),
        (found) =>
          value(driver.removeSchedules(rows.map(({ schedule }, index) => ({
            name: nameOf(schedule),
            revision: found[index] ?? 0
          }))))
      )
    }
    case "SeeSchedules":
      return Effect.succeed(value(driver.seeSchedules(operation.schedules.map(nameOf))))
    case "DueSchedules": {
      const { limit, needs } = operation
      return Effect.succeed(
        value(driver.dueSchedules({ needs: needs.map((n) => needsName(prefix, n)), limit }))
      )
    }
    case "ReadSchedules": {
      const { after, limit, schedules } = operation
      const request = {
        names: schedules === null ? null : schedules.map(nameOf),
        after: after === null ? schedules === null ? `${prefix}-schedule-` : null : nameOf(after),
        limit
      }
      // Rows of other sequences come after those of this one.
      return Effect.succeed(
        Effect.map(value(driver.schedules(request)), (rows) => rows.filter(({ name }) => name.startsWith(prefix)))
      )
    }
  }
}

/** The revisions that a request names for these rows. */
const revisions = (
  driver: Driver.JournalDriver,
  prefix: string,
  rows: ReadonlyArray<RowRef>
): Effect.Effect<ReadonlyArray<number>, JournalError> =>
  Effect.map(
    value(driver.schedules({
      names: rows.map(({ schedule }) => scheduleName(prefix, schedule)),
      after: null,
      limit: rows.length
    })),
    (found) => {
      const stored = new Map(found.map(({ name, revision }) => [name, revision]))
      return rows.map(({ schedule, skew }) => Math.max(0, (stored.get(scheduleName(prefix, schedule)) ?? 0) + skew))
    }
  )
