/**
 * Durable operations and journal entries, as the machine sees them.
 *
 * An op is what a workflow fiber waits for: a step's exit, a timer, a message, a child's end. Ops are numbered in the
 * order in which the program requests them. A finished op is an entry; an entry carries the wire form of an exit, so
 * that the program sees the very same value when it runs and when it is replayed.
 */
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as FiberRefs from "effect/FiberRefs"
import type { Decode, Encode, WireExit } from "../codec/exits.js"

/** One finished op, the unit of replay. */
export interface MachineEntry {
  readonly op: number
  readonly kind: string
  readonly name: string
  readonly exit: WireExit
  /** Milliseconds since the epoch: the machine's "now" from this entry on. */
  readonly at: number
}

/** Entries of the run itself rather than of an op bear this op number. */
export const RUN_ENTRY = -1

/** A child run to be started. */
export interface ChildSpec {
  readonly id: string
  readonly token: string
  readonly workflow: string
  readonly version: string
  readonly queue: string
  readonly priority: number
  readonly payload: string
  readonly attached: boolean
  /** Earliest instant of its first claim; null for now. */
  readonly availableAt: number | null
  /** It expires unless its first claim comes before; null for never. */
  readonly expiresAt: number | null
  /** The key within its queue; null for none. */
  readonly key: string | null
  readonly tags: ReadonlyArray<string>
  readonly attributes: Readonly<Record<string, string | number | boolean>>
}

/** What the world outside has to do to finish an op. */
export type OpData =
  | {
    readonly _tag: "Step"
    /** Runs on the normal runtime with the services that its fiber had; it never sees the machine. */
    readonly body: Effect.Effect<unknown, unknown>
    /** Closes what the body acquired; undefined if that is nothing. */
    readonly close: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void> | undefined
    readonly context: Context.Context<never>
    readonly fiberRefs: FiberRefs.FiberRefs
    readonly encode: Encode
    /** The body and its entry are written in one storage transaction. */
    readonly transaction: boolean
  }
  | { readonly _tag: "Timer"; readonly due: number }
  /** A message of kind `signal`; with `due`, failure of value undefined at that time, and the window closes. */
  | { readonly _tag: "Receive"; readonly due: number | null }
  /** The end of a child run; `cancels` says whether giving up waiting cancels it. */
  | { readonly _tag: "Child"; readonly id: string; readonly token: string; readonly cancels: boolean }
  | { readonly _tag: "Callback"; readonly token: string }
  /** A message to another run; the entry holds what became of it. */
  | {
    readonly _tag: "Send"
    readonly to: string
    readonly id: string
    readonly message: "signal" | "cancel"
    readonly payload: string
  }

/** What comes once, by its token. */
export type AwaitedOnce = Extract<OpData, { readonly _tag: "Child" | "Callback" }>

export interface Op {
  readonly id: number
  readonly kind: string
  readonly name: string
  readonly data: OpData
  readonly decode: Decode
  readonly resume: (effect: Effect.Effect<unknown, unknown>) => void
  /** The fibers that wait for it. */
  readonly waiters: () => Iterable<Fiber.RuntimeFiber<unknown, unknown>>
}

/** The journal's `kind` of each op. */
export const kindOf = (data: OpData): string => {
  switch (data._tag) {
    case "Step":
      return "step"
    case "Timer":
      return "timer"
    case "Receive":
      return "receive"
    case "Child":
      return "child"
    case "Callback":
      return "callback"
    case "Send":
      return "send"
  }
}
