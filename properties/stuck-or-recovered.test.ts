/** A fence that user space may never signal: who is stuck behind it for ever, and who recovers (T-2, HC-10). */
import { expect, test } from 'vitest';
import { boot } from '../model/design.ts';
import { vgemFence } from '../model/designs/vgem-fence.ts';
import type { Property } from './property.ts';
import { sweep } from './search/sweep.ts';

/** Convicts when everything that is owed has happened and this thread still waits. */
const stuck = (thread: string): Property => ({
  name: 'fence-signals',
  says: `${thread} is not stuck when the machine is at rest`,
  sources: ['T-2'],
  rest(_machine, _kernel, opens) {
    const open = opens[thread];
    if (open?.kind !== 'blocked') return undefined;
    return { property: 'fence-signals', kind: 'stuck', what: open.wait.because, links: [], rules: ['T-2'] };
  },
});
const whys = (timeout: string, consumer: string, thread: string): string[] =>
  sweep(boot(vgemFence, { timeout, consumer }), [stuck(thread)]).findings.map(({ blame }) => blame.what);

test.each(['none', 'root_may_disable'])('timeout=%s: a plain waiter is stuck', (timeout) => {
  expect(whys(timeout, 'v4l', 'v4l_capture')).toEqual(['client has yet to signal vgem_fence']);
});

test.each(['none', 'root_may_disable'])('timeout=%s: a commit is stuck behind the swap', (timeout) => {
  expect(whys(timeout, 'atomic_helper', 'commit_tail')).toEqual(['client has yet to signal vgem_fence']);
});

test.each(['none', 'root_may_disable'])('timeout=%s: a hangcheck recovers', (timeout) => {
  expect(whys(timeout, 'hangcheck', 'gpu_job')).toEqual([]);
});

test('with the timeout of ten seconds nobody is stuck', () => {
  expect(whys('10s', 'v4l', 'v4l_capture')).toEqual([]);
  expect(whys('10s', 'atomic_helper', 'commit_tail')).toEqual([]);
  expect(whys('10s', 'hangcheck', 'gpu_job')).toEqual([]);
});
