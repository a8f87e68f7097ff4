/**
 * How to connect: the URL, the options that override it, or the settings of an existing pool or client. Problems never
 * show a URL, because it can have a password.
 */
import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Rule from "perdure/Rule"
import * as Pg from "pg"

/** Where the database is. Options override the URL. */
export interface ConnectionOptions {
  readonly url?: Redacted.Redacted
  readonly host?: string
  readonly port?: number
  readonly database?: string
  readonly user?: string
  readonly password?: Redacted.Redacted
  readonly ssl?: Pg.ClientConfig["ssl"]
  readonly applicationName?: string
  readonly pool?: Pg.Pool
  readonly client?: PgClient.PgClient
}

const MAX_PORT = 65_535

/** How long a connection may be silent before the operating system tests it. */
const KEEP_ALIVE_DELAY_MILLIS = 30_000

const sslModes = ["disable", "prefer", "require", "verify-ca", "verify-full", "no-verify"]

/** What a URL can say about TLS, which `pg` turns into one object. */
const sslParameters: ReadonlySet<string> = new Set([
  "ssl",
  "sslmode",
  "sslcert",
  "sslkey",
  "sslrootcert",
  "uselibpqcompat"
])

/** A socket of the operating system, which is no URL: `/run/postgresql app`, `socket:/run/postgresql?db=app`. */
const isSocketPath = (text: string): boolean => text.startsWith("/") || text.startsWith("socket:")

/** Why a file of the URL cannot be read. Null for other errors: their messages may show the URL. */
const unreadableFile = (error: unknown): string | null => {
  if (!(error instanceof Error) || !("path" in error) || !("code" in error)) return null
  return `names the file ${String(error.path)}, which cannot be read (${String(error.code)})`
}

/** What `pg` says about a connection string. */
const readByPg = (text: string): Pg.Client | string | null => {
  try {
    return new Pg.Client(text)
  } catch (error) {
    return unreadableFile(error)
  }
}

const parseUrl = (text: string): URL | null => {
  try {
    return new URL(text)
  } catch {
    return null
  }
}

const example = "use Redacted.make(\"postgres://host/database\")"

const mustBe = (place: string): string => `"${place}" must be a Redacted connection string: ${example}`

