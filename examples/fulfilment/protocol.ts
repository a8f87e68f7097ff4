/** What a worker process tells its supervisor, a JSON line at a time, on its standard output. */
import * as Schema from "effect/Schema"

export const Progress = Schema.Struct({
  /** Step bodies that this process has begun. */
  executions: Schema.Int,
  /** Orders that have an outcome, whoever worked on them. */
  ended: Schema.Int
})
export type Progress = typeof Progress.Type

export const ProgressLine = Schema.parseJson(Progress)
