/** A worker's clock work: one fiber that sleeps until the earliest of many times. A binary heap (Williams, 1964). */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Latch } from "./Latch.js"

interface Item {
  readonly due: number
  readonly fire: () => void
}

export class TimerQueue {
  private readonly heap: Array<Item> = []
  private readonly earlier = new Latch()

  /** `now` is the driver's time in milliseconds. */
  constructor(private readonly now: () => number) {}

  add(due: number, fire: () => void): void {
    const { heap } = this
    let index = heap.length
    const item = { due, fire }
    heap.push(item)
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = heap[parentIndex]
      if (parent === undefined || parent.due <= due) break
      heap[index] = parent
      heap[parentIndex] = item
      index = parentIndex
    }
    if (index === 0) this.earlier.open()
  }

  /** Fire everything that is due now. Answers how much was. */
  runOnce(): number {
    let fired = 0
    const now = this.now()
    for (let first = this.heap[0]; first !== undefined && first.due <= now; first = this.heap[0]) {
      this.removeFirst()
      first.fire()
      fired++
    }
    return fired
  }

  /** For ever: sleep until the earliest time, fire what is due. */
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

  private removeFirst(): void {
    const { heap } = this
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let index = 0
    for (;;) {
      let child = index * 2 + 1
      const left = heap[child]
      if (left === undefined) break
      const right = heap[child + 1]
      if (right !== undefined && right.due < left.due) child++
      const smaller = heap[child]
      if (smaller === undefined || smaller.due >= last.due) break
      heap[index] = smaller
      index = child
    }
    heap[index] = last
  }
}

/** Timers of the platform count whole milliseconds, and not more than 2³¹ of them. */
const pause = (millis: number): number => Math.min(86_400_000, Math.max(1, Math.ceil(millis)))
