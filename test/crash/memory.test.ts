import { randomSeed } from "../fixtures/seed.js"
import { onMemory } from "./explorations.js"

onMemory("fixed", { seed: 1_000, crashes: 100, lives: 5 })
onMemory("random", { seed: randomSeed, crashes: 50, lives: 5 })
