/**
 * What must not compile. Each `@ts-expect-error` says a part of the diagnostic that is expected: `tsc` fails where a
 * line compiles, and `test/types.test.ts` fails where it is refused for another reason.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Callback from "perdure/Callback"
import * as Continuation from "perdure/Continuation"
import type { CurrentRun } from "perdure/CurrentRun"
import type {
  ConfigurationInvalid,
  JournalError,
  ResultError,
  RuntimeError,
  StartError,
  TimedOut
} from "perdure/Errors"
import type { Journal } from "perdure/Journal"
import * as Published from "perdure/Published"
import * as Run from "perdure/Run"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { sku: Schema.String }) {}

class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}

class Inventory extends Context.Tag("Inventory")<
  Inventory,
  { readonly reserve: (sku: string) => Effect.Effect<number, OutOfStock> }
>() {}

const Fulfil = Workflow.make("Fulfil", {
  payload: { sku: Schema.String, at: Schema.Date },
  success: Schema.Number,
  error: OutOfStock,
  idempotencyKey: ({ sku }) => sku
})

const Plain = Workflow.make("Plain", { payload: { sku: Schema.String } })

const reserve = Effect.flatMap(Inventory, ({ reserve }) => reserve("x"))

/** Compiles only if a value has exactly this type. */
const exactly = <Expected>() =>
<Actual>(
  ..._same: (<T>() => T extends Expected ? 1 : 2) extends (<T>() => T extends Actual ? 1 : 2) ? [Actual]
    : [never, "not that type"]
): void => undefined

export const payloads = () => {
  // @ts-expect-error: Property 'at' is missing
  void Fulfil.start({ sku: "x" })
  // @ts-expect-error: Type 'number' is not assignable to type 'string'
  void Fulfil.execute({ sku: 1, at: new Date(0) })
  // @ts-expect-error: 'color' does not exist
  void Fulfil.start({ sku: "x", at: new Date(0), color: "red" })
  // @ts-expect-error: Type 'string' is not assignable to type 'Date'
  void Fulfil.startAll([{ sku: "x", at: "today" }])
  // @ts-expect-error: Type 'string' is not assignable to type 'Date'
  void Fulfil.continueAsNew({ sku: "x", at: "today" })
  // @ts-expect-error: Property 'name' does not exist
  Workflow.make("Keyed", { payload: { sku: Schema.String }, idempotencyKey: ({ name }) => name })
}

export const misspelled = () => {
  // @ts-expect-error: 'sucess' does not exist in type
  Workflow.make("Typo", { payload: { sku: Schema.String }, sucess: Schema.Number })
  // @ts-expect-error: Did you mean to write 'timeout'?
  Workflow.make("Typo", { payload: Schema.Struct({ sku: Schema.String }), timeOut: "1 second" })
  // @ts-expect-error: Did you mean to write 'payload'?
  Workflow.make("Typo", { paylod: { sku: Schema.String } })
  // @ts-expect-error: 'retries' does not exist in type
  Step.run("typo", Effect.void, { timeout: "1 second", retries: 1 })
  // @ts-expect-error: 'maxAttempt' does not exist in type
  Step.run("typo", Effect.void, { retry: { maxAttempt: 3 } })
}

export const undeclared = () => {
  // @ts-expect-error: AddItToTheErrorOfTheWorkflow
  Plain.toLayer(() => new OutOfStock({ sku: "x" }))
  // @ts-expect-error: Type 'Refused' is not assignable to type 'AddItToTheErrorOfTheWorkflow | OutOfStock'
  Fulfil.toLayer(() => Effect.as(Step.run("x", new Refused(), { error: Refused }), 1))
  // Declared ones, in any combination, and errors of the runtime pass.
  Fulfil.toLayer(() => Effect.as(Step.run("x", new OutOfStock({ sku: "x" }), { error: OutOfStock }), 1))
  Fulfil.toLayer(() => Plain.execute({ sku: "x" }).pipe(Effect.zipRight(new OutOfStock({ sku: "x" }))))
  Fulfil.toLayer(() => Effect.succeed(1))
}

