import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseEntry } from '../corpus/entry.ts';
import { type Finding, bootFinding, caseOfFinding } from '../reports/html/finding.ts';
import { properties } from '../properties/index.ts';
import { judge } from '../properties/judge.ts';
import { signature } from '../properties/property.ts';
import { PLAIN } from '../reports/reporter.ts';
import { packageCorpus } from './files.ts';
import { main } from './main.ts';

let room = '';
beforeEach(() => {
  room = mkdtempSync(join(tmpdir(), 'fenceproof-'));
});
afterEach(() => rmSync(room, { recursive: true }));

async function run(...args: string[]): Promise<{ status: number; said: string; warned: string }> {
  const said: string[] = [];
  const warned: string[] = [];
  const status = await main(args, {
    say: (text) => said.push(text),
    warn: (text) => warned.push(text),
    progress: () => undefined,
    look: PLAIN,
  });
  return { status, said: said.join('\n'), warned: warned.join('\n') };
}
const canary = join(packageCorpus, 'canary-abba.opposite.no-deadlock.circle-of-mutex.json');
const acquittal = join(packageCorpus, 'canary-abba.same.acquitted.json');
/** The data that a page carries. */
function findingIn(path: string): Finding {
  const [, data] = /id="finding">(.*?)<\/script>/.exec(readFileSync(path, 'utf8')) ?? [];
  return JSON.parse(data ?? '') as Finding;
}
const breaks = (finding: Finding): string[] =>
  judge(bootFinding(finding), caseOfFinding(finding), properties).verdicts.map(({ blame }) => signature(blame));

describe('explain', () => {
  test('tells the story, as report does', async () => {
    const explained = await run('explain', canary);
    expect(explained).toEqual(await run('report', canary));
    expect(explained.said).toContain('A waits for B');
  });

  test('writes one page that carries a machine on which the finding shows', async () => {
    const path = join(room, 'page.html');
    expect(await run('explain', canary, '--html', '--out', path)).toMatchObject({ status: 0, warned: '' });
    const finding = findingIn(path);
    expect(breaks(finding)).toContain('no-deadlock (circle of mutex)');
    expect(finding.odds).toMatchObject({ kind: 'exact', lastAvoidable: 1 });
    expect(statSync(path).size).toBeLessThan(1_000_000);
    expect(readdirSync(room)).toEqual(['page.html']);
    await run('explain', canary, '--html', '--out', room);
    expect(readdirSync(room)).toContain('canary-abba.opposite.no-deadlock.circle-of-mutex.html');
  });

  test('takes a design of your own', async () => {
    const driver = join(room, 'mine.ts');
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    writeFileSync(driver, /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? '');
    await run('check', driver, '--save', '--out', join(room, 'found'), '--workers', '0');
    const saved = readdirSync(join(room, 'found')).filter((name) => name.includes('no-deadlock'));
    const path = join(room, 'mine.html');
    const args = [join(room, 'found', saved[0] ?? ''), '--design', driver, '--html', '--out', path];
    expect(await run('explain', ...args)).toMatchObject({ status: 0, warned: '' });
    expect(breaks(findingIn(path)).join()).toContain('no-deadlock');
    expect(findingIn(path).again).toContain('--design');
  });

  test('of a directory makes a page of each counterexample, and an index that leads to them', async () => {
    for (const path of [canary, acquittal]) writeFileSync(join(room, path.split('/').at(-1) ?? ''), readFileSync(path));
    const pages = join(room, 'pages');
    expect((await run('explain', room, '--html', '--out', pages, '--workers', '0')).status).toBe(0);
    expect(readdirSync(pages).toSorted()).toEqual([
      'canary-abba.opposite.no-deadlock.circle-of-mutex.html',
      'index.html',
    ]);
    const index = readFileSync(join(pages, 'index.html'), 'utf8');
    const links = [...index.matchAll(/href="([^"]+)"/g)].map(([, href]) => decodeURIComponent(href as string));
    expect(links).toHaveLength(1);
    for (const link of links) expect(existsSync(join(pages, link))).toBe(true);
    expect(index).toContain('2 settings of 1 design, 1 convicted, 1 finding.');
  });

  test('of an acquittal says what was searched and what was not seen, as report does, and as its page', async () => {
    const explained = await run('explain', acquittal);
    expect(explained).toEqual(await run('report', acquittal));
    const told = [
      'every state: 16 states, 16 steps between them, up to 8 steps away; timers fire only when nothing else can move',
      'one has both; one waits for a; two has both; two waits for a',
      'nothing: every witness of the design was seen',
    ];
    const flat = (text: string): string => text.replace(/\s+/g, ' ');
    for (const part of told) expect(flat(explained.said)).toContain(part);
    const { said } = await run('report', acquittal, '-f', 'json');
    expect(JSON.parse(said)).toMatchObject({ verdict: 'acquitted', searched: { states: 16, unseen: [] } });
    const path = join(room, 'page.html');
    expect(await run('explain', acquittal, '--html', '--out', path)).toMatchObject({ status: 0, warned: '' });
    const page = readFileSync(path, 'utf8');
    for (const part of [...told, '1 setting of 1 design, 0 convicted, 0 findings.', 'none, in any of 16 states'])
      expect(page).toContain(part);
  });
  test('what an acquittal has not seen is said, when its design has more witnesses than its entry', async () => {
    const text = readFileSync(acquittal, 'utf8').replace('      "one has both",\n', '');
    const path = join(room, 'less.json');
    writeFileSync(path, text);
    expect((await run('report', path)).said).toMatch(/^Not seen +one has both$/m);
  });

  test('refuses in one line what it cannot do', async () => {
    const refused = async (args: string[], part: RegExp): Promise<void> => {
      const { status, said, warned } = await run(...args);
      expect(warned).toMatch(/^fenceproof: [^\n]+$/);
      expect(warned).toMatch(part);
      expect([status, said]).toEqual([2, '']);
    };
    await refused(['report', acquittal, '-f', 'itf'], /is an acquittal; .* formats of acquittals: story, json/);
    await refused(['explain', canary, '--out', 'x.html'], /add --html/);
    await refused(['explain', packageCorpus], /is a directory/);
    await refused(['explain', canary, '--html', '--out', '/proc/none/x.html'], /no such file or directory|permission/);
    await refused(['check', 'canary-abba', '--html', room, '--estimate'], /--estimate/);
    await refused(['check', 'canary-abba', '--html', '/proc/x'], /cannot write to \/proc\/x/);
  });
});

