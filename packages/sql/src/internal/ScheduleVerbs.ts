/** The part of the driver that keeps schedules. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import * as Schedules from "../statements/schedules.js"
import type { Tools } from "./Tools.js"

export const make = ({ ask, tellAll }: Tools): Driver.JournalSchedules => ({
  schedules: ({ after, limit, names }) =>
    names === null
      ? ask(Schedules.page, [after, Math.max(0, limit)], Schedules.decode)
      : ask(Schedules.named, [JSON.stringify(names), after, Math.max(0, limit)], Schedules.decode),
  dueSchedules: ({ limit, needs }) =>
    ask(Schedules.due, [JSON.stringify(needs), Math.max(0, limit)], Schedules.decodeDue),
  writeSchedules: ({ idleMillis, schedules, tell }) =>
    Effect.tap(
      ask(Schedules.write, [
        JSON.stringify(schedules.map(Schedules.encodeRow)),
        idleMillis === undefined ? null : `${idleMillis}`
      ], Schedules.decodeNames),
      ({ value }) => {
        const written = new Set(value)
        const needs = new Set(schedules.filter(({ name }) => written.has(name)).map((each) => each.needs))
        return tell ? tellAll(Array.from(needs, (each) => ({ _tag: "Scheduled", needs: each }))) : Effect.void
      }
    ),
  removeSchedules: (schedules) => ask(Schedules.remove, [JSON.stringify(schedules)], Schedules.decodeNames),
  seeSchedules: (names) => ask(Schedules.see, [JSON.stringify(names)], Schedules.decodeSeen)
})
