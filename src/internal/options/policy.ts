/**
 * What follows from bad input: decided here once, the same in every module.
 *
 * | input                                                                       | outcome                            |
 * |-----------------------------------------------------------------------------|------------------------------------|
 * | definitions (workflow, queue, schedule, continuation) and options of layers | fails with `ConfigurationInvalid`  |
 * | arguments of calls: options, filters, references, changes of settings       | dies with `Misuse`                 |
 * | names, keys and ids that a run gives to steps, signals, values              | dies with `Misuse` (the run fails) |
 * | values: payloads, signals, results, by their schemas                        | fails with `ValueInvalid`          |
 * | values: sizes (`Limits`)                                                    | fails with `ValueTooLarge`         |
 * | values: keys, tags and attributes of a run that is to start                 | fails with `ValueInvalid`          |
 * | values: a cursor, which comes back from outside                             | fails with `ValueInvalid`          |
 * | an id or name that no storage can hold (NUL, too long)                      | like one that does not exist       |
 *
 * An *argument* is wrong for every user of the program: its type, a range, an unknown option. No caller can handle
 * that, so it is a defect. A *value* is wrong for one user's data, which the caller may report. Definitions are checked
 * when layers are built, where all problems are listed together before anything runs.
 *
 * The labels of a start are both: `tags: 3` is a bad argument, a tag of 201 characters a bad value.
 */
import * as Effect from "effect/Effect"
import { ConfigurationInvalid, Misuse, ValueInvalid } from "../../Errors.js"
import { storable } from "../util/show.js"
import type { Problems } from "./Rule.js"

/** Fails with all problems of a definition, or of the options of a layer. */
export const requireConfiguration = (what: string, problems: Problems): Effect.Effect<void, ConfigurationInvalid> =>
  problems.length === 0
    ? Effect.void
    : new ConfigurationInvalid({ what: storable(what), problems: problems.map(storable) })

/** Dies of all problems of the arguments of a call, for example `Runs.list`. */
export const requireArguments = (what: string, problems: Problems): Effect.Effect<void> =>
  problems.length === 0 ? Effect.void : Effect.die(new Misuse({ detail: storable(`${what}: ${listed(problems)}`) }))

/** Fails with all problems of a value. */
export const requireValue = (what: string, problems: Problems): Effect.Effect<void, ValueInvalid> =>
  problems.length === 0 ? Effect.void : new ValueInvalid({ what: storable(what), detail: storable(listed(problems)) })

const listed = (problems: Problems): string =>
  problems.length === 1
    ? problems.join("")
    : `${problems.length} problems:\n${problems.map((each) => `  - ${each}`).join("\n")}`
