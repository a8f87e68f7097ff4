/** One line on standard error, drawn again and again; where nobody watches, plain lines now and then. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

export interface State {
  /** From 0 to 1. */
  readonly fraction: number
  readonly text: string
}

const WIDTH = 30

const colour = process.stderr.isTTY && process.env["NO_COLOR"] === undefined && process.env["TERM"] !== "dumb"
const paint = (code: string, text: string) => colour ? `\u001b[${code}m${text}\u001b[0m` : text

/** An estimate by the mean speed so far, which is honest enough for a minute. */
const remaining = (fraction: number, elapsedMillis: number) =>
  fraction < 0.02 || fraction >= 1 ? "" : `ETA ${Math.ceil((elapsedMillis / fraction - elapsedMillis) / 1000)} s`

/** Draw until interrupted; `note` writes a line above the bar. */
export const make = (state: () => State) =>
  Effect.gen(function*() {
    const start = yield* Clock.currentTimeMillis
    const isTerminal = process.stderr.isTTY

    const write = (text: string) => Effect.sync(() => void process.stderr.write(text))
    const line = Effect.map(Clock.currentTimeMillis, (now) => {
      const { fraction, text } = state()
      const full = Math.round(WIDTH * Math.min(1, fraction))
      const bar = paint("32", "█".repeat(full)) + paint("2", "░".repeat(WIDTH - full))
      const share = `${String(Math.floor(100 * fraction)).padStart(3)} %`
      return [isTerminal ? bar : "", share, text, remaining(fraction, now - start)].filter((part) => part !== "").join(
        "  "
      )
    })
    const draw = isTerminal
      ? Effect.flatMap(line, (text) => write(`\r\u001b[2K${text}`))
      : Effect.flatMap(line, (text) => write(`${text}\n`))

    return {
      note: (text: string) => write(isTerminal ? `\r\u001b[2K${paint("33", text)}\n` : `${text}\n`),
      run: Effect.forever(Effect.zipRight(draw, Effect.sleep(Duration.millis(isTerminal ? 100 : 2000)))),
      end: Effect.zipRight(draw, isTerminal ? write("\n") : Effect.void)
    }
  })
