/** The database of the runs: PGlite in a folder, or Postgres. The rest of the program is the same for both. */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import * as PgJournal from "@perdure/postgres/PgJournal"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Journal } from "perdure/Journal"

/** The settings that the supervisor passes to its worker processes, as an environment variable. */
export class Settings extends Schema.Class<Settings>("Settings")({
  /** The folder of this demo: the records of the services, the logs and, without a `databaseUrl`, the database. */
  folder: Schema.NonEmptyString,
  databaseUrl: Schema.OptionFromNullOr(Schema.Redacted(Schema.String)),
  /** The schema of the shop's tables; the name of the journal's schema is derived from it. */
  schema: Schema.String.pipe(Schema.pattern(/^[a-z][a-z0-9_]*$/)),
  orders: Schema.Int.pipe(Schema.positive())
}) {
  get journalSchema() {
    return `${this.schema}_journal`
  }
}

const VARIABLE = "FULFILMENT_SETTINGS"

const SettingsJson = Schema.parseJson(Settings)

/** The environment of a worker process. */
export const toEnvironment = (settings: Settings): Record<string, string> => ({
  [VARIABLE]: Schema.encodeSync(SettingsJson)(settings)
})

export const fromEnvironment = Effect.flatMap(Config.string(VARIABLE), Schema.decode(SettingsJson))

export const layer = (settings: Settings): Layer.Layer<Journal | SqlClient.SqlClient, unknown> => {
  const schema = settings.journalSchema
  return Option.match(settings.databaseUrl, {
    onNone: (): Layer.Layer<Journal | SqlClient.SqlClient, unknown> =>
      PgliteJournal.layer({ dataDir: `${settings.folder}/database`, schema }),
    onSome: (url) => PgJournal.layer({ url, schema, startTimeout: "5 seconds" })
  })
}
