/**
 * The values behind the numbers of packed states, as texts. Numbers follow the order of discovery and mean nothing to
 * another run; learned again from these texts, before anything else, they become the same numbers, so that packed
 * states can be written down as they are.
 */
import { canonical } from '../../../model/schema.ts';
import type { Packing } from '../packed.ts';

/** Canonical texts by field ('locks.owner'), in the order of their numbers. */
export type Values = Readonly<Record<string, readonly string[]>>;

/** One slot of every field: values are numbered by field. */
const fieldsOf = (packing: Packing): Map<string, number> => {
  const fields = new Map<string, number>();
  packing.slots.forEach(({ path }, slot) => {
    const field = path.length === 3 ? `${path[0]}.${path[2]}` : (path[0] as string);
    if (!fields.has(field)) fields.set(field, slot);
  });
  return fields;
};

export const valuesOf = (packing: Packing): Values =>
  Object.fromEntries(
    [...fieldsOf(packing)].map(([field, slot]) => {
      const texts: string[] = [];
      for (let id = 0; packing.value(slot, id) !== undefined; id += 1) texts.push(canonical(packing.value(slot, id)));
      return [field, texts];
    }),
  );

/** @throws when a value does not fit its field, or has another number already */
export function learnValues(packing: Packing, values: Values): void {
  const fields = fieldsOf(packing);
  for (const field of Object.keys(values)) if (!fields.has(field)) throw new Error(`there is no field ${field}`);
  for (const [field, slot] of fields) {
    const texts = values[field];
    if (!texts) throw new Error(`it says nothing about the field ${field}`);
    texts.forEach((text, number) => {
      const got = packing.intern(slot, JSON.parse(text));
      if (got !== number) throw new Error(`${field} ${text} has number ${got} here, not ${number}`);
    });
  }
}
