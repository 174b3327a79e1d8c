/**
 * A page about a mail: prose that a person wrote, with places that the corpus fills.
 *
 * `<!-- claim: design knob=value: fence-signals, not no-deadlock -->` holds a claim against the entries of every setting
 * that fits, and says whether it is borne out; `nothing` is the claim that nothing is found. `<!-- matrix: designs -->` is
 * a table, proposal by property; `<!-- cost: design -->` says what each setting costs at most. What is filled in ends at `<!-- end -->`. So a page cannot say what the tool did not find.
 */
import type { Entry } from '../corpus/entry.ts';
import { type Design, type Knobs, PROPERTIES, type PropertyName, boot, settings, showKnobs } from '../model/design.ts';
import { type Cost, costs } from '../properties/search/cost.ts';
import { grouped } from './row.ts';

const SLOT = /^<!-- (claim|matrix|cost): (.*?) -->\n(?:(?:(?!<!-- (?:claim|matrix|cost): )[\s\S])*?<!-- end -->\n)?/gm;

/** What the corpus holds of one setting. */
interface Found {
  readonly knobs: Knobs;
  readonly convicted: readonly { readonly property: PropertyName; readonly kind: string; readonly steps: number }[];
  readonly acquitted?: { readonly states: number; readonly depth: number; readonly witnesses: readonly string[] };
}

/**
 * The page with every place filled in.
 * @throws when a place names an unknown design, knob or property, or a setting of which the corpus holds nothing
 */
export function fillPage(page: string, designs: readonly Design[], entries: readonly Entry[]): string {
  return page.replace(SLOT, (_all, kind: string, what: string) => {
    const body =
      kind === 'claim'
        ? claim(what, designs, entries)
        : kind === 'matrix'
          ? matrix(what, designs, entries)
          : costTable(designOf(what, designs));
    return `<!-- ${kind}: ${what} -->\n${body}\n<!-- end -->\n`;
  });
}

function claim(text: string, designs: readonly Design[], entries: readonly Entry[]): string {
  const at = text.lastIndexOf(': ');
  const [subject, claims] = [text.slice(0, at), text.slice(at + 2)];
  const [name = '', ...given] = subject.trim().split(/\s+/);
  const found = foundOf(designOf(name, designs), knobsOf(given, text), entries);
  const parts = claims.split(',').map((part) => part.trim());
  const holds = found.every((each) => parts.every((part) => bears(part, each, text)));
  return [
    `**${holds ? 'Borne out' : 'Not borne out'}** by \`${name}\`:`,
    '',
    ...found.map((each) => `- \`${showKnobs(each.knobs)}\`: ${verdictOf(each)}`),
  ].join('\n');
}

/** One claim about one setting: `nothing`, a property that is broken, or `not` one. */
function bears(part: string, { convicted, acquitted }: Found, where: string): boolean {
  if (part === 'nothing') return acquitted !== undefined && convicted.length === 0;
  const [, not, property = ''] = /^(not )?(\S+)$/.exec(part) ?? [];
  if (!(PROPERTIES as readonly string[]).includes(property))
    throw new Error(`${where}: unknown property "${property}"; there are: ${PROPERTIES.join(', ')}`);
  return (not === undefined) === convicted.some((each) => each.property === property);
}

