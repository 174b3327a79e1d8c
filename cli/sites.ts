/**
 * Where the lines of a design are written: for formats that point at a line of the user's own file.
 *
 * A line is data and knows no place, so whoever wants the place listens while lines are built, and looks who called.
 */
import { existsSync, readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { dirname, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Instruction, writing } from '../model/machine.ts';
import type { Booted } from '../model/design.ts';
import type { Site, SiteOf } from '../reports/telling.ts';
import { asTyped, packageRoot } from './files.ts';

/** Calls between the file of a design and the instruction that it asks for. */
const MOST_CALLS = 40;
const FRAME = /(?:\(|at (?:async )?)((?:file:\/\/)?[^()]+?)(?:\?[^:\s]*)?:(\d+):(\d+)\)?$/;

const calls = new WeakMap<Instruction, Error>();
const sites = new WeakMap<Instruction, Site | undefined>();

/** Listen from now on to which lines are built where; the answer knows the place of every line that was heard. */
export function hearSites(): SiteOf {
  process.setSourceMapsEnabled(true);
  writing.heard = (line) => {
    const most = Error.stackTraceLimit;
    Error.stackTraceLimit = MOST_CALLS;
    calls.set(line, new Error('here'));
    Error.stackTraceLimit = most;
  };
  return (line) => {
    const call = calls.get(line);
    if (call && !sites.has(line)) sites.set(line, caller(call.stack ?? ''));
    return sites.get(line);
  };
}

/** Where the file of a design begins to speak of the kernel: its first line that is known. */
export function siteOfDesign({ machine }: Booted, siteOf: SiteOf): Site | undefined {
  const known = Object.values(machine.programs).flatMap((lines) => lines.flatMap((line) => siteOf(line) ?? []));
  const own = known.filter(({ file }) => file === known[0]?.file).sort((a, b) => a.line - b.line);
  return own[0];
}

/** The innermost frame that is not the model's own; nothing when the model called itself. */
function caller(stack: string): Site | undefined {
  for (const frame of stack.split('\n').slice(1)) {
    const [, place, line, column] = FRAME.exec(frame) ?? [];
    if (place === undefined || place.startsWith('node:')) continue;
    const path = place.startsWith('file://') ? fileURLToPath(place) : place;
    const [room, ...inside] = relative(packageRoot, path)
      .split(sep)
      .filter((part, at) => at > 0 || part !== 'dist');
    if (path === fileURLToPath(import.meta.url)) continue;
    if (room === 'model' && inside[0] !== 'designs') continue;
    if (room !== 'model' && OURS.has(room ?? '')) return undefined;
    const site = original({ file: path, line: Number(line), column: Number(column) });
    return { ...site, file: asTyped(site.file) };
  }
  return undefined;
}
const OURS: ReadonlySet<string> = new Set(['properties', 'shrinkers', 'corpus', 'reports', 'cli']);

const maps = new Map<string, SourceMap | undefined>();
/** The place in the source, where a file was compiled and its map and its source are at hand. */
function original(site: Site): Site {
  const file = `${site.file}.map`;
  if (!maps.has(site.file))
    maps.set(
      site.file,
      existsSync(file) ? new SourceMap(JSON.parse(readFileSync(file, 'utf8')) as SourceMapPayload) : undefined,
    );
  const entry = maps.get(site.file)?.findEntry(site.line - 1, site.column - 1);
  if (!entry || !('originalSource' in entry)) return site;
  const source = resolve(dirname(site.file), entry.originalSource);
  if (!existsSync(source)) return site;
  return { file: source, line: entry.originalLine + 1, column: entry.originalColumn + 1 };
}
