import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Design } from '../model/design.ts';
import { PLAIN } from '../reports/reporter.ts';
import { loadDesigns } from './designs.ts';
import { packageRoot } from './files.ts';
import { main } from './main.ts';
import './vitest.ts';

const guide = readFileSync(join(packageRoot, 'docs', 'first-design.md'), 'utf8');
const [design = '', expectations = ''] = [...guide.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code ?? '');

async function run(...args: string[]): Promise<{ status: number; said: string }> {
  const said: string[] = [];
  const say = (text: string): void => void said.push(text);
  const status = await main(args, { say, warn: say, progress: () => undefined, look: PLAIN });
  return { status, said: said.join('\n') };
}

test('the guide is true: its design is convicted as it says, and as it should be once its expectations are written down', {
  timeout: 240_000,
}, async () => {
  const room = mkdtempSync(join(tmpdir(), 'fenceproof-'));
  try {
    const first = join(room, 'late-alloc.ts');
    writeFileSync(first, design);
    const before = await run('check', first, '--workers', '0');
    expect(before.status).toBe(1);
    const [, shown = ''] = /```console\n\$ [^\n]*\n(.*?)```/s.exec(guide) ?? [];
    for (const line of shown.trim().split('\n')) {
      const words = line.split('…').map((part) => part.trim());
      for (const part of words) expect(before.said).toContain(part);
    }

    const second = join(room, 'expected.ts');
    writeFileSync(second, design.replace('  expect: [],\n', expectations));
    expect((await run('check', second, '--workers', '0')).said).toContain('3 settings, 3 as they should be, 0 not');
    const [{ design: loaded }] = (await loadDesigns(second)) as [{ design: Design }];
    expect(loaded).toBeAcquitted({ knobs: { worker_allocates: 'GFP_NOWAIT' } });
    expect(loaded).toBeConvictedBy('no-deadlock', { knobs: { worker_allocates: 'GFP_KERNEL' } });

    const misspelt = join(room, 'misspelt.ts');
    writeFileSync(misspelt, design.replace("dma_fence_signal('job')", "dma_fence_signal('jbo')"));
    expect((await run('check', misspelt)).said).toContain(
      'dma_fence_signal names unknown fences "jbo"; there are: job',
    );

    const out = join(room, 'corpus');
    await run('check', second, '-k', 'worker_allocates=GFP_KERNEL', '--save', '-o', out, '--workers', '0');
    const [, entry = ''] = /fenceproof-corpus\/(\S+\.json)/.exec(guide) ?? [];
    expect(readdirSync(out)).toContain(entry);
    const mail = await run('report', '--mail', '-d', second, join(out, entry));
    expect([mail.status, mail.said]).toEqual([0, expect.stringContaining('job_work')]);
  } finally {
    rmSync(room, { recursive: true });
  }
});

test('a machine without the shrinker has no deadlock, and breaks the rule all the same', {
  timeout: 120_000,
}, async () => {
  const room = mkdtempSync(join(tmpdir(), 'fenceproof-'));
  try {
    const path = join(room, 'late-alloc.ts');
    writeFileSync(path, design.replace(/ *shrinkers: \{.*\n/, ''));
    const [{ design: loaded }] = (await loadDesigns(path)) as [{ design: Design }];
    expect(loaded).not.toBeConvictedBy('no-deadlock', { knobs: { worker_allocates: 'GFP_KERNEL' } });
    expect(loaded).toBeConvictedBy('no-alloc-in-signalling', { knobs: { worker_allocates: 'GFP_KERNEL' } });
  } finally {
    rmSync(room, { recursive: true });
  }
});
