/**
 * Tools for tests, benches and demos. `TestDatabase` and `globalSetup` are for files that vitest runs, so they are
 * imported by their own names only.
 *
 * @since 0.1.0
 */
export * as Cluster from "./Cluster.js"
export * as ClusterError from "./ClusterError.js"
export * as EagerTimers from "./EagerTimers.js"
export * as FaultProxy from "./FaultProxy.js"
export * as TransactionPooler from "./TransactionPooler.js"
export { type AroundVerb, mapDriver } from "./mapDriver.js"
