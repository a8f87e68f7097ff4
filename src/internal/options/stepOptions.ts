/** The rules of a step's options. Their types, which depend on its schemas, are in `Step`. */
import type * as Duration from "effect/Duration"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { AnySchema } from "../codec/wire.js"
import { key } from "./names.js"
import type { Rule } from "./Rule.js"
import { count, duration, either, fields, func, optional, rule } from "./Rule.js"

interface RetryOptions {
  readonly schedule?: Schedule.Schedule<unknown, never>
  readonly while?: (error: never) => boolean
  readonly maxAttempts?: number
  readonly maxDelay?: Duration.DurationInput
}

interface StepOptions {
  readonly success?: AnySchema
  readonly error?: AnySchema
  readonly retry?: Schedule.Schedule<unknown, never> | RetryOptions
  readonly idempotencyKey?: string
  readonly timeout?: Duration.DurationInput | undefined
}

const schema: Rule<AnySchema> = rule("a Schema", Schema.isSchema)

const schedule: Rule<Schedule.Schedule<unknown, never>> = rule("a Schedule", Schedule.isSchedule)

const retry: Rule<RetryOptions> = fields<RetryOptions>({
  schedule: optional(schedule),
  while: optional(func()),
  maxAttempts: optional(count({ min: 1 })),
  maxDelay: optional(duration({ max: Infinity }))
})

export const stepOptions: Rule<StepOptions> = fields<StepOptions>({
  success: optional(schema),
  error: optional(schema),
  retry: optional(either(schedule, retry)),
  idempotencyKey: optional(key),
  timeout: optional(duration({ max: Infinity }))
})
