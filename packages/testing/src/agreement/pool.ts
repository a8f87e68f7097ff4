/** The values that commands speak of by number. A run's fields follow from its number, so it is the same everywhere. */
import type * as Driver from "perdure/JournalDriver"
import type { Sent, Start, Who } from "./Command.js"
import { childCount, runCount } from "./Command.js"

/** Every run that there may be; the one number beyond is nobody. */
export const runs: ReadonlyArray<number> = Array.from({ length: runCount + childCount }, (_, n) => n)

export const runId = (prefix: string, n: number): string => `${prefix}-run-${String(n).padStart(2, "0")}`

export const childNumber = (n: number): number => runCount + n

export const token = (n: number): string => `token-${n}`

export const signalName = (n: number): string => n === 0 ? "x" : "y"

export const queue = (prefix: string, n: number): string => `${prefix}-queue-${n % 2}`

/** Four kinds of run: two names in two versions. */
export const workflow = (prefix: string, n: number): { readonly name: string; readonly version: string } => ({
  name: `${prefix}-workflow-${n % 2}`,
  version: n < 2 ? "1" : "2"
})

export const worker = (prefix: string, { incarnation, worker }: Who): Driver.WorkerRef => ({
  id: `${prefix}-worker-${worker}`,
  incarnation: `incarnation-${incarnation}`
})

export const newRun = (prefix: string, now: number, { delay, run: n }: Start): Driver.NewRun => {
  const id = runId(prefix, n)
  const { name, version } = workflow(prefix, n % 5 === 4 ? 2 : n % 2)
  return {
    id,
    workflow: name,
    version,
    queue: queue(prefix, n >> 1),
    priority: n % 3 - 1,
    payload: `{ "n": ${n} }`,
    idempotencyKey: n % 4 === 3 ? null : `key-${n % 3}`,
    availableAt: delay === null ? null : now + delay,
    parent: null,
    root: id,
    depth: 0,
    key: null,
    expiresAt: null,
    tags: [],
    attributes: {}
  }
}

/** Of every eight messages, four are signals. */
const kinds: ReadonlyArray<Driver.MessageKind> = ["child", "callback", "cancel", "defect"]

export const newMessage = (prefix: string, { id, to }: Sent): Driver.NewMessage => ({
  to: runId(prefix, to),
  kind: kinds[id % 8] ?? "signal",
  name: signalName((id >> 3) % 2),
  id: `message-${id}`,
  payload: `{"id": ${id}}`
})
