import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { packageCorpus, asTyped } from './files.ts';
import { type Ran, run } from './ran.ts';

let room = '';
beforeEach(() => {
  room = mkdtempSync(join(tmpdir(), 'fenceproof-'));
});
afterEach(() => rmSync(room, { recursive: true }));

const put = (name: string, text: string): string => {
  const path = join(room, name);
  writeFileSync(path, text);
  return path;
};
const fuzzCanary = (...more: string[]): Promise<Ran> =>
  run('fuzz', '--design', 'canary-abba', '--runs', '100', '--workers', '0', ...more);

const DRIVER = `
import { design, dma_fence_init, dma_fence_signal, dma_fence_wait, must, mutex_lock, mutex_unlock, queue_work, sync_file_install, work } from 'fenceproof';
const title: string = 'Our worker takes the lock that a waiter holds';
export default design({
  name: 'my-driver', title, sources: [], knobs: { waiter: ['lockless', 'under_lock'] }, expect: [],
  kernel: ({ waiter }) => ({
    objects: { locks: { 'my.lock': {} }, fences: { job: {} } },
    threads: {
      ioctl: must([dma_fence_init('job', 'job_work'), sync_file_install('job'), queue_work('job_work')]),
      waiter: must(waiter === 'under_lock' ? [mutex_lock('my.lock'), dma_fence_wait('job'), mutex_unlock('my.lock')] : [dma_fence_wait('job')]),
      job_work: work([mutex_lock('my.lock'), dma_fence_signal('job'), mutex_unlock('my.lock')]),
    },
  }),
});
`;

describe('one line, status 2, and what exists', () => {
  const refused = async (args: string[], ...parts: RegExp[]): Promise<void> => {
    const { status, said, warned } = await run(...args);
    expect(warned).toMatch(/^fenceproof: [^\n]+$/);
    for (const part of parts) expect(warned).toMatch(part);
    expect([status, said]).toEqual([2, '']);
  };
  test('an unknown command', () => refused(['frobnicate'], /'frobnicate'/, /fuzz, check, replay/));
  test('an unknown flag', () => refused(['fuzz', '--fast'], /'--fast'/, /--runs, --steps, --seed/));
  test('an unknown design', () => refused(['check', 'nope'], /"nope"/, /canary-abba/));
  test('a design that is called almost so', () =>
    refused(['check', 'cannary_abba'], /did you mean canary-abba\? There are \d+, by fenceproof list/));
  test('an unknown property', () => refused(['fuzz', '-p', 'nope'], /"nope"/, /no-deadlock/));
  test('an unknown strategy', () => refused(['fuzz', '--strategy', 'nope'], /"nope"/, /pct/));
  test('an unknown knob', () => refused(['check', 'canary-abba', '-k', 'a=b'], /no knob "a"/, /order/));
  test('an unknown knob value', () => refused(['check', 'canary-abba', '-k', 'order=x'], /"x"/, /same, opposite/));
  test('a knob without value', () => refused(['check', 'canary-abba', '-k', 'order'], /name=value/));
  test('no runs at all', () => refused(['fuzz', '--runs', '0'], /from 1 on/));
  test('a time that is none', () => refused(['fuzz', '--time', '5x'], /90s, 10m or 8h/));
  test('nothing to check', () => refused(['check'], /--all/, /canary-abba/));
  test('a directory that cannot be written', async () => {
    const file = put('file', '');
    await refused(['fuzz', '--out', join(file, 'below')], /cannot write to/);
    await refused(['check', '--all', '--save', '--out', '/proc/x'], /cannot write to \/proc\/x/);
  });
  test('an unknown format', () => refused(['report', 'x.json', '-f', 'poem'], /"poem"/, /story/));
  test('a file that is not there', () =>
    refused(['replay', join(room, 'none.json')], /none\.json: there is no such file/));
  test('a directory without entries', () => refused(['replay', room], /holds no entries/));
  test('a truncated entry', () => refused(['replay', put('x.json', '{"format": 1')], /x\.json: not JSON/));
  test('an entry of another version', () => refused(['replay', put('x.json', '{"format": 9}')], /unknown version 9/));
  test('the good file before a damaged one is not played either', async () => {
    await fuzzCanary('--out', room);
    const good = join(room, readdirSync(room)[0] ?? '');
    await refused(['replay', good, put('zz.json', '{')], /zz\.json: not JSON/);
  });
  test('an entry about a design that nobody has', async () => {
    await fuzzCanary('--out', room);
    const [file = ''] = readdirSync(room);
    const text = readFileSync(join(room, file), 'utf8').replace('"design": "canary-abba"', '"design": "gone"');
    await refused(['replay', put('gone.json', text)], /unknown design "gone"/, /--design/);
  });
  test('a file that is no design', async () => {
    await refused(['check', join(room, 'none.ts')], /no such file/);
    await refused(['check', put('a.ts', 'export const x = 1;')], /exports no design/, /it exports: x/);
    await refused(['check', put('b.ts', 'export const = 1;')], /b\.ts:1: cannot be loaded/);
    await refused(['check', put('c.ts', 'throw new Error("boom\\nbang")')], /cannot be loaded: boom bang/);
    await refused(
      ['check', put('d.ts', 'export default { name: "d", knobs: { a: [] }, kernel() {} }')],
      /its design is not one: knobs\.a/,
    );
    await refused(
      ['check', put('e.ts', DRIVER.replaceAll("mutex_lock('my.lock')", "mutex_lock('other')"))],
      /unknown locks "other"; there are: my\.lock/,
    );
  });
});

