/** Starts with singleton keys, as parameters. */
import type * as Driver from "perdure/JournalDriver"

/** A start with a singleton key. */
export interface SingletonStart {
  readonly run: Driver.NewRun
  readonly singleton: Driver.Singleton
}

/** The keys of starts. */
export const encodeKeys = (all: ReadonlyArray<SingletonStart>): string =>
  JSON.stringify(all.map(({ run, singleton }) => ({ workflow: run.workflow, key: singleton.key, run: run.id })))

/** One string for a workflow and a singleton key. */
export const singletonKey = (workflow: string, key: string): string => JSON.stringify([workflow, key])
