/** A module of `pg` that it exports and does not type: how it writes a JavaScript value as a parameter. */
declare module "pg/lib/utils.js" {
  const utils: { readonly prepareValue: (value: unknown) => string | Uint8Array | null }
  export default utils
}
