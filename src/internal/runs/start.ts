/** Starting runs: from outside, in one statement; and from inside a run, as children, with the next commit. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { CurrentRunInfo } from "../../CurrentRun.js"
import type { JournalError, ValueInvalid, ValueTooLarge } from "../../Errors.js"
import {
  ChildDepthExceeded,
  ChildLimitExceeded,
  IdempotencyConflict,
  SingletonBusy,
  ValueInvalid as Invalid
} from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { LocalWorker } from "../process/Process.js"
import type { ClaimedRun, EnqueueResult, NewRun, Singleton } from "../../driver/JournalDriver.js"
import { Limits } from "../../Limits.js"
import type { StartOptions } from "../../Workflow.js"
import type { Shape } from "../process/Shape.js"
import { nameProblem, priorityProblem, singletonProblems } from "../workflow/definition.js"
import { dueAt, EARLIEST, instantOf, millisOf } from "../util/time.js"
import { childId, childToken, makeRunId } from "../codec/ids.js"
import type { ChildSpec } from "../machine/Op.js"
import { labelsOf } from "../options/labels.js"
import { idProblem } from "../options/names.js"
import { show } from "../options/reading.js"
import { nameOf, refProblem } from "../options/queueReference.js"
import { optionsProblem, refusal } from "../options/requests.js"
import { encodeText, sameJson } from "../codec/wire.js"

const encodePayload = (shape: Shape, payload: unknown) =>
  Effect.flatMap(
    Limits,
    (limits) => encodeText(shape.payloadSchema, payload, `payload of workflow ${shape.name}`, limits.payloadBytes)
  )

/** When a start's option says, if it says anything: at an instant, or after a duration. */
const whenOf = (
  now: number,
  [atName, at]: readonly [string, unknown],
  [inName, span]: readonly [string, unknown]
): Either.Either<number | null, string> => {
  if (at !== undefined) {
    const millis = instantOf(at)
    return millis === undefined || millis < EARLIEST
      ? Either.left(`${atName} is not a valid instant: give a DateTime or a Date, after the year -4000`)
      : Either.right(millis)
  }
  if (span === undefined) return Either.right(null)
  const millis = millisOf(span)
  return millis === undefined
    ? Either.left(`${inName} is ${show(span)}, which is no duration: give one, such as "10 minutes"`)
    : Either.right(dueAt(now + millis))
}

/** What a start may say. */
const known = [
  "delay",
  "startAt",
  "expiresIn",
  "expiresAt",
  "priority",
  "queue",
  "detached",
  "tags",
  "attributes"
]

/** What is wrong with what a start says of itself, besides times and labels, if anything. */
const placementProblem = (options: StartOptions | undefined): string | undefined => {
  const problem = optionsProblem(options, known)
  if (problem !== undefined) return problem
  const { detached, priority, queue } = options ?? {}
  return (queue === undefined ? undefined : refProblem(queue)) ??
    (priority === undefined ? undefined : priorityProblem(priority)) ??
    (detached === undefined || typeof detached === "boolean"
      ? undefined
      : `detached is ${show(detached)}, it must be true or false`)
}

/** Where and when a run is to wait, and how long, checked. */
const placement = (shape: Shape, options: StartOptions | undefined, now: number) =>
  Effect.suspend(() => {
    const refuse = (detail: string) => refusal(`start of workflow ${shape.name}`, detail)
    const wrong = placementProblem(options)
    if (wrong !== undefined) return refuse(wrong)
    const queue = nameOf(options?.queue ?? shape.options.queue)
    const priority = options?.priority ?? shape.options.priority
    const problem = nameProblem("the queue", queue) ?? priorityProblem(priority)
    if (problem !== undefined) return refuse(problem)
    const { delay, expiresAt, expiresIn, startAt } = options ?? {}
    return Effect.mapBoth(
      Either.all({
        available: whenOf(now, ["startAt", startAt], ["delay", delay]),
        expires: whenOf(now, ["expiresAt", expiresAt], ["expiresIn", expiresIn])
      }),
      {
        onFailure: refuse,
        onSuccess: ({ available, expires }) => ({
          queue,
          priority,
          availableAt: available,
          expiresAt: expires === Infinity ? null : expires
        })
      }
    )
  })

const nothing = Effect.succeed(null)

/** A key that the workflow's own function makes of a payload. */
const keyOf = (what: string, make: (payload: never) => string, payload: unknown): Effect.Effect<string, ValueInvalid> =>
  Effect.suspend(() => {
    const refuse = (detail: string) => new Invalid({ what, detail })
    if (typeof make !== "function") return refuse(`it is to be made by a ${typeof make}, not by a function`)
    // The function takes what the payload schema describes, and the payload has just been encoded by it.
    const key: unknown = make(payload as never)
    if (typeof key !== "string") return refuse(`the key is a ${typeof key}, not a string`)
    const problem = idProblem("the key", key)
    return problem === undefined ? Effect.succeed(key) : refuse(problem)
  })