describe('check --html', () => {
  test('writes a page of every counterexample, and an index of every setting', async () => {
    const { status, said } = await run('check', 'canary-abba', '--html', room, '--workers', '0');
    expect(status).toBe(0);
    expect(said).toContain('index.html');
    const index = readFileSync(join(room, 'index.html'), 'utf8');
    const links = [...index.matchAll(/href="([^"]+)"/g)].map(([, href]) => decodeURIComponent(href as string));
    expect(links.toSorted()).toEqual(
      readdirSync(room)
        .filter((name) => name !== 'index.html')
        .toSorted(),
    );
    expect(links).toHaveLength(2);
    expect(index).toContain('2 settings of 1 design, 1 convicted, 2 findings, 2 as they should be, 0 not');
    expect(links.map((link) => breaks(findingIn(join(room, link)))[0])).toEqual([
      'no-deadlock (circle of mutex)',
      'lock-order (circular dependency)',
    ]);
  });

  test('says of every setting what was searched, also when that was not all', async () => {
    await run('check', 'canary-abba', '--html', room, '--workers', '0', '-p', 'no-deadlock,no-leak', '--timers', 'any');
    const index = readFileSync(join(room, 'index.html'), 'utf8');
    expect(index).toContain('none, in any of 16 states');
    expect(index).toContain('timers fire at any time');
    expect(index).toContain('<dt>Judged by</dt><dd>no-deadlock, no-leak</dd>');
    expect(index).toContain('That says nothing of');
    await run('check', 'canary-abba', '-k', 'order=same', '--max-states', '1', '--html', room, '--workers', '0');
    const cut = readFileSync(join(room, 'index.html'), 'utf8');
    expect(cut).toMatch(/none in \d+ states?, which are not all/);
    expect(cut).toContain('<dd>not every state: ');
    expect(cut).toMatch(/<dt>Not seen<\/dt><dd>[^<]*two has both/);
    expect(cut).not.toContain('That says nothing of');
  });

  test('names its pages like the entries of the corpus, which every one of them can be', async () => {
    await run('check', 'canary-abba', '--html', room, '--workers', '0', '--save', '--out', room);
    const names = (end: string): string[] =>
      readdirSync(room)
        .filter((name) => name.endsWith(end) && !/index|acquitted/.test(name))
        .map((name) => name.slice(0, -end.length));
    expect(names('.html')).toEqual(names('.json'));
    for (const name of names('.json')) {
      const parsed = parseEntry(readFileSync(join(room, `${name}.json`), 'utf8'));
      expect('entry' in parsed && parsed.entry.schedule).toEqual(findingIn(join(room, `${name}.html`)).schedule);
    }
  });
});
