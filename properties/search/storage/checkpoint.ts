/**
 * A search between two levels as bytes, and back. What is read here was perhaps cut off by a full disk, made by another
 * version, or belongs to another design: all that is refused in one line, and nothing of it is believed before the
 * checksum was.
 *
 * The file: a line with the format's name and version; the length of the header; the header as JSON (what the search
 * is about, its facts, which arrays follow); the arrays, each on a multiple of eight bytes; a SHA-256 of all that.
 */
import { createHash } from 'node:crypto';
import { canonical } from '../../../model/schema.ts';
import type { Snapshot } from './breadth.ts';
import { grouped } from './limits.ts';
import type { Arrays } from './seen.ts';

/** What the checkpoint is of, by name: design, knobs, mode, … Every part must be the same to go on. */
export type About = Readonly<Record<string, string>>;

const FORMAT = 2;
const MAGIC = 'fenceproof checkpoint ';
const CHECKSUM = 32;
const ALIGN = 8;
/** Arrays are written as they stand in memory, so another order of bytes is another format. */
const ORDER = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 'little' : 'big';

const KINDS = { u8: Uint8Array, u16: Uint16Array, i32: Int32Array, f64: Float64Array } as const;
type KindName = keyof typeof KINDS;

interface Header {
  readonly order: string;
  readonly about: About;
  readonly facts: Snapshot['facts'];
  readonly arrays: readonly { readonly name: string; readonly kind: KindName; readonly length: number }[];
}

export const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The bytes in pieces, to be written one after another; views of the search, valid until it goes on. */
export function encodeCheckpoint(about: About, { facts, arrays }: Snapshot): Uint8Array<ArrayBuffer>[] {
  const named = Object.entries(arrays);
  const header: Header = {
    order: ORDER,
    about,
    facts,
    arrays: named.map(([name, array]) => ({ name, kind: kindOf(array), length: array.length })),
  };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const line = `${MAGIC}${FORMAT}\n${text.length}\n`;
  const pieces = [new TextEncoder().encode(line), text];
  let at = line.length + text.length;
  for (const [, array] of named) {
    const padding = (ALIGN - (at % ALIGN)) % ALIGN;
    pieces.push(
      new Uint8Array(padding),
      new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength),
    );
    at += padding + array.byteLength;
  }
  const checksum = createHash('sha256');
  for (const piece of pieces) checksum.update(piece);
  return [...pieces, new Uint8Array(checksum.digest())];
}

/**
 * @param about what this search is about; whatever differs is named
 * @throws in one line, when the bytes are no checkpoint, are damaged, or are of another version or search
 */
export function decodeCheckpoint(bytes: Uint8Array, about: About): Snapshot {
  const magic = new TextDecoder().decode(bytes.subarray(0, MAGIC.length));
  if (magic !== MAGIC) throw new Error('this is not a checkpoint of fenceproof');
  const { text: version, next: afterVersion } = lineAt(bytes, MAGIC.length);
  if (version !== String(FORMAT))
    throw new Error(`the checkpoint has format ${version.slice(0, 20)}; this fenceproof reads format ${FORMAT}`);
  const { text: size, next: start } = lineAt(bytes, afterVersion);
  const header = start + Number(size);
  if (!/^\d+$/.test(size) || bytes.length < header + CHECKSUM) throw new Error(cutShort(bytes.length));
  const end = bytes.length - CHECKSUM;
  const checksum = createHash('sha256').update(bytes.subarray(0, end)).digest();
  const whole = checksum.equals(bytes.subarray(end));
  const parsed = headerOf(new TextDecoder().decode(bytes.subarray(start, header)));
  if (!parsed) throw new Error(DAMAGED);
  const { places, total } = placesOf(parsed, header);
  if (total > end) throw new Error(cutShort(bytes.length, total + CHECKSUM));
  if (!whole || total !== end) throw new Error(DAMAGED);
  if (parsed.order !== ORDER)
    throw new Error(`the checkpoint was written on a ${parsed.order}-endian machine; this one is ${ORDER}-endian`);
  for (const part of new Set([...Object.keys(parsed.about), ...Object.keys(about)]))
    if (parsed.about[part] !== about[part])
      throw new Error(
        `the checkpoint is of another search: its ${part} is ${parsed.about[part] ?? 'not given'}, and here it is ${about[part] ?? 'not given'}`,
      );
  const arrays: Arrays = {};
  parsed.arrays.forEach(({ name, kind, length }, nth) => {
    const array = new KINDS[kind](length);
    const at = places[nth] as number;
    new Uint8Array(array.buffer).set(bytes.subarray(at, at + array.byteLength));
    arrays[name] = array;
  });
  return { facts: parsed.facts, arrays };
}

/**
 * What tells one system from another: its processes, its cells, and its start.
 * @param programs whatever else decides what its steps do, as data
 */
export const systemHash = (
  system: { readonly processes: readonly string[]; readonly boot: object; readonly schema: object },
  programs: unknown = null,
): string => hashOf(canonical([system.processes, system.boot, system.schema, programs]));

const DAMAGED = 'the checkpoint is damaged: its checksum does not match its content';
const cutShort = (bytes: number, wanted?: number): string =>
  `the checkpoint is cut short: it has ${grouped(bytes)} bytes${wanted === undefined ? '' : ` of ${grouped(wanted)}`}`;

function kindOf(array: Arrays[string]): KindName {
  return (Object.keys(KINDS) as KindName[]).find((kind) => array instanceof KINDS[kind]) as KindName;
}
function lineAt(bytes: Uint8Array, from: number): { text: string; next: number } {
  const end = bytes.subarray(from, from + 32).indexOf(10);
  if (end < 0) throw new Error(cutShort(bytes.length));
  return { text: new TextDecoder().decode(bytes.subarray(from, from + end)), next: from + end + 1 };
}
function placesOf({ arrays }: Header, from: number): { places: number[]; total: number } {
  let at = from;
  const places = arrays.map(({ kind, length }) => {
    const place = at + ((ALIGN - (at % ALIGN)) % ALIGN);
    at = place + length * KINDS[kind].BYTES_PER_ELEMENT;
    return place;
  });
  return { places, total: at };
}

/** The header, when it is one. The checksum guards against accidents; this, against what was never written by us. */
function headerOf(text: string): Header | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { about, facts, arrays } = (value ?? {}) as Partial<Header>;
  const isCount = (number: unknown): boolean => Number.isSafeInteger(number) && (number as number) >= 0;
  const isTexts = (texts: unknown): boolean => Array.isArray(texts) && texts.every((each) => typeof each === 'string');
  const sound =
    about !== null &&
    typeof about === 'object' &&
    facts !== null &&
    typeof facts === 'object' &&
    [facts.states, facts.transitions, facts.depth, facts.resting, facts.base].every(isCount) &&
    isTexts(facts.words) &&
    facts.values !== null &&
    typeof facts.values === 'object' &&
    Object.values(facts.values).every(isTexts) &&
    Array.isArray(arrays) &&
    arrays.every(
      (each: Header['arrays'][number] | null) =>
        each !== null && typeof each.name === 'string' && Object.hasOwn(KINDS, each.kind) && isCount(each.length),
    );
  return sound ? (value as Header) : undefined;
}
