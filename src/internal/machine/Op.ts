/**
 * Durable operations (ops) and journal entries, as the machine uses them.
 *
 * A fiber of a workflow waits for an op: the exit of a step, a timer, a message, the end of a child. Ops are numbered
 * in the order in which the program requests them. A finished op is an entry. An entry has the exit in its wire form,
 * so the program gets the same value at first execution and on replay.
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
  /** The machine's "now" from this entry on, in milliseconds since the epoch. */
  readonly at: number
}

/** The op number of entries that belong to the run itself: cancel, defect, patch. */
export const RUN_ENTRY = -1

/** A child that the program starts. */
export interface ChildSpec {
  readonly id: string
  /** The address, within the parent, of the message about its end. */
  readonly token: string
  readonly workflow: string
  readonly version: string
  readonly queue: string
  readonly priority: number
  /** JSON text. */
  readonly payload: string
  readonly attached: boolean
  /** The earliest instant of its first claim; null for now. */
  readonly availableAt: number | null
  /** The deadline of its first claim; null for none. */
  readonly expiresAt: number | null
  /** The key within its queue; null for none. */
  readonly key: string | null
  readonly tags: ReadonlyArray<string>
  readonly attributes: Readonly<Record<string, string | number | boolean>>
}

/** What a run sends to other runs. */
export type SentContent =
  | { readonly kind: "signal"; readonly payload: string }
  | { readonly kind: "cancel"; readonly by: string | null; readonly reason: string | null }

/** How an op is finished from outside of the machine. */
export type OpData =
  | {
    readonly _tag: "Step"
    /** Runs on the normal runtime with the services of its fiber. It has no access to the machine. */
    readonly body: Effect.Effect<unknown, unknown>
    /** Releases the resources that the body acquired; undefined if it acquired none. */
    readonly close: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void> | undefined
    readonly context: Context.Context<never>
    readonly fiberRefs: FiberRefs.FiberRefs
    readonly encode: Encode
    /** 1 for the first attempt of the step. */
    readonly attempt: number
    /** The body and its entry are written in one storage transaction. */
    readonly transaction: boolean
    /** The step's own time limit for the body. Undefined: the default of its workflow or worker. */
    readonly timeoutMillis: number | undefined
  }
  | { readonly _tag: "Timer"; readonly due: number }
  /** A message of kind `signal`. At `due` the op fails with undefined, and the window closes. */
  | { readonly _tag: "Receive"; readonly due: number | null }
  /** The end of a child. `cancels`: the child is cancelled if the program gives up waiting for it. */
  | { readonly _tag: "Child"; readonly id: string; readonly token: string; readonly cancels: boolean }
  | { readonly _tag: "Callback"; readonly token: string }
  /** A message to another run. The entry has its disposition. */
  | {
    readonly _tag: "Send"
    readonly to: string
    readonly id: string
    readonly content: SentContent
  }

/** A step. */
export type StepData = Extract<OpData, { readonly _tag: "Step" }>

/** Ops that finish at most once in a generation, by their token. */
export type SharedOpData = Extract<OpData, { readonly _tag: "Child" | "Callback" }>

export interface Op {
  readonly id: number
  readonly kind: string
  readonly name: string
  readonly data: OpData
  readonly decode: Decode
  /** The time of the run when it was requested. */
  readonly at: number
  /** It was requested in an uninterruptible region, as finalizers do: it may be compensation. */
  readonly shielded: boolean
  readonly resume: (effect: Effect.Effect<unknown, unknown>) => void
  /** The fibers that wait for it. */
  readonly waiters: () => Iterable<Fiber.RuntimeFiber<unknown, unknown>>
}

/** The `kind` of the op's entry. */
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
