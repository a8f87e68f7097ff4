/**
 * Waits for runs from outside. All waiters of a process share one statement, woken by hints and backed by polling.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import { isFinal, type RunStanding, type RunStatus } from "../../driver/JournalDriver.js"
import type { JournalError } from "../../Errors.js"
import type { ReadableEnding } from "../codec/endings.js"
import { isolateCorrupt } from "../util/isolate.js"
import type { DriverTime } from "./DriverTime.js"
import { sleep } from "../util/timers.js"

/** What a waiter learns: the run ended, changed, or does not exist. */
export type News =
  | { readonly _tag: "Ended"; readonly ending: ReadableEnding }
  | { readonly _tag: "Seen"; readonly status: RunStatus }
  | { readonly _tag: "Missing" }
  | { readonly _tag: "Broken"; readonly error: JournalError }

/**
 * How long a new wait only reads before it asks storage for hints. Most waits end sooner, and asking writes to the
 * run's row, where it can block a claim.
 */
const READ_ONLY_MILLIS = 25

/** Runs that one statement reads. */
const PAGE_SIZE = 1000

type Read = (runs: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<RunStanding>, JournalError>

/** The operations of the journal that it uses. A new wait reads once by `get`, every poll by `await`. */
interface Storage {
  readonly get: Read
  readonly await: Read
}

export class RunWatch {
  private readonly waiting = new Map<string, Set<(news: News) => void>>()
  /** Listeners for every commit of a run. */
  private readonly following = new Map<string, Set<() => void>>()
  /** Runs to read, and runs for which to ask for hints. */
  private readonly fresh = new Set<string>()
  private readonly due = new Set<string>()
  private readonly looked = new Set<string>()
  /** When to ask for hints about the runs that were read, and when to poll for all: monotonic milliseconds. */
  private askAt = 0
  private pollAt: number
  private wake: Deferred.Deferred<void> = Deferred.unsafeMake(FiberId.none)

  constructor(
    private readonly storage: Storage,
    private readonly time: DriverTime,
    private readonly pollEvery: Duration.Duration
  ) {
    this.pollAt = time.monotonic() + Duration.toMillis(pollEvery)
  }

  /**
   * Calls `listener` with news of a run until the returned function is called. With `known`, storage is first asked at
   * the next poll.
   */
  listen(run: string, listener: (news: News) => void, options?: { readonly known: boolean }): () => void {
    const listeners = this.waiting.get(run) ?? new Set()
    this.waiting.set(run, listeners)
    listeners.add(listener)
    if (options?.known !== true && !this.due.has(run)) {
      this.fresh.add(run)
      Deferred.unsafeDone(this.wake, Effect.void)
    }
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.waiting.get(run) === listeners) {
        this.waiting.delete(run)
        this.fresh.delete(run)
        this.looked.delete(run)
        this.due.delete(run)
      }
    }
  }

  /** Calls `listener` after each commit of the run in this process, until the returned function is called. */
  follow(run: string, listener: () => void): () => void {
    const listeners = this.following.get(run) ?? new Set()
    this.following.set(run, listeners)
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.following.get(run) === listeners) this.following.delete(run)
    }
  }

  /** A worker of this process has made a commit for the run. */
  progressed(run: string): void {
    if (this.following.size === 0) return
    for (const listener of this.following.get(run) ?? []) listener()
  }

  /** Waits for a run's end. Undefined if the run does not exist. */
  ending(run: string, options?: { readonly known: boolean }): Effect.Effect<ReadableEnding | undefined, JournalError> {
    return Effect.async((resume) => {
      const stop = this.listen(run, (news) => {
        if (news._tag === "Seen") return
        stop()
        resume(
          news._tag === "Broken"
            ? Effect.fail(news.error)
            : Effect.succeed(news._tag === "Ended" ? news.ending : undefined)
        )
      }, options)
      return Effect.sync(stop)
    })
  }

  /** A hint: ask storage about this run soon. */
  changed(run: string): void {
    if (!this.waiting.has(run)) return
    this.due.add(run)
    Deferred.unsafeDone(this.wake, Effect.void)
  }

  /** A worker of this process no longer holds the run: it may end elsewhere. */
  left(run: string): void {
    if (!this.waiting.has(run) || this.due.has(run) || this.looked.has(run)) return
    this.fresh.add(run)
    Deferred.unsafeDone(this.wake, Effect.void)
  }

  /** A worker of this process has ended the run. */
  ended(run: string, ending: ReadableEnding): void {
    this.tell(run, { _tag: "Ended", ending })
  }

  /** Reads the runs that are new, and asks about those that are due. */
  readonly runOnce: Effect.Effect<void> = Effect.suspend(() => {
    if (this.fresh.size > 0) {
      return Effect.zipRight(
        this.ask(takeSome(this.fresh), this.storage.get, (run) => this.lookedAt(run)),
        this.runOnce
      )
    }
    return this.due.size === 0
      ? Effect.void
      : Effect.zipRight(this.ask(takeSome(this.due), this.storage.await, () => undefined), this.runOnce)
  })

  /** Reads new runs at once, asks for hints soon after, and asks about every run at each poll or hint. */
  readonly run: Effect.Effect<never> = Effect.forever(Effect.gen(this, function*() {
    this.wake = Deferred.unsafeMake(FiberId.none)
    if (this.due.size === 0 && this.fresh.size === 0) {
      const next = Math.min(this.pollAt, this.looked.size > 0 ? this.askAt : Infinity)
      const pause = Duration.millis(Math.max(0, next - this.time.monotonic()))
      yield* Effect.raceFirst(Deferred.await(this.wake), sleep(pause))
    }
    // Deadlines, not pauses: a steady stream of new waits must not delay them.
    const now = this.time.monotonic()
    if (this.looked.size > 0 && now >= this.askAt) {
      for (const run of this.looked) this.due.add(run)
      this.looked.clear()
    }
    if (now >= this.pollAt) {
      for (const run of this.waiting.keys()) this.due.add(run)
      this.pollAt = now + Duration.toMillis(this.pollEvery)
    }
    yield* this.runOnce
  }))

  private lookedAt(run: string): void {
    if (this.looked.size === 0) this.askAt = this.time.monotonic() + READ_ONLY_MILLIS
    this.looked.add(run)
  }

  private ask(
    page: ReadonlyArray<string>,
    read: Read,
    seen: (run: string) => void
  ): Effect.Effect<void> {
    const readPage = (runs: ReadonlyArray<string>) =>
      Effect.map(read(runs), (standings) => {
        const missing = new Set(runs)
        for (const standing of standings) {
          missing.delete(standing.id)
          this.stands(standing, seen)
        }
        for (const run of missing) this.tell(run, { _tag: "Missing" })
      })
    const broken = (run: string, error: JournalError) => Effect.sync(() => this.tell(run, { _tag: "Broken", error }))
    return isolateCorrupt(page, readPage, broken).pipe(
      // The next poll retries a passing fault; a permanent one ends the waits.
      Effect.catchAll((error) =>
        error.retryable ? Effect.void : Effect.forEach(page, (run) => broken(run, error), { discard: true })
      ),
      // A defect: the runs of the page are read again.
      Effect.onError(() =>
        Effect.sync(() => {
          for (const run of page) if (this.waiting.has(run)) this.due.add(run)
        })
      )
    )
  }

  private stands({ detail, exit, id, isPartial, status }: RunStanding, seen: (run: string) => void): void {
    if (!isFinal(status)) {
      if (this.waiting.has(id)) seen(id)
      return this.tell(id, { _tag: "Seen", status })
    }
    if (isPartial !== true) return this.tell(id, { _tag: "Ended", ending: { status, exit, detail } })
    // The answer is full: this end is read with the next one.
    if (this.waiting.has(id)) this.due.add(id)
  }

  private tell(run: string, news: News): void {
    const listeners = this.waiting.get(run)
    if (listeners === undefined) return
    for (const listener of [...listeners]) listener(news)
  }
}

const takeSome = (runs: Set<string>): ReadonlyArray<string> => {
  const page = [...runs].slice(0, PAGE_SIZE)
  for (const run of page) runs.delete(run)
  return page
}
