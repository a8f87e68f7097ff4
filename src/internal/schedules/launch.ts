/**
 * The runs of a schedule as this process makes them: payload, options, labels and key. A run that cannot be made is a
 * problem in words. Nothing is started here.
 */
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type { JournalService } from "../../Journal.js"
import type { NewRun, ScheduleRecord } from "../../driver/JournalDriver.js"
import { nextSlot } from "../calendar/slots.js"
import { decodeText } from "../codec/wire.js"
import { shown, storable } from "../util/show.js"
import { freshRun } from "../runs/start.js"
import type { Shape } from "../process/Shape.js"
import type { Schedule, Settings } from "./model.js"

/** The attributes by which the runs of a schedule are found. */
export const SCHEDULE_ATTRIBUTE = "perdure.schedule"
export const SLOT_ATTRIBUTE = "perdure.slot"

export const slotText = (slot: number): string => DateTime.formatIso(DateTime.unsafeMake(slot))

/** The idempotency key of a slot's run: one run for each slot, whichever process starts it, and however often. */
export const slotKey = (name: string, slot: number): string => `schedule ${name} ${slotText(slot)}`

/** The idempotency key of a trigger's run. */
export const triggerKey = (name: string, run: string): string => `schedule ${name} trigger ${run}`

/** What this process has to start the runs of a schedule. */
export interface Launcher {
  readonly shape: Shape
  /** Computes the payload of a slot; null: the stored payload. */
  readonly payload: ((slot: number) => unknown) | null
}

/**
 * The launcher of a schedule; undefined if this process has neither its definition nor, where that suffices, its
 * workflow.
 */
export type Launchers = (record: ScheduleRecord, settings: Settings) => Launcher | undefined

export const launchersOf = ({ process: { registrations } }: JournalService): Launchers => {
  const registered = registrations.schedules
  return (record, settings) => {
    const isDefined = record.definition !== null
    const definition = isDefined ? registered.get(record.name) : undefined
    if (definition !== undefined) {
      // A payload that an operator has stored takes the place of a computed one.
      return { shape: definition.shape, payload: settings.payload === null ? definition.payload : null }
    }
    const shape = isDefined ? undefined : registrations.shapeOf(settings.workflow, settings.version)
    return shape === undefined ? undefined : { shape, payload: null }
  }
}

const messageOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return storable(error instanceof Error ? error.message : shown(error))
}

/** The run of a slot. Left: why it cannot be made. */
export const runOf = (
  { name, settings }: Pick<Schedule, "name" | "settings">,
  { payload, shape }: Launcher,
  { id, key, now, slot }: {
    readonly slot: number
    readonly id: string
    readonly key: string
    readonly now: number
  }
): Effect.Effect<Either.Either<NewRun, string>> => {
  const { attributes, expiresIn, priority, queue, tags } = settings.run
  const options = {
    tags,
    attributes: { ...attributes, [SCHEDULE_ATTRIBUTE]: name, [SLOT_ATTRIBUTE]: slotText(slot) },
    ...(queue === null ? {} : { queue }),
    ...(priority === null ? {} : { priority }),
    ...(expiresIn === null ? {} : { expiresIn })
  }
  const { idempotencyKey: _, ...rest } = shape.options
  const value = payload !== null
    ? Effect.try({ try: () => payload(slot), catch: (error) => error })
    : settings.payload === null
    ? Effect.fail("its payload is computed by a definition that this process does not have")
    : decodeText(shape.payloadSchema, settings.payload, `payload of schedule ${name}`)
  return Effect.flatMap(value, (input) => freshRun({ ...shape, options: rest }, input, options, { id, now })).pipe(
    Effect.map((run) => ({ ...run, idempotencyKey: key })),
    Effect.exit,
    Effect.map((exit) => Exit.isSuccess(exit) ? Either.right(exit.value) : Either.left(messageOf(exit.cause)))
  )
}

/** Makes the run of the next slot, to find its problem before it is due. Left: why it cannot be made. */
export const trialRun = (
  schedule: Pick<Schedule, "name" | "settings">,
  launcher: Launcher,
  now: number
): Effect.Effect<Either.Either<NewRun, string>> => {
  const { calendar, startsAt } = schedule.settings
  const slot = nextSlot(calendar, Math.max(now, startsAt ?? now)) ?? now
  return runOf(schedule, launcher, { slot, id: "trial", key: slotKey(schedule.name, slot), now })
}
