/** Limits of a search, and the sentence with which one that met a limit ends. */

export interface Limits {
  /** Stop after this many states. */
  readonly maxStates: number;
  /** Bytes that tables, levels and parents may take together, also while one of them grows. */
  readonly maxBytes?: number;
}

/** Groups of three digits: 1,048,576. */
export const grouped = (number: number): string => String(number).replace(/\B(?=(\d{3})+$)/g, ',');

/** 1.5 GiB, 64 MiB, 512 bytes. */
export function sizeOf(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let amount = bytes;
  for (; amount >= 1024 && unit < units.length - 1; unit += 1) amount /= 1024;
  return `${Number.isInteger(amount) ? amount : amount.toFixed(1)} ${units[unit]}`;
}

export const tooManyStates = (most: number): string => `the limit of ${grouped(most)} states is reached`;
export const tooManyBytes = (most: number, bytes: number, growth: number): string =>
  `the memory limit of ${sizeOf(most)} is reached: ${sizeOf(bytes)} are taken, and going on may take ${sizeOf(growth)} more`;
export const noMemory = (bytes: number): string => `there is no more memory to be had; ${sizeOf(bytes)} are taken`;

/**
 * The verdict of a search that found nothing and did not search everything. What was not looked at is not counted among
 * the states in which nothing was found.
 */
export function partialVerdict(found: {
  readonly states: number;
  readonly expanded: number;
  readonly why?: string;
}): string {
  const more = found.states - found.expanded;
  const rest = more === 0 ? '' : `; ${grouped(more)} more were met and not looked at`;
  return `nothing found in ${grouped(found.expanded)} states; not exhaustive: ${found.why ?? 'it was cut short'}${rest}`;
}

/** Is this what a typed array says for which there is no room? */
export const isNoMemory = (error: unknown): boolean =>
  error instanceof RangeError && /allocation failed|typed array length|array buffer length/i.test(error.message);
