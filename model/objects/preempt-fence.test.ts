import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block } from '../machine.ts';
import { misuses, stage } from '../stage.ts';
import {
  dma_fence_wait,
  firmware,
  preempt_fence,
  preempt_fence_arm,
  preempt_fence_create,
  preempt_fence_work,
  suspend_queue,
  suspend_queue_wait,
  user_queue,
  work,
} from './index.ts';

const on = (threads: Record<string, Block>, { live = true, preempted_by = 'fw' } = {}) =>
  stage({
    objects: preempt_fence('fence', { queues: ['left', 'right'], work: 'preempt_work', live }),
    threads: {
      left: user_queue({ preempted_by }),
      right: user_queue({ preempted_by }),
      fw: firmware(),
      preempt_work: work(preempt_fence_work('fence')),
      ...Object.fromEntries(Object.entries(threads).map(([name, body]) => [name, must(body)])),
    },
  });

describe('a preemption fence', () => {
  test('E1.3: it never signals by itself; asked for, it signals when its queues are off', () => {
    const at = on({ waiter: [dma_fence_wait('fence')] });
    expect([at.because('fw'), at.because('preempt_work')]).toEqual(['nobody asks fw', 'preempt_work is not queued']);
    at.runs('waiter');
    expect(at.because('waiter')).toBe('preempt_work has yet to signal fence');
    at.runs('preempt_work');
    expect(at.because('preempt_work')).toBe('fw has yet to preempt left, and fw has yet to preempt right');
    at.plays('fw/left', 'fw/right');
    at.runs('preempt_work');
    at.runs('waiter');
    expect(at.open('waiter').kind).toBe('finished');
  });
  test('E1.4: it is asked for once, however many wait for it', () => {
    const at = on({ one: [dma_fence_wait('fence')], two: [dma_fence_wait('fence')] });
    at.runs('one');
    at.plays('fw/left', 'fw/right');
    at.runs('two');
    expect(at.because('fw')).toBe('nobody asks fw');
    at.runs('preempt_work');
    expect(at.open('two').kind).toBe('ready');
  });
  test('P-6: it stands for all its queues: one that is still on holds it up', () => {
    const at = on({ waiter: [dma_fence_wait('fence')] });
    at.runs('waiter');
    at.plays('fw/right');
    at.runs('preempt_work');
    expect(at.because('preempt_work')).toBe('fw has yet to preempt left');
  });
  test('P-5: create may fail and shows nothing; arm may not', () => {
    const fails = on({ task: preempt_fence_create('fence', 'GFP_NOWAIT') }, { live: false });
    expect(fails.ways('task')).toContain('fails');
    fails.plays('task/fails');
    expect(fails.kernel.preempt_fences['fence']?.spare).toBe(false);
    const armed = on({ task: [preempt_fence_create('fence'), preempt_fence_arm('fence')] }, { live: false });
    expect(misuses(armed.runs('task'))).toEqual([]);
    expect(armed.kernel.fences['fence']).toMatchObject({ initialised: true, promisedBy: 'preempt_work' });
    const bare = on({ task: [preempt_fence_arm('fence')] }, { live: false });
    expect(misuses(bare.runs('task'))).toEqual(['P-5']);
  });
  test('P-8: hardware that cannot preempt: nobody owes the answer, so such a queue has no fence that could signal', () => {
    const at = on({ waiter: [dma_fence_wait('fence')] }, { preempted_by: '' });
    at.runs('waiter');
    at.runs('preempt_work');
    expect(at.open('preempt_work')).toMatchObject({ kind: 'blocked', wait: { owedBy: [] } });
  });
  test('E1.5: a wait for a preemption may give up after a time, and the queue is still there', () => {
    const at = on({ task: [suspend_queue('left'), suspend_queue_wait('left', 'HZ')] }, { preempted_by: '' });
    at.plays('task');
    expect(at.open('task')).toMatchObject({ kind: 'blocked', outcomes: ['times out'] });
    const patient = on({ task: [suspend_queue('left'), suspend_queue_wait('left')] });
    patient.plays('task', 'fw/left', 'task');
    expect(patient.open('task').kind).toBe('finished');
    expect(patient.kernel.user_queues['left']?.mapped).toBe(false);
    expect(at.kernel.user_queues['left']?.mapped).toBe(true);
  });
});
