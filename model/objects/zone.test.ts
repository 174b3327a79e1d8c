/** Counted pages: who may go how far down, and what comes back when (A2.4, A2.5, A7.3). */
import { expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block } from '../machine.ts';
import { stage, witnessed } from '../stage.ts';
import { alloc_page, free_page, if_ret, set_page_dirty, witness, writeback } from './index.ts';

const on = (body: Block, free: number) => {
  const at = stage({
    objects: { zones: { normal: { free, reserve: 1 } } },
    threads: { task: must(body), flusher: writeback('normal') },
  });
  const facts = at.runs('task');
  return { at, got: witnessed(facts), free: () => at.kernel.zones['normal']?.free };
};
const gets = (how: '' | 'memalloc', free: number): string[] =>
  on([alloc_page('normal', how), if_ret('0', [witness('a page')], [witness('nothing')])], free).got;

test('A2.4: an ordinary allocation stops at the reserve; a task that reclaims goes below, down to nothing', () => {
  expect([gets('', 2), gets('', 1)]).toEqual([['a page'], ['nothing']]);
  expect([gets('memalloc', 1), gets('memalloc', 0)]).toEqual([['a page'], ['nothing']]);
  expect(on([free_page('normal'), alloc_page('normal')], 1).free()).toBe(1);
});
test('A7.3: a copy in shmem frees nothing until it has been written out', () => {
  const { at, free } = on([alloc_page('normal', 'memalloc'), set_page_dirty('normal')], 1);
  expect([free(), at.open('flusher').kind]).toEqual([0, 'ready']);
  at.runs('flusher');
  expect([free(), at.because('flusher')]).toEqual([1, 'no page is dirty']);
});