test("the README's own design is complete, and comes out as it says there", async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const [, source] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  const { status, said } = await run('check', put('my-driver.ts', source ?? ''));
  expect({ status, said }).toMatchObject({ status: 0 });
  expect(said).toContain('2 settings, 2 as they should be, 0 not');
});

test('help and version are no mistakes', async () => {
  expect(await run('--help')).toMatchObject({ status: 0, warned: '' });
  for (const command of ['fuzz', 'check', 'replay', 'shrink', 'report', 'list'])
    expect((await run(command, '--help')).said, command).toContain(`Usage: fenceproof ${command}`);
  expect((await run('--version')).said).toMatch(/^\d+\.\d+\.\d+$/);
});

describe('fuzz', () => {
  test('what the corpus knows is no news; the story of it is told on request', async () => {
    const plain = await fuzzCanary('--out', packageCorpus);
    expect(plain.status).toBe(0);
    expect(plain.said).toContain('known  canary-abba order=opposite: no-deadlock (circle of mutex)');
    expect(plain.said).not.toContain('The argument');
    expect((await fuzzCanary('--out', packageCorpus, '--verbose')).said).toContain('The argument');
  });

  test('a new finding is saved, shrunk, told, and fails the run; found again, it is known', async () => {
    const driver = put('my-driver.ts', DRIVER);
    const out = join(room, 'out');
    const args = ['fuzz', '-d', driver, '--out', out, '--runs', '100', '--workers', '0'];
    const first = await run(...args);
    expect(first.status).toBe(1);
    expect(first.said).toContain('A waits for B, because B has yet to signal job.');
    expect(first.said).toContain('3 new, 0 known, 0 not found again');
    const files = readdirSync(out);
    expect(files).toEqual([
      'my-driver.under_lock.fence-signals.never-signals.json',
      'my-driver.under_lock.lock-order.circular-dependency.json',
      'my-driver.under_lock.no-deadlock.circle-of-fence+mutex.json',
    ]);
    for (const file of files)
      expect(first.said).toContain(`replay --design ${asTyped(driver)} ${asTyped(join(out, file))}`);
    const deadlock = JSON.parse(readFileSync(join(out, files[2] ?? ''), 'utf8')) as { schedule: string[] };
    expect(deadlock.schedule).toEqual(['ioctl', 'ioctl', 'ioctl', 'waiter', 'job_work']);

    const second = await run(...args);
    expect(second.status).toBe(0);
    expect(second.said).toContain('0 new, 3 known, 0 not found again');
    expect((await run('replay', '--design', driver, out)).status).toBe(0);
    expect((await run('replay', out)).status).toBe(2);
  });

  test('a known counterexample that is not found again fails the run, unless its property was not asked for', async () => {
    const missed = await fuzzCanary('--strategy', 'random', '--steps', '1', '--out', packageCorpus);
    expect(missed.status).toBe(1);
    expect(missed.said).toMatch(/missed canary-abba order=opposite: .* not found again: npx fenceproof replay /);
    expect((await fuzzCanary('--steps', '1', '-p', 'ttm-state', '--out', packageCorpus)).status).toBe(0);
  });

  test('the same seed finds the same, with any number of workers; another seed takes another way', async () => {
    const found = async (workers: string, seed: string): Promise<string[]> => {
      const out = mkdtempSync(join(room, 'out-'));
      await fuzzCanary('--out', out, '--workers', workers, '--seed', seed);
      return readdirSync(out).map((file) => file + readFileSync(join(out, file), 'utf8'));
    };
    const here = await found('0', '1');
    expect(here).toHaveLength(2);
    expect(await found('2', '1')).toEqual(here);
    expect(await found('0', '2')).not.toEqual(here);
  });

  test('a damaged file among the findings is complained about and left alone', async () => {
    put('canary-abba.opposite.no-deadlock.circle-of-mutex.json', '{"mine"');
    const { warned } = await fuzzCanary('--out', room);
    expect(warned).toContain('it does not count as known');
    expect(readFileSync(join(room, 'canary-abba.opposite.no-deadlock.circle-of-mutex.json'), 'utf8')).toBe('{"mine"');
    expect(readdirSync(room)).toHaveLength(3);
  });
});

