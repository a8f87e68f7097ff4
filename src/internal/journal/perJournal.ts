/** One value for each journal: made at first use, and gone with the journal. */
import type { JournalService } from "../../Journal.js"

export const perJournal = <A>(make: (journal: JournalService) => A): (journal: JournalService) => A => {
  const made = new WeakMap<JournalService, A>()
  return (journal) => {
    const one = made.get(journal) ?? make(journal)
    made.set(journal, one)
    return one
  }
}
