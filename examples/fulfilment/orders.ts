/** The orders and the stock, read from CSV files and checked by their schemas. */
import { parse } from "csv-parse/sync"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as fs from "node:fs/promises"
import { fileURLToPath } from "node:url"

/** `63.80` in a file is 6380 in the program. */
const Cents = Schema.transform(Schema.String.pipe(Schema.pattern(/^\d+\.\d\d$/)), Schema.Int, {
  strict: true,
  decode: (text) => Number(text.replace(".", "")),
  encode: (cents) => (cents / 100).toFixed(2)
})

export const Line = Schema.Struct({
  sku: Schema.NonEmptyString,
  quantity: Schema.Int.pipe(Schema.positive())
})
export type Line = typeof Line.Type

/** As `2xSKU-121 1xSKU-156`. */
const Lines = Schema.transform(Schema.String.pipe(Schema.pattern(/^\d+x\S+( \d+x\S+)*$/)), Schema.Array(Line), {
  strict: true,
  decode: (text) =>
    text.split(" ").map((item) => {
      const at = item.indexOf("x")
      return { quantity: Number(item.slice(0, at)), sku: item.slice(at + 1) }
    }),
  encode: (lines) => lines.map(({ quantity, sku }) => `${quantity}x${sku}`).join(" ")
})

/** A field that has another name in the file. */
const column = <A, I>(name: string, schema: Schema.Schema<A, I>) =>
  Schema.propertySignature(schema).pipe(Schema.fromKey(name))

const OrderRow = Schema.Struct({
  orderId: column("order_id", Schema.NonEmptyString),
  customer: Schema.NonEmptyString,
  country: Schema.String.pipe(Schema.length(2)),
  lines: Lines,
  parcels: Schema.NumberFromString.pipe(Schema.int(), Schema.between(1, 20)),
  totalCents: column("total_eur", Cents)
})

const StockRow = Schema.Struct({
  sku: Schema.NonEmptyString,
  onHand: column("on_hand", Schema.NumberFromString.pipe(Schema.int(), Schema.nonNegative()))
})

/** The payload of the workflow. */
export const Order = Schema.typeSchema(OrderRow)
export type Order = typeof Order.Type

export type Stock = typeof StockRow.Type

export const parcelIdOf = (orderId: string, parcel: number): string => `${orderId}/${parcel}`

/** The order of a subject, which is an order or a parcel. */
export const orderIdOf = (subject: string): string => subject.split("/")[0] ?? subject

/** The file cannot be read, or a row is invalid. */
export class FileInvalid extends Data.TaggedError("FileInvalid")<{ readonly file: string; readonly detail: string }> {
  override get message() {
    return `${this.file}: ${this.detail}`
  }
}

const readRows = <A, I>(name: string, schema: Schema.Schema<A, I>) =>
  Effect.tryPromise(async () => {
    const file = fileURLToPath(new URL(name, import.meta.url))
    const rows: unknown = parse(await fs.readFile(file), { columns: true })
    return rows
  }).pipe(
    Effect.flatMap(Schema.decodeUnknown(Schema.Array(schema))),
    Effect.mapError((error) => new FileInvalid({ file: name, detail: String(error) }))
  )

const allOrders = readRows("orders.csv", OrderRow)

/** The first `count` orders of the file. */
export const orders = (count: number): Effect.Effect<ReadonlyArray<Order>, FileInvalid> =>
  Effect.map(allOrders, (all) => all.slice(0, count))

/** The stock for the first `count` orders: for fewer orders it is smaller, so that some articles still run out. */
export const stock = (count: number): Effect.Effect<ReadonlyArray<Stock>, FileInvalid> =>
  Effect.gen(function*() {
    const rows = yield* readRows("stock.csv", StockRow)
    const share = Math.min(1, count / (yield* allOrders).length)
    return rows.map(({ onHand, sku }) => ({ sku, onHand: Math.ceil(onHand * share) }))
  })
