import { suite } from "./fixtures/calendarAgreement.js"

suite({ clockChanges: 1_000, otherDays: 300, allZones: 300, years: 6 })
