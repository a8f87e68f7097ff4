import { suite } from "./fixtures/fairness.js"

suite({ backlog: 2_000, singles: 200 })
