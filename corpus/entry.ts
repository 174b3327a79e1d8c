/**
 * An entry of the corpus: one thing we have seen, as JSON that a person can read and edit.
 *
 * It holds the words of the schedule and never a seed, so it outlives every change of the generators; and it holds a
 * hash of every program of the design, so that a later reader learns what changed under it. Entries come from
 * outside: they are parsed, never trusted.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Case } from '../model/case.ts';
import { type Booted, PROPERTIES } from '../model/design.ts';
import { canonical } from '../model/schema.ts';

export const FORMAT = 1;
export const MAX_WORDS = 100_000;
/** A deeper nesting than any entry has; refused before anything looks at it. */
const MAX_DEPTH = 8;

/** Text without control characters: it is printed to terminals. */
const text = (longest: number) =>
  z
    .string()
    .max(longest)
    .refine((value) => !/[^\P{Cc}\n]/u.test(value), 'control characters are not allowed');
const name = text(200).min(1);
const word = text(200).min(1);
const count = z.number().int().nonnegative();
const words = z.array(word).max(MAX_WORDS);
const record = <T extends z.ZodType>(value: T, most: number) =>
  z.record(name, value).refine((all) => Object.keys(all).length <= most, `more than ${most} entries`);

const convicted = z.strictObject({
  verdict: z.literal('convicted'),
  property: z.enum(PROPERTIES),
  kind: name,
});
const acquitted = z.strictObject({
  verdict: z.literal('acquitted'),
  states: count,
  transitions: count,
  /** Steps of the longest shortest way to a state. */
  depth: count,
  /** Situations that were reached: an acquittal without them says nothing. */
  witnesses: z.array(name).max(10_000),
  /** Timers fire only when no fair thread can move. */
  time: z.literal('patient'),
});

const schema = z.strictObject({
  format: z.literal(FORMAT),
  title: text(500),
  design: name,
  knobs: record(name, 100),
  workload: record(z.array(text(500)).max(1000), 100),
  schedule: words,
  /** Words that lead back to the state after `schedule`. */
  loop: words.exactOptional(),
  expect: z.discriminatedUnion('verdict', [convicted, acquitted]),
  found: z.strictObject({
    by: z.enum(['sweep', 'fuzz']),
    strategy: name.exactOptional(),
    seed: z.number().int().exactOptional(),
    runs: count.exactOptional(),
    steps: count.exactOptional(),
    /** Of a counterexample: 'proved', or 'not proved: ' and why. */
    shortest: text(500)
      .refine(
        (value) => value === 'proved' || value.startsWith('not proved: '),
        "must be 'proved' or begin with 'not proved: '",
      )
      .exactOptional(),
  }),
  /** Who argues about it: mails, kernel files, rule ids. */
  sources: z.array(text(500)).max(100),
  /** Hashes of the programs, threads and objects of the design when this was recorded. */
  programs: record(text(64), 2000),
  note: text(10_000).exactOptional(),
});

export type Entry = z.infer<typeof schema>;
export type Convicted = Extract<Entry['expect'], { verdict: 'convicted' }>;
export type Acquitted = Extract<Entry['expect'], { verdict: 'acquitted' }>;

/** An entry, or what is wrong with the text and where, in one line. */
export type Parsed = { readonly entry: Entry } | { readonly wrong: string };

/** Read an entry from text of which nothing is known. */
export function parseEntry(source: string): Parsed {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (error) {
    return { wrong: `not JSON: ${oneLine((error as Error).message)}` };
  }
  const hostile = hostileAt(value, '', 0);
  if (hostile !== undefined) return { wrong: hostile };
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    return { wrong: 'not an entry: the file must hold one JSON object' };
  const format = 'format' in value ? value.format : undefined;
  if (format !== FORMAT)
    return {
      wrong: `format: ${format === undefined ? 'missing' : `unknown version ${oneLine(canonical(format))}`}; this fenceproof reads format ${FORMAT}`,
    };
  const parsed = schema.safeParse(value);
  if (parsed.success) return { entry: parsed.data };
  const [issue] = parsed.error.issues;
  return { wrong: issue ? `${placeOf(issue.path)}: ${oneLine(issue.message)}` : 'not an entry' };
}

