/** Answers without what the contract leaves to the driver, so that two drivers' answers can be compared. */
import type * as Driver from "perdure/JournalDriver"

const byKey = <A>(key: (item: A) => string) => (a: A, b: A): number => key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0

/** Ordinals may have gaps, and the report of a child is compared as a value. */
const message = <M extends Driver.Message>(each: M) => {
  const { ordinal: _, ...rest } = each
  return { ...rest, payload: rest.kind === "child" ? JSON.parse(rest.payload) as unknown : rest.payload }
}

export const messages = (all: ReadonlyArray<Driver.Message>) => all.map(message)

export const inboxes = (
  all: ReadonlyArray<{ readonly run: string; readonly messages: ReadonlyArray<Driver.Message> }>
) => all.map((each) => ({ run: each.run, messages: messages(each.messages) })).toSorted(byKey(({ run }) => run))

export const claimed = (run: Driver.ClaimedRun) => {
  const { inbox, seen: _, ...rest } = run
  return { ...rest, inbox: messages(inbox) }
}

const claimable: ReadonlySet<Driver.RunStatus> = new Set<Driver.RunStatus>(["pending", "suspended"])

/**
 * What became of messages that were sent together. Of several cancels to one run, whether those after the first one wake it is
 * free. `cancelled` are the runs that have got one.
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

/** `availableAt` means something for claimable runs only; what an exhausted run says is free. */
export const record = (run: Driver.RunRecord) => ({
  ...run,
  availableAt: claimable.has(run.status) ? run.availableAt : null,
  detail: run.status === "exhausted" ? null : run.detail
})

export const records = (runs: ReadonlyArray<Driver.RunRecord>) => runs.map(record).toSorted(byKey(({ id }) => id))

export const published = (values: ReadonlyArray<{ readonly key: string }>) => values.toSorted(byKey(({ key }) => key))
