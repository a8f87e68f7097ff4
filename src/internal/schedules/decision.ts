/**
 * The decision about a schedule that is due: which runs start, which slots wait or are skipped, and when it is due
 * again. It is a pure function of the schedule, the time, and whether the previous run is live. Any number of
 * processes may decide at the same time: a process whose write comes second has done nothing. It never reads storage
 * and never computes a payload.
 *
 * ```text
 *   slot ahead ──its fire time──► due ──missed (evaluated a minute late or later)──► `catchUp` may skip it
 *                                  │
 *                                  ▼ joins the slots that wait
 *   overlap:  skip            the first slot starts, unless the previous run is live; the others are skipped
 *             queueOne        one slot waits for the end of the previous run; the others are skipped
 *             queueAll        all slots wait; the first starts at the end of the previous run
 *             cancelPrevious  the last slot waits while the previous run is cancelled; the others are skipped
 *             allow           all slots start, up to a limit at a time
 * ```
 *
 * Slots are evaluated in order, each when it is due, even if it then waits: only so it is certain which slots were
 * missed. Manual runs (`backlog`) go first. A serial one counts as the previous run; the others run in parallel.
 */
import type { ManualRun, Schedule, Settings, State } from "./model.js"
import type { Stretches } from "./Slots.js"
import { Slots } from "./Slots.js"

/** A slot is missed if no process evaluates it within this time. */
export const GRACE_MILLIS = 60_000

/** A run to start. */
export interface Start {
  readonly slot: number
  /** The run's id, of a trigger; null: the run of a slot. */
  readonly run: string | null
  /** The next run waits for it; false for a manual run in parallel. */
  readonly serial: boolean
}

export interface Decision {
  /** The runs to start, in order. */
  readonly starts: ReadonlyArray<Start>
  /** Cancel the previous run. */
  readonly cancels: boolean
  readonly state: State
  readonly dueAt: number
  readonly waits: boolean
}

export interface Situation {
  readonly now: number
  /** The previous run is live. */
  readonly busy: boolean
  /** The number of runs to start at most. */
  readonly limit: number
  /** Decide about this many of the latest manual runs, and about nothing else. */
  readonly manualOnly?: number
}

/** The slots that are due and count, the number of missed slots that do not, and the first slot that is ahead. */
interface DueSlots {
  readonly due: Stretches
  readonly missed: number
  readonly nextSlot: number | null
}

/** The slots from `nextSlot` on that are due, by `catchUp`. */
export const dueSlots = (
  slots: Slots,
  { catchUp }: Settings,
  nextSlot: number | null,
  now: number
): DueSlots => {
  if (nextSlot === null || slots.fireAt(nextSlot) > now) return { due: [], missed: 0, nextSlot }
  const ahead = slots.firingFrom(nextSlot, now + 1)
  const all = slots.stretch(nextSlot, ahead, now)
  if (catchUp === "all" || now - slots.fireAt(nextSlot) < GRACE_MILLIS) return { due: all, missed: 0, nextSlot: ahead }
  // A slot that is not missed always counts.
  const since = Math.min(now - GRACE_MILLIS + 1, typeof catchUp === "object" ? now - catchUp.within : Infinity)
  const first = catchUp === "latest" ? all.at(-1)?.[1] ?? nextSlot : slots.firingFrom(nextSlot, since)
  const due = first === null ? [] : slots.stretch(first, ahead, now)
  const missed = due.length === 0 ? all : slots.stretch(nextSlot, first, now)
  return { due, missed: slots.count(missed), nextSlot: ahead }
}

/** What happens to the slots that are due. */
interface OverlapOutcome {
  readonly starts: ReadonlyArray<number>
  readonly waiting: Stretches
  readonly skipped: number
}

/** Applies `overlap` to all slots that are due. `hasWaited`: the first of them waited before. */
const applyOverlap = (
  slots: Slots,
  { overlap }: Settings,
  all: Stretches,
  hasWaited: boolean,
  { busy, limit }: Situation
): OverlapOutcome => {
  const head = all[0]?.[0]
  const last = all.at(-1)?.[1]
  if (head === undefined || last === undefined) return { starts: [], waiting: [], skipped: 0 }
  const starts = busy ? [] : [head]
  const rest = slots.rest(all)
  switch (overlap) {
    case "allow": {
      const heads: Array<number> = []
      let waiting = all
      for (let next = waiting[0]; next !== undefined && heads.length < limit; next = waiting[0]) {
        heads.push(next[0])
        waiting = slots.rest(waiting)
      }
      return { starts: heads, waiting, skipped: 0 }
    }
    case "skip":
      return { starts, waiting: [], skipped: slots.count(busy ? all : rest) }
    case "queueOne": {
      if (busy) return { starts, waiting: [[head, head]], skipped: slots.count(rest) }
      // The slots that became due while the first one waited had no place to wait.
      const second = hasWaited ? undefined : rest[0]?.[0]
      return second === undefined
        ? { starts, waiting: [], skipped: slots.count(rest) }
        : { starts, waiting: [[second, second]], skipped: slots.count(slots.rest(rest)) }
    }
    case "queueAll":
      return { starts, waiting: busy ? all : rest, skipped: 0 }
    case "cancelPrevious":
      return { starts: busy ? [] : [last], waiting: busy ? [[last, last]] : [], skipped: slots.count(all) - 1 }
  }
}

