import { suite } from "./fixtures/calendarAgreement.js"

suite({ clockChanges: 1_500, otherDays: 500, allZones: 500, years: 10 })
