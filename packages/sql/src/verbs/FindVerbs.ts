/** Finding and counting runs, and the deletion of runs past their retention. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import * as Count from "../statements/find/count.js"
import { find } from "../statements/find/find.js"
import * as Retain from "../statements/find/retain.js"
import { decodeRecords } from "../statements/shared/records.js"
import type { Session } from "./Session.js"

export const make = ({ query }: Session): Driver.SearchVerbs => ({
  find: ({ after, filter, limit }) => {
    const { parameters, verb } = find(filter, after, limit)
    return Effect.map(query(verb, parameters, decodeRecords, "find"), ({ now, value }) => {
      const runs = value.slice(0, limit)
      const last = runs.at(-1)
      return {
        now,
        value: {
          runs,
          next: last === undefined || value.length <= limit ? null : { createdAt: last.createdAt, id: last.id }
        }
      }
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
