/** Runs, journals and published values by run id. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import * as Publish from "../statements/publish.js"
import * as Read from "../statements/read.js"
import type { Session } from "./Session.js"

type Verbs = "get" | "await" | "history" | "publish" | "published"

const distinct = (ids: ReadonlyArray<string>): string => JSON.stringify([...new Set(ids)])

export const make = ({ hints, query }: Session): Pick<Driver.JournalDriver, Verbs> => ({
  get: (runs) => query(Read.get, [distinct(runs)], Read.decodeRecords),
  await: (runs) => query(Read.await_, [distinct(runs)], Read.decodeRecords),
  history: ({ from, limit, run }) => query(Read.history, [run, from, limit], Read.decodeHistory),
  publish: ({ key, run, value }) =>
    Effect.map(
      Effect.tap(
        query(Publish.publish, [run, key, value], Publish.decode),
        ({ awaited }) => awaited ? hints.publish([{ _tag: "Changed", run }]) : Effect.void
      ),
      (answer) => ({ now: answer.now, value: answer.value })
    ),
  published: (run) => query(Read.published, [run], Read.decodePublished)
})
