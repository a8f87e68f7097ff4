/** Pings, in columns of `workers`: the last one that was sent, and the last one that the worker answered. */

/** The ping of worker `w` that it has not answered, or null. */
export const openPing = "CASE WHEN w.ping IS DISTINCT FROM w.pong THEN w.ping END"
