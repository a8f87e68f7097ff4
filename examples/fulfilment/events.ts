/**
 * What the worker processes write down, for the progress and for the audit: each process appends JSON lines to a file
 * of its own. A written line survives the death of its process.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import * as path from "node:path"

export const Service = Schema.Literal("charge", "refund", "label", "hand over", "receipt")
export type Service = typeof Service.Type

export const Event = Schema.Union(
  /** The body of a step began; `subject` is the id of an order or a parcel. */
  Schema.TaggedStruct("Execution", {
    process: Schema.Int,
    subject: Schema.String,
    step: Schema.String,
    key: Schema.String,
    attempt: Schema.Int
  }),
  /** A service executed a request, for an order or a parcel, under an idempotency key. */
  Schema.TaggedStruct("Request", { service: Service, subject: Schema.String, key: Schema.String }),
  /** The run of an order has ended, in this process or in an earlier one. */
  Schema.TaggedStruct("End", { orderId: Schema.String })
)
export type Event = typeof Event.Type

const Line = Schema.parseJson(Event)

const PREFIX = "events-"

export class Events extends Context.Tag("fulfilment/Events")<Events, {
  readonly append: (event: Event) => Effect.Effect<void>
}>() {
  static layer(folder: string): Layer.Layer<Events> {
    return Layer.scoped(
      Events,
      Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => fs.openSync(path.join(folder, `${PREFIX}${process.pid}.jsonl`), "a")),
          (file) => Effect.sync(() => fs.closeSync(file))
        ),
        (file) => ({
          // One write for each line.
          append: (event) => Effect.sync(() => void fs.writeSync(file, `${Schema.encodeSync(Line)(event)}\n`))
        })
      )
    )
  }
}

/** The bytes of a file from an offset to the end of its last complete line. */
const readLines = (file: string, offset: number): Buffer => {
  const descriptor = fs.openSync(file, "r")
  try {
    const bytes = Buffer.alloc(fs.fstatSync(descriptor).size - offset)
    fs.readSync(descriptor, bytes, 0, bytes.length, offset)
    return bytes.subarray(0, bytes.lastIndexOf("\n") + 1)
  } finally {
    fs.closeSync(descriptor)
  }
}

/** An effect that returns the events of all processes that were written since its last execution. */
export const reader = (folder: string): Effect.Effect<ReadonlyArray<Event>> => {
  const offsets = new Map<string, number>()
  const decode = Schema.decodeSync(Schema.Array(Line))
  return Effect.sync(() =>
    fs.readdirSync(folder).filter((name) => name.startsWith(PREFIX)).flatMap((name) => {
      const offset = offsets.get(name) ?? 0
      const lines = readLines(path.join(folder, name), offset)
      offsets.set(name, offset + lines.length)
      return decode(lines.toString("utf8").split("\n").slice(0, -1))
    })
  )
}
