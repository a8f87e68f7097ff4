/**
 * The timers of a worker: one fiber that sleeps until the earliest of many times. It is a binary heap (Williams, 1964)
 * in which each alarm has its place, so that a cleared alarm is removed immediately and can be garbage collected.
 *
 * `Execution.dueTimer` decides whether a durable sleep is over, and `Execution.suspension` until when a suspended run
 * sleeps in storage; this queue only wakes the holds.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Latch } from "./Latch.js"

/** An action with a time. It is at most once in a queue. */
export class Alarm {
  /** Driver time in milliseconds since the epoch; `Infinity` while the alarm is not set. */
  due = Infinity
  /** The place in the heap; -1 while the alarm is not set. */
  place = -1

  constructor(readonly ring: () => void) {}
}

export class TimerQueue {
  private readonly heap: Array<Alarm> = []
  private readonly earlier = new Latch()

  /** `now` is the driver time in milliseconds since the epoch. */
  constructor(private readonly now: () => number) {}

  /** Alarms that are set. */
  get size(): number {
    return this.heap.length
  }

  /** Ring the alarm at this time. It replaces an earlier time. */
  set(alarm: Alarm, due: number): void {
    this.clear(alarm)
    alarm.due = due
    this.rise(alarm, this.heap.length)
    if (alarm.place === 0) this.earlier.open()
  }

  clear(alarm: Alarm): void {
    const { place } = alarm
    if (place < 0) return
    alarm.place = -1
    alarm.due = Infinity
    const last = this.heap.pop()
    if (last === undefined || last === alarm) return
    this.rise(last, place)
    if (last.place === place) this.sink(last, place)
  }

  /** Ring all due alarms. Returns their number. */
  runOnce(): number {
    let rung = 0
    const now = this.now()
    for (let [first] = this.heap; first !== undefined && first.due <= now; [first] = this.heap) {
      this.clear(first)
      first.ring()
      rung++
    }
    return rung
  }

  /** Sleeps until the earliest time, rings the due alarms, and repeats. */
  readonly run: Effect.Effect<never> = Effect.forever(Effect.suspend(() => {
    if (this.runOnce() > 0) return Effect.yieldNow()
    const [first] = this.heap
    return first === undefined
      ? this.earlier.await
      : Effect.raceFirst(
        this.earlier.await,
        Effect.sleep(Duration.millis(timerDelay(first.due - this.now())))
      )
  }))

  /** Put an alarm at this place of the heap, or above it if it is due earlier. */
  private rise(alarm: Alarm, from: number): void {
    const { heap } = this
    let place = from
    while (place > 0) {
      const above = (place - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || parent.due <= alarm.due) break
      this.put(parent, place)
      place = above
    }
    this.put(alarm, place)
  }

  /** Put an alarm at this place of the heap, or below it if it is due later. */
  private sink(alarm: Alarm, from: number): void {
    const { heap } = this
    let place = from
    for (;;) {
      let below = place * 2 + 1
      const left = heap[below]
      if (left === undefined) break
      const right = heap[below + 1]
      if (right !== undefined && right.due < left.due) below++
      const smaller = heap[below]
      if (smaller === undefined || smaller.due >= alarm.due) break
      this.put(smaller, place)
      place = below
    }
    this.put(alarm, place)
  }

  private put(alarm: Alarm, place: number): void {
    this.heap[place] = alarm
    alarm.place = place
  }
}

/** Timers of the platform take whole milliseconds, fewer than 2³¹. */
const MAX_DELAY_MILLIS = 86_400_000

const timerDelay = (millis: number): number => Math.min(MAX_DELAY_MILLIS, Math.max(1, Math.ceil(millis)))
