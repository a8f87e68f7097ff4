import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { packageFolders, read, sources } from "./sources.js"

const root = fileURLToPath(new URL("../..", import.meta.url))

interface Manifest {
  readonly name: string
  readonly version: string
  readonly description: string
  readonly keywords: ReadonlyArray<string>
  readonly homepage: string
  readonly bugs: string
  readonly license: string
  readonly engines: Readonly<Record<string, string>>
  readonly repository: { readonly url: string; readonly directory?: string }
  readonly files: ReadonlyArray<string>
  readonly exports: Readonly<Record<string, unknown>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

const manifestOf = (folder: string): Manifest => JSON.parse(read(`${folder}package.json`).text)

const core = manifestOf("")
const packages = packageFolders.map((folder) => ({ folder, manifest: manifestOf(folder) }))
const names = new Set(packages.map(({ manifest }) => manifest.name))

/** The package that a module name belongs to. */
const packageOf = (module: string): string => module.split("/").slice(0, module.startsWith("@") ? 2 : 1).join("/")

/** The packages that the sources of a folder import, also for their types only. */
const importsOf = (folder: string): ReadonlySet<string> =>
  new Set(
    sources.filter(({ path }) => path.startsWith(`${folder}src/`)).flatMap(({ uncommented }) =>
      [...uncommented.matchAll(/^(?:import|export) [^"]*?from "([^".][^"]*)"/gm)].flatMap(([, module = ""]) =>
        module.startsWith("node:") ? [] : [packageOf(module)]
      )
    )
  )

describe.each(packages)("the manifest of $manifest.name", ({ folder, manifest }) => {
  it("says what the package is, and where", () => {
    const { bugs, description, engines, homepage, keywords, license, repository, version } = manifest
    assert.isAbove(description.length, 10)
    assert.isAbove(keywords.length, 3)
    assert.isTrue(homepage.startsWith("https://") && bugs.startsWith("https://"))
    assert.strictEqual(repository.url, core.repository.url)
    assert.strictEqual(repository.directory, folder === "" ? undefined : folder.slice(0, -1))
    assert.deepStrictEqual([license, version, engines], [core.license, core.version, core.engines])
  })

  it("publishes a README and the licence, and no files of the compiler", () => {
    assert.isTrue(existsSync(`${root}${folder}README.md`))
    assert.strictEqual(readFileSync(`${root}${folder}LICENSE`, "utf8"), readFileSync(`${root}LICENSE`, "utf8"))
    assert.include(manifest.files, "!**/*.tsbuildinfo")
  })

  it("exports its manifest, and each file that it publishes beside the code", () => {
    assert.propertyVal(manifest.exports, "./package.json", "./package.json")
    for (const file of manifest.files.filter((name) => name.endsWith(".sql"))) {
      assert.propertyVal(manifest.exports, `./${file}`, `./${file}`)
    }
  })

  it("declares all that its sources import", () => {
    const declared = new Set([
      manifest.name,
      ...Object.keys(manifest.dependencies ?? {}),
      ...Object.keys(manifest.peerDependencies ?? {})
    ])
    assert.deepStrictEqual([...importsOf(folder)].filter((name) => !declared.has(name)), [])
  })

  it("takes other authors' packages by a range, and this repository's in its own version", () => {
    for (const [name, range] of Object.entries({ ...manifest.dependencies, ...manifest.peerDependencies })) {
      const isOwn = names.has(name)
      if (isOwn) assert.include([core.version, `^${core.version}`], range, name)
      else assert.isTrue(range.startsWith("^"), `${name} ${range}`)
    }
  })
})
