import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block } from '../machine.ts';
import { misuses, stage } from '../stage.ts';
import {
  crtc,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  drm_atomic_complete_signaling,
  drm_atomic_helper_abort_commit,
  drm_atomic_helper_commit_cleanup_done,
  drm_atomic_helper_commit_hw_done,
  drm_atomic_helper_commit_planes,
  drm_atomic_helper_commit_tail,
  drm_atomic_helper_prepare_planes,
  drm_atomic_helper_setup_commit,
  drm_atomic_helper_swap_state,
  drm_atomic_helper_wait_for_fences,
  drm_atomic_helper_wait_for_flip_done,
  drm_atomic_prepare_signaling,
  drm_atomic_set_in_fence,
  drm_crtc_complete_flip,
  witness,
} from './index.ts';

const on = (threads: Record<string, Block>, { may_hang = false } = {}) =>
  stage({
    objects: {
      resvs: { fb: {} },
      fences: { draw: {}, move: {}, explicit: {}, out: {} },
      crtc_commits: {
        c1: { crtc: 'crtc', fb: 'fb', out_fence: 'out' },
        c2: { crtc: 'crtc', fb: 'fb' },
        c3: { crtc: 'crtc', fb: 'fb' },
      },
    },
    threads: {
      crtc: crtc({ may_hang }),
      ...Object.fromEntries(Object.entries(threads).map(([name, body]) => [name, must(body)])),
    },
  });
const begins = (commit: string, how: 'blocking' | 'nonblocking' = 'blocking'): Block => [
  drm_atomic_helper_setup_commit(commit, how),
  witness('set up'),
];
const swapped = (commit: string): Block => [begins(commit), drm_atomic_helper_swap_state(commit)];
const programmed = (commit: string): Block => [
  swapped(commit),
  drm_atomic_helper_commit_planes(commit),
  drm_atomic_helper_commit_hw_done(commit),
];
const put = (fence: string, usage: 'KERNEL' | 'WRITE' | 'READ'): Block => [
  dma_resv_lock('fb'),
  dma_resv_reserve_fences('fb'),
  dma_fence_init(fence),
  dma_resv_add_fence('fb', fence, usage),
  dma_resv_unlock('fb'),
];

