/**
 * One statement over PostgreSQL's wire protocol, in one go into PGlite: the same messages that `pg` sends, parameters
 * written by `pg`, and results read by `pg`'s type parsers, so that both clients give the same JavaScript values.
 *
 * It knows nothing of who may run when; `PgliteClient` sees to that.
 */
/// <reference path="./pg-utils.d.ts" />
import { messages, type PGlite, protocol } from "@electric-sql/pglite"
import * as pg from "pg"
import pgUtils from "pg/lib/utils.js"

/** What a statement gave, as far as `pg`'s result has it too. */
export interface Result<Row> {
  readonly command: string
  readonly rowCount: number | null
  readonly fields: ReadonlyArray<{ readonly name: string; readonly dataTypeID: number }>
  readonly rows: ReadonlyArray<Row>
}

/** How a row is made of its parsed values. */
export type RowShape<Row> = (names: ReadonlyArray<string>) => (values: ReadonlyArray<unknown>) => Row

/** Rows as objects; of columns of one name the last one counts. */
export const asObject: RowShape<Record<string, unknown>> = (names) => (values) => {
  const row: Record<string, unknown> = {}
  for (let index = 0; index < names.length; index++) row[names[index] ?? ""] = values[index]
  return row
}

/** Rows as arrays of values. */
export const asArray: RowShape<ReadonlyArray<unknown>> = () => (values) => values

type Parse = (value: string) => unknown

const { serialize } = protocol

// PGlite lets the engine take several messages at once: one crossing into it, not five.
const joined = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** The statements that each database keeps prepared: texts by name. */
const preparedBy = new WeakMap<PGlite, Map<string, string>>()

const preparedIn = (db: PGlite): Map<string, string> => {
  const known = preparedBy.get(db)
  if (known !== undefined) return known
  const made = new Map<string, string>()
  preparedBy.set(db, made)
  return made
}

/**
 * As `pg`: without parameters the simple protocol, which takes several statements; with parameters the extended one. A
 * statement with a name is parsed once, and planned as the server sees fit.
 */
const encode = (db: PGlite, text: string, params: ReadonlyArray<unknown>, name: string | null): Uint8Array => {
  if (params.length === 0) return serialize.query(text)
  const statement = name ?? ""
  const isKnown = name !== null && preparedIn(db).get(name) === text
  if (name !== null) preparedIn(db).set(name, text)
  return joined(
    // To close a statement that does not exist is no error; to parse one that does would be.
    ...(isKnown ? [] : name === null ? [] : [serialize.close({ type: "S", name })]),
    ...(isKnown ? [] : [serialize.parse({ text, name: statement })]),
    serialize.bind({
      statement,
      values: params.map((value) => {
        const written = pgUtils.prepareValue(value)
        return written === null || typeof written === "string" ? written : new Uint8Array(written)
      })
    }),
    serialize.describe({ type: "P" }),
    serialize.execute({}),
    serialize.sync()
  )
}

const reader = <Row>(fields: ReadonlyArray<messages.Field>, shape: RowShape<Row>) => {
  const parsers = fields.map((field): Parse => pg.default.types.getTypeParser(field.dataTypeID, "text"))
  const make = shape(fields.map((field) => field.name))
  return (values: ReadonlyArray<string | null>): Row =>
    make(parsers.map((parse, index) => {
      const value = values[index]
      return value === null || value === undefined ? null : parse(value)
    }))
}

const decode = <Row>(answer: ReadonlyArray<messages.BackendMessage>, shape: RowShape<Row>): Array<Result<Row>> => {
  const results: Array<Result<Row>> = []
  let fields: ReadonlyArray<messages.Field> = []
  let read = reader(fields, shape)
  let rows: Array<Row> = []
  const finish = (command: string, rowCount: number | null) => {
    results.push({ command, rowCount, fields, rows })
    fields = []
    rows = []
  }
  for (const message of answer) {
    if (message instanceof messages.RowDescriptionMessage) {
      fields = message.fields
      read = reader(fields, shape)
    } else if (message instanceof messages.DataRowMessage) {
      rows.push(read(message.fields))
    } else if (message instanceof messages.CommandCompleteMessage) {
      const words = message.text.split(" ")
      const count = Number(words.at(-1))
      finish(words[0] ?? "", words.length > 1 && Number.isInteger(count) ? count : null)
    } else if (message.name === "emptyQuery") {
      finish("", null)
    }
  }
  return results
}

/**
 * Run it; the results of all its statements, or a rejection with a `DatabaseError` that has the SQLSTATE as `code`. With
 * a `name`, the statement stays prepared under it.
 */
export const query = async <Row>(
  db: PGlite,
  text: string,
  params: ReadonlyArray<unknown>,
  shape: RowShape<Row>,
  name: string | null = null
): Promise<Array<Result<Row>>> => {
  const request = encode(db, text, params, name)
  try {
    return decode(await db.execProtocolStream(request, {}), shape)
  } catch (error) {
    // Whether it was prepared before it failed is not known.
    if (name !== null) preparedIn(db).delete(name)
    throw error
  }
}
