/**
 * The state of every kernel object is declared once, as a schema, next to the instructions that use it.
 *
 * Why: the TypeScript type, the boot value, the packed layout, the fingerprint, the diff and the pretty-printer all
 * follow from the declaration, so a step can run on an immer draft, on a plain object and on a recording view of
 * packed state without anybody writing it twice. Everything that can ever exist is declared at boot; keys are never
 * added or deleted, so equal states are equal texts.
 */

/** What one field may hold. `T` is only carried in the type. */
export interface Kind<T> {
  readonly kind: 'flag' | 'int' | 'oneOf' | 'name' | 'whole' | 'constant';
  /** The value at boot when the design says nothing. */
  readonly empty: T;
  readonly maybe?: true;
  /** Largest value of an `int`, inclusive; the smallest is 0. */
  readonly max?: number;
  /** The timeline whose sequence numbers these are: only their distance means anything. */
  readonly timeline?: string;
  /** Legal values of a `oneOf`. */
  readonly values?: readonly string[];
  /** The table whose entries a `name`, or a constant that is a name, may name. */
  readonly of?: string;
}

type Fields = Record<string, Kind<unknown>>;
type Row<F extends Fields> = { [K in keyof F]: F[K] extends Kind<infer T> ? T : never };

/** A table of records: one row an object, one slot a field. */
export interface Table<F extends Fields> {
  readonly kind: 'table';
  readonly fields: F;
}
/** A table whose rows are one slot each. */
export interface TableOf<T> {
  readonly kind: 'tableOf';
  readonly row: Kind<T>;
}
/** A value of its own, outside any table. */
export type Slice = Table<Fields> | TableOf<unknown> | Kind<unknown>;
export type Schema = Record<string, Slice>;

/** The TypeScript type of a schema: what the ops see. */
export type Kept<S> = {
  [K in keyof S]: S[K] extends Table<infer F>
    ? Record<string, Row<F>>
    : S[K] extends TableOf<infer T>
      ? Record<string, T>
      : S[K] extends Kind<infer T>
        ? T
        : never;
};

export const flag: Kind<boolean> = { kind: 'flag', empty: false };
export const int = (max: number): Kind<number> => ({ kind: 'int', empty: 0, max });
/**
 * A sequence number of this timeline: it goes round after so many numbers, and is compared with others of the timeline
 * by difference, as `__dma_fence_is_later` does.
 */
export const seqno = (timeline: string, numbers: number): Kind<number> => ({ ...int(numbers - 1), timeline });
export const oneOf = <const V extends readonly string[]>(...values: V): Kind<V[number]> => ({
  kind: 'oneOf',
  empty: values[0] as V[number],
  values,
});
/** The name of a row of another table. */
export const name = (of: string): Kind<string> => ({ kind: 'name', empty: '', of });
export const maybe = <T>(kind: Kind<T>): Kind<T | null> => ({ ...kind, empty: null, maybe: true });
/** Any JSON value, kept and compared as a whole: one slot. */
export const whole = <T>(empty: T): Kind<T> => ({ kind: 'whole', empty });
/** Fixed at boot by the design; never part of the state, free to read. */
export const constant = <T>(empty: T): Kind<T> => ({ kind: 'constant', empty });
/** Fixed at boot, and names a routine or a row of this table; empty when it names none. */
export const fixedName = (of: string): Kind<string> => ({ kind: 'constant', empty: '', of });
export const table = <F extends Fields>(fields: F): Table<F> => ({ kind: 'table', fields });
export const tableOf = <T>(row: Kind<T>): TableOf<T> => ({ kind: 'tableOf', row });

/** JSON with sorted keys: the one text by which values are compared, hashed and interned. */
export function canonical(value: unknown): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const entries = Object.keys(value).sort();
  return `{${entries.map((key) => `${JSON.stringify(key)}:${canonical((value as Record<string, unknown>)[key])}`).join(',')}}`;
}

