/**
 * Builds every package and packs it as it would be published, into `dist/tarballs`. A published manifest has no field
 * that serves only this repository (`scripts`, `devDependencies`, `workspaces`), so it differs from the one in git.
 *
 *   npm run pack
 *   npm publish dist/tarballs/perdure-0.1.0.tgz
 */
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath, pathToFileURL } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

/** Where the tarballs are. */
const tarballs = `${root}dist/tarballs`

/** Where the files of each tarball are collected, by the name of its package. */
const staged = `${root}node_modules/.cache/staged`

/** The fields of a published manifest. */
const published = [
  "name",
  "version",
  "description",
  "keywords",
  "homepage",
  "bugs",
  "repository",
  "license",
  "type",
  "engines",
  "sideEffects",
  "exports",
  "files",
  "dependencies",
  "peerDependencies",
  "peerDependenciesMeta"
]

/** The folders of the packages: the core first. */
export const folders = [root, ...readdirSync(`${root}packages`).map((name) => `${root}packages/${name}/`)]

/** Runs a command to its end. Throws if it fails. */
export const run = (command, args, options = {}) => {
  const { error, status } = spawnSync(command, args, { cwd: root, stdio: "inherit", ...options })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed with code ${status}`)
}

const isPublished = (path) => !path.endsWith(".tsbuildinfo") && path !== tarballs

/** Packs one package. Returns its name, its manifest, the folder of its files and the path of its tarball. */
const packOne = (folder) => {
  const source = JSON.parse(readFileSync(`${folder}package.json`, "utf8"))
  const manifest = Object.fromEntries(
    published.filter((field) => source[field] !== undefined).map((field) => [field, source[field]])
  )
  const home = `${staged}/${manifest.name}`
  mkdirSync(home, { recursive: true })
  const files = ["README.md", "LICENSE", ...manifest.files.filter((name) => !name.startsWith("!"))]
  for (const name of files) {
    if (!existsSync(`${folder}${name}`)) throw new Error(`${folder}${name} is missing`)
    // The folder `dist` of the core also has the tarballs.
    cpSync(`${folder}${name}`, `${home}/${name}`, { recursive: true, filter: isPublished })
  }
  writeFileSync(`${home}/package.json`, `${JSON.stringify(manifest, null, 2)}\n`)
  run("npm", ["pack", "--silent", "--pack-destination", tarballs], { cwd: home })
  const file = `${manifest.name.replace("@", "").replace("/", "-")}-${manifest.version}.tgz`
  return { name: manifest.name, manifest, home, tarball: `${tarballs}/${file}` }
}

/** Builds and packs all packages. */
export const packAll = () => {
  // What an earlier build left (a renamed module) must not be published.
  for (const folder of [staged, ...folders.map((folder) => `${folder}dist`)]) {
    rmSync(folder, { recursive: true, force: true })
  }
  run("npm", ["run", "--silent", "build"])
  mkdirSync(tarballs, { recursive: true })
  return folders.map(packOne)
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const { tarball } of packAll()) console.log(tarball)
}
