/**
 * The designs that a command is about: built in by name, or a user's own by file.
 *
 * A user's file is TypeScript (or JavaScript) in which any export may be a design; what it exports is parsed like any
 * other input. Nothing else in the program knows where a design came from.
 */
import { statSync } from 'node:fs';
import module from 'node:module';
import { extname, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { tsImport } from 'tsx/esm/api';
import { z } from 'zod';
import { type Booted, type Design, type Knobs, boot, settings, showKnobs } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { properties } from '../properties/index.ts';
import type { Property } from '../properties/property.ts';
import { strategiesNamed } from '../properties/search/strategies/index.ts';
import type { Strategy } from '../properties/search/strategies/strategy.ts';
import { meetingOf, onOneMachine, parseMeeting } from './meeting.ts';
import { planted } from './campaign/canary.ts';
import { heeding, oneLine, refusal } from './refusal.ts';

/** A design, and the absolute path of the file it was loaded from when it is a user's own. */
export interface Chosen {
  readonly design: Design;
  readonly from?: string;
}
/** One setting of a design, as a worker can be told: by names. */
export interface Setting {
  readonly design: string;
  readonly from?: string;
  readonly knobs: Knobs;
}

const isPath = (text: string): boolean => /[\\/]|\.[cm]?[jt]s$/.test(text);
const list = (names: readonly string[]): string => names.join(', ') || 'none';

/** The designs of these names and files, or of several on one machine; all that are built in when none is given. */
export async function chooseDesigns(wanted: readonly string[]): Promise<Chosen[]> {
  if (wanted.length === 0) return designs.map((design) => ({ design }));
  const found = await Promise.all(
    wanted.map(async (text) => {
      const meeting = parseMeeting(text);
      if (meeting) return [onOneMachine(meeting, await Promise.all(meeting.drivers.map(oneOf)))];
      return isPath(text) ? loadDesigns(text) : [builtIn(text)];
    }),
  );
  return found.flat();
}

async function oneOf(text: string): Promise<Chosen> {
  const all = isPath(text) ? await loadDesigns(text) : [builtIn(text)];
  if (all.length > 1)
    throw refusal(`${oneLine(text)} has ${all.length} designs; a machine of several drivers takes a file with one`);
  return all[0] as Chosen;
}
function builtIn(name: string): Chosen {
  const design = [...designs, planted].find((each) => each.name === name);
  if (design) return { design };
  const names = designs.map((each) => each.name);
  const close = names.filter((each) => alike(each, name));
  const there =
    close.length > 0 && close.length <= MOST_CLOSE
      ? `did you mean ${close.join(' or ')}? There are ${names.length}, by fenceproof list`
      : `there are: ${list(names)}`;
  throw refusal(`unknown design "${oneLine(name)}"; ${there}; a file of your own is given as ./${oneLine(name)}.ts`);
}
/** More names than this are no help. */
const MOST_CLOSE = 5;
/** Is one name part of the other, or do they have a word in common that says something? */
function alike(name: string, other: string): boolean {
  const words = other.toLowerCase().split(/[-_ ]+/);
  return name.includes(other.toLowerCase()) || name.split('-').some((word) => word.length > 3 && words.includes(word));
}

const texts = z.array(z.string()).default([]);
const looksLikeDesign = z.object({
  name: z.string().min(1),
  title: z.string().default(''),
  sources: texts,
  knobs: z.record(z.string(), z.array(z.string()).min(1)).default({}),
  kernel: z.function(),
  expect: z
    .array(z.object({ when: z.record(z.string(), z.union([z.string(), z.array(z.string())])) }).loose())
    .default([]),
});

const loaded = new Map<string, Promise<Chosen[]>>();
/** Every export of a file that is a design, once each. */
export function loadDesigns(path: string): Promise<Chosen[]> {
  const from = resolve(path);
  const known = loaded.get(from) ?? readDesigns(path, from);
  loaded.set(from, known);
  return known;
}

async function readDesigns(path: string, from: string): Promise<Chosen[]> {
  const stats = statSync(from, { throwIfNoEntry: false });
  if (!stats) throw refusal(`${oneLine(path)}: there is no such file`);
  if (!stats.isFile()) throw refusal(`${oneLine(path)}: is not a file`);
  lendOurselves();
  let exported: Record<string, unknown>;
  try {
    exported = (await tsImport(pathToFileURL(from).href, import.meta.url)) as Record<string, unknown>;
  } catch (error) {
    throw refusal(`${oneLine(path)}${lineOf(error, from)}: cannot be loaded: ${messageOf(error)}`);
  }
  const values = new Set([...Object.values(exported), ...Object.values(nested(exported['default']))]);
  const found = [...values].flatMap((value) => {
    const parsed = looksLikeDesign.safeParse(value);
    return parsed.success ? [{ design: { ...parsed.data, ...(value as Design) }, from }] : [];
  });
  if (found.length > 0) return found;
  const names = Object.keys(exported).filter((name) => name !== 'default' && name !== 'module.exports');
  const [almost] = [...values].filter((value) => value !== null && typeof value === 'object' && 'kernel' in value);
  const why = almost && looksLikeDesign.safeParse(almost).error?.issues[0];
  throw refusal(
    why
      ? `${oneLine(path)}: its design is not one: ${why.path.join('.') || 'it'}: ${oneLine(why.message)}`
      : `${oneLine(path)}: exports no design; write export default design({ name, title, sources, knobs, kernel, expect })${names.length > 0 ? `; it exports: ${oneLine(names.join(', '))}` : ''}`,
  );
}

const messageOf = (error: unknown): string => oneLine(error instanceof Error ? error.message : String(error));
/** The line of the file at which loading failed, as ':12', when the error knows it. */
function lineOf(error: unknown, from: string): string {
  const [, after] = (error instanceof Error ? (error.stack ?? '') : '').split(from);
  const [, line] = /^(?:\?[^:\s]*)?:(\d+)/.exec(after ?? '') ?? [];
  return line === undefined ? '' : `:${line}`;
}

/** A CommonJS file arrives as one default export with everything in it. */
const nested = (value: unknown): Record<string, unknown> =>
  value !== null && typeof value === 'object' && !('kernel' in value) ? (value as Record<string, unknown>) : {};

let lent = false;
/**
 * A user's file imports from 'fenceproof' whether or not it is installed beside that file: where nothing is found,
 * the copy that runs answers. Its TypeScript is a module, as it is written, whatever the package around it says: else
 * a second copy of everything would be loaded for it with require, and its lines would have no numbers. What it imports
 * from CommonJS may ask for us with require all the same.
 */
function lendOurselves(): void {
  if (lent) return;
  lent = true;
  const ours = new URL(`./api${extname(import.meta.url)}`, import.meta.url);
  const hook = `
    const asWritten = (found) =>
      /^file:[^?]*[.]ts([?]|$)/.test(found.url) && found.format !== 'module' ? { ...found, format: 'module' } : found;
    export const resolve = (specifier, context, next) => specifier !== 'fenceproof'
      ? next(specifier, context).then(asWritten)
      : next(specifier, context).catch(() => ({ url: ${JSON.stringify(ours.href)}, format: 'module', shortCircuit: true }));`;
  module.register(`data:text/javascript,${encodeURIComponent(hook)}`);

  const resolver = module as unknown as { _resolveFilename(request: string, ...rest: unknown[]): string };
  const before = resolver._resolveFilename.bind(resolver);
  resolver._resolveFilename = (request, ...rest) => {
    try {
      return before(request, ...rest);
    } catch (error) {
      // tsx asks with what it needs to tell apart behind a question mark.
      if (request.split('?')[0] === 'fenceproof') return fileURLToPath(ours);
      throw error;
    }
  };
}

/** Boot one setting, by names. */
export async function bootSetting({ design, from, knobs }: Setting): Promise<Booted> {
  return boot((await chosenBy(design, from)).design, knobs);
}
/** The one of these that has this name. */
export const among =
  (all: readonly Chosen[]) =>
  (name: string): Chosen | undefined =>
    all.find(({ design }) => design.name === name);
export async function chosenBy(name: string, from?: string): Promise<Chosen> {
  const own = from === undefined ? [] : await loadDesigns(from);
  const find = among(own);
  const found = find(name) ?? meetingOf(name, (driver) => find(driver) ?? builtIn(driver));
  if (found) return found;
  if (from === undefined) return builtIn(name);
  throw refusal(
    `${oneLine(from)}: has no design "${oneLine(name)}"; it has: ${list(own.map(({ design }) => design.name))}`,
  );
}

/**
 * Every setting of the chosen designs that has these knob values, booted once so that a mistake shows now. A knob must
 * exist in each of the designs.
 */
export function chooseSettings(chosen: readonly Chosen[], knobs: Knobs): Setting[] {
  return chosen.flatMap(({ design, from }) => {
    for (const [knob, value] of Object.entries(knobs)) {
      const values = Object.hasOwn(design.knobs, knob) ? design.knobs[knob] : undefined;
      if (!values)
        throw refusal(`${design.name} has no knob "${oneLine(knob)}"; there are: ${list(Object.keys(design.knobs))}`);
      if (!values.includes(value))
        throw refusal(`${design.name}: knob ${knob} cannot be "${oneLine(value)}"; it can be: ${list(values)}`);
    }
    return settings(design, knobs).map((each) => {
      heeding(() => boot(design, each), `${from ?? design.name}: ${showKnobs(each) || 'without knobs'}`);
      return { design: design.name, ...(from === undefined ? {} : { from }), knobs: each };
    });
  });
}

/** The properties of these names; all when none is given. */
export function chooseProperties(names: readonly string[]): readonly Property[] {
  return names.length === 0
    ? properties
    : names.map((name) => {
        const found = properties.find((each) => each.name === name);
        if (found) return found;
        throw refusal(`unknown property "${oneLine(name)}"; there are: ${list(properties.map((each) => each.name))}`);
      });
}

/** Those of the strategies there are that are named, or all of them, by name. */
export const chooseStrategies = (there: readonly Strategy[], names: readonly string[] | undefined): readonly string[] =>
  heeding(() => strategiesNamed(there, names)).map(({ name }) => name);

/** `order=same` and the like, as knobs. */
export function parseKnobs(given: readonly string[]): Knobs {
  return Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf('=');
      if (at <= 0) throw refusal(`"${oneLine(text)}" is not a knob setting like name=value`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}
