/** Mutants of deliveries, inboxes and rule 2. */
import type { Disposition } from "perdure/JournalDriver"
import { changeCommits, changeDispositions, changeMessages, mapValue, type Mutant, mutant } from "./Mutant.js"

let unique = 0

export const messageMutants: ReadonlyArray<Mutant> = [
  mutant("messages", "a suspension ignores unseen messages", changeCommits((commit, _, seen) => ({ ...commit, seen }))),
  mutant(
    "messages",
    "a commit that closes a window ignores unseen messages",
    changeCommits((commit, _, seen) => commit.closes.length > 0 ? { ...commit, seen } : commit)
  ),
  mutant(
    "messages",
    "every commit is refused over an unseen message",
    changeCommits((commit) => ({ ...commit, closes: [...commit.closes, "another window"] }))
  ),
  mutant(
    "messages",
    "a delivery wakes no run",
    changeCommits((commit) =>
      commit.transition?._tag === "Suspend"
        ? { ...commit, transition: { ...commit.transition, waiting: [] } }
        : commit
    )
  ),
  mutant(
    "messages",
    "a delivery of any kind wakes a run that waits for its name",
    changeCommits(({ transition, ...commit }) => ({
      ...commit,
      transition: transition?._tag === "Suspend"
        ? {
          ...transition,
          waiting: transition.waiting.flatMap((each) => {
            const name = each.slice(each.indexOf(":") + 1)
            return [`signal:${name}`, `child:${name}`, `callback:${name}`, `cancel:${name}`]
          })
        }
        : transition
    }))
  ),
  mutant(
    "messages",
    "duplicate messages are stored",
    changeMessages((message) => ({ ...message, id: `unique-${++unique}` }))
  ),
  mutant("messages", "message ids are unique over all runs", (driver) => {
    const taken = new Set<string>()
    return {
      deliver: (messages) =>
        mapValue(driver.deliver(messages.filter(({ id, to }) => !taken.has(id) || to === "")), (results) => {
          let next = 0
          return messages.map(({ id }): Disposition => {
            const duplicate = taken.has(id)
            taken.add(id)
            return duplicate ? "Duplicate" : results[next++] ?? "Duplicate"
          })
        })
    }
  }),
  mutant(
    "messages",
    "an expired message is reported as buffered",
    changeDispositions((each) => each === "Expired" ? "Buffered" : each)
  ),
  mutant(
    "messages",
    "a delivered message is reported as buffered",
    changeDispositions((each) => each === "Delivered" ? "Buffered" : each)
  ),
  mutant("messages", "windows are not closed", changeCommits((commit) => ({ ...commit, closes: [] }))),
  mutant("messages", "an inbox is always read from the first message", (driver) => ({
    inbox: (requests) => driver.inbox(requests.map((request) => ({ ...request, after: 0 })))
  })),
  mutant("messages", "messages are stored in another order", (driver) => ({
    deliver: (messages) => mapValue(driver.deliver(messages.toReversed()), (results) => results.toReversed())
  }))
]
