/** Rules of fences that the kernel's self-test does not touch: hooks, locks, waits for any, references. */
import { describe, expect, test } from 'vitest';
import { answer, answers } from '../answers.ts';
import { must } from '../design.ts';
import { everywhere } from '../everywhere.ts';
import type { Block } from '../machine.ts';
import { alone, misuses, stage, witnessed } from '../stage.ts';
import {
  dma_fence_add_callback,
  dma_fence_enable_sw_signaling,
  dma_fence_get,
  dma_fence_get_status,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_put,
  dma_fence_remove_callback,
  dma_fence_set_deadline,
  dma_fence_set_error,
  dma_fence_signal,
  dma_fence_signal_locked,
  dma_fence_wait_any_timeout,
  dma_fence_wait_timeout,
  fenceRelease,
  fence_keep,
  fence_let_go,
  goto,
  if_ret,
  label,
  return_,
  spin_lock_irqsave,
  spin_unlock_irqrestore,
  wait_event,
  witness,
} from './index.ts';

const F = { objects: { fences: { f: {}, g: {} } }, routines: { says: [witness('said')] } };
const both = [dma_fence_init('f'), dma_fence_init('g')];

describe('the signaled hook', () => {
  const hooked = (ret: string) => ({
    objects: { fences: { f: { is_signaled: 'hook' } } },
    routines: { hook: [witness('asked'), return_(ret)], says: [witness('said')] },
  });
  const poll = [dma_fence_is_signaled('f')];
  test('F-36: a hook that says done makes the poller signal: the callbacks run on its stack', () => {
    const { ret, facts } = alone([dma_fence_init('f'), dma_fence_add_callback('f', 'says'), poll], hooked('true'));
    expect(ret).toBe('1');
    expect(witnessed(facts)).toEqual(['asked', 'said']);
  });
  test('F-36: a hook that says no leaves it pending; a fence that has signalled is not asked', () => {
    expect(alone([dma_fence_init('f'), poll], hooked('false')).ret).toBe('0');
    expect(witnessed(alone([dma_fence_init('f'), dma_fence_signal('f'), poll], hooked('true')).facts)).toEqual([]);
  });
  test('F-37: without a hook a poll never finds out by itself', () => {
    expect(alone([dma_fence_init('f'), poll], F).ret).toBe('0');
  });
});

describe('the fence lock', () => {
  const inside = (line: Block, objects: Record<string, Record<string, Record<string, unknown>>> = F.objects) => {
    const at = stage({
      objects,
      routines: { callback: line },
      threads: { task: must([both, dma_fence_add_callback('f', 'callback'), dma_fence_signal('f')]) },
    });
    at.runs('task');
    return at.because('task') ?? at.open('task').kind;
  };
  test('F-26: in a callback every operation that takes the same lock is a deadlock of one', () => {
    const stuck = 'task holds f->lock already';
    expect(inside([dma_fence_get_status('f')])).toBe(stuck);
    expect(inside([dma_fence_signal('f')])).toBe(stuck);
    expect(inside([dma_fence_remove_callback('f', 'callback')])).toBe(stuck);
    expect(inside([dma_fence_enable_sw_signaling('f')])).toBe(stuck);
  });
  test('F-26, F-28: polling it, and operations on a fence with another lock, are not', () => {
    expect(inside([dma_fence_is_signaled('f')])).toBe('finished');
    expect(inside([dma_fence_get_status('g'), dma_fence_signal('g')])).toBe('finished');
    expect(
      inside([dma_fence_get_status('g')], { fences: { f: { lock: 'l' }, g: { lock: 'l' } }, locks: { l: {} } }),
    ).toBe('task holds l already');
  });
  test('F-13: the enable hook may not take it either', () => {
    const at = stage({
      objects: { fences: { f: { enable_signaling: 'hook' } } },
      routines: { hook: [dma_fence_signal('f')] },
      threads: { task: must([dma_fence_init('f'), dma_fence_enable_sw_signaling('f')]) },
    });
    at.runs('task');
    expect(at.because('task')).toBe('task holds f->lock already');
  });
  test('F-33: whoever holds a shared lock signals with _locked; without the lock that is a misuse', () => {
    const shared = { objects: { fences: { f: { lock: 'ring' } }, locks: { ring: { irq: true } } } };
    const locked = [spin_lock_irqsave('ring'), dma_fence_signal_locked('f'), spin_unlock_irqrestore('ring')];
    expect(misuses(alone([dma_fence_init('f'), locked], shared).facts)).toEqual([]);
    expect(misuses(alone([dma_fence_init('f'), dma_fence_signal_locked('f')], shared).facts)).toEqual(['F-33']);
    const twice = [spin_lock_irqsave('ring'), dma_fence_signal('f'), spin_unlock_irqrestore('ring')];
    expect(alone([dma_fence_init('f'), twice], shared).ret).toBe('still waits: task holds ring already');
  });
  test('F-24: when remove_callback has returned, the callback is not running; without it, it may be', () => {
    const given = { initialised: true, promisedBy: 'owner' };
    const seen = (first: Block) =>
      everywhere({
        objects: { fences: { f: given, entered: given, left: given } },
        routines: { callback: [dma_fence_signal('entered'), dma_fence_signal('left')] },
        threads: {
          owner: must([dma_fence_add_callback('f', 'callback'), dma_fence_signal('f')]),
          task: must([
            first,
            dma_fence_is_signaled('entered'),
            if_ret('1', [dma_fence_is_signaled('left'), if_ret('0', [witness('still running')])]),
          ]),
        },
      }).facts.has('witness still running');
    expect(seen([])).toBe(true);
    const until_signalled: Block = [label('again'), dma_fence_is_signaled('f'), if_ret('0', [goto('again')])];
    expect(seen(until_signalled)).toBe(true);
    expect(seen([until_signalled, dma_fence_remove_callback('f', 'callback')])).toBe(false);
  });
});

