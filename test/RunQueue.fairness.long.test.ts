import { suite } from "./fixtures/fairness.js"

suite({ backlog: 100_000, singles: 3_000 })