describe('check', () => {
  test('a design that is as it expects, and the same one when a property is looked for that it does not break', async () => {
    const good = await run('check', 'canary-abba', '--workers', '0');
    expect(good.status).toBe(0);
    expect(good.said).toContain('canary-abba order=same: nothing found, as expected  16 states, depth 8');
    expect(good.said).toContain('no-deadlock (circle of mutex) in 2 words');
    const cut = await run('check', 'canary-abba', '-k', 'order=same', '--max-states', '5', '--workers', '0');
    expect(cut.status).toBe(1);
    expect(cut.said).toContain('not everything was searched, so nothing is acquitted');
  });
  test("a user's own design without expectations fails when something is broken, and only then", async () => {
    const driver = put('my-driver.ts', DRIVER);
    const bad = await run('check', driver, '-k', 'waiter=under_lock', '--workers', '0');
    expect(bad.status).toBe(1);
    expect(bad.said).toContain('The argument');
    expect(await run('check', driver, '-k', 'waiter=lockless', '--workers', '0')).toMatchObject({ status: 0 });
  });
  test('--save writes a counterexample for each conviction and an acquittal, and both replay', async () => {
    expect((await run('check', 'canary-abba', '--save', '--out', room, '--workers', '0')).status).toBe(0);
    expect(readdirSync(room)).toEqual([
      'canary-abba.opposite.lock-order.circular-dependency.json',
      'canary-abba.opposite.no-deadlock.circle-of-mutex.json',
      'canary-abba.same.acquitted.json',
    ]);
    const replayed = await run('replay', room, '--workers', '0');
    expect(replayed.status).toBe(0);
    expect(replayed.said).toContain('3 entries, 3 reproduce, 0 do not');
  });
  test('a table of verdicts, for a README', async () => {
    const { said } = await run('check', 'canary-abba', '--format', 'markdown', '--workers', '0');
    expect(said).toContain('| `canary-abba` | `order=same` | nothing | nothing | ✓ acquitted | 16 | 8 |');
  });
});