export const schemas = () => {
  const Order = Workflow.make("Order", {
    payload: {
      sku: Schema.String,
      count: Schema.Number.pipe(Schema.propertySignature, Schema.withConstructorDefault(() => 1))
    },
    success: Schema.Number,
    error: OutOfStock
  })
  exactly<{ readonly sku: string; readonly count: number }>()<Workflow.Payload<typeof Order>>({ sku: "x", count: 1 })
  exactly<{ readonly sku: string; readonly count?: number }>()<Workflow.Input<typeof Order>>({ sku: "x" })
  exactly<number>()<Workflow.Success<typeof Order>>(1)
  exactly<OutOfStock>()<Workflow.Failure<typeof Order>>(new OutOfStock({ sku: "x" }))
  void Order.start({ sku: "x" })
  // @ts-expect-error: Type 'string' is not assignable to type 'number'
  void Order.start({ sku: "x", count: "many" })
  class Parcel extends Schema.Class<Parcel>("Parcel")({ kilos: Schema.Number }) {}
  const Send = Workflow.make("Send", { payload: Parcel })
  exactly<Parcel>()<Workflow.Payload<typeof Send>>(new Parcel({ kilos: 1 }))
  void Send.start({ kilos: 1 })
  void Send.start(new Parcel({ kilos: 1 }))
}

export const nothing = () => {
  const Empty = Workflow.make("Empty", { payload: {} })
  const Ping = Signal.make("Ping", { payload: {} })
  void Empty.start({})
  // @ts-expect-error: 'undefined' is not assignable
  void Empty.start(undefined)
  // @ts-expect-error: 'undefined' is not assignable
  void Ping.send("run", undefined)
}

export const handlers = () => {
  // @ts-expect-error: 'OutOfStock' is not assignable
  Plain.toLayer(() => new OutOfStock({ sku: "x" }))
  // @ts-expect-error: Type 'string' is not assignable to type 'void |
  Plain.toLayer(() => Effect.succeed("a value"))
  // @ts-expect-error: Type 'string' is not assignable to type 'number |
  Fulfil.toLayer(() => Effect.succeed("a value"))
  // @ts-expect-error: 'Refused' is not assignable
  Fulfil.toLayer(() => Effect.as(Step.run("x", new Refused(), { error: Refused }), 1))
  // @ts-expect-error: Type 'string' is not assignable to type 'number'
  Fulfil.toLayer(({ sku }: { readonly sku: number }) => Effect.succeed(sku))
}

export const generations = () => {
  const Loop = Workflow.make("Loop", { payload: { n: Schema.Number }, success: Schema.Number })
  const again = Loop.continueAsNew({ n: 1 })
  exactly<Effect.Effect<Workflow.ContinueAsNew<{ readonly n: number }>, RuntimeError, CurrentRun>>()(again)
  Loop.toLayer(({ n }) => n < 3 ? again : Effect.succeed(n))
  Loop.toLayer(({ n }) =>
    Effect.gen(function*() {
      if (n < 3) return yield* Loop.continueAsNew({ n: n + 1 })
      return n
    })
  )
  // @ts-expect-error: Property 'sku' is missing in type '{ readonly n: number; }'
  Loop.toLayer(() => Plain.continueAsNew({ sku: "x" }))
  // @ts-expect-error: Type 'void' is not assignable
  Loop.toLayer(() => Effect.asVoid(again))
  // @ts-expect-error: Type 'string' is not assignable
  Loop.toLayer(() => Effect.zipRight(again, Effect.succeed("a value")))
  // @ts-expect-error: Operator '+' cannot be applied to types 'ContinueAsNew
  Loop.toLayer(() => Effect.map(again, (next) => next + 1))
  // @ts-expect-error: []' is not assignable to type 'number | ContinueAsNew
  Loop.toLayer(() => Effect.forEach([1, 2], (n) => Loop.continueAsNew({ n })))
  // @ts-expect-error: Type 'ContinueAsNew<{ readonly n: number; }>' is not assignable to type 'number'
  const success: Effect.Effect<number, RuntimeError, CurrentRun> = again
  return success
}

