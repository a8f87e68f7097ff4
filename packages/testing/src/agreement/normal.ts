/** Answers without what the contract leaves to the driver, so that two drivers' answers can be compared. */
import type * as Driver from "perdure/JournalDriver"

const byKey = <A>(key: (item: A) => string) => (a: A, b: A): number => key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0

/** Ordinals may have gaps. */
const message = ({ ordinal: _, ...rest }: Driver.Message) =>
  rest.kind === "child" ? { ...rest, ending: ending(rest.ending) } : rest

/** The detail of an exhausted run is free. */
const ending = <E extends Pick<Driver.RunRecord, "status" | "detail">>(each: E): E =>
  each.status === "exhausted" ? { ...each, detail: null } : each

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

/** `availableAt` means something for claimable runs only. */
export const record = (run: Driver.RunRecord) => ({
  ...ending(run),
  availableAt: claimable.has(run.status) ? run.availableAt : null
})

export const records = (runs: ReadonlyArray<Driver.RunRecord>) => runs.map(record).toSorted(byKey(({ id }) => id))

export const published = (values: ReadonlyArray<{ readonly key: string }>) => values.toSorted(byKey(({ key }) => key))