describe('waiting for any', () => {
  const wait = (timeout: '0' | 'HZ' | 'MAX'): Block => dma_fence_wait_any_timeout(['f', 'g'], timeout);
  test('F-47: the first that is over ends it; nothing is over: nobody but one of their owners can', () => {
    expect(alone([both, dma_fence_signal('g'), wait('MAX')], F).ret).toBe('g');
    const at = stage({ ...F, threads: { task: must([both, wait('MAX')]) } });
    at.runs('task');
    expect(at.open('task')).toMatchObject({ kind: 'blocked', wait: { any: true, owedBy: ['task'] } });
  });
  test('F-47: a timeout of 0 polls and allocates nothing; any other allocates', () => {
    const allocates = (timeout: '0' | 'MAX') =>
      alone([both, dma_fence_signal('f'), wait(timeout)], F).facts.some(({ kind }) => kind === 'allocates');
    expect([allocates('0'), allocates('MAX')]).toEqual([false, true]);
    expect(alone([both, wait('0')], F).ret).toBe('0');
  });
  test('F-47: it may give up; waiting for none at all is refused', () => {
    const at = stage({ ...F, threads: { task: must([both, wait('HZ')]) } });
    at.runs('task');
    expect(at.plays('task/times out')).toContainEqual(expect.objectContaining({ kind: 'returned', ret: '0' }));
    const { ret, facts } = alone(dma_fence_wait_any_timeout([]), F);
    expect([ret, misuses(facts)]).toEqual(['-EINVAL', ['F-47']]);
  });
  test('wait_event sleeps until one is over, asks nobody for it, allocates nothing, and may not sleep in atomic context', () => {
    const hook = { objects: { fences: { f: { enable_signaling: 'says' }, g: {} } }, routines: F.routines };
    const { ret, facts } = alone([both, dma_fence_signal('g'), wait_event(['f', 'g'])], hook);
    expect([ret, witnessed(facts), facts.some(({ kind }) => kind === 'allocates')]).toEqual(['g', [], false]);
    const at = stage({ ...F, threads: { task: must([both, wait_event(['f', 'g'])]) } });
    at.runs('task');
    expect(at.open('task')).toMatchObject({ kind: 'blocked', wait: { any: true, owedBy: ['task'] } });
    const inside = [dma_fence_init('g'), dma_fence_add_callback('g', 'waits'), dma_fence_signal('g')];
    const waits = { ...F, routines: { waits: [wait_event(['g'])] } };
    expect(misuses(alone(inside, waits).facts)).toEqual(['CTX-A']);
  });
  test('F-43: a wait that only looks may sleep all the same, and asks for the signal', () => {
    const hook = { objects: { fences: { f: { enable_signaling: 'says' } } }, routines: F.routines };
    const { ret, facts } = alone([dma_fence_init('f'), dma_fence_wait_timeout('f', '0')], hook);
    expect([ret, witnessed(facts)]).toEqual(['0', ['said']]);
    const inside = [
      dma_fence_init('f'),
      dma_fence_init('g'),
      dma_fence_add_callback('g', 'waits'),
      dma_fence_signal('g'),
    ];
    const waits = { ...F, routines: { waits: [dma_fence_wait_timeout('f', '0')] } };
    expect(misuses(alone(inside, waits).facts)).toEqual(['CTX-A']);
  });
});

