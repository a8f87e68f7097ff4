/** Operations on a small pool of schedules, which refer to runs of the pool. Revisions are said in relation to the stored ones. */
import * as FastCheck from "effect/FastCheck"

/** A member of a pool, by number. */
type Index = number

/** A row that is known as it is stored, or as it never was: one that was changed since, or is yet to come. */
export interface Known {
  readonly schedule: Index
  readonly skew: number
}

export interface Written extends Known {
  readonly needs: Index
  readonly delay: number
  readonly run: Index | null
  readonly waits: boolean
  readonly state: Index
  readonly definition: Index | null
}

export type ScheduleOperation =
  | { readonly _tag: "WriteSchedules"; readonly rows: ReadonlyArray<Written>; readonly hint: boolean }
  | { readonly _tag: "RemoveSchedules"; readonly rows: ReadonlyArray<Known> }
  | { readonly _tag: "SeeSchedules"; readonly schedules: ReadonlyArray<Index> }
  | { readonly _tag: "DueSchedules"; readonly needs: ReadonlyArray<Index>; readonly limit: number }
  | {
    readonly _tag: "ReadSchedules"
    readonly schedules: ReadonlyArray<Index> | null
    readonly after: Index | null
    readonly limit: number
  }

export const scheduleCount = 5
export const needsCount = 2

const { array, boolean, constant, constantFrom, integer, oneof, option, record, uniqueArray } = FastCheck

const index = (count: number) => integer({ min: 0, max: count - 1 })

const known = {
  schedule: index(scheduleCount),
  skew: oneof({ weight: 6, arbitrary: constant(0) }, { weight: 1, arbitrary: constantFrom(-1, 1) })
}

/** What every sequence begins with: some that wait, so long ago that a moment later it is noted anew that they are seen. */
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

/** Any of them, with runs of the pool. */
export const scheduleOperation = (run: FastCheck.Arbitrary<Index>): FastCheck.Arbitrary<ScheduleOperation> =>
  oneof(
    {
      weight: 5,
      arbitrary: record({
        _tag: constant("WriteSchedules" as const),
        rows: uniqueArray(
          record({
            ...known,
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
        rows: uniqueArray(record(known), { minLength: 1, maxLength: 2, selector: ({ schedule }) => schedule })
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
