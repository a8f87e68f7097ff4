/** One example of each error, whose message `docs/errors.md` shows. */
import { FolderInUse, FolderUnusable } from "@perdure/pglite/FolderLock"
import { ClusterError } from "@perdure/testing/ClusterError"
import * as Errors from "perdure/Errors"

/** An example of each error that a run's stored exit can contain. */
export const runtimeErrors: ReadonlyArray<Errors.RuntimeError> = [
  new Errors.ValueInvalid({ what: "result of workflow Fulfil", detail: "$.total is NaN" }),
  new Errors.ValueTooLarge({ what: "payload of workflow Fulfil", bytes: 2_000_002, limit: 1_048_576 }),
  new Errors.ValueUnreadable({ what: "payload of run o-1", detail: "$.total is missing" }),
  new Errors.IdempotencyConflict({
    workflow: "Fulfil",
    key: "o-1",
    runId: "0195",
    existing: `{"orderId":"o-1","total":10}`,
    payload: `{"orderId":"o-1","total":20}`
  }),
  new Errors.ChildDepthExceeded({ workflow: "Ship", parent: "0195", depth: 11, limit: 10 }),
  new Errors.ChildLimitExceeded({ workflow: "Ship", parent: "0195", limit: 1000 }),
  new Errors.SingletonBusy({ workflow: "SyncAccount", key: "acme", runId: "0195" }),
  new Errors.UnknownQueue({ queue: "emails" }),
  new Errors.TimedOut({ what: "step reserve", millis: 5000 }),
  new Errors.RunEnded({ runId: "0195", workflow: "Fulfil", status: "cancelled", detail: "" }),
  new Errors.NoSuchRun({ runId: "0195" }),
  new Errors.NotDurable({ problem: "StrayWakeUp", place: "workflow Fulfil, run 0195, after step reserve" }),
  new Errors.Misuse({
    detail: "Run.poll cannot be called inside a workflow: what it gives is not in the journal. Call it inside a Step"
  }),
  new Errors.JournalError({
    code: "Unavailable",
    operation: "claim",
    detail: "connect ECONNREFUSED 127.0.0.1:5432",
    retryable: true
  })
]

/** An example of each error of the core and of the packages. */
export const errorExamples = [
  ...runtimeErrors,
  new Errors.UnknownSchedule({ schedule: "nightly-report" }),
  new Errors.WaitInVain({ runId: "0195", what: "step ship" }),
  new Errors.ForkInvalid({ runId: "0195", seq: 12, first: 0, next: 7 }),
  new Errors.NotRetryable({
    runId: "0195",
    status: "running",
    detail: "it has not ended: wait for it, or terminate it"
  }),
  new Errors.ConfigurationInvalid({ what: "Worker.layer", problems: [`"concurrency" must be an integer >= 1, got 0`] }),
  new Errors.WorkerIdTaken({ workerId: "worker-1" }),
  new Errors.NoSuchWorker({ workerId: "worker-1" }),
  new Errors.WorkerUnresponsive({ workerId: "worker-1", millis: 5000 }),
  new FolderInUse({ folder: "data", pid: 4711, host: "build-1", lock: "data/perdure.lock" }),
  new FolderUnusable({ folder: "data", detail: "EACCES: permission denied, mkdir 'data'" }),
  new ClusterError({ operation: "start PostgreSQL", detail: "the port 5432 is in use" })
] as const
