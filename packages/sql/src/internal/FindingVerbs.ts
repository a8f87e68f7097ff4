/** The part of the driver that finds runs, counts them, and deletes those that are kept no longer. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import * as Find from "../statements/find.js"
import { decodeRecords } from "../statements/read.js"
import * as Retain from "../statements/retain.js"
import type { Tools } from "./Tools.js"

export const make = ({ ask }: Tools): Driver.JournalFinding => ({
  find: ({ after, filter, limit }) => {
    const { parameters, verb } = Find.find(filter, after, limit)
    return Effect.map(ask(verb, parameters, decodeRecords, "find"), ({ now, value }) => {
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
    const { parameters, verb } = Find.count(filter)
    return ask(verb, parameters, Find.decodeCounts, "count")
  },
  retain: ({ limit, rules }) =>
    ask(Retain.retain, [Retain.encodeRules(rules), Math.min(Retain.most, Math.max(0, limit))], Retain.decode)
})
