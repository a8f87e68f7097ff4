/** The options of a workflow's definition: the type below `Workflow`, and its rules. */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import type { Attributes } from "../../driver/JournalDriver.js"
import { tags } from "./labels.js"
import { name, priority } from "./names.js"
import type { QueueReference } from "./queues.js"
import { namedQueue } from "./queues.js"
import type { Problems, Rule } from "./Rule.js"
import { arrayOf, duration, fields, func, oneOf, optional, refine, rule } from "./Rule.js"
import { isFields } from "../util/show.js"
import type { AnySignal } from "./signals.js"
import { signalReference } from "./signals.js"

/** Which runs exclude each other. */
export interface SingletonOptions<in Payload> {
  readonly key: (payload: Payload) => string
  readonly mode: "join" | "refuse"
}

/** Which starts become one run. */
export interface DebounceOptions<in Payload> {
  readonly key: (payload: Payload) => string
  readonly quiet: Duration.DurationInput
  readonly maxWait?: Duration.DurationInput
}

/** Public as `Workflow.WorkflowOptions`. */
export interface WorkflowOptions<in Payload> {
  /**
   * Tells code apart that must not execute each other's runs. A worker claims only runs of versions that it has.
   * Default `"1"`.
   */
  readonly version?: string
  /**
   * Two starts with one key are one run. The key is unique within the workflow. Not for children, whose id follows from
   * their parent.
   */
  readonly idempotencyKey?: (payload: Payload) => string
  /** The queue in which its runs wait. Default `"default"`. */
  readonly queue?: QueueReference
  /**
   * The key of a run within its queue. Keys start runs in turn, and the queue's `keyConcurrency` limits the runs of one
   * key that execute at a time. Default: no key.
   */
  readonly key?: (payload: Payload) => string
  /** Lower is claimed first, an integer from -32768 to 32767. Default 0. */
  readonly priority?: number
  /**
   * The run fails with `TimedOut` when its handler takes longer; finalizers run. A durable timer. Default: no limit.
   */
  readonly timeout?: Duration.DurationInput
  /**
   * The time limit of its steps that have no `timeout` of their own. A step that exceeds it dies with the defect
   * `TimedOut`. Default: the worker's `stepTimeout`.
   */
  readonly stepTimeout?: Duration.DurationInput
  /**
   * One run at a time for each key. While a run is not final, a start with its key returns that run (`join`) or fails
   * with `SingletonBusy` (`refuse`). Not for children. Retries and forks ignore the key: they are an operator's
   * decision.
   */
  readonly singleton?: SingletonOptions<Payload>
  /**
   * A run starts when no other start with its key has come for the time `quiet`, at most `maxWait` after the first. The
   * last payload counts. Not for children, nor together with `singleton` or `idempotencyKey`.
   */
  readonly debounce?: DebounceOptions<Payload>
  /** The signals that it receives. Declared ones are checked when the layer is built: one name has one definition. */
  readonly signals?: ReadonlyArray<AnySignal>
  /** Tags by which its runs are found. At most 32 strings of 1 to 200 printable characters. */
  readonly tags?: ReadonlyArray<string>
  /** Attributes by which a run is found, from its payload. At most 32. */
  readonly attributes?: (payload: Payload) => Attributes
}

type AnyOptions = WorkflowOptions<never>

/** A definition whose types are not known. */
interface AnyDefinition extends AnyOptions {
  readonly payload: Schema.Schema.All | Schema.Struct.Fields
  readonly success?: Schema.Schema.All
  readonly error?: Schema.Schema.All
}

export const schema: Rule<Schema.Schema.All> = rule("a Schema", Schema.isSchema)

const isField = (value: unknown): boolean => Schema.isSchema(value) || Schema.isPropertySignature(value)

const payload: Rule<Schema.Schema.All | Schema.Struct.Fields> = rule(
  "a Schema, or an object of schemas",
  (value) => Schema.isSchema(value) || (isFields(value) && Object.values(value).every(isField))
)

const debounce: Rule<DebounceOptions<never>> = refine(
  fields<DebounceOptions<never>>({
    key: func(),
    quiet: duration(),
    maxWait: optional(duration())
  }),
  ({ maxWait, quiet }, place) =>
    maxWait !== undefined && Duration.lessThan(maxWait, quiet)
      ? [`"${place}.maxWait" is shorter than "${place}.quiet", which then never passes: make it longer`]
      : []
)

/** The rules of a definition, its name apart. */
const workflowOptions: Rule<AnyDefinition> = fields<AnyDefinition>({
  payload,
  success: optional(schema),
  error: optional(schema),
  version: optional(name),
  idempotencyKey: optional(func()),
  queue: optional(namedQueue),
  key: optional(func()),
  priority: optional(priority),
  timeout: optional(duration({ max: Infinity })),
  stepTimeout: optional(duration({ max: Infinity })),
  singleton: optional(fields<SingletonOptions<never>>({ key: func(), mode: oneOf("join", "refuse") })),
  debounce: optional(debounce),
  signals: optional(arrayOf(signalReference)),
  tags: optional(tags),
  attributes: optional(func())
})

/** Options that exclude each other are a problem even where their values are. */
const checkExclusions = ({ debounce, idempotencyKey, singleton }: AnyOptions): Problems =>
  debounce === undefined ? [] : [
    ...singleton === undefined ? [] : [`"singleton" and "debounce" exclude each other: leave one out`],
    ...idempotencyKey === undefined ? [] : [
      `"debounce" and "idempotencyKey" exclude each other, because one run stands for several payloads: leave one out`
    ]
  ]

/** The problems of a definition, each with the workflow's name. */
export const checkWorkflow = (given: string, definition: AnyDefinition): Problems => [
  ...name.problems(given, "name").map((problem) => `workflow: ${problem}`),
  ...[...workflowOptions.problems(definition, ""), ...checkExclusions(definition)].map((problem) =>
    `workflow "${given}": ${problem}`
  )
]

/** A schema that may come from code without types, or the one to use in its place until its problem is reported. */
export const schemaOr = <S>(given: S | undefined, other: S): S => Schema.isSchema(given) ? given : other

/** The payload of a definition that may come from code without types. */
export const isPayload = (value: unknown): boolean => payload.problems(value, "payload").length === 0
