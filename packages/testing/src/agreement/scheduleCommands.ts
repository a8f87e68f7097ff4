/** Random commands on schedules. */
import * as FastCheck from "effect/FastCheck"
import type { Index } from "./Command.js"
import { needsCount, scheduleCount } from "./pool.js"
import type { ScheduleOperation } from "./ScheduleCommand.js"

const { array, boolean, constant, constantFrom, integer, oneof, option, record, uniqueArray } = FastCheck

const index = (count: number) => integer({ min: 0, max: count - 1 })

const rowRef = {
  schedule: index(scheduleCount),
  skew: oneof({ weight: 6, arbitrary: constant(0) }, { weight: 1, arbitrary: constantFrom(-1, 1) })
}

/** The start of every sequence: schedules that wait, and the time after which `seenAt` is written again. */
export const scheduleOpening: ReadonlyArray<ScheduleOperation | { readonly _tag: "Pass"; readonly millis: number }> = [
  {
    _tag: "WriteSchedules",
    rows: [0, 1, 2].map((schedule) => ({
      schedule,
      skew: 0,
      needs: schedule % needsCount,
      delay: Infinity,
      run: schedule,
      waits: schedule > 0,
      state: 0,
      definition: null
    })),
    hint: false
  },
  { _tag: "Pass", millis: 30_000 }
]

/** An operation on schedules that refer to these runs. */
export const scheduleOperation = (run: FastCheck.Arbitrary<Index>): FastCheck.Arbitrary<ScheduleOperation> =>
  oneof(
    {
      weight: 5,
      arbitrary: record({
        _tag: constant("WriteSchedules" as const),
        rows: uniqueArray(
          record({
            ...rowRef,
            needs: index(needsCount),
            delay: constantFrom(-10, 0, 10, 50, 500, Infinity),
            run: oneof({ weight: 4, arbitrary: index(4) }, { weight: 1, arbitrary: run }, {
              weight: 1,
              arbitrary: constant(null)
            }),
            waits: boolean(),
            state: index(3),
            definition: option(index(3))
          }),
          { minLength: 1, maxLength: 4, selector: ({ schedule }) => schedule }
        ),
        hint: boolean()
      })
    },
    {
      weight: 1,
      arbitrary: record({
        _tag: constant("RemoveSchedules" as const),
        rows: uniqueArray(record(rowRef), { minLength: 1, maxLength: 2, selector: ({ schedule }) => schedule })
      })
    },
    {
      weight: 2,
      arbitrary: record({
        _tag: constant("SeeSchedules" as const),
        schedules: array(index(scheduleCount + 1), { maxLength: 4 })
      })
    },
    {
      weight: 3,
      arbitrary: record({
        _tag: constant("DueSchedules" as const),
        needs: oneof({ weight: 2, arbitrary: constant([0, 1]) }, {
          weight: 1,
          arbitrary: array(index(needsCount + 1), { maxLength: 3 })
        }),
        limit: index(5)
      })
    },
    {
      weight: 1,
      arbitrary: record({
        _tag: constant("ReadSchedules" as const),
        schedules: option(array(index(scheduleCount + 1), { maxLength: 3 })),
        after: option(index(scheduleCount)),
        limit: index(5)
      })
    }
  )
