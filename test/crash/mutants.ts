/** Deliberate bugs, between a worker and its driver or in its machines. The explorer must find each of them. */
import type { Hooks } from "@perdure/testing/simulation/Simulation"
import * as Effect from "effect/Effect"
import type { ClaimedRun, CommitResult, JournalDriver, Message, RunCommit } from "perdure/JournalDriver"

/** A bug, and the problem that the oracles report. */
export interface Mutant extends Hooks {
  readonly finds: RegExp
  /** A seed with which the bug is found within some 20 lives. */
  readonly seed: number
}

const changeCommits = (change: (commit: RunCommit) => RunCommit): Pick<Hooks, "mutate"> => ({
  mutate: (driver) => ({
    ...driver,
    commit: (request) => driver.commit({ ...request, commits: request.commits.map(change) })
  })
})

const changeAnswers = (change: (answer: CommitResult, commit: RunCommit) => CommitResult): Pick<Hooks, "mutate"> => ({
  mutate: (driver) => ({
    ...driver,
    commit: (request) =>
      Effect.map(driver.commit(request), ({ now, value }) => ({
        now,
        value: value.map((answer, index) => {
          const commit = request.commits[index]
          return commit === undefined ? answer : change(answer, commit)
        })
      }))
  })
})

const changeClaims = (change: (run: ClaimedRun) => ClaimedRun): Pick<Hooks, "mutate"> => ({
  mutate: (driver) => ({
    ...driver,
    claim: (request) =>
      Effect.map(
        driver.claim(request),
        ({ now, value }) => ({ now, value: { ...value, runs: value.runs.map(change) } })
      )
  })
})

/** Acknowledges a commit before it is written, and writes it with the next one. */
const writesLate = (driver: JournalDriver): JournalDriver => {
  let late: Array<RunCommit> = []
  return {
    ...driver,
    commit: (request) =>
      Effect.suspend(() => {
        const isPlain = request.commits.every(({ messages, transition }) =>
          messages.length === 0 && transition === null
        )
        const commits = [...late, ...request.commits]
        const before = late.length
        late = []
        if (isPlain) {
          late = commits
          return Effect.map(Effect.clockWith((clock) => clock.currentTimeMillis), (now) => ({
            now,
            value: request.commits.map((): CommitResult => ({ _tag: "Applied", dispositions: [], news: null }))
          }))
        }
        return Effect.map(
          driver.commit({ ...request, commits }),
          ({ now, value }) => ({ now, value: value.slice(before) })
        )
      })
  }
}

/** Claims as if the worker still kept every machine that it ever reported. */
const remembersMachines = (driver: JournalDriver): JournalDriver => {
  const held = new Map<string, number>()
  return {
    ...driver,
    claim: (request) =>
      Effect.suspend(() => {
        for (const [run, nextSeq] of request.hot) held.set(run, nextSeq)
        return driver.claim({ ...request, hot: held })
      })
  }
}

/** Returns consumed messages again when the whole inbox is read. */
const remembersMessages = (driver: JournalDriver): JournalDriver => {
  const brought = new Map<string, Map<number, Message>>()
  const remember = (run: string, messages: ReadonlyArray<Message>) => {
    const known = brought.get(run) ?? new Map<number, Message>()
    for (const message of messages) known.set(message.ordinal, message)
    brought.set(run, known)
    return known
  }
  return {
    ...driver,
    claim: (request) =>
      Effect.tap(driver.claim(request), ({ value }) =>
        Effect.sync(() => {
          for (const { id, inbox } of value.runs) remember(id, inbox)
        })),
    inbox: (requests) =>
      Effect.map(driver.inbox(requests), ({ now, value }) => ({
        now,
        value: value.map((answer) => {
          const after = requests.find(({ run }) => run === answer.run)?.after ?? 0
          const known = remember(answer.run, answer.messages).values()
          return { ...answer, messages: [...known].filter(({ ordinal }) => ordinal > after).sort(byOrdinal) }
        })
      }))
  }
}

const byOrdinal = (a: Message, b: Message): number => a.ordinal - b.ordinal

