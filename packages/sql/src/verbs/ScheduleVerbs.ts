/** Rows of schedules. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import * as Due from "../statements/schedules/due.js"
import { named } from "../statements/schedules/named.js"
import { page } from "../statements/schedules/page.js"
import { remove } from "../statements/schedules/remove.js"
import { decodeSchedules } from "../statements/schedules/rows.js"
import * as See from "../statements/schedules/see.js"
import * as Write from "../statements/schedules/write.js"
import { decodeNames } from "../statements/shared/names.js"
import type { Session } from "./Session.js"

export const make = ({ hints, query }: Session): Driver.ScheduleVerbs => ({
  schedules: ({ after, limit, names }) =>
    names === null
      ? query(page, [after, Math.max(0, limit)], decodeSchedules)
      : query(named, [JSON.stringify(names), after, Math.max(0, limit)], decodeSchedules),
  dueSchedules: ({ limit, needs }) => query(Due.due, [JSON.stringify(needs), Math.max(0, limit)], Due.decode),
  writeSchedules: ({ hint, idleMillis, schedules }) =>
    Effect.tap(
      query(Write.write, [
        JSON.stringify(schedules.map(Write.encodeRow)),
        idleMillis === undefined ? null : `${idleMillis}`
      ], decodeNames),
      ({ value }) => {
        const written = new Set(value)
        const needs = new Set(schedules.filter(({ name }) => written.has(name)).map((each) => each.needs))
        return hint ? hints.publish(Array.from(needs, (each) => ({ _tag: "Scheduled", needs: each }))) : Effect.void
      }
    ),
  removeSchedules: (schedules) => query(remove, [JSON.stringify(schedules)], decodeNames),
  seeSchedules: (names) => query(See.see, [JSON.stringify(names)], See.decode)
})
