/** Mutants of the verbs that write runs. */
import * as Effect from "effect/Effect"
import type { CommitResult, EnqueueResult, RunCommit } from "perdure/JournalDriver"
import {
  beforeCommits,
  changeClaims,
  changeCommitResults,
  changeCommits,
  changeRuns,
  mapValue,
  type Mutant,
  mutant
} from "./Mutant.js"

let unique = 0

export const runMutants: ReadonlyArray<Mutant> = [
  mutant(
    "commit",
    "the epoch of a commit is not checked",
    changeCommits((commit, run) => ({ ...commit, epoch: run.epoch }))
  ),
  mutant(
    "commit",
    "the sequence number of a commit is not checked",
    changeCommits((commit, run) => ({
      ...commit,
      from: run.nextSeq,
      entries: commit.entries.map((entry, index) => ({ ...entry, seq: run.nextSeq + index }))
    }))
  ),
  mutant(
    "commit",
    "a lost commit is reported as applied",
    changeCommitResults((each) => each._tag === "Lost" ? { _tag: "Applied", dispositions: [], news: null } : each)
  ),
  mutant("commit", "a lost commit writes its entries", (driver) => ({
    commit: (request) =>
      Effect.gen(function*() {
        const answer = yield* driver.commit(request)
        const lost = request.commits.filter((_, index) => answer.value[index]?._tag === "Lost")
        const records = (yield* driver.get(lost.map(({ run }) => run))).value
        const commits = lost.flatMap(({ entries, run }) =>
          records.filter(({ id }) => id === run).map(({ epoch, nextSeq }): RunCommit => ({
            run,
            epoch,
            from: nextSeq,
            entries,
            consumed: [],
            children: [],
            messages: [],
            published: [],
            closes: [],
            seen: 0,
            transition: null
          }))
        )
        yield* driver.commit({ ...request, commits })
        return answer
      })
  })),
  mutant("commit", "a batch stops at its first refused commit", (driver) => ({
    commit: (request) =>
      Effect.gen(function*() {
        const results: Array<CommitResult> = []
        for (const commit of request.commits) {
          const refused = results.some(({ _tag }) => _tag !== "Applied")
          results.push(
            ...(refused ? [{ _tag: "Lost" } as const] : (yield* driver.commit({ ...request, commits: [commit] })).value)
          )
        }
        return { ...(yield* driver.get([])), value: results }
      })
  })),
  mutant("commit", "the results of a batch are in another order", (driver) => ({
    commit: (request) => mapValue(driver.commit(request), (results) => results.toReversed())
  })),
  mutant("commit", "published values are lost", changeCommits((commit) => ({ ...commit, published: [] }))),
  mutant("commit", "consumed messages are not marked", changeCommits((commit) => ({ ...commit, consumed: [] }))),
  mutant("commit", "every entry in a history has epoch 1", (driver) => ({
    history: (request) => mapValue(driver.history(request), (rows) => rows.map((row) => ({ ...row, epoch: 1 })))
  })),
  mutant("outgoing", "children are lost", changeCommits((commit) => ({ ...commit, children: [] }))),
  mutant("outgoing", "messages of a commit are lost", changeCommits((commit) => ({ ...commit, messages: [] }))),
  mutant(
    "outgoing",
    "a refused commit inserts its children",
    beforeCommits((driver, commit) => driver.enqueue({ runs: commit.children, claim: null }))
  ),
  mutant(
    "outgoing",
    "a refused commit sends its messages",
    beforeCommits((driver, commit) => driver.deliver(commit.messages))
  ),
  mutant(
    "outgoing",
    "the end of a child sends no message to its parent",
    changeRuns((run) => ({ ...run, parent: null }))
  ),
  mutant("outgoing", "a repeated end of a child sends its parent another message", (driver) => ({
    commit: (request) =>
      Effect.gen(function*() {
        for (const { run, transition } of request.commits) {
          const [record] = (yield* driver.get([run])).value
          if (transition?._tag !== "Finish" || record?.status !== "completed" || record.parent === null) continue
          const { id, token } = record.parent
          const ending = { status: record.status, exit: record.exit, endCause: record.endCause }
          const message = { to: id, kind: "child", name: token, id: `unique-${++unique}`, child: run, ending } as const
          yield* driver.deliver([message])
        }
        return yield* driver.commit(request)
      })
  })),
  mutant("transitions", "a new generation keeps windows closed", (driver) => {
    const closed = new Map<string, Array<string>>()
    return {
      commit: (request) => {
        for (const { closes, run } of request.commits) closed.set(run, [...(closed.get(run) ?? []), ...closes])
        return driver.commit(request)
      },
      deliver: (messages) =>
        mapValue(driver.deliver(messages), (results) =>
          results.map((answer, index) => {
            const message = messages[index]
            return message !== undefined && closed.get(message.to)?.includes(message.name) ? "Expired" : answer
          }))
    }
  }),
  mutant(
    "transitions",
    "a new generation keeps the old startedAt",
    changeCommits((commit, run) =>
      commit.transition?._tag === "Continue"
        ? { ...commit, transition: { ...commit.transition, at: run.startedAt ?? 0 } }
        : commit
    )
  ),
  mutant("transitions", "a diverged run has no detail", (driver) => ({
    get: (ids) => mapValue(driver.get(ids), (records) => records.map((record) => ({ ...record, detail: null })))
  })),
  mutant(
    "transitions",
    "a resume changes no run",
    (driver) => ({ resume: () => driver.resume({ runs: [], by: null, reason: null }) })
  ),
  mutant(
    "transitions",
    "a released run is claimable immediately",
    changeCommits((commit, run) =>
      commit.transition?._tag === "Release"
        ? { ...commit, transition: { _tag: "Release", at: run.createdAt } }
        : commit
    )
  ),
  mutant(
    "transitions",
    "every finished run is completed",
    (driver) =>
      changeCommits((commit) =>
        commit.transition?._tag === "Finish"
          ? { ...commit, transition: { ...commit.transition, status: "completed" } }
          : commit
      )(driver)
  ),
  mutant("enqueue", "idempotency keys are ignored", changeRuns((run) => ({ ...run, idempotencyKey: null }))),
  mutant("enqueue", "idempotency keys are unique over all workflows", (driver) => {
    const taken = new Map<string, string>()
    return changeRuns((run) => {
      const key = run.idempotencyKey
      if (key === null) return run
      const id = taken.get(key) ?? run.id
      taken.set(key, id)
      return { ...run, id }
    })(driver)
  }),
  mutant("enqueue", "the availableAt of an insert is ignored", changeRuns((run) => ({ ...run, availableAt: null }))),
  mutant("enqueue", "an insert claims no run", (driver) => ({
    enqueue: ({ runs }) => driver.enqueue({ runs, claim: null })
  })),
  mutant("enqueue", "an insert claims all of its runs", (driver) => ({
    enqueue: ({ claim, runs }) => driver.enqueue({ runs, claim: claim === null ? null : { ...claim, capacity: 1_000 } })
  })),
  mutant("claim", "the priority of runs is ignored", changeRuns((run) => ({ ...run, priority: 0 }))),
  mutant("claim", "the limit of a claim is ignored", changeClaims((request) => ({ ...request, limit: 1_000 }))),
  mutant(
    "claim",
    "the version of workflows is ignored",
    changeClaims((request) => ({
      ...request,
      workflows: request.workflows.flatMap(({ name }) => [{ name, version: "1" }, { name, version: "2" }])
    }))
  ),
  mutant("claim", "every claimed run has its journal", changeClaims((request) => ({ ...request, hot: new Map() }))),
  mutant("claim", "a run with a hot machine never has its journal", (driver) => ({
    claim: (request) =>
      mapValue(driver.claim(request), ({ runs, ...rest }) => ({
        ...rest,
        runs: runs.map((run) => request.hot.has(run.id) ? { ...run, journal: [] } : run)
      }))
  })),
  mutant("claim", "nextDue of a claim is always null", (driver) => ({
    claim: (request) => mapValue(driver.claim(request), (claimed) => ({ ...claimed, nextDue: null }))
  })),
  mutant("claim", "claimed runs have empty inboxes", (driver) => ({
    claim: (request) =>
      mapValue(driver.claim(request), ({ runs, ...rest }) => ({
        ...rest,
        runs: runs.map((run) => ({ ...run, inbox: [] }))
      }))
  })),
  mutant(
    "enqueue",
    "an availableAt of Infinity is stored as a date",
    changeRuns((run) => ({ ...run, availableAt: run.availableAt === Infinity ? 8.64e15 : run.availableAt }))
  ),
  mutant("singletons", "singleton keys are ignored", changeRuns((run) => ({ ...run, singleton: null }))),
  mutant(
    "singletons",
    "singleton keys are unique over all workflows",
    changeRuns((run) => ({ ...run, workflow: "w" }))
  ),
  mutant(
    "singletons",
    "a debounced run is not replaced",
    changeRuns((run) => ({ ...run, singleton: run.singleton === null ? null : { ...run.singleton, debounce: null } }))
  ),
  mutant("singletons", "a singleton key is never free again", (driver) => {
    const taken = new Map<string, string>()
    return {
      enqueue: (request) =>
        Effect.map(driver.enqueue(request), ({ now, value }) => ({
          now,
          value: value.map((answer, index): EnqueueResult => {
            const run = request.runs[index]
            if (run === undefined || run.singleton === null || answer._tag !== "Started") return answer
            const key = `${run.workflow} ${run.singleton.key}`
            const first = taken.get(key) ?? answer.id
            taken.set(key, first)
            return first === answer.id ? answer : { _tag: "Joined", id: first }
          })
        }))
    }
  }),
  mutant(
    "singletons",
    "the maximum wait of a debounced run is ignored",
    changeRuns((run) => ({
      ...run,
      singleton: run.singleton === null || run.singleton.debounce === null
        ? run.singleton
        : { ...run.singleton, debounce: { ...run.singleton.debounce, maxWaitMillis: null } }
    }))
  )
]