export const mutants: Record<string, Mutant> = {
  "step bodies that begin before the entries they depend on are durable": {
    seed: 1,
    finds: /it follows from \d+ entries, \d+ are durable/,
    mutate: writesLate
  },
  "a journal that is delivered out of order": {
    seed: 1,
    finds: /diverge/,
    ...changeClaims((run) => {
      const [first, second, ...rest] = run.journal
      return first === undefined || second === undefined ? run : { ...run, journal: [second, first, ...rest] }
    })
  },
  "a commit that counts as written although it has not seen new messages": {
    seed: 3,
    finds: /not final|comes next|entries from/,
    ...changeAnswers((answer, { messages }) =>
      answer._tag === "Unseen"
        ? { _tag: "Applied", dispositions: messages.map(() => "Buffered" as const), news: null }
        : answer
    )
  },
  "a machine that is dropped while a claim relies on it": {
    seed: 3,
    finds: /starts, and its entry is durable|two entries|diverge|the replay|its parent is final and sent it no cancel/,
    mutate: remembersMachines
  },
  "an inbox that was read before the run continued as new": {
    seed: 6,
    finds: /is consumed twice/,
    mutate: remembersMessages
  },
  "messages that are not marked as consumed": {
    seed: 1,
    finds: /messages consumed/,
    ...changeCommits((commit) => ({ ...commit, consumed: [] }))
  },
  "a child that is started twice": {
    seed: 7,
    finds: /is not a child that its parent started|its parent is final and sent it no cancel/,
    ...changeCommits((commit) => ({
      ...commit,
      children: commit.children.flatMap((child) => [child, { ...child, id: `${child.id}-again` }])
    }))
  },
  "a child that no commit starts": {
    seed: 3,
    finds: /not final/,
    ...changeCommits((commit) => ({ ...commit, children: [] }))
  },
  "a patch that is not written": {
    seed: 2,
    finds: /diverge|the replay/,
    probe: ({ machine }) => {
      const take = machine.takeOutbox.bind(machine)
      machine.takeOutbox = () => ({ ...take(), patches: [] })
    }
  },
  "a worker that is not fenced": {
    seed: 2,
    finds: /starts, and its entry is durable|two entries|comes next|entries from|is final|Corrupt|durable/,
    mutate: (driver) => ({
      ...driver,
      commit: (request) =>
        Effect.flatMap(driver.get(request.commits.map(({ run }) => run)), ({ value }) => {
          const now = new Map(value.map((record) => [record.id, record]))
          return driver.commit({
            ...request,
            commits: request.commits.map((commit) => {
              const record = now.get(commit.run)
              if (record?.status !== "running") return commit
              const entries = commit.entries.map((entry, index) => ({ ...entry, seq: record.nextSeq + index }))
              return { ...commit, epoch: record.epoch, from: record.nextSeq, entries }
            })
          })
        })
    })
  },
  "a parent that does not cancel its children": {
    seed: 5,
    finds: /its parent is final and sent it no cancel/,
    ...changeCommits((commit) => ({ ...commit, messages: commit.messages.filter(({ kind }) => kind !== "cancel") }))
  },
  "a clock that starts again with each claim": {
    seed: 3,
    finds: /the replay/,
    mutate: (driver) => ({
      ...driver,
      claim: (request) =>
        Effect.map(driver.claim(request), ({ now, value }) => ({
          now,
          value: { ...value, runs: value.runs.map((run) => ({ ...run, startedAt: now })) }
        }))
    })
  },
  "random numbers that differ between machines": {
    seed: 1,
    finds: /the replay/,
    probe: (opened) => {
      const { machine } = opened
      const uuid = machine.uuid.bind(machine)
      const skip = Math.abs(opens++ % 3)
      let skipped = false
      machine.uuid = () => {
        if (skipped || skip === 0) return uuid()
        skipped = true
        return Effect.zipRight(uuid(), uuid())
      }
    }
  },
  "finalizers that do not run after a durable cancel": {
    seed: 2,
    finds: /acquired and not released|not final/,
    probe: ({ machine }) => {
      const exit = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(machine), "exit")
      const read = () => exit?.get?.call(machine)
      let cancelled = false
      const deliver = machine.deliver.bind(machine)
      machine.deliver = (entry) => {
        if (entry.kind === "cancel") cancelled = true
        return deliver(entry)
      }
      Object.defineProperty(machine, "exit", { get: () => cancelled ? { ...interrupted } : read() })
    }
  }
}

let opens = 0

const interrupted = Effect.runSync(Effect.exit(Effect.interrupt))