const idempotencyKey = (shape: Shape, payload: unknown): Effect.Effect<string | null, ValueInvalid> => {
  const make = shape.options.idempotencyKey
  return make === undefined ? nothing : keyOf(`idempotency key of workflow ${shape.name}`, make, payload)
}

/** The run's key within its queue. */
const queueKey = (shape: Shape, payload: unknown): Effect.Effect<string | null, ValueInvalid> =>
  shape.options.key === undefined ? nothing : keyOf(`key of workflow ${shape.name}`, shape.options.key, payload)

/** Which runs this one may not be beside. */
const singletonOf = (shape: Shape, payload: unknown): Effect.Effect<Singleton | null, ValueInvalid> => {
  const { debounce, singleton } = shape.options
  const made = singleton ?? debounce
  if (made === undefined) return nothing
  const [problem] = singletonProblems(shape)
  if (problem !== undefined)
    return Effect.fail(new Invalid({ what: `start of workflow ${shape.name}`, detail: problem }))
  return Effect.map(
    keyOf(`${singleton === undefined ? "debounce" : "singleton"} key of workflow ${shape.name}`, made.key, payload),
    (key) => ({
      key,
      debounce: debounce === undefined ? null : {
        quietMillis: Duration.toMillis(debounce.quiet),
        maxWaitMillis: debounce.maxWait === undefined ? null : Duration.toMillis(debounce.maxWait)
      }
    })
  )
}

/** A run without parent, all of it checked. */
const placedRun = Effect.fnUntraced(function*(
  shape: Shape,
  payload: unknown,
  options: StartOptions | undefined,
  place: Effect.Effect.Success<ReturnType<typeof placement>>,
  id: string
): Effect.fn.Return<NewRun, ValueInvalid | ValueTooLarge> {
  return {
    id,
    workflow: shape.name,
    version: shape.version,
    ...place,
    payload: yield* encodePayload(shape, payload),
    idempotencyKey: yield* idempotencyKey(shape, payload),
    parent: null,
    root: id,
    depth: 0,
    key: yield* queueKey(shape, payload),
    ...yield* labelsOf(shape, payload, options),
    singleton: yield* singletonOf(shape, payload)
  }
})

/** A run without parent, to be started by a commit. */
export const freshRun = (
  shape: Shape,
  payload: unknown,
  options: StartOptions | undefined,
  { id, now }: { readonly id: string; readonly now: number }
) => Effect.flatMap(placement(shape, options, now), (place) => placedRun(shape, payload, options, place, id))

/** Start runs of one workflow in one statement; answers their ids, which for known idempotency keys are older ones. */
export const startRuns = Effect.fnUntraced(function*(
  journal: JournalService,
  shape: Shape,
  payloads: ReadonlyArray<unknown>,
  options: StartOptions | undefined
) {
  if (payloads.length === 0) return []
  const place = yield* placement(shape, options, journal.now())
  yield* journal.process.queues.require(place.queue)
  const millis = yield* Clock.currentTimeMillis
  const runs: Array<NewRun> = []
  for (const payload of payloads) runs.push(yield* placedRun(shape, payload, options, place, makeRunId(millis)))
  yield* conflictsWithin(runs)
  const enqueue = Effect.map(journal.enqueue({ runs, claim: null }), ({ value }) => value)
  const refuses = shape.options.singleton?.mode === "refuse"
  const settle = (answers: ReadonlyArray<EnqueueResult>) => startedIds(runs, answers, refuses)
  // Several runs start all or none: a stored run with another payload must undo those before it.
  if (runs.length > 1 && runs.some((run) => run.idempotencyKey !== null || run.singleton !== null)) {
    return yield* journal.transaction(Effect.flatMap(enqueue, settle))
  }
  const local = place.availableAt === null && runs.every(({ key, singleton }) => key === null && singleton === null)
  return yield* settle(local ? yield* enqueueLocally(journal, runs) : yield* enqueue)
})

/** The runs that stand for those that were to be started; fails if one of them has another payload, or its key is taken. */
const startedIds = (
  runs: ReadonlyArray<NewRun>,
  answers: ReadonlyArray<EnqueueResult>,
  refuses: boolean
): Effect.Effect<ReadonlyArray<string>, IdempotencyConflict | SingletonBusy> => {
  const ids: Array<string> = []
  for (const [index, answer] of answers.entries()) {
    const run = runs[index]
    if (
      run !== undefined && answer._tag === "Existing" && answer.id !== run.id && !sameJson(answer.payload, run.payload)
    ) {
      return new IdempotencyConflict({
        workflow: run.workflow,
        key: run.idempotencyKey ?? "",
        runId: answer.id,
        existing: answer.payload,
        payload: run.payload
      })
    }
    if (run !== undefined && answer._tag === "Joined" && refuses) {
      return new SingletonBusy({ workflow: run.workflow, key: run.singleton?.key ?? "", runId: answer.id })
    }
    ids.push(answer.id)
  }
  return Effect.succeed(ids)
}

