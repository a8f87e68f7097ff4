import { onMemory } from "./explorations.js"

onMemory("fixed", { seed: 1_000, crashes: 5_000, lives: 60 })
