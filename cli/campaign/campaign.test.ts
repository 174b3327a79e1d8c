import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { noDeadlock } from '../../properties/no-deadlock.ts';
import type { Property } from '../../properties/property.ts';
import type { Summary } from '../../reports/campaign.ts';
import { type Ran, run } from '../ran.ts';
import { recordsIn } from './whole-journal.ts';

let room = '';
beforeEach(() => {
  room = mkdtempSync(join(tmpdir(), 'fenceproof-'));
});
afterEach(() => rmSync(room, { recursive: true }));

const at = (name: string): string => join(room, name);
const read = (...parts: string[]): string => readFileSync(join(room, ...parts), 'utf8');
/** A small campaign: two settings, two chains each. */
const campaign = (out: string, ...more: string[]): Promise<Ran> =>
  run('campaign', '--out', at(out), '-d', 'canary-abba', '--batch', '100', '--lanes', '2', '--workers', '0', ...more);
/** Everything that a merge writes, as texts by name. */
const written = (out: string): Record<string, string> =>
  Object.fromEntries([
    ['campaign.json', read(out, 'campaign.json')],
    ['journal.jsonl', read(out, 'journal.jsonl')],
    ...readdirSync(join(room, out, 'findings'))
      .sort()
      .map((file) => [file, read(out, 'findings', file)]),
  ]) as Record<string, string>;
const reportOf = ({ said }: Ran): Summary =>
  said
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; report: Summary })
    .find(({ event }) => event === 'report')!.report;

describe('a campaign', () => {
  test('finds what the corpus knows, says that it is known, and ends with 0', async () => {
    const { status, said } = await campaign('c', '--until', '2000runs');
    expect(status).toBe(0);
    expect(said).toContain('findings  0 new, 0 resolved, 0 rare, 0 variant, 2 known');
    expect(said).toContain('the planted bug was found in run');
    expect(said).toContain('2,000 runs were asked for and made');
  });

  test('writes what is new before it is shrunk, shrinks it, and ends with 1', async () => {
    const design = at('mine.ts');
    writeFileSync(design, MINE);
    const { status, said } = await run(
      ...[
        'campaign',
        '--out',
        at('c'),
        '-d',
        design,
        '--until',
        '500runs',
        '--batch',
        '100',
        '--lanes',
        '1',
        '--workers',
        '0',
      ],
    );
    expect([status, said.match(/^new .* in \d+ words/m)?.length]).toEqual([1, 1]);
    expect(said).toMatch(/^shrunk mine: no-deadlock .* to 2 words/m);
    const kinds = recordsIn(join(at('c'), 'journal.jsonl')).records.map(({ kind }) => kind);
    expect(kinds.indexOf('batch')).toBeLessThan(kinds.indexOf('shrunk'));
  });

  test('stopped and taken up again is the same as one that was not', async () => {
    const whole = reportOf(await campaign('whole', '--until', '3000runs', '--json'));
    await campaign('parts', '--until', '700runs');
    await campaign('parts', '--until', '1900runs');
    const { said } = await run('campaign', '--out', at('parts'), '--until', '3000runs', '--workers', '0', '--json');
    expect(reportOf({ status: 0, said, warned: '' })).toEqual(whole);
    await run('merge', at('whole'), '--out', at('a'));
    await run('merge', at('parts'), '--out', at('b'));
    expect(written('a')).toEqual(written('b'));
  });

  test('until nothing new comes is the same set of batches, however it is cut', async () => {
    const whole = reportOf(await campaign('whole', '--json'));
    await campaign('parts', '--until', '900runs');
    expect(reportOf(await campaign('parts', '--json'))).toEqual(whole);
    expect(whole.batches).toBeGreaterThanOrEqual(4 * 11);
  });

  test('in shards, merged in any order, is byte for byte the same, and the same as in one piece', async () => {
    await campaign('whole', '--until', '3000runs');
    for (const part of ['1/3', '2/3', '3/3'])
      await campaign(part.replace('/', '-'), '--until', '3000runs', '--shard', part);
    const parts = ['1-3', '2-3', '3-3'].map(at);
    const one = await run('merge', ...parts, '--out', at('forwards'));
    const two = await run('merge', ...parts.toReversed(), parts[1]!, '--out', at('backwards'));
    const three = await run('merge', at('whole'), '--out', at('again'));
    expect(written('backwards')).toEqual(written('forwards'));
    expect(written('again')).toEqual(written('forwards'));
    expect([two.said, three.said]).toEqual([one.said, one.said]);
    expect(one.said).toContain('30 batches, 3,000 runs');
  });

  test('whose last record is torn plays that batch again; one damaged elsewhere is refused with its line', async () => {
    await campaign('c', '--until', '1000runs');
    await run('merge', at('c'), '--out', at('before'));
    const journal = join(at('c'), 'journal.jsonl');
    truncateSync(journal, read('c', 'journal.jsonl').length - 40);
    await campaign('c', '--until', '1000runs');
    await run('merge', at('c'), '--out', at('after'));
    expect(written('after')).toEqual(written('before'));

    writeFileSync(journal, read('c', 'journal.jsonl').replace('"runs":100', '"runs":101'));
    const { status, warned } = await campaign('c', '--until', '1000runs');
    expect([status, warned]).toEqual([2, expect.stringMatching(/journal\.jsonl:\d+: this record is damaged/)]);
  });

  test('that misses the planted bug says that its result is worthless, and ends with 3', async () => {
    const blind = vi.spyOn(noDeadlock as Required<Property>, 'waits').mockReturnValue(undefined);
    try {
      const { status, said } = await campaign('c', '--until', '500runs');
      expect(status).toBe(3);
      expect(said).toContain('its result is worthless');
      expect(said).toContain('MISSED');
    } finally {
      blind.mockRestore();
    }
    expect((await campaign('d', '--until', '500runs')).status).toBe(0);
  });

  test('is refused in one line where it cannot be what was asked for', async () => {
    const refused = async (told: RegExp, ...args: string[]): Promise<void> => {
      const { status, warned } = await run(...args);
      expect(warned).toMatch(told);
      expect([status, warned.split('\n').length]).toEqual([2, 1]);
    };
    await campaign('c', '--until', '200runs');
    await refused(
      /holds another campaign: seed 1 there, 2 here/,
      ...['campaign', '-o', at('c'), '-d', 'canary-abba', '--batch', '100', '--lanes', '2', '--seed', '2'],
    );
    await refused(/it must be stale, a time like/, 'campaign', '-u', 'later');
    await refused(/like 1\/4 to 4\/4/, 'campaign', '--shard', '5/4');
    await refused(/unknown strategy "nope"; there are: random, uniform, pct/, 'campaign', '--strategy', 'nope');
    await refused(/there is no campaign in it/, 'merge', at('nothing'), '-o', at('x'));
    appendFileSync(join(at('c'), 'lock'), `elsewhere 1`);
    await refused(/is in use by process 1 on elsewhere/, 'campaign', '-o', at('c'));
  });
});

const MINE = `
import { design, must, mutex_lock, mutex_unlock } from 'fenceproof';
export default design({
  name: 'mine', title: 'Two locks in opposite order', sources: [], knobs: {}, expect: [],
  kernel: () => ({
    objects: { locks: { a: {}, b: {} } },
    threads: {
      one: must([mutex_lock('a'), mutex_lock('b'), mutex_unlock('b'), mutex_unlock('a')]),
      two: must([mutex_lock('b'), mutex_lock('a'), mutex_unlock('a'), mutex_unlock('b')]),
    },
  }),
});
`;
