import { spawnSync } from 'node:child_process';
import { describe, expect, test, vi } from 'vitest';
import { runFormats, tables } from '../reports/index.ts';
import { PLAIN } from '../reports/reporter.ts';
import { runProgram } from './compiled.ts';
import { packageCorpus, packageRoot } from './files.ts';
import { main } from './main.ts';

const silent = { say: () => undefined, warn: () => undefined, progress: () => undefined, look: PLAIN };
/** What is offered for the last of these words. */
async function offered(...words: string[]): Promise<string[]> {
  const lines: string[] = [];
  const spy = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  try {
    await main(['complete', '--', ...words], silent);
  } finally {
    spy.mockRestore();
  }
  return lines.map((line) => line.split('\t')[0] ?? '').filter((line) => !line.startsWith(':'));
}

describe('Tab', () => {
  test('offers commands, options, designs, values of options and of knobs', async () => {
    expect(await offered('che')).toEqual(['check']);
    expect(await offered('check', '--max')).toEqual(['--max-states']);
    expect(await offered('check', 'canary-')).toEqual(['canary-abba', 'canary-signal-forgotten']);
    expect(await offered('check', 'canary-abba', '--storage', 'pack')).toEqual(['packed']);
    expect(await offered('check', '--format', '')).toEqual([...tables, ...runFormats].map(({ name }) => name));
    expect(await offered('fuzz', '--design', 'vgem')).toEqual(['vgem-fence']);
    expect(await offered('fuzz', '--property', 'no-dead')).toEqual(['no-deadlock']);
    expect(await offered('check', 'canary-abba', '--knobs', 'order')).toContain('order=same');
  });
  test('offers files where a file is wanted, and goes on below directories', async () => {
    expect(await offered('replay', `${packageCorpus}/canary-abba.same`)).toEqual([
      `${packageCorpus}/canary-abba.same.acquitted.json`,
    ]);
    expect(await offered('replay', packageCorpus.slice(0, -1))).toContain(`${packageCorpus}/`);
    expect(await offered('replay', '/no/such/place/x')).toEqual([]);
  });
  test('offers nothing where nothing is known', async () => {
    expect(await offered('frobnicate', 'x')).toEqual([]);
    expect(await offered('init', '')).toEqual([]);
  });
});

test('the script for bash is one that bash takes, and that completes our command', { timeout: 120_000 }, () => {
  const script = runProgram(['completion', 'bash'], { cwd: packageRoot });
  expect(script.status).toBe(0);
  const taken = spawnSync('bash', ['-c', `${script.stdout}\ncomplete -p fenceproof`], { encoding: 'utf8' });
  expect([taken.status, taken.stderr]).toEqual([0, '']);
  expect(taken.stdout).toMatch(/complete .*-F \S+ fenceproof\n$/);
});
