/**
 * A difference between the program and its journal. The run is parked with both sides. `Machine.deliver` finds the
 * difference, and `Hold.park` parks the run; this module only describes it.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type { MachineEntry, Op } from "./Op.js"

export interface Divergence {
  /**
   * - `mismatch`: the program does not wait for the op of the entry.
   * - `undecodable`: the exit of the entry does not match its schema.
   * - `ended`: the program has ended, and the journal has another entry.
   */
  readonly reason: "mismatch" | "undecodable" | "ended"
  /** Entries that were delivered before. */
  readonly delivered: number
  readonly journal: { readonly op: number; readonly kind: string; readonly name: string }
  /** The pending op with the number of the entry; null if the program has none. */
  readonly program: { readonly op: number; readonly kind: string; readonly name: string } | null
  /** All pending ops of the program, or its exit, or why the entry cannot be read. */
  readonly detail: string
}

export const divergenceOf = (at: {
  readonly entry: MachineEntry
  /** The pending op with the number of the entry. */
  readonly op: Op | undefined
  readonly pending: Iterable<Op>
  readonly exit: Exit.Exit<unknown, unknown> | undefined
  readonly delivered: number
  /** Why the entry cannot be read. */
  readonly undecodable?: string
}): Divergence => {
  const { delivered, entry, exit, op, pending, undecodable } = at
  const waiting = [...pending].map(({ id, kind, name }) => `${kind} "${name}" (op ${id})`).join(", ")
  return {
    reason: undecodable !== undefined ? "undecodable" : exit !== undefined ? "ended" : "mismatch",
    delivered,
    journal: { op: entry.op, kind: entry.kind, name: entry.name },
    program: op === undefined ? null : { op: op.id, kind: op.kind, name: op.name },
    detail: undecodable ?? (exit !== undefined
      ? `the program has ended: ${Exit.isSuccess(exit) ? "success" : Cause.pretty(exit.cause)}`
      : `the program waits for ${waiting || "nothing"}`)
  }
}