describe('references', () => {
  const counted = { ...F, objects: { ...F.objects, fence_refs: { f: {} } } };
  const add = dma_fence_add_callback('f', 'says');
  test('F-49: the last reference of a pending fence goes while somebody waits: it signals with -EDEADLK', () => {
    const { at, facts } = alone([dma_fence_init('f'), add, dma_fence_put('f')], counted);
    expect(misuses(facts)).toEqual(['F-49']);
    expect(witnessed(facts)).toEqual(['said']);
    expect(at.kernel.fences['f']).toMatchObject({ signaled: true, error: '-EDEADLK' });
  });
  test('F-50: when nobody waits it is lost without a word, and nobody owes it any more', () => {
    const { at, facts } = alone([dma_fence_init('f'), dma_fence_put('f')], counted);
    expect(misuses(facts)).toEqual([]);
    expect(at.kernel.fences['f']).toMatchObject({ signaled: false, promisedBy: null });
  });
  test('F-48: not the last one changes nothing; one too many is a misuse', () => {
    const two = [dma_fence_init('f'), dma_fence_get('f'), add, dma_fence_put('f')];
    expect(alone(two, counted).at.kernel.fences['f']?.signaled).toBe(false);
    expect(misuses(alone([two, dma_fence_signal('f'), dma_fence_put('f'), dma_fence_put('f')], counted).facts)).toEqual(
      ['F-48'],
    );
  });

  const two = { objects: { fences: { f: {}, g: {} }, fence_refs: { f: {}, g: {} } } };
  const keep = (fence: string, other: string): Block => [dma_fence_get(other), fence_keep(fence, other)];
  const begin: Block = [dma_fence_init('f'), dma_fence_init('g'), keep('f', 'g')];
  const end: Block = [dma_fence_signal('f'), dma_fence_signal('g'), dma_fence_put('f'), dma_fence_put('g')];
  const after = (...lines: Block) => {
    const { at, facts } = alone([begin, lines, end], two);
    const count = (fence: string) => at.kernel.fence_refs[fence]?.count;
    return { counts: [count('f'), count('g')], left: fenceRelease.leftovers?.(at.kernel), says: witnessed(facts) };
  };
  test('a fence gives back what it keeps when it goes, and not before', () => {
    const { at } = alone([begin, dma_fence_signal('g'), dma_fence_put('g')], two);
    expect(at.kernel.fence_refs['g']?.count).toBe(1);
    expect(fenceRelease.leftovers?.(at.kernel)).toEqual([]);
    expect(after()).toEqual({ counts: [0, 0], left: [], says: [] });
  });
  test('T-6: two that keep each other are left over when nobody else has them, unless one lets go', () => {
    const left = ['nobody has f and g any more, and they keep each other'];
    const says = ['g and f keep each other'];
    expect(after(keep('g', 'f'))).toEqual({ counts: [1, 1], left, says });
    expect(after(keep('g', 'f'), fence_let_go('f'))).toEqual({ counts: [0, 0], left: [], says });
  });
  test('T-6: they are not as long as somebody has one of them', () => {
    expect(after(keep('g', 'f'), dma_fence_get('f'))).toMatchObject({ counts: [2, 1], left: [] });
  });
});

describe('hints and errors', () => {
  const hinted = {
    objects: { fences: { f: { set_deadline: 'hint' }, g: {} } },
    routines: { hint: [witness('hinted')] },
  };
  test('F-53: the hook is called while the fence is pending, and only if there is one', () => {
    const heard = (...lines: Block) => witnessed(alone([both, lines], hinted).facts);
    expect(heard(dma_fence_set_deadline('f', '5'), dma_fence_set_deadline('f', '3'))).toEqual(['hinted', 'hinted']);
    expect(heard(dma_fence_set_deadline('g', '5'))).toEqual([]);
    expect(heard(dma_fence_signal('f'), dma_fence_set_deadline('f', '5'))).toEqual([]);
  });
  test('F-39: an error must be a negative error number', () => {
    const { rules } = answers(F, [[dma_fence_init('f'), dma_fence_set_error('f', '5')]]);
    expect(rules).toEqual(['F-39']);
    expect(answer(F, [[dma_fence_init('f'), dma_fence_set_error('f', '-EIO'), dma_fence_get_status('f')]])).toBe('0');
  });
});