export const guards = (u: unknown) => {
  if (Workflow.isWorkflow(u)) exactly<Workflow.Any>()(u)
  if (Run.isRun(u)) exactly<Run.Run<unknown, unknown>>()(u)
  if (Signal.isSignal(u)) exactly<Signal.Any>()(u)
  if (Callback.isCallback(u)) exactly<Callback.Any>()(u)
  if (Published.isPublished(u)) exactly<Published.Any>()(u)
  exactly<string>()(Fulfil.pipe((workflow) => workflow.name))
  // @ts-expect-error: '[SignalTypeId]' is missing
  Workflow.make("Named", { payload: {}, signals: [{ name: "Approval" }] })
}

export const steps = () => {
  // @ts-expect-error: 'OutOfStock' is not assignable to type 'never'
  Step.run("reserve", reserve, { success: Schema.Number })
  // @ts-expect-error: Type 'number' is not assignable to type 'void'
  Step.run("reserve", Effect.succeed(1))
  // @ts-expect-error: Type 'number' is not assignable to type 'string'
  Step.run("reserve", Effect.succeed(1), { success: Schema.String })
  // @ts-expect-error: 'OutOfStock' is not assignable to type 'Refused'
  Step.transaction("reserve", new OutOfStock({ sku: "x" }), { error: Refused })
  // @ts-expect-error: Property 'code' does not exist
  Step.run("reserve", new Refused(), { error: Refused, retry: { while: (error) => error.code > 1 } })
  // @ts-expect-error: Type 'string' is not assignable to type 'number'
  Step.run("reserve", Effect.void, { retry: { maxAttempts: "three" } })
  // @ts-expect-error: 'string' is not assignable to parameter of type 'number'
  Step.make("double", { success: Schema.Number }, (n: number) => Effect.succeed(n * 2))("two")
}

export const messages = () => {
  const Approval = Signal.make("Approval", { payload: { by: Schema.String } })
  const Payment = Callback.make("Payment", { success: Schema.Number })
  const Progress = Published.make("progress", Schema.Number)
  // @ts-expect-error: Property 'by' is missing
  void Approval.send("run", {})
  // @ts-expect-error: Type 'number' is not assignable to type 'string'
  void Approval.send("run", { by: 1 })
  // @ts-expect-error: 'string' is not assignable to parameter of type 'number'
  void Payment.succeed("token", "much")
  // @ts-expect-error: is not assignable to parameter of type 'never'
  void Payment.fail("token", new Refused())
  // @ts-expect-error: 'string' is not assignable to parameter of type 'number'
  void Progress.publish("half")
  exactly<Effect.Effect<{ readonly by: string }, never, CurrentRun>>()(Approval.receive)
}

/** Accepts an effect that runs outside workflows: it needs the journal only. */
const outside = (_program: Effect.Effect<unknown, unknown, Journal>): void => undefined

export const places = () => {
  // @ts-expect-error: Type 'CurrentRun' is not assignable to type 'Journal'
  outside(Step.run("alone", Effect.void))
  // @ts-expect-error: Type 'CurrentRun' is not assignable to type 'Journal'
  outside(Workflow.patched("alone"))
  // @ts-expect-error: Type 'CurrentRun' is not assignable to type 'Journal'
  outside(Signal.make("s", { payload: {} }).receive)
  // @ts-expect-error: Type 'CurrentRun' is not assignable to type 'Journal'
  outside(Plain.continueAsNew({ sku: "x" }))
  outside(Plain.execute({ sku: "x" }))
  // @ts-expect-error: Type 'DurableOperationInStep' is missing the following properties from type 'Journal'
  const nested: Layer.Layer<never, ConfigurationInvalid | JournalError, Journal> = Plain.toLayer(() =>
    Step.run("outer", Step.run("inner", Effect.void))
  )
  void nested
  // @ts-expect-error: 'Inventory' is not assignable to type 'Journal'
  const complete: Layer.Layer<never, ConfigurationInvalid | JournalError, Journal> = Fulfil.toLayer(() =>
    Step.run("reserve", reserve, { success: Schema.Number, error: OutOfStock })
  )
  return complete
}

declare const maybe: { readonly timeout: Duration.DurationInput | undefined }

