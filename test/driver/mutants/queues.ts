/** Mutants of the verbs for queues: limits, order, pauses and definitions. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { JournalDriver, PausedWorkflow, QueueRecord, QueueSettings } from "perdure/JournalDriver"
import { changeRuns, type Mutant, mutant, type Override } from "./Mutant.js"

/** A driver that shows the settings of each request, and applies those that `apply` makes of them. */
const showing = (apply: (change: Partial<QueueSettings>) => Partial<QueueSettings>): Override => (driver) => {
  const requested = new Map<string, Partial<QueueSettings>>()
  const shown = (record: QueueRecord): QueueRecord => ({ ...record, ...requested.get(record.name) })
  return {
    changeQueue: ({ change, name, ...who }) =>
      Effect.map(driver.changeQueue({ name, change: apply(change), ...who }), ({ now, value }) => {
        if (value !== null) requested.set(name, { ...requested.get(name), ...change })
        return { now, value: value === null ? null : shown(value) }
      }),
    defineQueue: (request) =>
      Effect.map(driver.defineQueue(request), (answer) => {
        const { name, pause: _, ...settings } = answer.value
        requested.set(name, { ...settings, paused: requested.get(name)?.paused ?? settings.paused })
        return answer
      }),
    queues: (names) => Effect.map(driver.queues(names), ({ now, value }) => ({ now, value: value.map(shown) }))
  }
}

/** A driver that shows a setting and does not apply it. */
const ignoring = (name: keyof QueueSettings): Override =>
  showing((change) => {
    const { [name]: _, ...rest } = change
    return rest
  })

const more = (limit: number | null | undefined): number | null | undefined =>
  limit === null || limit === undefined ? limit : limit + 1

/** A driver that applies another value of a setting than it shows. */
const applying = <Name extends keyof QueueSettings>(
  name: Name,
  make: (value: QueueSettings[Name]) => QueueSettings[Name]
): Override =>
  showing((change) => {
    const value = change[name]
    return value === undefined ? change : { ...change, [name]: make(value) }
  })

/** Shows workflows as paused or not as the caller asked, and passes on only the named one of the two verbs. */
const showingPauses = (passes: "pause" | "resume" | "both"): Override => (driver) => {
  const paused = new Map<string, PausedWorkflow>()
  return {
    pauseWorkflows: ({ by, reason, workflows }) =>
      Effect.map(
        driver.pauseWorkflows({ by, reason, workflows: passes === "resume" ? [] : workflows }),
        ({ now }) => {
          const value = [...new Set(workflows)].filter((name) => !paused.has(name)).sort()
          for (const name of value) paused.set(name, { name, at: now, by, reason })
          return { now, value }
        }
      ),
    resumeWorkflows: (workflows) =>
      Effect.map(driver.resumeWorkflows(passes === "pause" ? [] : workflows), ({ now }) => {
        const value = [...new Set(workflows)].filter((name) => paused.has(name)).sort()
        for (const name of value) paused.delete(name)
        return { now, value }
      }),
    pausedWorkflows: () =>
      Effect.map(driver.pausedWorkflows(), ({ now }) => ({
        now,
        value: [...paused.values()].sort((a, b) => a.name < b.name ? -1 : 1)
      }))
  }
}

/** A driver that sends no hint for the queues that are muted. */
const mute =
  (override: (driver: JournalDriver, muted: Set<string>) => Partial<JournalDriver>): Override => (driver) => {
    const muted = new Set<string>()
    return {
      ...override(driver, muted),
      hints: Stream.filter(driver.hints, (hint) => hint._tag !== "Ready" || !muted.has(hint.queue))
    }
  }

