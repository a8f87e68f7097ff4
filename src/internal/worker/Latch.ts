/** A signal from plain code to fibers. Opening it resumes the fibers that wait, or else the next one that will. */
import * as Effect from "effect/Effect"

export class Latch {
  private isOpen = false
  private readonly waiting = new Set<() => void>()

  open(): void {
    if (this.waiting.size === 0) {
      this.isOpen = true
      return
    }
    const all = [...this.waiting]
    this.waiting.clear()
    for (const resume of all) resume()
  }

  /** Waits until the latch is opened. Openings while no fiber waits count as one. */
  readonly await: Effect.Effect<void> = Effect.async<void>((resume) => {
    if (this.isOpen) {
      this.isOpen = false
      return resume(Effect.void)
    }
    const pass = () => resume(Effect.void)
    this.waiting.add(pass)
    return Effect.sync(() => this.waiting.delete(pass))
  })
}
