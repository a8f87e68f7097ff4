/**
 * The progress on standard error. On a terminal it is one line that changes in place; elsewhere a plain line every few
 * seconds. Nothing is written twice, and no control codes are written to a file or a pipe.
 */
import * as Effect from "effect/Effect"
import { stages, type Progress, type Stage } from "./stages.js"

const TERMINAL_INTERVAL = "100 millis"
const PLAIN_INTERVAL = "3 seconds"

const BAR_WIDTH = 20

/** From this width on, a terminal has room for the bar. */
const BAR_COLUMNS = 104

/** The width of a terminal that does not tell it. */
const UNKNOWN_COLUMNS = 80

const isTerminal = process.stderr.isTTY
const hasColour = isTerminal && process.env["NO_COLOR"] === undefined && process.env["TERM"] !== "dumb"

const paint = (code: number, text: string) => hasColour ? `\u001b[${code}m${text}\u001b[0m` : text

export const number = (value: number): string => value.toLocaleString("en")

/** Seconds since this process began. */
const elapsed = () => Math.floor(performance.now() / 1000)

const labels: Readonly<Record<Stage, string>> = {
  new: "new",
  approval: "waiting for approval",
  reserved: "reserved",
  charged: "charged",
  shipped: "shipped",
  done: "done"
}

const plainLine = ({ counts, steps }: Progress) =>
  `${elapsed()} s: ${number(steps)} steps; orders: ${
    stages.map((stage) => `${number(counts[stage])} ${labels[stage]}`).join(", ")
  }`

const bar = (fraction: number) => {
  const full = Math.round(BAR_WIDTH * fraction)
  return `${paint(32, "█".repeat(full))}${paint(2, "░".repeat(BAR_WIDTH - full))}`
}

/** Cut to the width of the terminal: a line that wraps cannot be replaced. */
const liveLine = ({ counts, fraction, steps }: Progress) => {
  const columns = process.stderr.columns > 0 ? process.stderr.columns : UNKNOWN_COLUMNS
  const text = [
    `${elapsed()} s`,
    `${number(steps)} steps`,
    ...stages.filter((stage) => counts[stage] > 0).map((stage) => `${stage} ${number(counts[stage])}`)
  ].join("  ")
  return columns >= BAR_COLUMNS ? `${bar(fraction)}  ${text}` : text.slice(0, columns - 1)
}

const write = (text: string) => Effect.sync(() => void process.stderr.write(text))

const CLEAR_LINE = "\r\u001b[2K"

const draw = (progress: Progress) =>
  Effect.suspend(() => write(isTerminal ? `${CLEAR_LINE}${liveLine(progress)}` : `${plainLine(progress)}\n`))

/** Writes the progress now and then, until it is interrupted; then writes it a last time. */
export const run = (progress: Progress): Effect.Effect<never> =>
  Effect.forever(Effect.zipRight(draw(progress), Effect.sleep(isTerminal ? TERMINAL_INTERVAL : PLAIN_INTERVAL))).pipe(
    Effect.ensuring(Effect.zipRight(draw(progress), isTerminal ? write("\n") : Effect.void))
  )

/** Writes a line of its own, above the live line. */
export const note = (text: string): Effect.Effect<void> =>
  Effect.suspend(() => write(`${isTerminal ? CLEAR_LINE : ""}${paint(33, `${elapsed()} s: ${text}`)}\n`))

/** Writes text as it is. */
export const text = (value: string): Effect.Effect<void> => write(value)