/** Within one bulk start, a key must not name two payloads: known before anything is written. */
const conflictsWithin = (runs: ReadonlyArray<NewRun>): Effect.Effect<void, IdempotencyConflict> => {
  const byKey = new Map<string, NewRun>()
  for (const run of runs) {
    if (run.idempotencyKey === null) continue
    const first = byKey.get(run.idempotencyKey)
    if (first === undefined) byKey.set(run.idempotencyKey, run)
    else if (!sameJson(first.payload, run.payload)) {
      return new IdempotencyConflict({
        workflow: run.workflow,
        key: run.idempotencyKey,
        runId: first.id,
        existing: first.payload,
        payload: run.payload
      })
    }
  }
  return Effect.void
}

/** Enqueue; if a worker of this process has free slots for the runs, the insert already claims them for it. */
const enqueueLocally = (journal: JournalService, runs: ReadonlyArray<NewRun>) =>
  Effect.uninterruptibleMask((restore) => {
    const [first] = runs
    const local = first === undefined ? undefined : pickWorker(journal, first, runs.length)
    if (local === undefined) return restore(Effect.map(journal.enqueue({ runs, claim: null }), ({ value }) => value))
    const { slots, worker } = local
    return Effect.matchCauseEffect(
      restore(journal.enqueue({ runs, claim: { worker: worker.ref, slots } })),
      {
        onFailure: (cause) => {
          worker.adopt(slots, [])
          worker.suspect()
          return Effect.failCause(cause)
        },
        onSuccess: ({ now, value: answers }) =>
          Effect.sync(() => {
            const claimed: Array<ClaimedRun> = []
            for (const [index, answer] of answers.entries()) {
              const run = runs[index]
              if (run === undefined || answer._tag !== "Started" || answer.epoch === null) continue
              claimed.push(freshClaim(run, answer.epoch, now))
            }
            worker.adopt(slots, claimed)
            return answers
          })
      }
    )
  })

const pickWorker = (
  journal: JournalService,
  run: NewRun,
  wanted: number
): { readonly worker: LocalWorker; readonly slots: number } | undefined => {
  for (const worker of journal.process.workers) {
    const slots = worker.reserve(run, wanted)
    if (slots > 0) return { worker, slots }
  }
  return undefined
}

/** What a claim would say of a run that was claimed as it was inserted. */
const freshClaim = (run: NewRun, epoch: number, now: number): ClaimedRun => ({
  id: run.id,
  workflow: run.workflow,
  version: run.version,
  queue: run.queue,
  priority: run.priority,
  payload: run.payload,
  idempotencyKey: run.idempotencyKey,
  parent: run.parent,
  root: run.root,
  depth: run.depth,
  key: run.key,
  seed: run.id,
  inherited: 0,
  epoch,
  generation: 0,
  nextSeq: 0,
  createdAt: now,
  startedAt: now,
  seen: 0,
  crashes: 0,
  journal: [],
  inbox: []
})

/** Start a child of the current run: it leaves with the run's next commit. */
export const startChild = (
  current: CurrentRunInfo,
  shape: Shape,
  payload: unknown,
  options: StartOptions | undefined
): Effect.Effect<ChildSpec, ValueInvalid | ValueTooLarge | ChildDepthExceeded | ChildLimitExceeded | JournalError> =>
  Effect.gen(function*() {
    const limits = yield* Limits
    const { machine } = current
    if (shape.options.singleton !== undefined || shape.options.debounce !== undefined) {
      const detail =
        "a workflow with singleton or debounce cannot be a child, for whose start nothing is asked of storage: " +
        "start it inside a Step"
      return yield* new Invalid({ what: `start of workflow ${shape.name} by run ${current.id}`, detail })
    }
    const text = yield* encodePayload(shape, payload)
    const place = yield* placement(shape, options, machine.now)
    const labels = yield* labelsOf(shape, payload, options)
    const key = yield* queueKey(shape, payload)
    const parent = current.id
    if (current.depth + 1 > limits.childDepth) {
      const depth = current.depth + 1
      return yield* new ChildDepthExceeded({ workflow: shape.name, parent, depth, limit: limits.childDepth })
    }
    if (machine.childrenStarted >= limits.children) {
      return yield* new ChildLimitExceeded({ workflow: shape.name, parent, limit: limits.children })
    }
    return machine.startChild((op) => ({
      id: childId(parent, current.generation, op, shape.name),
      token: childToken(current.generation, op),
      workflow: shape.name,
      version: shape.version,
      ...place,
      ...labels,
      key,
      payload: text,
      attached: options?.detached !== true
    }))
  })
