/**
 * What a schedule does when it is looked at: a pure function of its settings, its state, the time, and whether the run
 * before has ended.
 *
 * ```text
 *   slot ahead ──its time comes──► come ──missed (a minute late or more)──► `catchUp` may pass over it
 *                                   │
 *                                   ▼ joins those that wait
 *   overlap:  skip            the first starts, or none while the run before goes on; the others are passed over
 *             queueOne        one waits until the run before has ended; the others are passed over
 *             queueAll        all wait; the first starts when the run before has ended
 *             cancelPrevious  the last waits, and the run before is cancelled; the others are passed over
 *             allow           all start, some at a time
 * ```
 *
 * Slots are dealt with in order, and each is looked at when it comes, though it may wait: so what was missed is known, whatever
 * waits. What was asked for by hand (`backlog`) goes first; if it is to wait its turn, it counts as the run before, else it
 * runs beside the others.
 */
import type { Asked, Settings, State } from "./settings.js"
import type { Stretches } from "./slots.js"
import { Slots } from "./slots.js"

/** A slot is missed when nobody has looked at it within a minute. Milliseconds. */
export const GRACE = 60_000

/** A run to start. */
export interface Start {
  readonly slot: number
  /** The run's id if it is no slot of the calendar; null: the run of a slot. */
  readonly run: string | null
  /** It was asked for by hand, beside the others: it is not waited for, and not the run before the next one. */
  readonly beside: boolean
}

export interface Turn {
  /** The runs to start, in order. */
  readonly starts: ReadonlyArray<Start>
  /** The latest run is to be cancelled. */
  readonly cancels: boolean
  readonly state: State
  readonly dueAt: number
  readonly waits: boolean
}

interface Look {
  readonly now: number
  readonly busy: boolean
  /** Most runs to start. */
  readonly most: number
  /** Look at the last so many of what was asked for by hand, and at nothing else. */
  readonly onlyAsked?: number
}

/** The slots that have come: those that count, how many do not, and the first one that is still ahead. */
interface Come {
  readonly come: Stretches
  readonly missed: number
  readonly ahead: number | null
}

export const comeBy = (slots: Slots, { catchUp }: Settings, slot: number | null, now: number): Come => {
  if (slot === null || slots.fireAt(slot) > now) return { come: [], missed: 0, ahead: slot }
  const ahead = slots.firing(slot, now + 1)
  const all = slots.stretch(slot, ahead, now)
  if (catchUp === "all" || now - slots.fireAt(slot) < GRACE) return { come: all, missed: 0, ahead }
  // What is not missed counts, and what is not older than that.
  const since = Math.min(now - GRACE + 1, typeof catchUp === "object" ? now - catchUp.within : Infinity)
  const first = catchUp === "latest" ? all.at(-1)?.[1] ?? slot : slots.firing(slot, since)
  const come = first === null ? [] : slots.stretch(first, ahead, now)
  const before = come.length === 0 ? all : slots.stretch(slot, first, now)
  return { come, missed: slots.count(before), ahead }
}

/** What becomes of the slots that wait. */
interface Dealt {
  readonly starts: ReadonlyArray<number>
  readonly queue: Stretches
  readonly passed: number
}

/** By `overlap`, of the slots that wait (some of which have waited before) and have just come. */
const deal = (slots: Slots, { overlap }: Settings, all: Stretches, waited: boolean, { busy, most }: Look): Dealt => {
  const head = all[0]?.[0]
  const last = all.at(-1)?.[1]
  if (head === undefined || last === undefined) return { starts: [], queue: [], passed: 0 }
  const starts = busy ? [] : [head]
  const rest = slots.rest(all)
  switch (overlap) {
    case "allow": {
      const taken: Array<number> = []
      let queue = all
      for (let next = queue[0]; next !== undefined && taken.length < most; next = queue[0]) {
        taken.push(next[0])
        queue = slots.rest(queue)
      }
      return { starts: taken, queue, passed: 0 }
    }
    case "skip":
      return { starts, queue: [], passed: slots.count(busy ? all : rest) }
    case "queueOne": {
      if (busy) return { starts, queue: [[head, head]], passed: slots.count(rest) }
      // Of those that have come while one waited, the one that waited is the one.
      const second = waited ? undefined : rest[0]?.[0]
      return second === undefined
        ? { starts, queue: [], passed: slots.count(rest) }
        : { starts, queue: [[second, second]], passed: slots.count(slots.rest(rest)) }
    }
    case "queueAll":
      return { starts, queue: busy ? all : rest, passed: 0 }
    case "cancelPrevious":
      return { starts: busy ? [] : [last], queue: busy ? [[last, last]] : [], passed: slots.count(all) - 1 }
  }
}

