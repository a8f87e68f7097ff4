import { onDatabase } from "./explorations.js"
import { driver } from "./postgres.js"

onDatabase("PostgreSQL", driver, { seed: 3_000, crashes: 1_000, lives: 40 })
