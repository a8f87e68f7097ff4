import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import { randomSeed } from "../fixtures/seed.js"
import { onDatabase } from "./explorations.js"

onDatabase("PGlite", PgliteJournal.layer({ clock: "effect" }), { seed: randomSeed, crashes: 20, lives: 4 })
