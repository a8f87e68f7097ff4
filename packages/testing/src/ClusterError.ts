/**
 * The error of test servers and databases.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * A test server or database failed. `operation` names the operation that failed.
 *
 * @since 0.1.0
 * @category errors
 */
export class ClusterError extends Schema.TaggedError<ClusterError>("@perdure/testing/ClusterError")("ClusterError", {
  operation: Schema.String,
  detail: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `${this.operation}: ${this.detail}`
  }
}