/** The first key or depth that no entry has, by place; such a value is not even shown to the schema. */
function hostileAt(value: unknown, place: string, depth: number): string | undefined {
  if (value === null || typeof value !== 'object') return undefined;
  if (depth >= MAX_DEPTH) return `${place.slice(0, 60) || 'the file'}: nested deeper than ${MAX_DEPTH} levels`;
  for (const key of Object.keys(value)) {
    const at = Array.isArray(value) ? `${place}[${key}]` : place === '' ? oneLine(key) : `${place}.${oneLine(key)}`;
    if (key === '__proto__') return `${at}: this key is not allowed`;
    const why = hostileAt((value as Record<string, unknown>)[key], at, depth + 1);
    if (why !== undefined) return why;
  }
  return undefined;
}

const placeOf = (path: readonly PropertyKey[]): string =>
  path
    .map((key, at) => (typeof key === 'number' ? `[${key}]` : `${at > 0 ? '.' : ''}${oneLine(String(key))}`))
    .join('') || 'the entry';
const oneLine = (message: string): string => message.replace(/\p{Cc}+/gu, ' ').slice(0, 200);

/** The entry as a person reads it: keys always in the same order, one word of the schedule a line. */
export function writeEntry(entry: Entry): string {
  const { format, title, design, knobs, workload, schedule, loop, expect, found, sources, programs, note } = entry;
  const ordered: Entry = {
    format,
    title,
    design,
    knobs,
    workload,
    schedule,
    ...(loop ? { loop } : {}),
    expect,
    found,
    sources,
    ...(note === undefined ? {} : { note }),
    programs: Object.fromEntries(Object.entries(programs).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))),
  };
  return `${JSON.stringify(ordered, null, 2)}\n`;
}

/** What it takes to see the entry again. */
export const caseOf = ({ design, knobs, workload, schedule, loop }: Entry): Case => ({
  design,
  knobs,
  workload,
  schedule,
  ...(loop ? { loop } : {}),
});

/** What the entry is about: entries with equal identities are the same finding, whatever way leads there. */
export const identityOf = ({ design, knobs, expect }: Pick<Entry, 'design' | 'knobs' | 'expect'>): string =>
  canonical(
    expect.verdict === 'convicted'
      ? { design, knobs, property: expect.property, kind: expect.kind }
      : { design, knobs, acquitted: true },
  );

/** Eight hex digits that change when the value does. */
export const hashOf = (value: unknown): string =>
  createHash('sha256').update(canonical(value)).digest('hex').slice(0, 8);

/**
 * A hash of every part of a booted design, by name: routines, calls and threads under their own names, objects as
 * 'locks.process.lock'. Routines that all designs share are left out: they are part of the machine.
 */
export function programsOf({ design, knobs, machine }: Booted): Record<string, string> {
  const kernel = design.kernel(knobs);
  const parts: Record<string, unknown> = {};
  for (const routine of Object.keys(kernel.routines ?? {})) parts[routine] = machine.programs[routine];
  for (const [call, { params }] of Object.entries(kernel.calls ?? {}))
    parts[call] = { params, program: machine.programs[call] };
  for (const [thread, { kind, begins, atomic, rows }] of Object.entries(kernel.threads))
    parts[thread] = {
      kind,
      begins,
      atomic: atomic ?? false,
      rows: rows?.(thread) ?? {},
      program: machine.programs[thread],
    };
  for (const [slice, rows] of Object.entries(kernel.objects ?? {}))
    for (const [row, start] of Object.entries(rows)) parts[`${slice}.${row}`] = start;
  return Object.fromEntries(
    Object.entries(parts)
      .map(([part, value]) => [part, hashOf(value)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** What differs between the design as recorded and as it is: one line a part, empty when nothing does. */
export function changes(then: Readonly<Record<string, string>>, now: Readonly<Record<string, string>>): string[] {
  const gone = Object.keys(then).filter((part) => !Object.hasOwn(now, part));
  const fresh = Object.keys(now).filter((part) => !Object.hasOwn(then, part));
  const other = Object.keys(then).filter((part) => Object.hasOwn(now, part) && now[part] !== then[part]);
  return [
    ...other.map((part) => `${part} changed`),
    ...gone.map((part) => `${part} is gone`),
    ...fresh.map((part) => `${part} is new`),
  ];
}
