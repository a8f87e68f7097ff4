/** Rows of schedules. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import * as Schedules from "../statements/schedules.js"
import type { Session } from "./Session.js"

export const make = ({ hints, query }: Session): Driver.ScheduleVerbs => ({
  schedules: ({ after, limit, names }) =>
    names === null
      ? query(Schedules.page, [after, Math.max(0, limit)], Schedules.decode)
      : query(Schedules.named, [JSON.stringify(names), after, Math.max(0, limit)], Schedules.decode),
  dueSchedules: ({ limit, needs }) =>
    query(Schedules.due, [JSON.stringify(needs), Math.max(0, limit)], Schedules.decodeDue),
  writeSchedules: ({ hint, idleMillis, schedules }) =>
    Effect.tap(
      query(Schedules.write, [
        JSON.stringify(schedules.map(Schedules.encodeRow)),
        idleMillis === undefined ? null : `${idleMillis}`
      ], Schedules.decodeNames),
      ({ value }) => {
        const written = new Set(value)
        const needs = new Set(schedules.filter(({ name }) => written.has(name)).map((each) => each.needs))
        return hint ? hints.publish(Array.from(needs, (each) => ({ _tag: "Scheduled", needs: each }))) : Effect.void
      }
    ),
  removeSchedules: (schedules) => query(Schedules.remove, [JSON.stringify(schedules)], Schedules.decodeNames),
  seeSchedules: (names) => query(Schedules.see, [JSON.stringify(names)], Schedules.decodeSeen)
})
