/**
 * A statement over PostgreSQL's wire protocol, in one call of PGlite. It sends the messages that `pg` sends, with
 * parameters that `pg` encodes, and decodes results with `pg`'s type parsers, so that both clients return the same
 * JavaScript values.
 *
 * It has no lock: `PgliteClient` executes one statement at a time.
 */
/// <reference path="./pg-utils.d.ts" />
import { messages, type PGlite, protocol } from "@electric-sql/pglite"
import * as pg from "pg"
import pgUtils from "pg/lib/utils.js"

/** The result of a statement, with the fields that `pg`'s result also has. */
export interface Result<Row> {
  readonly command: string
  readonly rowCount: number | null
  readonly fields: ReadonlyArray<{ readonly name: string; readonly dataTypeID: number }>
  readonly rows: ReadonlyArray<Row>
}

/** Makes a row from its parsed values. */
export type RowShape<Row> = (names: ReadonlyArray<string>) => (values: ReadonlyArray<unknown>) => Row

/** Rows as objects. Of columns with one name the last one is used. */
export const asObject: RowShape<Record<string, unknown>> = (names) => (values) => {
  const row: Record<string, unknown> = {}
  for (let index = 0; index < names.length; index++) row[names[index] ?? ""] = values[index]
  return row
}

/** Rows as arrays of values. */
export const asArray: RowShape<ReadonlyArray<unknown>> = () => (values) => values

type Parse = (value: string) => unknown

const { serialize } = protocol

// PGlite takes several messages in one call, which is faster than one call for each.
const joined = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** The prepared statements of each database, by name. */
const preparedBy = new WeakMap<PGlite, Map<string, string>>()

const preparedIn = (db: PGlite): Map<string, string> => {
  const found = preparedBy.get(db)
  if (found !== undefined) return found
  const made = new Map<string, string>()
  preparedBy.set(db, made)
  return made
}

/**
 * Like `pg`: the simple protocol without parameters, which allows several statements, and the extended one with
 * parameters. A statement with a name is parsed once.
 */
const encode = (db: PGlite, text: string, params: ReadonlyArray<unknown>, name: string | null): Uint8Array => {
  if (params.length === 0) return serialize.query(text)
  const statement = name ?? ""
  const isPrepared = name !== null && preparedIn(db).get(name) === text
  if (name !== null) preparedIn(db).set(name, text)
  return joined(
    // It is no error to close a statement that does not exist, but an error to parse one that exists.
    ...(isPrepared ? [] : name === null ? [] : [serialize.close({ type: "S", name })]),
    ...(isPrepared ? [] : [serialize.parse({ text, name: statement })]),
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
 * Executes the statements of a string. Resolves with the results of all its statements, or rejects with a
 * `DatabaseError` that has the SQLSTATE as `code`. With a `name`, the statement stays prepared under that name.
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
    // The statement may have failed before or after it was prepared.
    if (name !== null) preparedIn(db).delete(name)
    throw error
  }
}
