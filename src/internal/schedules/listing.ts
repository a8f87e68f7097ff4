/** Stored schedules, read one by one or page by page. Nothing is changed here. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { JournalError } from "../../Errors.js"
import { UnknownSchedule } from "../../Errors.js"
import { Journal } from "../../Journal.js"
import type { PageOptions } from "../options/pages.js"
import { makeList, pageTable, sliceOf } from "../options/pages.js"
import type { Rule, Table } from "../options/Rule.js"
import { count, fields, optional } from "../options/Rule.js"
import { requireStorable } from "./control.js"
import type { Info } from "./info.js"
import { infoOf } from "./info.js"

/** Public as `RunSchedule.InfoOptions`. */
export interface InfoOptions {
  /** The number of start times in `upcoming`, at most 1,000. Default: 5 for one schedule, 1 for each of a list. */
  readonly upcoming?: number
}

/** Public as `RunSchedule.ListOptions`. */
export interface ListOptions extends PageOptions, InfoOptions {}

const infoTable: Table<InfoOptions> = { upcoming: optional(count({ min: 0, max: 1_000 })) }

export const infoOptions: Rule<InfoOptions> = fields(infoTable)

export const listOptions: Rule<ListOptions> = fields<ListOptions>({ ...pageTable, ...infoTable })

interface Selection {
  /** Null: all. */
  readonly names: ReadonlyArray<string> | null
  readonly after: string | null
  readonly limit: number
}

const read = (selection: Selection, upcoming: number): Effect.Effect<ReadonlyArray<Info>, JournalError, Journal> =>
  Effect.flatMap(Journal, (journal) =>
    Effect.map(journal.schedules(selection), ({ now, value }) => {
      const registered = journal.process.registrations.schedules
      return value.map((record) => infoOf(record, { now, upcoming, isRegistered: registered.has(record.name) }))
    }))

export const get = (
  name: string,
  { upcoming = 5 }: InfoOptions
): Effect.Effect<Info, UnknownSchedule | JournalError, Journal> =>
  Effect.gen(function*() {
    yield* requireStorable(name)
    const [info] = yield* read({ names: [name], after: null, limit: 1 }, upcoming)
    return info === undefined ? yield* new UnknownSchedule({ schedule: name }) : info
  })

const lists = makeList("RunSchedule.list", Schema.String)

const readSlice = ({ upcoming = 1 }: InfoOptions) => (after: string | null, limit: number) =>
  Effect.map(
    read({ names: null, after, limit: limit + 1 }, upcoming),
    (infos) => sliceOf(infos, limit, ({ name }) => name)
  )

export const list = ({ upcoming, ...page }: ListOptions) =>
  lists.page(page, readSlice(upcoming === undefined ? {} : { upcoming }))

export const stream = (options: InfoOptions) => lists.stream(readSlice(options))
