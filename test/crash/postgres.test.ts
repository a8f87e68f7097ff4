import { randomSeed } from "../fixtures/seed.js"
import { onDatabase } from "./explorations.js"
import { driver } from "./postgres.js"

onDatabase("PostgreSQL", driver, { seed: randomSeed, crashes: 40, lives: 4 })