/** What was asked for by hand: what can start now, and what is left. What need not wait starts before what has to. */
const asked = ({ backlog, status }: State, { busy, most, onlyAsked = backlog.length }: Look) => {
  const starts: Array<Start> = []
  const left: Array<Asked> = []
  let isHeld = busy
  let hasBegun = false
  for (const [index, each] of backlog.entries()) {
    const isPassed = status === "quarantined" || index < backlog.length - onlyAsked
    if (isPassed || starts.length >= most || (each.serial && isHeld)) left.push(each)
    else {
      starts.push({ slot: each.slot, run: each.run, beside: !each.serial })
      hasBegun ||= each.serial
    }
    // One that is left goes before those behind it.
    isHeld ||= each.serial
  }
  return { starts, left, hasBegun }
}

/** How many more runs its slots may have. */
const leftOf = ({ maxRuns }: Settings, { started }: State): number =>
  maxRuns === null ? Infinity : Math.max(0, maxRuns - started)

/** Whether no slot of it will have a run any more. */
export const isOver = (settings: Settings, state: State): boolean =>
  leftOf(settings, state) === 0 || (state.slot === null && state.queue.length === 0)

/** What is to be done now. */
export const turn = (name: string, settings: Settings, state: State, look: Look): Turn => {
  const slots = new Slots(name, settings)
  const { hasBegun, left, starts } = asked(state, look)
  const busy = look.busy || hasBegun
  const room = look.onlyAsked !== undefined ? 0 : Math.min(look.most - starts.length, leftOf(settings, state))
  let after: State = { ...state, backlog: left }
  let cancels = false
  // Without room, it goes on in a moment.
  if (state.status === "active" && room > 0) {
    const { ahead, come, missed } = comeBy(slots, settings, state.slot, look.now)
    const waited = state.queue.length > 0
    const dealt = deal(slots, settings, slots.join(state.queue, come), waited, { ...look, busy, most: room })
    const replaces = settings.overlap === "cancelPrevious" && dealt.queue.length > 0
    // What was begun by hand just now is cancelled by the next slot that comes.
    cancels = replaces && look.busy && (come.length > 0 || !state.cancelled)
    starts.push(...dealt.starts.map((slot) => ({ slot, run: null, beside: false })))
    after = {
      ...after,
      slot: ahead,
      queue: dealt.queue,
      cancelled: replaces,
      started: state.started + dealt.starts.length,
      skipped: state.skipped + missed + dealt.passed
    }
  }
  if (state.status === "active" && isOver(settings, after)) {
    const skipped = after.skipped + slots.count(after.queue)
    after = { ...after, status: left.length === 0 ? "ended" : "active", slot: null, queue: [], skipped }
  }
  const isBusy = busy || starts.some(({ beside }) => !beside)
  return { starts, cancels, state: after, ...wakes(slots, settings, after, isBusy, look.now) }
}

/** Whether the policy has something to do with what waits, though nothing new has come: it may have been another one's. */
const isUnsettled = ({ overlap }: Settings, { cancelled, queue }: State, busy: boolean): boolean => {
  const [head] = queue
  if (head === undefined) return false
  const isOne = queue.length === 1 && head[0] === head[1]
  switch (overlap) {
    case "allow":
    case "skip":
      return true
    case "queueAll":
      return !busy
    case "queueOne":
      return !busy || !isOne
    case "cancelPrevious":
      return !busy || !isOne || !cancelled
  }
}

/** When a schedule in this state is to be looked at again. */
export const wakes = (
  slots: Slots,
  settings: Settings,
  state: State,
  busy: boolean,
  now: number
): Pick<Turn, "dueAt" | "waits"> => {
  const { backlog, queue, slot, status } = state
  if (status === "quarantined") return { dueAt: Infinity, waits: false }
  const isActive = status === "active"
  // At once, but after others that have been due for longer.
  const isReady = backlog.some(({ serial }) => !serial || !busy) || (isActive && isUnsettled(settings, state, busy))
  const timed = isActive && slot !== null ? slots.fireAt(slot) : Infinity
  return {
    dueAt: isReady ? Math.min(now, timed) : timed,
    waits: (isActive && queue.length > 0 && settings.overlap !== "allow") || backlog.some(({ serial }) => serial)
  }
}
