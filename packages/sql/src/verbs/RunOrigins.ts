/**
 * Runs that this process claimed and that have no parent, or no key. Both never change, so the statement that ends such
 * a run need not look for a parent to notify, or for a key to free. The set may forget ids: then the statement looks.
 */
import type * as Driver from "perdure/JournalDriver"

/** Ids that are kept at most; beyond that, all are forgotten. */
const MAX_IDS = 100_000

type Origin = Pick<Driver.NewRun, "id" | "parent" | "key">

export class RunOrigins {
  readonly parentless = new Set<string>()
  readonly keyless = new Set<string>()

  add(runs: Iterable<Origin>): void {
    for (const ids of [this.parentless, this.keyless]) if (ids.size > MAX_IDS) ids.clear()
    for (const { id, key, parent } of runs) {
      if (parent === null) this.parentless.add(id)
      if (key === null) this.keyless.add(id)
    }
  }

  /** Forgets the runs that this process no longer holds after these commits. */
  settle(commits: ReadonlyArray<Driver.RunCommit>, results: ReadonlyArray<Driver.CommitResult>): void {
    commits.forEach(({ run, transition }, index) => {
      const tag = results[index]?._tag
      if (tag === "Lost" || (tag === "Applied" && transition !== null && transition._tag !== "Continue")) {
        this.parentless.delete(run)
        this.keyless.delete(run)
      }
    })
  }
}
