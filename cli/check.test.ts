import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Ran, run } from './ran.ts';
import { spinVersion } from './spin.ts';

const room = mkdtempSync(join(tmpdir(), 'fenceproof-check-'));
afterAll(() => rmSync(room, { recursive: true }));

const check = (...args: string[]): Promise<Ran> => run('check', '--workers', '0', ...args);
const ONE = ['shrinker-waits-fence', '-k', 'shrinker=trylock_no_wait', 'signaller_allocates=no'] as const;
/** Everything that needs no edges between states. */
const STRAIGHT = ['-p', 'no-deadlock,no-alloc-in-signalling'];

describe('another way to search says the same', () => {
  test('in every storage without loss and in every order: the same states', async () => {
    const sizes = new Set<string>();
    for (const how of [
      [],
      ['--storage', 'tree'],
      ['--storage', 'fingerprints'],
      ['--order', 'depth'],
      ['--order', 'depth', '--storage', 'fingerprints'],
      ['--memory', '1G'],
      ['--checkpoint', join(room, 'never-written')],
    ]) {
      const { status, said } = await check(...ONE, ...STRAIGHT, ...how);
      expect([how, status, said]).toEqual([how, 0, expect.stringMatching(/nothing found, as expected/)]);
      sizes.add(/[\d,]+ states/.exec(said)?.[0] ?? said);
    }
    expect([...sizes]).toEqual(['712 states']);
  });
  test('but not of fair circles, for which it keeps no edges: that is no acquittal', async () => {
    const { status, said } = await check(...ONE, '--storage', 'tree');
    expect(status).toBe(1);
    expect(said).toMatch(/nothing found in 712 states; not exhaustive: fair circles were not looked for \(fence-sig/);
    expect(said).toMatch(/not everything was searched, so nothing is acquitted/);
  });
  test('and a few bits of a state never acquit', async () => {
    const { status, said } = await check(...ONE, ...STRAIGHT, '--storage', 'bits');
    expect(status).toBe(1);
    expect(said).toMatch(/not exhaustive: 3 bits are kept of a state/);
  });
  test('fingerprints state their odds', async () => {
    const { said } = await check(...ONE, ...STRAIGHT, '--storage', 'fingerprints');
    expect(said).toMatch(/a state was left out with a probability of at most 1\.4e-14/);
  });
  test('with fewer states when orders of independent steps are left out', async () => {
    const { status, said } = await check(...ONE, '--reduce');
    expect(status).toBe(0);
    expect(Number(/([\d,]+) states/.exec(said)?.[1])).toBeLessThan(400);
    const merged = await check(...ONE, '--reduce', 'merge');
    expect([merged.status, merged.said]).toEqual([0, expect.stringMatching(/nothing found, as expected/)]);
  });
});

describe('a search that meets a limit ends with what it saw, and acquits nothing', () => {
  test('of memory', async () => {
    const { status, said } = await check(...ONE, '--memory', '500K');
    expect(status).toBe(1);
    expect(said).toMatch(/nothing found in \d+ states; not exhaustive: the memory limit of 500 KiB is reached: /);
  });
  test('of states', async () => {
    const { status, said } = await check(...ONE, '--max-states', '100');
    expect(status).toBe(1);
    expect(said).toMatch(
      /nothing found in \d+ states; not exhaustive: stopped after \d+ states; \d+ more were met and/,
    );
  });
});

describe('--audit repeats a verdict', () => {
  test('with other storage, other hashes, and on plain objects', async () => {
    for (const how of [[], ['--reduce'], ['--order', 'depth', ...STRAIGHT], ['--storage', 'tree', ...STRAIGHT]]) {
      const { status, said } = await check('canary-abba', '--audit', ...how);
      expect(status, said).toBe(0);
      expect(said.match(/audited: the same in full states .*, on plain objects, by the plain reducer/g)).toHaveLength(
        2,
      );
    }
  });
  test('but not one that saw not everything', async () => {
    const { status, said } = await check(...ONE, '--audit', '--max-states', '100');
    expect(status).toBe(1);
    expect(said).not.toMatch(/audited/);
  });
});

describe('--spin has Spin count again', () => {
  test('what was learned, and keeps the model', async ({ skip }) => {
    if (spinVersion() === undefined) skip();
    const model = join(room, 'model.pml');
    const { status, said } = await check('canary-abba', '-k', 'order=opposite', '--spin', model);
    expect(status, said).toBe(0);
    expect(said).toMatch(/Spin counts the same 19 states, steps, stuck and resting states/);
    expect(readFileSync(model, 'utf8')).toMatch(/^\/\* canary-abba order=opposite: \d+ processes, /);
  });
});

describe('how much there is', () => {
  test('--estimate says before anything is searched', async () => {
    const { status, said } = await check('canary-abba', '--estimate');
    expect(status).toBe(0);
    expect(said.match(/states: \d+ {2}all states were counted/g)).toHaveLength(2);
    expect(said.match(/schedules: .* sorts, .* steps to search them/g)).toHaveLength(2);
  });
  test('--schedules searches them without remembering states', async () => {
    const { status, said } = await check('canary-abba', '--schedules');
    expect(status, said).toBe(0);
    expect(said).toMatch(/order=opposite: convicted {2}\d+ sorts of schedules/);
    expect(said).toMatch(/no-deadlock \(circle of mutex\) in \d+ words/);
    expect(said).toMatch(/order=same: nothing found {2}/);
  });
});

test('--json prints a line for every setting, and one at the end', async () => {
  const { status, said } = await check('canary-abba', '--json');
  expect(status).toBe(0);
  const lines = said.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.filter(({ event }) => event !== 'progress')).toMatchObject([
    { event: 'setting', design: 'canary-abba', knobs: { order: 'same' }, verdict: 'acquitted', asExpected: true },
    {
      ...{ event: 'setting', design: 'canary-abba', knobs: { order: 'opposite' }, verdict: 'convicted' },
      findings: [{ property: 'no-deadlock', confirmed: true }, { property: 'lock-order' }],
    },
    { event: 'done', settings: 2, odd: 0 },
  ]);
});

