import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import { onDatabase } from "./explorations.js"

onDatabase("PGlite", PgliteJournal.layer({ clock: "effect" }), { seed: 4_000, crashes: 300, lives: 40 })
