/** Starts of runs: from outside in one statement, and from inside a run as children, with the next commit. */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
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
import { isRetryable } from "../../driver/JournalDriver.js"
import { Limits } from "../../Limits.js"
import type { Shape } from "../process/Shape.js"
import { childId, childToken, makeRunId } from "../codec/ids.js"
import type { ChildSpec } from "../machine/Op.js"
import { labelsOf } from "../options/labels.js"
import { key as keyRule } from "../options/names.js"
import { requireArguments, requireValue } from "../options/policy.js"
import { queueName } from "../options/queues.js"
import { optional } from "../options/Rule.js"
import type { StartOptions } from "../options/startOptions.js"
import { startOptions } from "../options/startOptions.js"
import { currentAttempt } from "./attempts.js"
import { dueAt, MAX_DATE_MILLIS } from "../util/time.js"
import { differingKeys, encodeText, sameJson } from "../codec/wire.js"

const encodePayload = (shape: Shape, payload: unknown) =>
  Effect.flatMap(
    Limits,
    (limits) => encodeText(shape.payloadSchema, payload, `payload of workflow ${shape.name}`, limits.payloadBytes)
  )

/** The instant of an option that is an instant, or of one that is a duration from now; null for neither. */
const whenOf = (
  now: number,
  at: DateTime.DateTime | Date | undefined,
  delay: Duration.DurationInput | undefined
): number | null =>
  at !== undefined
    ? at instanceof Date ? at.getTime() : DateTime.toEpochMillis(at)
    : delay === undefined
    ? null
    : dueAt(now + Duration.toMillis(delay))

const maybeStartOptions = optional(startOptions)

type Placement = Pick<NewRun, "queue" | "priority" | "availableAt" | "expiresAt">

/** The instants of a run that never starts, because its deadline comes first. */
const neverStarts = (availableAt: number | null, expiresAt: number | null): ReadonlyArray<string> => {
  if (availableAt === null || expiresAt === null || availableAt < expiresAt) return []
  const due = new Date(Math.min(availableAt, MAX_DATE_MILLIS)).toISOString()
  return [
    `the run starts at ${due} at the earliest, but expires at ${new Date(expiresAt).toISOString()}, so it never ` +
    `starts: use a longer "expiresIn" or a later "expiresAt", or a shorter "delay" or an earlier "startsAt"`
  ]
}

const startOf = (shape: Shape): string => `start of workflow ${shape.name}`

/** Where, when and until when a run waits. Wrong options are a programmer's mistake. */
const placementOf = <E>(
  shape: Shape,
  options: StartOptions | undefined,
  currentTime: Effect.Effect<number, E>
): Effect.Effect<Placement, E> =>
  Effect.gen(function*() {
    yield* requireArguments(startOf(shape), maybeStartOptions.problems(options, ""))
    const { delay, expiresAt, expiresIn, priority, queue, startsAt } = options ?? {}
    const { debounce } = shape.options
    const isRelative = delay !== undefined || expiresIn !== undefined ||
      (debounce !== undefined && expiresAt !== undefined)
    const now = isRelative ? yield* currentTime : 0
    const expires = whenOf(now, expiresAt, expiresIn)
    const place = {
      queue: queueName(queue ?? shape.options.queue),
      priority: priority ?? shape.options.priority,
      availableAt: whenOf(now, startsAt, delay),
      expiresAt: expires === Infinity ? null : expires
    }
    const settled = debounce === undefined ? null : whenOf(now, undefined, debounce.quiet)
    yield* requireArguments(startOf(shape), [
      ...neverStarts(place.availableAt, place.expiresAt),
      ...neverStarts(settled, place.expiresAt)
    ])
    return place
  })

const nothing = Effect.succeed(null)

/** A key that a function of the workflow's definition makes from a payload. */
const keyOf = (what: string, make: (payload: never) => string, payload: unknown): Effect.Effect<string, ValueInvalid> =>
  Effect.suspend(() => {
    // The function takes what the payload schema describes, and the payload has just been encoded by it.
    const key: unknown = make(payload as never)
    return Effect.as(requireValue(what, keyRule.problems(key, "key")), String(key))
  })