/** The first problem of a connection string, to follow the name of the option; null if it can be used. */
const problemOf = (text: string): string | null => {
  if (text.trim() === "") return `is empty: set the environment variable that it comes from, or ${example}`
  if (!isSocketPath(text)) {
    const [, scheme, rest = ""] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) ?? []
    if (scheme !== "postgres" && scheme !== "postgresql") {
      return `must start with "postgres://" or "postgresql://": ${example}`
    }
    const authority = rest.split(/[/?#]/, 1)[0] ?? ""
    const hosts = authority.slice(authority.lastIndexOf("@") + 1)
    if (hosts.includes(",")) {
      return "names several hosts: name one, for example a DNS name or a proxy that follows the primary"
    }
    const url = parseUrl(text)
    const port = /:(\d+)$/.exec(hosts)?.[1] ?? url?.searchParams.get("port") ?? null
    if (port !== null && !(Number(port) >= 1 && Number(port) <= MAX_PORT)) {
      return `has the port ${port.slice(0, 20)}: a port is an integer from 1 to ${MAX_PORT}`
    }
    if (url === null) return "cannot be parsed: escape the user and the password with encodeURIComponent"
    if (hosts === "" && !url.searchParams.has("host")) {
      return "names no host: name one, for example postgres://localhost/database"
    }
    const mode = url.searchParams.get("sslmode")
    if (mode !== null && !sslModes.includes(mode)) {
      return `has an unknown sslmode: use one of ${sslModes.join(", ")}`
    }
  }
  const read = readByPg(text)
  if (read === null) return "cannot be parsed: escape the user and the password with encodeURIComponent"
  return typeof read === "string" ? read : null
}

const redacted: Rule.Rule<Redacted.Redacted> = {
  expected: "a Redacted string",
  problems: (value, place) =>
    Redacted.isRedacted(value) && typeof Redacted.value(value) === "string"
      ? []
      : [`"${place}" must be a Redacted string: use Redacted.make`]
}

const url: Rule.Rule<Redacted.Redacted> = {
  expected: "a Redacted connection string",
  problems: (value, place) => {
    if (!Redacted.isRedacted(value)) return [mustBe(place)]
    const text = Redacted.value(value)
    if (typeof text !== "string") return [mustBe(place)]
    const problem = problemOf(text)
    return problem === null ? [] : [`${mustBe(place)}. It ${problem}`]
  }
}

const host: Rule.Rule<string> = Rule.rule(
  "the name of one host, or the folder of a socket",
  (value) => typeof value === "string" && value.trim() !== "" && !/[\s,@]|:\/\//.test(value)
)

const name = Rule.optional(Rule.string({ min: 1 }))

export const table: Rule.Table<ConnectionOptions> = {
  url: Rule.optional(url),
  host: Rule.optional(host),
  port: Rule.optional(Rule.count({ min: 1, max: MAX_PORT })),
  database: name,
  user: name,
  password: Rule.optional(redacted),
  ssl: Rule.optional(Rule.either(Rule.boolean, Rule.rule("an object of TLS options", Predicate.isRecord))),
  applicationName: name,
  pool: Rule.optional(Rule.rule("a Pool of pg", (value) => Predicate.hasProperty(value, "connect"))),
  client: Rule.optional(Rule.rule("a PgClient", (value) => Predicate.hasProperty(value, "withTransaction")))
}

/** Problems of options that are valid alone. */
export const problems = (options: ConnectionOptions): Rule.Problems => {
  const sources = (["url", "host", "pool", "client"] as const).filter((key) => options[key] !== undefined)
  const [first] = sources
  if (first === undefined) return [`"url" is missing: ${example}, or give "host", "pool" or "client"`]
  const existing = sources.filter((key) => key === "pool" || key === "client")
  return existing.length > 0 && sources.length > 1
    ? [`"${sources.join("\" and \"")}" exclude each other: leave all but one of them out`]
    : []
}

/** The settings of an existing client, as options. */
const ofClient = ({ config }: PgClient.PgClient): Pg.ClientConfig => ({
  ...(config.url === undefined ? {} : { connectionString: Redacted.value(config.url) }),
  ...definedOnly({
    host: config.host,
    port: config.port,
    database: config.database,
    user: config.username,
    password: config.password === undefined ? undefined : Redacted.value(config.password),
    ssl: config.ssl
  }),
  ...(config.stream === undefined ? {} : { stream: config.stream })
})

/** The settings of an existing pool. The pool hides its password from `Object.entries`. */
const ofPool = ({ options }: Pg.Pool): Pg.ClientConfig => ({
  ...definedOnly({
    connectionString: options.connectionString,
    host: options.host,
    port: options.port,
    database: options.database,
    user: options.user,
    password: options.password,
    ssl: options.ssl,
    options: options.options
  }),
  ...(options.stream === undefined ? {} : { stream: options.stream })
})

const definedOnly = <A extends object>(fields: A): Partial<A> => {
  const copy: Partial<A> = { ...fields }
  for (const key in copy) if (copy[key] === undefined) delete copy[key]
  return copy
}

/** What a connection string says, as fields, because `pg` would let a connection string win over fields. */
const ofString = (text: string): Pg.ClientConfig => {
  const { database, host: name, password, port, ssl, user } = new Pg.Client(text)
  const parameters = isSocketPath(text) ? undefined : parseUrl(text)?.searchParams
  return {
    ...Object.fromEntries(Array.from(parameters ?? []).filter(([key]) => !sslParameters.has(key))),
    ...definedOnly({ host: name, port, database, user, password }),
    ssl
  }
}

/** The settings of connections, for `pg`. `settings` are for the server, as on its command line. */
export type Connect = (settings: string | null) => Pg.ClientConfig

/** How to connect by options without problems. */
export const make = (options: ConnectionOptions, connectMillis: number): Connect => {
  const { connectionString, ...fields }: Pg.ClientConfig = options.pool !== undefined
    ? ofPool(options.pool)
    : options.client !== undefined
    ? ofClient(options.client)
    : options.url === undefined
    ? {}
    : { connectionString: Redacted.value(options.url) }
  const given: Pg.ClientConfig = {
    ...(connectionString === undefined ? {} : ofString(connectionString)),
    ...fields,
    ...definedOnly({
      host: options.host,
      port: options.port,
      database: options.database,
      user: options.user,
      password: options.password === undefined ? undefined : Redacted.value(options.password),
      ssl: options.ssl,
      application_name: options.applicationName
    })
  }
  const own = given.options ?? process.env["PGOPTIONS"]
  return (settings) => {
    const all = [own, settings ?? undefined].filter((text) => text !== undefined)
    return {
      ...given,
      ...(all.length === 0 ? {} : { options: all.join(" ") }),
      application_name: given.application_name ?? "perdure",
      connectionTimeoutMillis: connectMillis,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MILLIS
    }
  }
}