/**
 * The manual runs that start now, and those that stay in the backlog. A parallel one does not wait behind a serial
 * one.
 */
const manualStarts = ({ backlog, status }: State, { busy, limit, manualOnly = backlog.length }: Situation) => {
  const starts: Array<Start> = []
  const left: Array<ManualRun> = []
  let isBlocked = busy
  let hasSerial = false
  for (const [index, each] of backlog.entries()) {
    const isExcluded = status === "quarantined" || index < backlog.length - manualOnly
    if (isExcluded || starts.length >= limit || (each.serial && isBlocked)) left.push(each)
    else {
      starts.push({ slot: each.slot, run: each.run, serial: each.serial })
      hasSerial ||= each.serial
    }
    // Serial runs keep their order.
    isBlocked ||= each.serial
  }
  return { starts, left, hasSerial }
}

/** The number of runs that `maxRuns` leaves. */
const remainingRuns = ({ maxRuns }: Settings, { started }: State): number =>
  maxRuns === null ? Infinity : Math.max(0, maxRuns - started)

/** Whether no slot will have a run any more. */
export const isOver = (settings: Settings, state: State): boolean =>
  remainingRuns(settings, state) === 0 || (state.nextSlot === null && state.waiting.length === 0)

export const decide = (schedule: Schedule, situation: Situation): Decision => {
  const { settings, state } = schedule
  const slots = new Slots(schedule)
  const { hasSerial, left, starts } = manualStarts(state, situation)
  const busy = situation.busy || hasSerial
  const room = situation.manualOnly !== undefined
    ? 0
    : Math.min(situation.limit - starts.length, remainingRuns(settings, state))
  let after: State = { ...state, backlog: left }
  let cancels = false
  // Without room, the slots are evaluated at the next look.
  if (state.status === "active" && room > 0) {
    const { due, missed, nextSlot } = dueSlots(slots, settings, state.nextSlot, situation.now)
    const hasWaited = state.waiting.length > 0
    const all = slots.join(state.waiting, due)
    const outcome = applyOverlap(slots, settings, all, hasWaited, { ...situation, busy, limit: room })
    const replaces = settings.overlap === "cancelPrevious" && outcome.waiting.length > 0
    // A manual run that starts now is cancelled by the next slot that is due.
    cancels = replaces && situation.busy && (due.length > 0 || !state.cancelled)
    starts.push(...outcome.starts.map((slot) => ({ slot, run: null, serial: true })))
    after = {
      ...after,
      nextSlot,
      waiting: outcome.waiting,
      cancelled: replaces,
      started: state.started + outcome.starts.length,
      skipped: state.skipped + missed + outcome.skipped
    }
  }
  if (state.status === "active" && isOver(settings, after)) {
    const skipped = after.skipped + slots.count(after.waiting)
    after = { ...after, status: left.length === 0 ? "ended" : "active", nextSlot: null, waiting: [], skipped }
  }
  const isBusy = busy || starts.some(({ serial }) => serial)
  return { starts, cancels, state: after, ...wakeUp({ ...schedule, state: after }, isBusy, situation.now) }
}

/**
 * Whether `overlap` applies to the slots that wait though no slot is due: they may have waited under another policy.
 */
const isUnsettled = ({ overlap }: Settings, { cancelled, waiting }: State, busy: boolean): boolean => {
  const [head] = waiting
  if (head === undefined) return false
  const isOne = waiting.length === 1 && head[0] === head[1]
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

/** When the schedule is due again: at `dueAt`, and if it `waits`, at the end of the previous run. */
export const wakeUp = (schedule: Schedule, busy: boolean, now: number): Pick<Decision, "dueAt" | "waits"> => {
  const { settings, state } = schedule
  const { backlog, nextSlot, status, waiting } = state
  if (status === "quarantined") return { dueAt: Infinity, waits: false }
  const isActive = status === "active"
  // Due at once, but after schedules that have been due for longer.
  const isReady = backlog.some(({ serial }) => !serial || !busy) || (isActive && isUnsettled(settings, state, busy))
  const fireAt = isActive && nextSlot !== null ? new Slots(schedule).fireAt(nextSlot) : Infinity
  return {
    dueAt: isReady ? Math.min(now, fireAt) : fireAt,
    waits: (isActive && waiting.length > 0 && settings.overlap !== "allow") || backlog.some(({ serial }) => serial)
  }
}
