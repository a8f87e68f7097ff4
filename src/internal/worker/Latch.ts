/** A signal between plain code and fibers: opened from anywhere, it lets one wait through. */
import * as Effect from "effect/Effect"

export class Latch {
  private isOpen = false
  private readonly waiting = new Set<() => void>()

  /** Let the fibers that wait go on, or the next one that will. */
  open(): void {
    if (this.waiting.size === 0) {
      this.isOpen = true
      return
    }
    const all = [...this.waiting]
    this.waiting.clear()
    for (const resume of all) resume()
  }

  /** Wait until it is opened. An opening that nobody waited for counts once. */
  readonly await: Effect.Effect<void> = Effect.async<void>((resume) => {
    if (this.isOpen) {
      this.isOpen = false
      return resume(Effect.void)
    }
    const go = () => resume(Effect.void)
    this.waiting.add(go)
    return Effect.sync(() => this.waiting.delete(go))
  })
}