const verdictOf = ({ convicted, acquitted }: Found): string =>
  acquitted
    ? `✓ nothing in ${grouped(acquitted.states)} states, ${acquitted.depth} steps deep; reached: ${acquitted.witnesses.join('; ')}`
    : `✗ ${convicted.map(({ property, kind, steps }) => `\`${property}\` (${kind}) in ${steps} steps`).join(', ')}`;

const COLUMNS = [
  'fence-signals',
  'no-deadlock',
  'no-alloc-in-signalling',
  'innocent-not-punished',
  'no-stale-access',
  'no-leak',
] as const satisfies readonly PropertyName[];

/** Who hangs is worse off than who is punished, and who is punished worse than who leaks. */
function inAWord(broken: ReadonlySet<PropertyName>): string {
  if ((['fence-signals', 'no-deadlock', 'no-livelock'] as const).some((each) => broken.has(each))) return 'hangs';
  if (broken.has('no-alloc-in-signalling') || broken.has('lock-order')) return 'hangs with the wrong neighbour';
  if (broken.has('innocent-not-punished')) return 'finite, but punishes the innocent';
  if (broken.has('no-stale-access') || broken.has('contents-kept')) return 'finite, but reaches memory that is gone';
  if (broken.has('no-leak')) return 'finite, but leaks';
  return broken.size === 0 ? 'keeps the promise' : `breaks ${[...broken].sort().join(', ')}`;
}

function matrix(text: string, designs: readonly Design[], entries: readonly Entry[]): string {
  const rows = text.split(',').flatMap((each) => {
    const [name = '', ...given] = each.trim().split(/\s+/);
    return foundOf(designOf(name, designs), knobsOf(given, text), entries).map(({ knobs, convicted }) => {
      const broken = new Set(convicted.map(({ property }) => property));
      const cells = COLUMNS.map((property) => (broken.has(property) ? '✗' : '✓'));
      return `| \`${name}\` | \`${showKnobs(knobs)}\` | ${cells.join(' | ')} | ${inAWord(broken)} |`;
    });
  });
  return [
    `| proposal | setting | ${COLUMNS.map((property) => `\`${property}\``).join(' | ')} | in a word |`,
    `| --- | --- |${COLUMNS.map(() => ' :-: |').join('')} --- |`,
    ...rows,
  ].join('\n');
}

const MOST_STATES = 100_000;
function costTable(design: Design): string {
  const rows = settings(design).map((knobs) => {
    const all = costs(boot(design, knobs), { maxStates: MOST_STATES, patient: true });
    if (!all) throw new Error(`${design.name} ${showKnobs(knobs)} has too many states to say what it costs`);
    return { knobs, all };
  });
  const counted = (rows[0]?.all ?? []).filter((_, at) => rows.some(({ all }) => (all[at]?.most ?? 0) > 0));
  const cell = (all: readonly Cost[], wanted: string): string => {
    const most = all.find(({ name }) => name === wanted)?.most ?? 0;
    return Number.isFinite(most) ? String(most) : 'no end';
  };
  return [
    `| \`${design.name}\`, at most | ${counted.map(({ name }) => name).join(' | ')} |`,
    `| --- |${counted.map(() => ' ---: |').join('')}`,
    ...rows.map(
      ({ knobs, all }) => `| \`${showKnobs(knobs)}\` | ${counted.map(({ name }) => cell(all, name)).join(' | ')} |`,
    ),
  ].join('\n');
}

function designOf(name: string, designs: readonly Design[]): Design {
  const found = designs.find((each) => each.name === name);
  if (!found) throw new Error(`unknown design "${name}"; there are: ${designs.map((each) => each.name).join(', ')}`);
  return found;
}
const knobsOf = (given: readonly string[], where: string): Knobs =>
  Object.fromEntries(
    given.map((text) => {
      const [, knob, value] = /^([^=]+)=(.+)$/.exec(text) ?? [];
      if (knob === undefined || value === undefined) throw new Error(`${where}: "${text}" is not knob=value`);
      return [knob, value];
    }),
  );

/** Every setting that fits, with what the corpus holds of it. */
function foundOf(design: Design, wanted: Knobs, entries: readonly Entry[]): Found[] {
  const fitting = settings(design).filter((knobs) =>
    Object.entries(wanted).every(([knob, value]) => value.split('|').includes(knobs[knob] ?? '')),
  );
  if (fitting.length === 0) throw new Error(`${design.name} has no setting ${showKnobs(wanted)}`);
  return fitting.map((knobs) => {
    const own = entries.filter((each) => each.design === design.name && showKnobs(each.knobs) === showKnobs(knobs));
    if (own.length === 0)
      throw new Error(`the corpus holds nothing of ${design.name} ${showKnobs(knobs)}; see check --save`);
    const convicted = own.flatMap(({ expect, schedule, loop }) =>
      expect.verdict === 'convicted'
        ? [{ property: expect.property, kind: expect.kind, steps: schedule.length + (loop?.length ?? 0) }]
        : [],
    );
    const [acquitted] = own.flatMap(({ expect }) => (expect.verdict === 'acquitted' ? [expect] : []));
    return { knobs, convicted: convicted.sort((a, b) => a.steps - b.steps), ...(acquitted ? { acquitted } : {}) };
  });
}
