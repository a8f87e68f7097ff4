/**
 * Schedules on an embedded database: `npx tsx examples/schedules/main.ts`.
 *
 * One report is made each second, and one each night at half past two, also in the night in which clocks are set
 * forward. An operator pauses the first schedule with a reason, starts a report by hand, makes up for a few past
 * seconds, and reads which slot each run was for.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Calendar from "perdure/Calendar"
import * as RunSchedule from "perdure/RunSchedule"
import * as Runs from "perdure/Runs"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"

const Report = Workflow.make("Report", { payload: { of: Schema.String } })

/** What the reports that were made are of. */
const made: Array<string> = []

const ReportLive = Report.toLayer(({ of }) => Step.run("print", Effect.sync(() => void made.push(of))))

const EachSecond = RunSchedule.make("each-second", {
  workflow: Report,
  payload: (slot) => ({ of: DateTime.formatIso(slot) }),
  calendar: Calendar.every("1 second"),
  overlap: "queueAll",
  catchUp: "all"
})

const zone = "Europe/Berlin"

const Nightly = RunSchedule.make("nightly", {
  workflow: Report,
  payload: (slot) => ({ of: DateTime.formatIsoDateUtc(slot) }),
  calendar: Calendar.except(Calendar.daily({ at: "02:30", zone }), { dates: ["2031-03-31"] }),
  startsAt: new Date("2031-03-28T23:00:00Z"),
  endsAt: new Date("2031-04-02T00:00:00Z")
})

/** Waits until this number of runs of a schedule have completed. */
const completed = (schedule: RunSchedule.RunSchedule, runs: number) =>
  Effect.repeat(Runs.count({ attributes: { "perdure.schedule": schedule.name } }), {
    until: (count) => count.completed >= runs,
    schedule: Schedule.spaced("50 millis")
  })

const operate = Effect.gen(function*() {
  yield* completed(EachSecond, 2)
  const [first, second] = made.map((at) => Date.parse(at))
  yield* Console.log(`the second report is of ${((second ?? 0) - (first ?? 0)) / 1_000} s later`)

  // What is to come: clocks skip 02:30 on the 30th, and the 31st is left out.
  const { upcoming } = yield* RunSchedule.get(Nightly, { upcoming: 5 })
  yield* Effect.forEach(
    upcoming,
    (at) => Console.log(`nightly: ${DateTime.formatIsoZoned(DateTime.unsafeMakeZoned(at, { timeZone: zone }))}`)
  )

  yield* RunSchedule.pause(EachSecond, { by: "ann", reason: "the printer is out of paper" })
  const { started } = yield* RunSchedule.get(EachSecond)
  yield* completed(EachSecond, started)
  yield* Stream.runForEach(
    RunSchedule.stream(),
    ({ detail, name, status }) =>
      Console.log(
        `${name}: ${status}${
          Option.match(detail, { onNone: () => "", onSome: ({ by, reason }) => ` by ${by}, ${reason}` })
        }`
      )
  )

  // Paused or not, there is one now.
  const byHand = Report.attach(yield* RunSchedule.trigger(EachSecond))
  yield* Effect.flatMap(byHand, (run) => run.result)
  yield* Console.log(`by hand: ${made.length - started} more`)

  // Three slots from before there was a schedule, and the first one, which has had its run.
  const slots = yield* RunSchedule.backfill(EachSecond, {
    from: new Date((first ?? 0) - 3_000),
    to: new Date((first ?? 0) + 1_000),
    overlap: "queueAll"
  })
  yield* completed(EachSecond, started + 4)
  const { items } = yield* Runs.list({ attributes: { "perdure.schedule": "each-second" } }, { limit: 100 })
  yield* Console.log(`${slots.length} slots, ${items.length - started - 1} runs more`)

  yield* RunSchedule.resume(EachSecond)
  yield* completed(EachSecond, started + 5)
  yield* Console.log("it continues")
})

const Main = Layer.mergeAll(ReportLive, EachSecond.layer, Nightly.layer, Worker.layer()).pipe(
  Layer.provideMerge(PgliteJournal.layer())
)

/** Standard output is for results. */
const logger = Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.stringLogger))

operate.pipe(
  Effect.provide(Main),
  Effect.provide(logger),
  NodeRuntime.runMain({ disablePrettyLogger: true })
)
