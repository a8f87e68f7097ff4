/** A place that breaks a rule of the architecture test. */
export interface Violation {
  readonly rule: string
  readonly path: string
  readonly line: number
  readonly detail: string
}