describe('an atomic commit', () => {
  test('D4.1: on its own it goes through: programmed, flipped by the hardware, cleaned up', () => {
    const at = on({ task: [swapped('c1'), drm_atomic_helper_commit_tail('c1')] });
    at.runs('task');
    expect(at.because('task')).toBe('crtc has yet to complete flip_done of c1');
    at.runs('crtc');
    expect(misuses(at.runs('task'))).toEqual([]);
    expect(at.kernel.crtcs['crtc']).toMatchObject({ commits: [], latched: null });
    expect(at.kernel.crtc_commits['c1']).toMatchObject({ live: false, cleanup_done: true });
  });
  test('D4.2: a nonblocking one is refused while the flip before is not done; a blocking one is not', () => {
    const busy = on({ task: [programmed('c1'), drm_atomic_helper_setup_commit('c2', 'nonblocking')] });
    const rets = busy.runs('task').flatMap((fact) => (fact.kind === 'returned' ? [fact.ret] : []));
    expect(rets).toContain('-EBUSY');
    const blocking = on({ task: [programmed('c1'), begins('c2')] });
    blocking.runs('task');
    expect(blocking.open('task').kind).toBe('finished');
    expect(blocking.kernel.crtc_commits['c2']?.live).toBe(true);
  });
  test('D4.2: both stall on the clean-up of the one before the last, ten seconds, and a signal ends it', () => {
    const at = on({ task: [programmed('c1'), programmed('c2'), begins('c3')] });
    at.runs('task');
    expect(at.open('task')).toMatchObject({ kind: 'blocked', outcomes: ['times out', 'interrupted'] });
    at.runs('crtc');
    at.plays('task/times out');
    expect(at.kernel.crtc_commits['c3']?.live).toBe(true);
    const killed = on({ task: [programmed('c1'), programmed('c2'), begins('c3')] });
    killed.runs('task');
    killed.plays('task/interrupted');
    expect(killed.kernel.crtc_commits['c3']?.live).toBe(false);
  });
  test('D4.2: the swap stalls on hw_done of the commit before, and a signal ends it', () => {
    const at = on({ other: swapped('c1'), task: [begins('c2'), drm_atomic_helper_swap_state('c2')] });
    at.runs('other');
    at.runs('task');
    expect(at.because('task')).toBe('other has yet to complete hw_done of c1');
    at.plays('task/interrupted');
    expect(at.kernel.crtc_commits['c2']?.swapped).toBe(false);
  });
  test('D4.3: before the swap a signal ends the wait for fences, after it nothing does', () => {
    const waits = (pre_swap: boolean) => {
      const at = on({
        task: [
          put('draw', 'WRITE'),
          begins('c1'),
          drm_atomic_helper_prepare_planes('c1'),
          drm_atomic_helper_wait_for_fences('c1', pre_swap),
        ],
      });
      at.runs('task');
      return at.open('task');
    };
    expect(waits(true)).toMatchObject({ kind: 'blocked', outcomes: ['interrupted'] });
    expect(waits(false)).toMatchObject({ kind: 'blocked', outcomes: [] });
  });
  describe('D4.5: what it collects', () => {
    const collects = (...before: Block): readonly string[] => {
      const at = on({ task: [before, begins('c1'), drm_atomic_helper_prepare_planes('c1')] });
      at.runs('task');
      return at.kernel.crtc_commits['c1']?.fences ?? [];
    };
    const explicit: Block = [dma_fence_init('explicit'), drm_atomic_set_in_fence('c1', 'explicit')];
    test('writers and the moves of the kernel, not readers', () => {
      expect(collects(put('draw', 'WRITE'), put('move', 'KERNEL'))).toEqual(['draw', 'move']);
      expect(collects(put('draw', 'READ'))).toEqual([]);
    });
    test('with an explicit fence that one and the moves', () => {
      expect(collects(put('draw', 'WRITE'), put('move', 'KERNEL'), explicit)).toEqual(['move', 'explicit']);
    });
    test('nothing that is over', () => {
      expect(collects(put('draw', 'WRITE'), dma_fence_signal('draw'), explicit, dma_fence_signal('explicit'))).toEqual(
        [],
      );
    });
  });
  test('D4.6: the out-fence signals with the flip, not before', () => {
    const at = on({
      task: [drm_atomic_prepare_signaling('c1'), programmed('c1'), drm_atomic_complete_signaling('c1', true)],
    });
    at.runs('task');
    expect(at.kernel.fences['out']).toMatchObject({ published: true, signaled: false, promisedBy: 'crtc' });
    at.runs('crtc');
    expect(at.kernel.fences['out']).toMatchObject({ signaled: true, error: null });
  });
  test('D4.6: a commit that fails before the swap leaves no fence behind that anybody could see', () => {
    const at = on({
      task: [
        drm_atomic_prepare_signaling('c1'),
        begins('c1'),
        drm_atomic_helper_abort_commit('c1'),
        drm_atomic_complete_signaling('c1', false),
      ],
    });
    expect(misuses(at.runs('task'))).toEqual([]);
    expect(at.kernel.fences['out']).toMatchObject({ published: false, signaled: true, error: '-ECANCELED' });
  });
  test('D4.1: after the swap there is no way back', () => {
    expect(misuses(on({ task: [swapped('c1'), drm_atomic_helper_abort_commit('c1')] }).runs('task'))).toEqual(['D4.1']);
    expect(misuses(on({ task: [begins('c1'), drm_atomic_helper_abort_commit('c1')] }).runs('task'))).toEqual([]);
  });
  test('D4.3: it is cleaned up after hw_done, not before', () => {
    const at = (...lines: Block) => misuses(on({ task: [swapped('c1'), lines] }).runs('task'));
    expect(at(drm_atomic_helper_commit_cleanup_done('c1'))).toEqual(['D4.3']);
    expect(at(drm_atomic_helper_commit_hw_done('c1'), drm_atomic_helper_commit_cleanup_done('c1'))).toEqual([]);
  });
  test('D2.5: a flip that hangs is waited for ten seconds; finishing it by hand ends the wait at once', () => {
    const waits: Block = [programmed('c2'), drm_atomic_helper_wait_for_flip_done('c2')];
    const at = on({ task: waits, reset: [drm_crtc_complete_flip('crtc')] }, { may_hang: true });
    at.runs('task');
    at.plays('crtc/gets stuck');
    expect(at.open('task')).toMatchObject({ kind: 'blocked', outcomes: ['times out'] });
    expect(at.because('crtc')).toBe('crtc is stuck in c2');
    at.runs('reset');
    expect(at.open('task').kind).toBe('ready');
  });
});
