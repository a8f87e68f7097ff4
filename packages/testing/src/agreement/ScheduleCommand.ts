/**
 * Commands on a small pool of schedules, which refer to runs of the pool. Revisions are relative to the stored ones.
 */
/** The number of a member of the pool. */
type Index = number

/** A row with the revision that it has (skew 0), or another one. */
export interface RowRef {
  readonly schedule: Index
  readonly skew: number
}

export interface RowSpec extends RowRef {
  readonly needs: Index
  readonly delay: number
  readonly run: Index | null
  readonly waits: boolean
  readonly state: Index
  readonly definition: Index | null
}

export type ScheduleOperation =
  | { readonly _tag: "WriteSchedules"; readonly rows: ReadonlyArray<RowSpec>; readonly hint: boolean }
  | { readonly _tag: "RemoveSchedules"; readonly rows: ReadonlyArray<RowRef> }
  | { readonly _tag: "SeeSchedules"; readonly schedules: ReadonlyArray<Index> }
  | { readonly _tag: "DueSchedules"; readonly needs: ReadonlyArray<Index>; readonly limit: number }
  | {
    readonly _tag: "ReadSchedules"
    readonly schedules: ReadonlyArray<Index> | null
    readonly after: Index | null
    readonly limit: number
  }
