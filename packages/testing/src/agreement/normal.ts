/** Results without what the contract leaves open, so that the results of two drivers can be compared. */
import type * as Driver from "perdure/JournalDriver"
import { ClaimableStatus } from "perdure/JournalDriver"

const byKey = <A>(key: (item: A) => string) => (a: A, b: A): number => key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0

/** Ordinals can have gaps. */
const message = ({ ordinal: _, ...rest }: Driver.Message) => rest

export const messages = (all: ReadonlyArray<Driver.Message>) => all.map(message)

export const inboxes = (
  all: ReadonlyArray<{ readonly run: string; readonly messages: ReadonlyArray<Driver.Message> }>
) => all.map((each) => ({ run: each.run, messages: messages(each.messages) })).toSorted(byKey(({ run }) => run))

export const claimedRun = (run: Driver.ClaimedRun) => {
  const { inbox, seen: _, ...rest } = run
  return { ...rest, inbox: messages(inbox) }
}

const claimable: ReadonlySet<Driver.RunStatus> = new Set(ClaimableStatus.literals)

/**
 * The dispositions of messages that were sent together. The contract leaves open whether a second cancel to one run
 * wakes it. `cancelled` has the runs that received a cancel.
 */
export const dispositions = (
  messages: ReadonlyArray<Driver.NewMessage>,
  found: ReadonlyArray<Driver.Disposition>,
  cancelled: Set<string>
): ReadonlyArray<string> =>
  messages.map(({ kind, to }, index) => {
    const disposition = found[index] ?? "none"
    const isFree = kind === "cancel" && cancelled.has(to) && (disposition === "Delivered" || disposition === "Buffered")
    if (kind === "cancel") cancelled.add(to)
    return isFree ? "Stored" : disposition
  })

/** The contract defines `availableAt` for claimable runs only. */
export const record = (run: Driver.RunRecord) => ({
  ...run,
  availableAt: claimable.has(run.status) ? run.availableAt : null
})

export const standings = (runs: ReadonlyArray<Driver.RunStanding>) => runs.toSorted(byKey(({ id }) => id))

export const records = (runs: ReadonlyArray<Driver.RunRecord>) => runs.map(record).toSorted(byKey(({ id }) => id))

export const published = (values: ReadonlyArray<{ readonly key: string }>) => values.toSorted(byKey(({ key }) => key))