const idempotencyKey = ({ name, options }: Shape, payload: unknown): Effect.Effect<string | null, ValueInvalid> =>
  options.idempotencyKey === undefined
    ? nothing
    : keyOf(`idempotency key of workflow ${name}`, options.idempotencyKey, payload)

/** The run's key within its queue. */
const queueKey = ({ name, options }: Shape, payload: unknown): Effect.Effect<string | null, ValueInvalid> =>
  options.key === undefined ? nothing : keyOf(`key of workflow ${name}`, options.key, payload)

/** Which runs exclude this one. */
const singletonOf = ({ name, options }: Shape, payload: unknown): Effect.Effect<Singleton | null, ValueInvalid> => {
  const { debounce, singleton } = options
  if (singleton !== undefined) {
    return Effect.map(keyOf(`singleton key of workflow ${name}`, singleton.key, payload), (key) => ({
      key,
      debounce: null
    }))
  }
  if (debounce === undefined) return nothing
  const { maxWait, quiet } = debounce
  return Effect.map(keyOf(`debounce key of workflow ${name}`, debounce.key, payload), (key) => ({
    key,
    debounce: {
      quietMillis: Duration.toMillis(quiet),
      maxWaitMillis: maxWait === undefined ? null : Duration.toMillis(maxWait)
    }
  }))
}

/** A process that only starts runs has no layer of the workflow, which would report the problems of its definition. */
const requireDefinition = ({ name, problems }: Shape): Effect.Effect<void> =>
  requireArguments(`start of workflow ${name}`, problems)

/** A run without parent. */
const placedRun = Effect.fnUntraced(function*(
  shape: Shape,
  input: unknown,
  options: StartOptions | undefined,
  place: Placement,
  id: string
): Effect.fn.Return<NewRun, ValueInvalid | ValueTooLarge> {
  const payload = shape.construct(input)
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

/** A run without parent, for a commit to start. */
export const freshRun = (
  shape: Shape,
  payload: unknown,
  options: StartOptions | undefined,
  { id, now }: { readonly id: string; readonly now: number }
) =>
  Effect.flatMap(
    placementOf(shape, options, Effect.succeed(now)),
    (place) => placedRun(shape, payload, options, place, id)
  )

/**
 * Starts runs of one workflow in one statement. Returns their ids; for a known idempotency key, that of the older run.
 */
export const startRuns = Effect.fnUntraced(function*(
  journal: JournalService,
  shape: Shape,
  payloads: ReadonlyArray<unknown>,
  options: StartOptions | undefined
) {
  if (payloads.length === 0) return []
  yield* requireDefinition(shape)
  const place = yield* placementOf(shape, options, journal.currentTime)
  yield* journal.process.queues.require(place.queue)
  const millis = yield* Clock.currentTimeMillis
  const runs: Array<NewRun> = []
  for (const payload of payloads) runs.push(yield* placedRun(shape, payload, options, place, makeRunId(millis)))
  yield* conflictsWithin(runs)
  const enqueue = Effect.map(journal.enqueue({ runs, claim: null }), ({ value }) => value)
  const refuses = shape.options.singleton?.mode === "refuse"
  const settle = (answers: ReadonlyArray<EnqueueResult>) =>
    Effect.flatMap(startedIds(runs, answers, refuses), (ids) => attemptsOf(journal, runs, answers, ids))
  // Several runs start all or none: a conflict with a stored run must undo the starts before it.
  if (runs.length > 1 && runs.some((run) => run.idempotencyKey !== null || run.singleton !== null)) {
    return yield* journal.transaction(Effect.flatMap(enqueue, settle))
  }
  const local = place.availableAt === null && runs.every(({ key, singleton }) => key === null && singleton === null)
  return yield* settle(local ? yield* enqueueLocally(journal, runs) : yield* enqueue)
})

const conflict = (run: NewRun, existing: { readonly id: string; readonly payload: string }): IdempotencyConflict =>
  new IdempotencyConflict({
    workflow: run.workflow,
    key: run.idempotencyKey ?? "",
    runId: existing.id,
    differing: differingKeys(existing.payload, run.payload),
    existing: existing.payload,
    payload: run.payload
  })

/** The id of the run that each start got. Fails if that run has another payload, or if its singleton key is taken. */
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
      return conflict(run, { id: answer.id, payload: answer.payload })
    }
    if (run !== undefined && answer._tag === "Joined" && refuses) {
      return new SingletonBusy({ workflow: run.workflow, key: run.singleton?.key ?? "", runId: answer.id })
    }
    ids.push(answer.id)
  }
  return Effect.succeed(ids)
}

