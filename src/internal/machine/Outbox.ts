/** The requests of a machine's program since the last `takeOutbox`. */
import type { ChildSpec, MachineEntry, Op } from "./Op.js"

export interface Outbox {
  readonly requested: ReadonlyArray<Op>
  /** Ops that were taken as requested before, and whose fibers were interrupted since. */
  readonly cancelled: ReadonlyArray<Op>
  readonly children: ReadonlyArray<ChildSpec>
  /** Children that the program gave up waiting for: they are to be cancelled. */
  readonly cancelledChildren: ReadonlyArray<string>
  readonly published: ReadonlyArray<{ readonly key: string; readonly value: string }>
  /** Signals whose windows close. */
  readonly closes: ReadonlyArray<string>
  /** Entries of patches. They precede the next entry of the journal. */
  readonly patches: ReadonlyArray<MachineEntry>
}

export interface MutableOutbox {
  requested: Array<Op>
  cancelled: Array<Op>
  children: Array<ChildSpec>
  cancelledChildren: Array<string>
  published: Array<{ readonly key: string; readonly value: string }>
  closes: Array<string>
  patches: Array<MachineEntry>
}

export const emptyOutbox = (): MutableOutbox => ({
  requested: [],
  cancelled: [],
  children: [],
  cancelledChildren: [],
  published: [],
  closes: [],
  patches: []
})

/** The shared empty outbox. It is never changed. */
export const noOutbox = emptyOutbox()