/** Why `value` may not stand in a field of this kind, or nothing. `rows` lists the rows of a table. */
export function misfit(
  kind: Kind<unknown>,
  value: unknown,
  rows: (table: string) => readonly string[],
): string | undefined {
  if (value === null && kind.maybe) return undefined;
  switch (kind.kind) {
    case 'flag':
      return typeof value === 'boolean' ? undefined : `${canonical(value)} is not true or false`;
    case 'int': {
      const fits = Number.isInteger(value) && (value as number) >= 0 && (value as number) <= (kind.max ?? 0);
      return fits ? undefined : `${canonical(value)} is not a whole number from 0 to ${kind.max}`;
    }
    case 'oneOf':
      return kind.values?.includes(value as string)
        ? undefined
        : `${canonical(value)} is none of: ${kind.values?.join(', ')}`;
    case 'name': {
      const known = rows(kind.of ?? '');
      return known.includes(value as string)
        ? undefined
        : `unknown ${kind.of} ${canonical(value)}; there are: ${known.join(', ') || 'none'}`;
    }
    case 'constant': {
      const known = kind.of === undefined || value === '' ? undefined : rows(kind.of);
      return known === undefined || known.includes(value as string)
        ? undefined
        : `unknown ${kind.of} ${canonical(value)}; there are: ${known.join(', ') || 'none'}`;
    }
    case 'whole':
      return value === undefined ? 'a value is missing' : undefined;
  }
}

/** One mutable cell of the state: `['locks', 'process.lock', 'owner']`. */
export interface Slot {
  readonly path: readonly string[];
  readonly kind: Kind<unknown>;
}

/** All mutable cells of a state, in the order of declaration: the packed layout. */
export function slotsOf(schema: Schema, state: Record<string, unknown>): Slot[] {
  const slots: Slot[] = [];
  for (const [slice, shape] of Object.entries(schema)) {
    if (shape.kind === 'table') {
      for (const row of Object.keys(state[slice] as object))
        for (const [field, kind] of Object.entries(shape.fields))
          if (kind.kind !== 'constant') slots.push({ path: [slice, row, field], kind });
    } else if (shape.kind === 'tableOf') {
      for (const row of Object.keys(state[slice] as object)) slots.push({ path: [slice, row], kind: shape.row });
    } else if (shape.kind !== 'constant') {
      slots.push({ path: [slice], kind: shape });
    }
  }
  return slots;
}

/**
 * The boot state: what the design gives, and the empty value of every field it leaves out.
 * @param routines the names that a constant of 'routines' may take
 * @throws when a field, a value or a name does not exist, listing what does
 */
export function bootState(
  schema: Schema,
  given: Record<string, unknown>,
  routines: readonly string[] = [],
): Record<string, unknown> {
  const unknown = Object.keys(given).filter((slice) => !(slice in schema));
  if (unknown.length > 0)
    throw new Error(`unknown objects "${unknown[0]}"; there are: ${Object.keys(schema).sort().join(', ')}`);
  const state: Record<string, unknown> = {};
  for (const [slice, shape] of Object.entries(schema)) {
    const value = given[slice];
    if (shape.kind === 'table') {
      const rows: Record<string, unknown> = {};
      for (const [row, start] of Object.entries((value ?? {}) as Record<string, Record<string, unknown>>)) {
        const odd = Object.keys(start).find((field) => !(field in shape.fields));
        if (odd)
          throw new Error(`${slice}.${row} has no field "${odd}"; there are: ${Object.keys(shape.fields).join(', ')}`);
        rows[row] = Object.fromEntries(
          Object.entries(shape.fields).map(([field, kind]) => [field, structuredClone(start[field] ?? kind.empty)]),
        );
      }
      state[slice] = rows;
    } else if (shape.kind === 'tableOf') {
      state[slice] = structuredClone(value ?? {});
    } else {
      state[slice] = structuredClone(value ?? shape.empty);
    }
  }
  for (const { path, kind } of [...slotsOf(schema, state), ...constantsOf(schema, state)]) {
    const why = misfit(kind, read(state, path), (of) => (of === 'routines' ? routines : Object.keys(state[of] ?? {})));
    if (why) throw new Error(`${path.join('.')}: ${why}`);
  }
  return state;
}

/** What the design fixed at boot, by its path. */
const constantsOf = (schema: Schema, state: Record<string, unknown>): Slot[] =>
  Object.entries(schema).flatMap(([slice, shape]) =>
    shape.kind !== 'table'
      ? []
      : Object.keys(state[slice] as object).flatMap((row) =>
          Object.entries(shape.fields)
            .filter(([, kind]) => kind.kind === 'constant')
            .map(([field, kind]) => ({ path: [slice, row, field], kind })),
        ),
  );

/** The value at a path. */
export const read = (state: unknown, path: readonly string[]): unknown =>
  path.reduce((at: unknown, key) => (at as Record<string, unknown>)[key], state);
