/** Mutants of the memory driver: each one breaks one rule of the contract. */
import * as Effect from "effect/Effect"
import type {
  CommitResult,
  Disposition,
  JournalDriver,
  NewMessage,
  NewRun,
  RunCommit,
  RunRecord,
  VerbRequest
} from "perdure/JournalDriver"

export interface Mutant {
  /** The topic of the suite in which a case must fail. */
  readonly topic: string
  readonly name: string
  readonly mutate: (driver: JournalDriver) => JournalDriver
}

/** The verbs that replace those of a driver. */
export type Override = (driver: JournalDriver) => Partial<JournalDriver>

export const mutant = (topic: string, name: string, override: Override): Mutant => ({
  name,
  topic,
  mutate: (driver) => ({ ...driver, ...override(driver) })
})

export const mapValue = <A extends { readonly value: unknown }, E, B>(
  self: Effect.Effect<A, E>,
  change: (value: A["value"]) => B
): Effect.Effect<Omit<A, "value"> & { readonly value: B }, E> =>
  Effect.map(self, (answer) => ({ ...answer, value: change(answer.value) }))

/** Changes each commit before the driver gets it. `change` also gets the run's record and its inbox sequence. */
export const changeCommits =
  (change: (commit: RunCommit, run: RunRecord, seen: number) => RunCommit): Override => (driver) => ({
    commit: (request) =>
      Effect.gen(function*() {
        const ids = request.commits.map(({ run }) => run)
        const records = new Map((yield* driver.get(ids)).value.map((record) => [record.id, record]))
        const { value } = yield* driver.inbox(ids.map((run) => ({ run, after: 0 })))
        const inboxes = new Map(value.map((inbox) => [inbox.run, inbox]))
        const commits = request.commits.map((commit) => {
          const record = records.get(commit.run)
          return record === undefined ? commit : change(commit, record, inboxes.get(commit.run)?.seen ?? 0)
        })
        return yield* driver.commit({ ...request, commits })
      })
  })

export const changeRuns = (change: (run: NewRun) => NewRun): Override => (driver) => ({
  enqueue: (request) => driver.enqueue({ ...request, runs: request.runs.map(change) })
})

export const changeMessages = (change: (message: NewMessage) => NewMessage): Override => (driver) => ({
  deliver: (messages) => driver.deliver(messages.map(change))
})

export const changeCommitResults = (change: (result: CommitResult) => CommitResult): Override => (driver) => ({
  commit: (request) => mapValue(driver.commit(request), (results) => results.map(change))
})

export const changeDispositions = (change: (disposition: Disposition) => Disposition): Override => (driver) => ({
  deliver: (messages) => mapValue(driver.deliver(messages), (dispositions) => dispositions.map(change))
})

export const changeClaims =
  (change: (request: VerbRequest<"claim">) => VerbRequest<"claim">): Override => (driver) => ({
    claim: (request) => driver.claim(change(request))
  })

/** Executes something before each commit, whether or not the commit is applied. */
export const beforeCommits =
  (run: (driver: JournalDriver, commit: RunCommit) => Effect.Effect<unknown, unknown>): Override => (driver) => ({
    commit: (request) =>
      Effect.zipRight(
        Effect.forEach(request.commits, (commit) => Effect.ignore(run(driver, commit))),
        driver.commit(request)
      )
  })

/** Parses JSON and writes it again, as a driver must not do. */
export const rewriteJson = (json: string): string => JSON.stringify(JSON.parse(json))
