import { ACTIVATION_BUDGET_TASKS } from "../../../src/internal/machine/RunScheduler.js"
import { largePrograms } from "./largePrograms.js"

largePrograms({ budget: ACTIVATION_BUDGET_TASKS, elements: 100_000 })
