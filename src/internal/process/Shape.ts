/** A workflow's definition without its types: all that is needed to start a run of it. */
import type { Construct } from "../codec/construct.js"
import type { AnySchema } from "../codec/wire.js"
import type { Problems } from "../options/Rule.js"
import type { WorkflowOptions } from "../options/workflowOptions.js"

export interface Shape {
  readonly name: string
  readonly version: string
  readonly payloadSchema: AnySchema
  /** The problems of the definition, each with the workflow's name. */
  readonly problems: Problems
  /** Makes a payload from the input of a start, before it is encoded. */
  readonly construct: Construct
  readonly options: Omit<WorkflowOptions<never>, "queue" | "priority"> & {
    /** The name of its queue. */
    readonly queue: string
    readonly priority: number
  }
}