/** Code that compiles, with its exact types. */
export const results = () => {
  const layer = Fulfil.toLayer(() =>
    Effect.gen(function*() {
      yield* Effect.addFinalizer(() => Effect.void)
      return yield* Step.run("reserve", reserve, { success: Schema.Number, error: OutOfStock })
    })
  )
  exactly<Layer.Layer<never, ConfigurationInvalid | JournalError, Journal | Inventory>>()(layer)
  const payload = { sku: "x", at: new Date(0) }
  exactly<Effect.Effect<Run.Run<number, OutOfStock>, StartError, Journal>>()(Fulfil.start(payload))
  exactly<Effect.Effect<number, OutOfStock | StartError | ResultError, Journal>>()(Fulfil.execute(payload))
  const nothing = Step.run("void", Effect.void)
  exactly<Effect.Effect<void, never, CurrentRun>>()(nothing)
  const limited = Step.run("limited", reserve, {
    success: Schema.Number,
    error: OutOfStock,
    timeout: "1 minute",
    retry: { schedule: Schedule.forever, while: (error) => error._tag === "TimedOut" || error.sku === "x" }
  })
  exactly<Effect.Effect<number, OutOfStock | TimedOut, Inventory | CurrentRun>>()(limited)
  const optional = Step.run("optional", Effect.void, maybe)
  exactly<Effect.Effect<void, TimedOut, CurrentRun>>()(optional)
  const scoped = Step.run("scoped", Effect.asVoid(Effect.scope))
  exactly<Effect.Effect<void, never, CurrentRun>>()(scoped)
  const outer = Step.run("outer", Signal.make("s", { payload: Schema.Void }).receive)
  exactly<Effect.Effect<void, never, CurrentRun | Step.DurableOperationInStep>>()(outer)
  const piped = reserve.pipe(Step.run("reserve", { success: Schema.Number, error: OutOfStock }))
  exactly<Effect.Effect<number, OutOfStock, Inventory | CurrentRun>>()(piped)
  const pipedLimited = reserve.pipe(
    Step.run("reserve", { success: Schema.Number, error: OutOfStock, timeout: "1 minute" })
  )
  exactly<Effect.Effect<number, OutOfStock | TimedOut, Inventory | CurrentRun>>()(pipedLimited)
}

/** A step with a generic body: the services of the body are a type parameter. */
export const generic = <R>(body: Effect.Effect<number, OutOfStock, R>) =>
  Step.run("generic", body, { success: Schema.Number, error: OutOfStock })

export const genericUsed = () => {
  exactly<Effect.Effect<number, OutOfStock, Inventory | CurrentRun>>()(generic(reserve))
  const layer = Fulfil.toLayer(() => generic(reserve))
  exactly<Layer.Layer<never, ConfigurationInvalid | JournalError, Journal | Inventory>>()(layer)
}

export const continuations = () => {
  const Bill = Workflow.make("Bill", { payload: { sku: Schema.String, total: Schema.Number } })
  const Linked = Fulfil.pipe(
    Continuation.onSuccess(Bill, (total, { sku }) => ({ sku, total })),
    Continuation.onFailure(Plain, ({ error }, { at }) => ({
      sku: `${at.getTime()} ${Option.match(error, { onNone: () => "died", onSome: (each) => each._tag })}`
    }))
  )
  exactly<typeof Fulfil>()(Linked)
  const first: typeof Fulfil = Continuation.onSuccess(Fulfil, Bill, (total) => ({ sku: "x", total }))
  void first
  // @ts-expect-error: Property 'total' is missing
  Fulfil.pipe(Continuation.onSuccess(Bill, (_, { sku }) => ({ sku })))
  // @ts-expect-error: Type 'number' is not assignable to type 'string'
  Fulfil.pipe(Continuation.onSuccess(Plain, (total) => ({ sku: total })))
  // @ts-expect-error: Property 'color' does not exist
  Continuation.onFailure(Fulfil, Plain, (_, { color }) => ({ sku: color }))
  // @ts-expect-error: No overload matches this call
  Fulfil.pipe(Continuation.onSuccess(Plain, () => ({ sku: "x" }), { detached: true }))
}
