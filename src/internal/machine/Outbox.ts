/** What a machine's program asks for between two looks at it. */
import type { ChildSpec, MachineEntry, Op } from "./Op.js"

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

/** Stands for an outbox that nothing was put into; never changed. */
export const noOutbox = emptyOutbox()

/** What the program asked for during the deliveries since the last `takeOutbox`. */
export interface Outbox {
  readonly requested: ReadonlyArray<Op>
  /** Ops whose fibers were interrupted after they had been taken. */
  readonly cancelled: ReadonlyArray<Op>
  readonly children: ReadonlyArray<ChildSpec>
  /** Children whose wait was given up: to be cancelled. */
  readonly cancelledChildren: ReadonlyArray<string>
  readonly published: ReadonlyArray<{ readonly key: string; readonly value: string }>
  readonly closes: ReadonlyArray<string>
  /** Entries that the program made by itself (patches), to precede the entry that comes next. */
  readonly patches: ReadonlyArray<MachineEntry>
}
