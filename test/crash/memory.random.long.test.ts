/** In a file of its own, so that another process explores it at the same time. */
import { randomSeed } from "../fixtures/seed.js"
import { onMemory } from "./explorations.js"

onMemory("random", { seed: randomSeed, crashes: 5_000, lives: 60 })
