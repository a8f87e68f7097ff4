/** What the demo says at its start and at its end. */
import type { Audit } from "./audit.js"
import { number } from "./display.js"

export interface Plan {
  readonly database: "pglite" | "postgres"
  readonly orders: number
  /** Worker processes at a time. */
  readonly workers: number
  readonly kills: number
}

/** Printed by `--json`. */
export interface Result extends Plan, Audit {
  readonly seconds: number
}

const databases = { pglite: "PGlite (embedded)", postgres: "PostgreSQL" }

const count = (value: number, noun: string, plural = `${noun}s`) => `${number(value)} ${value === 1 ? noun : plural}`

const processes = (workers: number) => count(workers, "worker process", "worker processes")

const faults = (kills: number) =>
  kills === 0 ? "no process is killed" : `SIGKILL for a worker process, ${count(kills, "time")}; another takes over`

export const announcement = (plan: Plan, folder: string): string => `
Fulfils ${count(plan.orders, "order")}, each as one durable run: reserve stock, ask for approval
(above 500 €), charge, ship each parcel, send a receipt.

  database   ${databases[plan.database]}, with ${processes(plan.workers)}
  faults     ${faults(plan.kills)};
             the services lose 5 % of all requests and responses
  audit      at the end, the journal, the stock and the events of the services must agree
  files      ${folder}

`

const outcomes: Readonly<Record<string, string>> = {
  OutOfStock: "out of stock",
  Declined: "card declined",
  Rejected: "approval rejected",
  NotApproved: "not approved in time"
}

const SHOWN_PROBLEMS = 20

const problemLines = ({ problems }: Audit) => [
  ...problems.slice(0, SHOWN_PROBLEMS),
  ...(problems.length > SHOWN_PROBLEMS ? [`and ${number(problems.length - SHOWN_PROBLEMS)} more`] : [])
]

export const isCorrect = ({ lost, problems }: Audit): boolean => lost === 0 && problems.length === 0

export const summary = (result: Result, folder: string): string => {
  const rows: ReadonlyArray<readonly [label: string, value: string, note?: string]> = [
    ["orders", number(result.orders)],
    ...Object.entries(result.outcomes).sort(([, a], [, b]) => b - a)
      .map(([name, orders]) => [`  ${outcomes[name] ?? name}`, number(orders)] as const),
    ["  lost", number(result.lost)],
    ["steps", number(result.steps)],
    ["  repeated after a kill", number(result.repeatedSteps), "(1)"],
    ["  requests repeated", number(result.repeatedRequests), "(2)"],
    ["kills", number(result.kills)],
    ["duplicates found", number(result.duplicates), "(3)"],
    ["problems found", number(result.problems.length)],
    ["time", `${result.seconds.toFixed(1)} s`]
  ]
  const width = Math.max(...rows.map(([label]) => label.length))
  const table = rows.map(([label, value, note]) =>
    `  ${label.padEnd(width)}  ${value.padStart(7)}${note === undefined ? "" : `  ${note}`}\n`
  ).join("")
  return `
${table}
  (1) The process died before the exit of the step was durable, so the step ran again. It never does after that.
  (2) A kill or a lost response; the service recognizes the repeated request by its idempotency key.
  (3) Changes of the stock, charges, labels, parcels and receipts that took effect twice.

${problemLines(result).map((problem) => `  ${problem}\n`).join("")}${
    isCorrect(result)
      ? "Every order has its outcome, and nothing happened twice."
      : `The result is wrong. The files are kept in ${folder}`
  }
`
}
