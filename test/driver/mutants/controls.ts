/** Mutants of controls, deadlines and forks. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Order from "effect/Order"
import type { Control } from "perdure/JournalDriver"
import { changeCommitResults, changeCommits, changeRuns, mapValue, type Mutant, mutant } from "./Mutant.js"

const byTime = Order.mapInput(Order.number, ({ at }: Control) => at)
const byTimeAndAction = ({ action, at }: Control): string => `${at} ${action}`
const byWhom = ({ by }: Control): string => by ?? ""

const noRuns = { runs: [], by: null, reason: null }

export const controlMutants: ReadonlyArray<Mutant> = [
  mutant(
    "terminate",
    "a terminate does not apply to attached descendants",
    (driver) =>
      changeRuns((run) => ({ ...run, parent: run.parent === null ? null : { ...run.parent, attached: false } }))(driver)
  ),
  mutant(
    "terminate",
    "a terminate applies to detached descendants",
    (driver) =>
      changeRuns((run) => ({ ...run, parent: run.parent === null ? null : { ...run.parent, attached: true } }))(driver)
  ),
  mutant("terminate", "a terminate always returns 1", (driver) => ({
    terminate: (request) => mapValue(driver.terminate(request), () => 1)
  })),
  mutant("terminate", "a terminated run does not have who asked and why", (driver) => ({
    terminate: ({ runs }) => driver.terminate({ runs, by: null, reason: null })
  })),
  mutant("terminate", "a terminated run has its detail as JSON", (driver) => ({
    get: (runs) =>
      mapValue(driver.get(runs), (records) =>
        records.map((record) => ({
          ...record,
          detail: record.status === "terminated" ? JSON.stringify(record.endCause) : record.detail
        })))
  })),
  mutant("control", "a pause changes no run", (driver) => ({ pause: () => driver.pause(noRuns) })),
  mutant("control", "a resume changes no paused run", (driver) => ({ resume: () => driver.resume(noRuns) })),
  mutant("control", "a pause records neither by nor reason", (driver) => ({
    pause: ({ runs }) => driver.pause({ runs, by: null, reason: null })
  })),
  mutant(
    "control",
    "a pausing run can finish",
    (driver) => ({
      commit: (request) => {
        const runs = request.commits.flatMap(({ run, transition }) => transition?._tag === "Finish" ? [run] : [])
        return Effect.zipRight(driver.resume({ ...noRuns, runs }), driver.commit(request))
      }
    })
  ),
  mutant(
    "control",
    "a cancelled run can finish before its holder has read the cancel",
    changeCommits((commit, _, seen) => commit.transition?._tag === "Finish" ? { ...commit, seen } : commit)
  ),
  mutant("control", "a run with unread signals does not finish", (driver) => ({
    commit: (request) =>
      Effect.flatMap(driver.inbox(request.commits.map(({ run }) => ({ run, after: 0 }))), ({ value: inboxes }) => {
        const unread = new Map(inboxes.map(({ run, seen }) => [run, seen]))
        return mapValue(
          driver.commit({
            ...request,
            commits: request.commits.filter(({ run, seen, transition }) =>
              transition?._tag !== "Finish" || (unread.get(run) ?? 0) <= seen
            )
          }),
          (results) => results.length === request.commits.length ? results : [{ _tag: "Unseen" } as const]
        )
      })
  })),
  mutant(
    "control",
    "a commit tells nothing of messages and pauses",
    changeCommitResults((result) => result._tag === "Applied" ? { ...result, news: null } : result)
  ),
  mutant("control", "an inbox never reports that its run is pausing", (driver) => ({
    inbox: (requests) =>
      Effect.map(driver.inbox(requests), ({ now, value }) => ({
        now,
        value: value.map((inbox) => ({ ...inbox, pausing: false }))
      }))
  })),
  mutant("control", "the controls of one instant are in order of their actions", (driver) => ({
    controls: (run) => mapValue(driver.controls(run), Arr.sort(Order.mapInput(Order.string, byTimeAndAction)))
  })),
  mutant("control", "the cancels of one instant are in order of who asked", (driver) => ({
    controls: (run) =>
      mapValue(driver.controls(run), (controls) => {
        const [cancels, others] = Arr.partition(controls, ({ action }) => action !== "cancel")
        return Arr.sort([...others, ...Arr.sort(cancels, Order.mapInput(Order.string, byWhom))], byTime)
      })
  })),
  mutant("control", "a cancel is not in the controls of its run", (driver) => ({
    controls: (run) =>
      Effect.map(driver.controls(run), ({ now, value }) => ({
        now,
        value: value.filter(({ action }) => action !== "cancel")
      }))
  })),
  mutant("control", "a resumed run is claimable immediately", (driver) => ({
    resume: (request) =>
      Effect.zipRight(
        driver.deliver(
          request.runs.map((to) => ({ to, kind: "cancel", name: "cancel", id: "now", by: null, reason: null }))
        ),
        driver.resume(request)
      )
  })),
  mutant("control", "a pause does not apply to attached children", (driver) => ({
    pause: (request) =>
      Effect.flatMap(
        driver.pause(request),
        (answer) =>
          Effect.flatMap(driver.find({ filter: { statuses: ["paused"] }, after: null, limit: 100 }), ({ value }) => {
            const runs = value.runs.map(({ id }) => id).filter((id) => !request.runs.includes(id))
            return Effect.as(driver.resume({ ...request, runs }), answer)
          })
      )
  })),
  mutant("control", "a pause counts runs that it does not change", (driver) => ({
    pause: (request) => Effect.map(driver.pause(request), ({ now }) => ({ now, value: request.runs.length }))
  })),
  mutant("control", "deadlines are not stored", (driver) => ({
    enqueue: (request) => driver.enqueue({ ...request, runs: request.runs.map((run) => ({ ...run, expiresAt: null })) })
  })),
  mutant("control", "no run expires", (driver) => ({ expire: () => driver.expire({ limit: 0 }) })),
  mutant("control", "the limit of an expiry is ignored", (driver) => ({ expire: () => driver.expire({ limit: 10 }) })),
  mutant("fork", "a fork has one entry too many", (driver) => ({
    fork: (request) => driver.fork({ ...request, seq: request.seq + 1 })
  })),
  mutant("fork", "a fork has one entry too few", (driver) => ({
    fork: (request) => driver.fork({ ...request, seq: request.seq - 1 })
  })),
  mutant("fork", "a fork has no entries", (driver) => ({ fork: (request) => driver.fork({ ...request, seq: 0 }) })),
  mutant("fork", "a fork always has the queue of its source", (driver) => ({
    fork: (request) => driver.fork({ ...request, queue: null })
  })),
  mutant("fork", "a repeated fork inserts another run", (driver) => {
    let made = 0
    return { fork: (request) => driver.fork({ ...request, id: ++made === 1 ? request.id : `${request.id}-${made}` }) }
  })
]
