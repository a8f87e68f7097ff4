import * as JournalContract from "@perdure/testing/JournalContract"
import * as JournalMemory from "perdure/JournalMemory"

JournalContract.suite("JournalMemory", JournalMemory.layerDriver)
