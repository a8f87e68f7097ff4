/**
 * Hints: notifications that storage may have changed.
 *
 * @since 0.1.0
 */

/**
 * A notification that something may have changed. Hints can be lost or repeated, so every reader of hints also polls.
 *
 * @since 0.1.0
 * @category models
 */
export type Hint =
  /** A run of this queue may be claimable. */
  | { readonly _tag: "Ready"; readonly queue: string }
  /** The inbox of a run that this worker holds has changed, or the run is to be paused. */
  | { readonly _tag: "Inbox"; readonly worker: string; readonly run: string }
  /** A run that a caller of `await` named is final, or has published a value. */
  | { readonly _tag: "Changed"; readonly run: string }
  /** This worker is to answer the ping. */
  | { readonly _tag: "Ping"; readonly worker: string; readonly nonce: string }
  /** A schedule with these `needs` was changed, and may be due earlier than it was. */
  | { readonly _tag: "Scheduled"; readonly needs: string }