describe('what does not go together is refused by name, in one line', () => {
  const refused = async (args: string[], says: RegExp): Promise<void> => {
    const { status, said, warned } = await check(...args);
    expect([status, said]).toEqual([2, '']);
    expect(warned).toMatch(/^fenceproof: [^\n]+$/);
    expect(warned).toMatch(says);
  };
  test('reductions with another storage', () => refused([...ONE, '--reduce', '--storage', 'tree'], /--reduce: .*full/));
  test('a reduction that is none', () => refused([...ONE, '--reduce', 'half'], /"half".*partial-order, merge, sleep/));
  test('reductions that spoil each other', () =>
    refused([...ONE, '--reduce', 'merge,shift'], /no seqno shifting with/));
  test('the corpus with some of the properties', () =>
    refused([...ONE, '--save', '-p', 'no-deadlock'], /--save keeps what every property says.*leave out --property/));
  test('the corpus with depth first', () => refused([...ONE, '--save', '--order', 'depth'], /--save: .*shortest/));
  test('a checkpoint of two settings', () => refused(['canary-abba', '--checkpoint', 'x'], /one setting.* are 2/));
  test('a checkpoint of depth first', () =>
    refused([...ONE, '--checkpoint', 'x', '--order', 'depth'], /between two levels/));
  test('an audit of a few bits', () =>
    refused([...ONE, '--audit', '--storage', 'bits'], /--audit: .*nothing to repeat/));
  test('an estimate with a storage', () => refused([...ONE, '--estimate', '--storage', 'tree'], /--estimate: /));
  test('a storage that is none', () =>
    refused([...ONE, '--storage', 'paper'], /full, packed, fingerprints, tree, bits/));
  test('a size that is none', () => refused([...ONE, '--memory', 'much'], /500M or 2G/));
  test('a damaged checkpoint', async () => {
    const path = join(room, 'damaged');
    writeFileSync(path, 'no checkpoint');
    await refused([...ONE, '--checkpoint', path], /cannot go on from .*: this is not a checkpoint of fenceproof/);
    expect(existsSync(path)).toBe(true);
  });
});
