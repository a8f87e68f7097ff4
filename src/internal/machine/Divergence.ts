/** The program and the journal disagree: what the journal has, and what the program did instead. */
export interface Divergence {
  readonly reason: "mismatch" | "undecodable" | "ended"
  /** How many entries of the journal had been delivered before. */
  readonly delivered: number
  readonly journal: { readonly op: number; readonly kind: string; readonly name: string }
  /** The op of that number in the program, if it has one pending. */
  readonly program: { readonly op: number; readonly kind: string; readonly name: string } | null
  /** All ops that the program has pending, or how it ended, or why the entry cannot be read. */
  readonly detail: string
}
