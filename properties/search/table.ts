/**
 * What tables of keys have in common: how keys are spread, when a table grows, and where its memory comes from.
 *
 * A table grows by half: at worst half of its places are free then, where doubling leaves three of five free. Room is
 * reserved far ahead in large tables: pages of a large array that were never written to take no memory, so growing
 * takes no more than what it adds.
 */

/** Keys seen lately, direct-mapped: small enough for a fast cache, and most repetitions come soon. */
export const RECENT = 1 << 15;
/** A table grows when it is fuller than this, and so much. */
const FULLEST = 0.78;
const GROWS = 1.5;
/** Places for which room is reserved at once: a small table, and then one that is as large as most ever get. */
const RESERVES = [1 << 14, 1 << 18, 1 << 28];

/** The capacity that `count` keys need in a table that has `capacity` now. */
export function capacityFor(count: number, capacity: number): number {
  let enough = capacity;
  while (count > enough * FULLEST) enough = Math.floor(enough * GROWS);
  return enough;
}
/** Every bit of the key matters to the upper bits of this, which say where its home is. */
export function hash(low: number, high: number): number {
  const h = Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x7feb352d);
  return Math.imul(h ^ (h >>> 15), 0x846ca68b);
}
export const roomFor = (capacity: number): number => RESERVES.find((room) => room >= capacity) ?? capacity * 2;
/** An array with so much room, or with as much as is to be had if that is enough. */
export function reserved(room: number, least: number): Int32Array {
  try {
    return new Int32Array(room);
  } catch (error) {
    if (room <= least || !(error instanceof RangeError)) throw error;
    return reserved(Math.max(least, Math.floor(room / 4)), least);
  }
}
