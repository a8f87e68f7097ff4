/** The last instant that a `Date` can be, in milliseconds since the epoch. What Postgres can store ends somewhat later. */
const LAST = 8.64e15

/** When something is due: beyond the end of all calendars is never. */
export const dueAt = (millis: number): number => millis > LAST ? Infinity : millis