export const queueMutants: ReadonlyArray<Mutant> = [
  mutant("queues", "a pause of a queue is ignored", ignoring("paused")),
  mutant("queues", "a queue cannot be resumed", applying("paused", () => true)),
  mutant("queues", "concurrency is ignored", ignoring("concurrency")),
  mutant("queues", "concurrency allows one run too many", applying("concurrency", (most) => more(most) ?? null)),
  mutant("queues", "a concurrency of 0 is ignored", applying("concurrency", (most) => most === 0 ? null : most)),
  mutant("queues", "admission is ignored", ignoring("admission")),
  mutant(
    "queues",
    "admission limits running runs",
    (driver) =>
      showing(({ admission, ...change }) => admission === undefined ? change : { ...change, concurrency: admission })(
        driver
      )
  ),
  mutant("queues", "keyConcurrency is ignored", ignoring("keyConcurrency")),
  mutant("queues", "keyConcurrency allows one run too many", applying("keyConcurrency", (most) => more(most) ?? null)),
  mutant("queues", "rates are ignored", ignoring("rate")),
  mutant(
    "queues",
    "a token bucket is never filled again",
    applying("rate", (rate) => rate === null ? null : { ...rate, millis: rate.millis * 1e6 })
  ),
  mutant(
    "queues",
    "a token bucket has an unlimited burst",
    applying("rate", (rate) => rate === null ? null : { ...rate, burst: 1_000 })
  ),
  mutant(
    "queues",
    "a token bucket has a burst of 1",
    applying("rate", (rate) => rate === null ? null : { ...rate, burst: 1 })
  ),
  mutant("queues", "the priority of queues is ignored", ignoring("priority")),
  mutant("queues", "a change of a queue is returned and not stored", (driver) => ({
    changeQueue: ({ change, name }) =>
      Effect.map(driver.queues([name]), ({ now, value: [found] }) => ({
        now,
        value: found === undefined ? null : { ...found, ...change }
      }))
  })),
  mutant("queues", "a page of queues includes the queue that it begins after", (driver) => ({
    queuePage: ({ after, limit }) => driver.queuePage({ after: after === null ? null : after.slice(0, -1), limit })
  })),
  mutant("queues", "a page of queues has one queue too many", (driver) => ({
    queuePage: ({ after, limit }) => driver.queuePage({ after, limit: limit + 1 })
  })),
  mutant("queues", "a change inserts a missing queue", (driver) => ({
    changeQueue: (request) => Effect.zipRight(driver.ensureQueues([request.name]), driver.changeQueue(request))
  })),
  mutant("queues", "an unchanged definition is applied again", (driver) => ({
    defineQueue: ({ definition, name, settings }) =>
      Effect.zipRight(
        driver.defineQueue({ name, definition: "", settings }),
        driver.defineQueue({ name, definition, settings })
      )
  })),
  mutant("queues", "a changed definition is not applied", (driver) => ({
    defineQueue: (request) =>
      Effect.flatMap(
        driver.queues([request.name]),
        ({ now, value: [found] }) =>
          found === undefined ? driver.defineQueue(request) : Effect.succeed({ now, value: found })
      )
  })),
  mutant("queues", "a definition ends a pause", (driver) => ({
    defineQueue: (request) =>
      Effect.flatMap(
        driver.defineQueue(request),
        (answer) =>
          Effect.map(driver.changeQueue({ name: request.name, change: { paused: false } }), ({ now, value }) => ({
            now,
            value: value ?? answer.value
          }))
      )
  })),
  mutant("queues", "existing queues are reported as inserted", (driver) => ({
    ensureQueues: (names) =>
      Effect.map(driver.ensureQueues(names), ({ now }) => ({ now, value: [...new Set(names)].sort() }))
  })),
  mutant("queues", "the limit of counts is ignored", (driver) => ({
    queueCounts: (request) => driver.queueCounts({ ...request, limit: Infinity })
  })),
  mutant("queues", "delayed runs are counted as ready", (driver) => ({
    queueCounts: (request) =>
      Effect.map(driver.queueCounts(request), ({ now, value }) => ({
        now,
        value: value.map((counts) => ({ ...counts, ready: counts.ready + counts.delayed, delayed: 0 }))
      }))
  })),
  mutant("queues", "keys of queues are ignored", changeRuns((run) => ({ ...run, key: null }))),
  mutant(
    "queues",
    "all runs with keys have one key",
    changeRuns((run) => ({ ...run, key: run.key === null ? null : "k" }))
  ),
  mutant(
    "queues",
    "runs of a key start in reverse order of priority",
    changeRuns((run) => run.key === null ? run : { ...run, priority: -run.priority })
  ),
  mutant(
    "queues",
    "runs of a key start in reverse order of readiness",
    changeRuns((run) =>
      run.key === null || run.availableAt === null || run.availableAt === Infinity
        ? run
        : { ...run, availableAt: -run.availableAt }
    )
  ),
  mutant("queues", "a terminated run keeps its place in the order of its key", (driver) => ({
    terminate: (request) =>
      Effect.flatMap(driver.get(request.runs), ({ now, value }) => {
        const fresh = value.filter(({ key, status }) => key !== null && status === "pending").map(({ id }) => id)
        const runs = request.runs.filter((run) => !fresh.includes(run))
        return runs.length === 0 ? Effect.succeed({ now, value: fresh.length }) : driver.terminate({ ...request, runs })
      })
  })),
  mutant("queues", "a pause of workflows is ignored", showingPauses("resume")),
  mutant("queues", "a resume of workflows is ignored", showingPauses("pause")),
  mutant("queues", "a pause or resume returns workflows that it does not change", (driver) => ({
    pauseWorkflows: (request) =>
      Effect.map(driver.pauseWorkflows(request), ({ now }) => ({ now, value: [...new Set(request.workflows)] })),
    resumeWorkflows: (workflows) =>
      Effect.map(driver.resumeWorkflows(workflows), ({ now }) => ({ now, value: [...new Set(workflows)] }))
  })),
  mutant("queues", "a pause that changes nothing replaces the stored pause", (driver) => ({
    changeQueue: (request) =>
      Effect.map(driver.changeQueue(request), ({ now, value }) => ({
        now,
        value: value === null || request.change.paused === undefined
          ? value
          : { ...value, pause: { at: now, by: request.by ?? null, reason: request.reason ?? null } }
      }))
  })),
  mutant("queues", "a pause of a queue stores neither by nor reason", (driver) => ({
    changeQueue: ({ change, name }) => driver.changeQueue({ name, change })
  })),
  mutant("queues", "a pause of workflows stores neither by nor reason", (driver) => ({
    pauseWorkflows: ({ workflows }) => driver.pauseWorkflows({ workflows, by: null, reason: null })
  })),
  mutant("queues", "the list of paused workflows is empty", (driver) => ({
    pausedWorkflows: () => Effect.map(driver.pausedWorkflows(), ({ now }) => ({ now, value: [] }))
  })),
  mutant(
    "hints",
    "a change of a queue sends no hint",
    mute((driver, muted) => ({
      changeQueue: (request) => {
        muted.add(request.name)
        return driver.changeQueue(request)
      }
    }))
  ),
  mutant(
    "hints",
    "a resume of workflows sends no hint",
    mute((driver, muted) => ({
      ensureQueues: (names) => {
        for (const name of names) muted.add(name)
        return driver.ensureQueues(names)
      },
      changeQueue: (request) => {
        muted.delete(request.name)
        return driver.changeQueue(request)
      }
    }))
  )
]

/** A driver that is wrapped like the mutants of queues, and breaks no rule. */
export const wrappedQueues: Override = (driver) => {
  const wrapped = { ...driver, ...showing((change) => change)(driver) }
  return { ...wrapped, ...showingPauses("both")(wrapped) }
}