/** The ids, with those of runs that a key has found and that did not succeed replaced by their newest retries. */
const attemptsOf = (
  journal: JournalService,
  runs: ReadonlyArray<NewRun>,
  answers: ReadonlyArray<EnqueueResult>,
  ids: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<string>, JournalError> => {
  const isFailed = (index: number): boolean => {
    const answer = answers[index]
    return answer?._tag === "Existing" && answer.id !== runs[index]?.id && isRetryable(answer.status)
  }
  return ids.some((_, index) => isFailed(index))
    ? Effect.forEach(ids, (id, index) => isFailed(index) ? currentAttempt(journal, id) : Effect.succeed(id))
    : Effect.succeed(ids)
}

/** Fails if one idempotency key has two payloads within one bulk start, before anything is written. */
const conflictsWithin = (runs: ReadonlyArray<NewRun>): Effect.Effect<void, IdempotencyConflict> => {
  const byKey = new Map<string, NewRun>()
  for (const run of runs) {
    if (run.idempotencyKey === null) continue
    const first = byKey.get(run.idempotencyKey)
    if (first === undefined) byKey.set(run.idempotencyKey, run)
    else if (!sameJson(first.payload, run.payload)) {
      return conflict(run, first)
    }
  }
  return Effect.void
}

/** Enqueues runs. If a worker of this process has free capacity for them, the insert claims them for it. */
const enqueueLocally = (journal: JournalService, runs: ReadonlyArray<NewRun>) =>
  Effect.uninterruptibleMask((restore) => {
    const [first] = runs
    const local = first === undefined ? undefined : pickWorker(journal, first, runs.length)
    if (local === undefined) return restore(Effect.map(journal.enqueue({ runs, claim: null }), ({ value }) => value))
    const { capacity, worker } = local
    return Effect.matchCauseEffect(
      restore(journal.enqueue({ runs, claim: { worker: worker.ref, capacity } })),
      {
        onFailure: (cause) => {
          worker.adopt(capacity, [])
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
            worker.adopt(capacity, claimed)
            return answers
          })
      }
    )
  })

const pickWorker = (
  journal: JournalService,
  run: NewRun,
  wanted: number
): { readonly worker: LocalWorker; readonly capacity: number } | undefined => {
  for (const worker of journal.process.workers) {
    const capacity = worker.reserve(run, wanted)
    if (capacity > 0) return { worker, capacity }
  }
  return undefined
}

/** The claim of a run that was claimed when it was inserted. */
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

/** Starts a child of the current run, with the run's next commit. */
export const startChild = (
  current: CurrentRunInfo,
  shape: Shape,
  input: unknown,
  options: StartOptions | undefined
): Effect.Effect<ChildSpec, ValueInvalid | ValueTooLarge | ChildDepthExceeded | ChildLimitExceeded | JournalError> =>
  Effect.gen(function*() {
    const limits = yield* Limits
    const { machine } = current
    if (shape.options.singleton !== undefined || shape.options.debounce !== undefined) {
      const detail = "a workflow with singleton or debounce cannot be a child, because a child's start asks storage " +
        "nothing: start it inside a Step"
      return yield* new Invalid({ what: `start of workflow ${shape.name} by run ${current.id}`, detail })
    }
    yield* requireDefinition(shape)
    const payload = shape.construct(input)
    const text = yield* encodePayload(shape, payload)
    const place = yield* placementOf(shape, options, Effect.succeed(machine.now))
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
