/** Finding and counting runs, and the deletion of runs past their retention. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import { AnswerBounds, sizeOf } from "perdure/JournalDriver"
import * as Count from "../statements/find/count.js"
import { find } from "../statements/find/find.js"
import * as Retain from "../statements/find/retain.js"
import { decodeReadable, type UnreadableRecord } from "../statements/shared/records.js"
import type { Session } from "./Session.js"

/** The page ended at the bound of an answer. */
const isFull = (records: ReadonlyArray<Driver.RunRecord>): boolean =>
  sizeOf(records.flatMap(({ detail, exit, payload }) => [payload, exit?.value ?? null, detail])) >= AnswerBounds.bytes

/** A run whose row cannot be read is left out of lists, and named in the log. */
const logUnreadable = ({ detail, id }: UnreadableRecord): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logError("the row of a run cannot be read: lists leave it out"), {
    run: id,
    error: detail
  })

export const make = ({ query }: Session): Driver.SearchVerbs => ({
  find: ({ after, filter, limit }) => {
    const { parameters, verb } = find(filter, after, limit)
    return Effect.flatMap(query(verb, parameters, decodeReadable, "find"), ({ now, unreadable, value }) => {
      const runs = value.slice(0, limit)
      const last = runs.at(-1)
      const isCut = value.length + unreadable.length > limit || isFull(value)
      const page = {
        now,
        value: { runs, next: last === undefined || !isCut ? null : { createdAt: last.createdAt, id: last.id } }
      }
      return unreadable.length === 0 ? Effect.succeed(page) : Effect.as(Effect.forEach(unreadable, logUnreadable), page)
    })
  },
  count: (filter) => {
    const { parameters, verb } = Count.count(filter)
    return query(verb, parameters, Count.decode, "count")
  },
  retain: ({ limit, rules }) =>
    query(
      Retain.retain,
      [Retain.encodeRules(rules), Math.min(Retain.DELETE_BATCH_SIZE, Math.max(0, limit))],
      Retain.decode
    )
})
