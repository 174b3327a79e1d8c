import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log, Result } from 'sarif';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runProgram } from './compiled.ts';
import { run } from './ran.ts';

let room = '';
beforeEach(() => {
  room = mkdtempSync(join(tmpdir(), 'fenceproof-'));
});
afterEach(() => rmSync(room, { recursive: true }));

const resultsIn = (text: string): Result[] => (JSON.parse(text) as Log).runs[0]?.results ?? [];
const read = (name: string): string => readFileSync(join(room, name), 'utf8');

/** A design in a file of its own: the worker takes the lock in line 9, the ioctl waits under it in line 12. */
const DRIVER = `import { design, dma_fence_init, dma_fence_signal, dma_fence_wait, must, mutex_lock, mutex_unlock, queue_work, sync_file_install, work } from 'fenceproof';
const lock = (): ReturnType<typeof mutex_lock> => mutex_lock('my.lock');
export default design({
  name: 'my-driver', title: 'Our worker takes the lock that a waiter holds', sources: [], knobs: {}, expect: [],
  kernel: () => ({
    objects: { locks: { 'my.lock': {} }, fences: { job: {} } },
    threads: {
      job_work: work([
        mutex_lock('my.lock'),
        dma_fence_signal('job'), mutex_unlock('my.lock')]),
      ioctl: must([dma_fence_init('job', 'job_work'), sync_file_install('job'), queue_work('job_work'), lock(),
        dma_fence_wait('job'),
        mutex_unlock('my.lock')]),
    },
  }),
});
`;
const putDriver = (): string => {
  const path = join(room, 'my driver.ts');
  writeFileSync(path, DRIVER);
  return path;
};

test('SARIF of a design in a file of its own points at the lines of that file, through functions of the user too', () => {
  const driver = putDriver();
  // As a process of its own: the test runner has its own idea of where lines are.
  const { status, stdout: said } = runProgram(['check', driver, '-f', 'sarif', '--workers', '0'], { cwd: room });
  expect(status).toBe(1);
  const deadlock = resultsIn(said).find(({ ruleId }) => ruleId === 'no-deadlock');
  expect(deadlock?.level).toBe('error');
  const place = deadlock?.locations?.[0]?.physicalLocation;
  expect(new URL(place?.artifactLocation?.uri ?? '', 'file:///').pathname).toContain('my%20driver.ts');
  expect([9, 12]).toContain(place?.region?.startLine);
  const lines = (deadlock?.codeFlows?.[0]?.threadFlows ?? []).flatMap(({ locations }) =>
    locations.map(({ location }) => [
      location?.message?.text?.replace(/\(.*/, ''),
      location?.physicalLocation?.region?.startLine,
    ]),
  );
  expect(lines).toContainEqual(['mutex_lock', 2]);
  expect(lines).toContainEqual(['queue_work', 11]);
});

test('files are written beside the text for people, and the status is the same', async () => {
  const driver = putDriver();
  const files = ['junit', 'sarif', 'github'].map((name) => `${name}=${join(room, name)}`);
  const { status, said } = await run(
    'check',
    driver,
    'canary-abba',
    '-f',
    ...files.join(',').split('\n'),
    '--workers',
    '0',
  );
  expect(status).toBe(1);
  expect(said).toContain('3 settings, 2 as they should be, 1 not');
  expect(read('junit')).toContain('tests="3" failures="1"');
  expect(read('github')).toMatch(/^::error title=my-driver%3A/m);
  expect(read('github')).toMatch(
    /^::notice title=canary-abba%3A no-deadlock%2C as expected,file=[^:]*canary-abba\.ts,line=\d+/m,
  );
  expect(new Set(resultsIn(read('sarif')).map(({ level }) => level))).toEqual(new Set(['note', 'error']));
});

test('an expectation that is not met is a failure though nothing is broken', async () => {
  const driver = putDriver();
  writeFileSync(driver, DRIVER.replace('expect: []', "expect: [{ when: {}, convicts: ['no-leak'], because: 'x' }]"));
  const { status, said } = await run('check', driver, '--format', 'junit', '--workers', '0');
  expect(status).toBe(1);
  expect(said).toMatch(/<failure message="no-leak was expected and not found" type="expectation">/);
});

test('a fuzz tells what is new as an error and what the corpus knows as a note', async () => {
  const fuzz = (file: string) =>
    run('fuzz', '-d', 'canary-abba', '-r', '100', '--workers', '0', '-o', room, '-f', `sarif=${join(room, file)}`);
  const levels = (file: string): string[] => resultsIn(read(file)).map(({ ruleId, level }) => `${ruleId}: ${level}`);
  const found = ['lock-order', 'no-deadlock'];
  // The package knows the canary's findings, so only a corpus without them makes news.
  expect((await fuzz('first')).status).toBe(0);
  expect(levels('first').sort((a, b) => (a < b ? -1 : 1))).toEqual(found.map((each) => `${each}: note`));
  const driver = putDriver();
  const { status, said } = await run('fuzz', '-d', driver, '-r', '200', '--workers', '0', '-o', room, '-f', 'junit');
  expect(status).toBe(1);
  expect(said).toMatch(/^<\?xml/);
  expect(said).toContain('<failure message="');
});

test('--dot draws the states of one setting, and nothing else', async () => {
  const { status, said } = await run('check', 'canary-abba', '-k', 'order=opposite', '--dot');
  expect(status).toBe(0);
  expect(said).toMatch(/^digraph "states" \{/);
  const file = join(room, 'states.dot');
  const second = await run('check', 'canary-abba', '-k', 'order=opposite', '--dot', file);
  expect([second.status, second.said]).toEqual([0, `19 states and 22 steps drawn in ${file}`]);
  expect(readFileSync(file, 'utf8').trim()).toBe(said);
});

test.each([
  [['-f', 'poem'], /"poem"; there are: table, markdown, junit, sarif, github/],
  [['-f', 'junit', '-f', 'sarif'], /cannot both be printed/],
  [['-f', 'junit', '--json'], /two ways/],
  [['-f', 'table', '-f', 'junit'], /write the other to a file/],
  [['-f', 'junit=/nowhere/x'], /\/nowhere\/x/],
  [['-f', 'junit', '--estimate'], /exhaustive/],
  [['--dot'], /one setting, and these are 2/],
])('refuses %s', async (args, says) => {
  const { status, said, warned } = await run('check', 'canary-abba', ...args);
  expect([status, said]).toEqual([2, '']);
  expect(warned).toMatch(says);
});
