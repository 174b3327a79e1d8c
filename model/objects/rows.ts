/**
 * Rows of several objects, put together: an object that needs rows in more than one table says so in one place, and a
 * design adds them up.
 */
import type { Rows } from '../machine.ts';
export type { Rows };

/** All of these rows; of a row that stands in several parts, the later one decides each field. */
export function together(...parts: readonly Rows[]): Rows {
  const all: Record<string, Record<string, Record<string, unknown>>> = {};
  for (const part of parts)
    for (const [slice, rows] of Object.entries(part))
      for (const [name, row] of Object.entries(rows)) (all[slice] ??= {})[name] = { ...all[slice]?.[name], ...row };
  return all;
}
