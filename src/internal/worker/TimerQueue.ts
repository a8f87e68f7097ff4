/**
 * A worker's clock work: one fiber that sleeps until the earliest of many times. A binary heap (Williams, 1964) in which
 * each alarm knows its place, so that what is not waited for any more is taken out at once and kept alive by nothing.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Latch } from "./Latch.js"

/** Something that is to be done at a time. It is in a queue once, or not at all. */
export class Alarm {
  /** When, in milliseconds of the driver's time; `Infinity` while it is not set. */
  due = Infinity
  /** Its place in the heap; -1 while it is not set. */
  place = -1

  constructor(readonly ring: () => void) {}
}

export class TimerQueue {
  private readonly heap: Array<Alarm> = []
  private readonly earlier = new Latch()

  /** `now` is the driver's time in milliseconds. */
  constructor(private readonly now: () => number) {}

  /** Alarms that are set. */
  get size(): number {
    return this.heap.length
  }

  /** Ring the alarm at this time, and at no other that it was set to before. */
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

  /** Ring all that is due now. Answers how much was. */
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

  /** For ever: sleep until the earliest time, ring what is due. */
  readonly run: Effect.Effect<never> = Effect.forever(Effect.suspend(() => {
    if (this.runOnce() > 0) return Effect.yieldNow()
    const [first] = this.heap
    return first === undefined
      ? this.earlier.await
      : Effect.raceFirst(
        this.earlier.await,
        Effect.sleep(Duration.millis(pause(first.due - this.now())))
      )
  }))

  /** Put an alarm at this place of the heap, or as far above it as it belongs. */
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

  /** Put an alarm at this place of the heap, or as far below it as it belongs. */
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

/** Timers of the platform count whole milliseconds, and not more than 2³¹ of them. */
const pause = (millis: number): number => Math.min(86_400_000, Math.max(1, Math.ceil(millis)))
