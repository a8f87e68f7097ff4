/**
 * Writes `stock.csv` and `orders.csv`: `npx tsx examples/fulfilment/generate.ts`. The files are the same each time, and
 * are in the repository.
 */
import { writeFileSync } from "node:fs"

/** Numbers in [0, 1) from a fixed seed (mulberry32). */
const random = (() => {
  let state = 20_260_101
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
})()

const below = (n: number) => Math.floor(random() * n)

const pick = <A>(items: ReadonlyArray<A>): A => {
  const item = items[below(items.length)]
  if (item === undefined) throw new Error("pick: the array is empty")
  return item
}

/** Name, price in cents, weight of its sales, and the stock as a share of the demand. */
const catalogue: ReadonlyArray<readonly [string, number, number, number]> = [
  ["Espresso machine", 64_900, 3, 1.3],
  ["Grinder, conical burr", 18_900, 5, 1.3],
  ["Grinder, hand", 7_900, 6, 1.3],
  ["Kettle, gooseneck", 8_950, 7, 1.3],
  ["Pour-over set", 4_490, 9, 1.3],
  ["Moka pot, 6 cups", 3_990, 9, 0.7],
  ["French press, 1 l", 3_450, 8, 1.3],
  ["Scale with timer", 5_900, 6, 1.3],
  ["Milk jug, 350 ml", 2_290, 8, 1.3],
  ["Tamper, 58 mm", 3_790, 4, 1.3],
  ["Knock box", 2_690, 3, 1.3],
  ["Paper filters, 100", 690, 16, 1.3],
  ["Beans, Huila, 1 kg", 2_890, 18, 1.3],
  ["Beans, Sidamo, 1 kg", 3_190, 16, 0.85],
  ["Beans, house blend, 1 kg", 2_390, 20, 1.3],
  ["Beans, decaf, 500 g", 1_690, 8, 1.3],
  ["Cups, set of 6", 4_900, 6, 1.3],
  ["Glasses, double-walled, 2", 2_490, 7, 1.3],
  ["Roaster, 250 g", 43_900, 2, 0.5],
  ["Water filter", 1_990, 9, 1.3],
  ["Cleaning tablets, 60", 1_490, 10, 1.3],
  ["Cold brew bottle", 2_990, 5, 1.3]
]

const skus = catalogue.map(([name, cents, weight, share], index) => ({
  sku: `SKU-${String(100 + index * 7)}`,
  name,
  cents,
  weight,
  share,
  demand: 0
}))
const byWeight = skus.flatMap((sku) => Array.from({ length: sku.weight }, () => sku))

const firstNames =
  "Ada Boris Chiara Dmitri Elif Farid Greta Hugo Ines Jonas Kofi Lena Mara Niels Olga Pablo Quynh Rosa Sven Tara"
    .split(" ")
const lastNames =
  "Andersen Blanc Costa Dubois Ekberg Fischer Garcia Haas Ivanova Jansen Keller Lindt Moreau Novak Okafor Peeters"
    .split(" ")
const countries = ["DE", "DE", "DE", "FR", "FR", "NL", "ES", "IT", "AT", "BE", "PL", "SE"]

const cell = (value: string | number) => {
  const text = String(value)
  return /[",\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text
}
const csv = (rows: ReadonlyArray<ReadonlyArray<string | number>>) =>
  rows.map((row) => row.map(cell).join(",") + "\n").join("")
const euros = (cents: number) => (cents / 100).toFixed(2)

const orders = Array.from({ length: 1000 }, (_, index) => {
  // Every ninth customer is a café and orders large quantities.
  const cafe = index % 9 === 4
  const lines = new Map<(typeof skus)[number], number>()
  for (let line = 1 + below(cafe ? 4 : 3); line > 0; line--) {
    const sku = pick(byWeight)
    lines.set(sku, cafe && sku.cents < 10_000 ? 6 + below(14) : 1 + below(2))
  }
  let cents = 0
  let pieces = 0
  for (const [sku, quantity] of lines) {
    sku.demand += quantity
    cents += sku.cents * quantity
    pieces += quantity
  }
  const [first, last] = [pick(firstNames), pick(lastNames)]
  return [
    `O-${String(10_001 + index)}`,
    `2026-01-${String(5 + Math.floor(index / 40)).padStart(2, "0")}`,
    cafe ? `Café ${last}, ${first}` : `${first} ${last}`,
    pick(countries),
    Array.from(lines, ([sku, quantity]) => `${quantity}x${sku.sku}`).join(" "),
    Math.min(4, Math.ceil(pieces / 4)),
    euros(cents)
  ]
})

const write = (name: string, rows: ReadonlyArray<ReadonlyArray<string | number>>) =>
  writeFileSync(new URL(name, import.meta.url), csv(rows))

write("orders.csv", [["order_id", "placed_on", "customer", "country", "lines", "parcels", "total_eur"], ...orders])
write("stock.csv", [
  ["sku", "name", "price_eur", "on_hand"],
  ...skus.map(({ cents, demand, name, share, sku }) => [sku, name, euros(cents), Math.round(demand * share)])
])
