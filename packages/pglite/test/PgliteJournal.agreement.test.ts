import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import * as JournalAgreement from "@perdure/testing/JournalAgreement"
import * as JournalMemory from "perdure/JournalMemory"

JournalAgreement.suite("memory and PGlite", JournalMemory.layerDriver, PgliteJournal.layer({ clock: "effect" }), {
  sequences: 5
})
