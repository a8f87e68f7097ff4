/** Runs, journals and published values by run id. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import * as Await from "../statements/read/await.js"
import { get } from "../statements/read/get.js"
import * as History from "../statements/read/history.js"
import * as Publish from "../statements/read/publish.js"
import * as Published from "../statements/read/published.js"
import { decodeRecords } from "../statements/shared/records.js"
import type { Session } from "./Session.js"

type Verbs = "get" | "await" | "history" | "publish" | "published"

const distinct = (ids: ReadonlyArray<string>): string => JSON.stringify([...new Set(ids)])

export const make = ({ hints, query }: Session): Pick<Driver.JournalDriver, Verbs> => ({
  get: (runs) => query(get, [distinct(runs)], decodeRecords),
  await: (runs) => query(Await.awaitRuns, [distinct(runs)], Await.decode),
  history: ({ from, limit, run }) => query(History.history, [run, from, limit], History.decode),
  publish: ({ key, run, value }) =>
    Effect.map(
      Effect.tap(
        query(Publish.publish, [run, key, value], Publish.decode),
        ({ awaited }) => awaited ? hints.publish([{ _tag: "Changed", run }]) : Effect.void
      ),
      (answer) => ({ now: answer.now, value: answer.value })
    ),
  published: (run) => query(Published.published, [run], Published.decode)
})