describe('a saved entry', () => {
  const deadlock = 'canary-abba.opposite.no-deadlock.circle-of-mutex.json';
  beforeEach(async () => {
    await run('check', 'canary-abba', '--save', '--out', room, '--workers', '0');
  });
  const edit = (from: string, to: string): void => {
    const text = readFileSync(join(room, deadlock), 'utf8');
    expect(text).toContain(from);
    put(deadlock, text.replace(from, to));
  };

  test('is asked why a step that was expected cannot be taken, all along the trace', async () => {
    const entry = join(packageCorpus, 'canary-abba.opposite.no-deadlock.circle-of-mutex.json');
    const { status, said } = await run('replay', entry, '--why-not', 'two');
    expect(status).toBe(0);
    expect(said).toContain(
      [
        'two: why not?',
        '  at the start and on to step 1  it can be taken',
        '  after step 2  two waits for a: one holds a',
      ].join('\n'),
    );
    const { said: nobody } = await run('replay', entry, '--why-not', 'three');
    expect(nobody).toContain('at the start and on to step 2  there is no thread three; there are: one, two');
  });
  test('walked through, shows what each step wrote and who waits for whom', async () => {
    const { said } = await run('replay', '--step', join(room, deadlock), '--workers', '0');
    expect(said).toContain('1  one  mutex_lock(&a)');
    expect(said).toContain('locks.a.owner  null → "one"');
    expect(said).toContain('one waits for b (owed by two), because two holds b');
  });
  test('edited so that it passes, fails the replay', async () => {
    edit('"two"\n', '"one"\n');
    const { status, said } = await run('replay', join(room, deadlock), '--workers', '0');
    expect([status, said.split(' ')[0]]).toEqual([1, 'passes']);
  });
  test('of a design that changed, says what changed and that it still reproduces', async () => {
    edit('"two": "', '"two": "0');
    const { status, said } = await run('replay', join(room, deadlock), '--workers', '0');
    expect(status).toBe(1);
    expect(said).toMatch(/^stale .*two changed; still reproduces: /);
  });
  test('with detours is shrunk back, over the file or to --out', async () => {
    const before = readFileSync(join(room, deadlock), 'utf8');
    edit('"one",', '"one", "one", "one", "one", "reboot", "one",');
    expect((await run('shrink', join(room, deadlock), '--workers', '0')).said).toContain('became 2 in');
    expect(readFileSync(join(room, deadlock), 'utf8')).toBe(before);
    const acquittal = join(room, 'canary-abba.same.acquitted.json');
    expect((await run('shrink', acquittal)).warned).toContain('there is no schedule to shrink');
  });
  test('shrinks to a proved minimum, or says between what it lies', async () => {
    const file = join(room, deadlock);
    const proved = (await run('shrink', file, '--workers', '0')).said;
    expect(proved).toContain('shortest, proved: no case of fewer than 2 words does it, whatever is called (');
    const gap = (await run('shrink', file, '--workers', '0', '--max-states', '1')).said;
    expect(gap).toContain('shortest, not proved: the shortest case has 1 to 2 words, as far as was searched (');
    expect(readFileSync(file, 'utf8')).toContain('"shortest": "not proved: the shortest case has 1 to 2 words');
    const spent = (await run('shrink', file, '--workers', '0', '--steps', '2')).said;
    expect(spent).toMatch(
      /not minimal in everything else: the budget of 2 steps ran out in \S+; --steps sets the budget/,
    );
  });
  test('is told in every format there is', async () => {
    const order = 'canary-abba.opposite.lock-order.circular-dependency.json';
    const reported = async (file: string, format: string) =>
      (await run('report', join(room, file), '--format', format)).said;
    expect(await reported(deadlock, 'story')).toContain('A waits for B, because B holds b.');
    expect(await reported(deadlock, 'hung-task')).toContain('blocked for more than');
    expect(await reported(order, 'lockdep')).toContain('possible circular locking dependency detected');
    expect(JSON.parse(await reported(deadlock, 'json'))).toHaveProperty('design', 'canary-abba');
  });
});

test('list names what every other command takes', async () => {
  const { status, said } = await run('list');
  expect(status).toBe(0);
  for (const part of ['canary-abba', 'order: same · opposite', 'no-deadlock', 'pct', 'story'])
    expect(said).toContain(part);
  expect((await run('list', 'properties')).said).not.toContain('canary-abba');
  expect((await run('list', 'canary-abba')).said).toContain('order=opposite: convicted of no-deadlock, lock-order');
});
