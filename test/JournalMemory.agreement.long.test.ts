import * as JournalAgreement from "@perdure/testing/JournalAgreement"
import * as JournalMemory from "perdure/JournalMemory"

JournalAgreement.suite("memory and memory", JournalMemory.layerDriver, JournalMemory.layerDriver, { sequences: 300 })
