/**
 * Fuzz of atomic commits against a list of them: three commits on one CRTC, set up, swapped in, programmed, flipped and
 * cleaned up in any order, wrong ones too, while a job may draw into the buffer that they show.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Oracle, type Side, asks, bouts, takes } from '../bout.ts';
import { opens } from '../case.ts';
import { type Booted, ioctl } from '../design.ts';
import type { Fact, KernelState } from '../machine.ts';
import { bootKernel } from '../stage.ts';
import {
  crtc,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  drm_atomic_helper_abort_commit,
  drm_atomic_helper_commit_cleanup_done,
  drm_atomic_helper_commit_hw_done,
  drm_atomic_helper_commit_planes,
  drm_atomic_helper_prepare_planes,
  drm_atomic_helper_setup_commit,
  drm_atomic_helper_swap_state,
  drm_atomic_helper_wait_for_dependencies,
  drm_atomic_helper_wait_for_fences,
  drm_atomic_helper_wait_for_flip_done,
  drm_atomic_prepare_signaling,
  user,
} from './index.ts';

const COMMITS = ['one', 'two', 'three'] as const;
const c = { commit: COMMITS };
const booted: Booted = bootKernel({
  objects: {
    resvs: { fb: {} },
    fences: { draw: {}, ...Object.fromEntries(COMMITS.map((each) => [`out_${each}`, {}])) },
    crtc_commits: Object.fromEntries(
      COMMITS.map((each) => [each, { crtc: 'crtc', fb: 'fb', out_fence: `out_${each}` }]),
    ),
  },
  threads: { task: user(), crtc: crtc() },
  calls: {
    draw: ioctl({}, [
      dma_resv_lock('fb'),
      dma_resv_reserve_fences('fb'),
      dma_fence_init('draw'),
      dma_resv_add_fence('fb', 'draw', 'WRITE'),
      dma_resv_unlock('fb'),
    ]),
    drawn: ioctl({}, [dma_fence_signal('draw')]),
    setup: ioctl(c, [drm_atomic_prepare_signaling('$commit'), drm_atomic_helper_setup_commit('$commit', 'blocking')]),
    setup_nonblocking: ioctl(c, [
      drm_atomic_prepare_signaling('$commit'),
      drm_atomic_helper_setup_commit('$commit', 'nonblocking'),
    ]),
    prepare: ioctl(c, drm_atomic_helper_prepare_planes('$commit')),
    abort: ioctl(c, [drm_atomic_helper_abort_commit('$commit')]),
    swap: ioctl(c, [drm_atomic_helper_swap_state('$commit')]),
    swap_at_once: ioctl(c, [drm_atomic_helper_swap_state('$commit', '$me', false)]),
    fences: ioctl(c, [drm_atomic_helper_wait_for_fences('$commit')]),
    before: ioctl(c, drm_atomic_helper_wait_for_dependencies('$commit')),
    planes: ioctl(c, [drm_atomic_helper_commit_planes('$commit')]),
    hw_done: ioctl(c, [drm_atomic_helper_commit_hw_done('$commit')]),
    flip_wait: ioctl(c, [drm_atomic_helper_wait_for_flip_done('$commit')]),
    cleanup: ioctl(c, [drm_atomic_helper_commit_cleanup_done('$commit')]),
  },
});

/** `vblank` is the hardware's turn; everything else is a call. */
type Command = readonly [call: string, commit?: string];
const text = ([call, commit]: Command): string => `${call}(${commit ?? ''})`;
type Fault =
  | 'none'
  | 'a nonblocking commit never waits its turn'
  | 'flips out of order are fine'
  | 'the tail needs no fences';

interface Commit {
  live: boolean;
  swapped: boolean;
  hw_done: boolean;
  flip_done: boolean;
  collected: boolean;
  /** Was something being drawn when it began? The life of `draw` that it must wait for. */
  must: number | null;
  waits: number | null;
  after: Commit | null;
  out: boolean;
}
class Model implements Oracle<Command> {
  readonly fault: Fault;
  readonly of: Record<string, Commit>;
  /** Commits that were swapped in and not cleaned up. */
  list: Commit[] = [];
  latched: Commit | null = null;
  /** The life of `draw` that is under way. */
  drawing: number | null = null;
  lives = 0;
  /** The task waits for ever: nothing comes after that. */
  stuck = false;
  constructor(fault: Fault = 'none') {
    this.fault = fault;
    this.of = Object.fromEntries(COMMITS.map((each) => [each, Model.fresh()]));
  }
  static fresh(): Commit {
    const none = { live: false, swapped: false, hw_done: false, flip_done: false, collected: false };
    return { ...none, must: null, waits: null, after: null, out: false };
  }
  /** Has a commit yet to come so far? One that is over has. */
  static lacks(commit: Commit | null | undefined, which: 'hw_done' | 'flip_done'): boolean {
    return commit !== null && commit !== undefined && commit.live && !commit[which];
  }
  holdsFence(name: string): boolean {
    const { live, must, waits } = this.of[name] as Commit;
    return live && (must !== null || waits !== null);
  }
  possible([call, name = '']: Command): boolean {
    const of = this.of[name] as Commit;
    // A fence whose name a commit still holds begins no new life: names are all that a commit has of it.
    if (call === 'draw') return this.drawing === null && COMMITS.every((each) => !this.holdsFence(each));
    if (call === 'drawn') return this.drawing !== null;
    if (call === 'vblank') return this.latched !== null;
    if (call.startsWith('setup')) return !of.live;
    if (call === 'prepare') return of.live;
    if (call === 'abort' || call.startsWith('swap')) return of.live && !of.swapped;
    return of.live && of.swapped;
  }
  /** Do it: what it returned or how it waited, and the rules it broke. */
  does([call, name = '']: Command): string {
    const of = this.of[name] as Commit;
    const newest = this.list.at(-1);
    switch (call) {
      case 'draw':
        this.drawing = this.lives += 1;
        return '0';
      case 'drawn':
        this.drawing = null;
        return '0';
      case 'vblank': {
        const shown = this.latched as Commit;
        Object.assign(shown, { flip_done: true, out: false });
        this.latched = null;
        return '';
      }
      case 'setup':
      case 'setup_nonblocking': {
        const refuses = call !== 'setup' && newest !== undefined && !newest.flip_done;
        if (refuses && this.fault !== 'a nonblocking commit never waits its turn') {
          of.out = true; // the fence was made before
          return '-EBUSY';
        }
        if (this.list.length >= 2) {
          of.out = true;
          return 'waits -ERESTARTSYS';
        }
        // Another commit under the same name: whatever pointed to the old one points to one that is over.
        this.of[name] = { ...Model.fresh(), live: true, must: this.drawing, out: true };
        if (this.latched === of) this.latched = null;
        return '0';
      }
      case 'prepare':
        of.waits = this.drawing;
        return '0';
      case 'abort':
        of.live = false;
        return '0';
      case 'swap':
      case 'swap_at_once':
        if (call === 'swap' && Model.lacks(newest, 'hw_done')) return 'waits -ERESTARTSYS';
        Object.assign(of, { swapped: true, after: newest ?? null });
        this.list.push(of);
        return '0';
      case 'fences':
        return of.waits !== null && of.waits === this.drawing && this.fault !== 'the tail needs no fences'
          ? 'waits for ever'
          : '0';
      case 'before':
        return Model.lacks(of.after, 'hw_done') || Model.lacks(of.after, 'flip_done') ? 'waits 0' : '0';
      case 'planes': {
        const overtakes = Model.lacks(of.after, 'hw_done') || (this.latched !== null && this.latched !== of);
        const missed = of.must !== null && of.must === this.drawing;
        this.latched = of;
        return `0${overtakes && this.fault !== 'flips out of order are fine' ? ' S-D4' : ''}${missed ? ' early' : ''}`;
      }
      case 'hw_done':
        of.hw_done = true;
        return '0';
      case 'flip_wait':
        return of.flip_done ? '0' : 'waits -ETIME';
      default: {
        this.list = this.list.filter((each) => each !== of);
        of.live = false;
        return of.hw_done ? '0' : '0 D4.3';
      }
    }
  }
  plays(command: Command): unknown {
    if (this.stuck || !this.possible(command)) return undefined;
    const said = this.does(command);
    this.stuck = said === 'waits for ever';
    return said;
  }
  shows(): unknown {
    const nameOf = (commit: Commit | null): string | null => COMMITS.find((each) => this.of[each] === commit) ?? null;
    const outs = COMMITS.map((each) => (this.of[each] as Commit).out);
    return { list: this.list.map(nameOf), latched: nameOf(this.latched), outs };
  }
}
function objectShows(kernel: KernelState): unknown {
  const { commits, latched } = kernel.crtcs['crtc'] as KernelState['crtcs'][string];
  const outs = COMMITS.map((each) => {
    const { initialised, signaled } = kernel.fences[`out_${each}`] as KernelState['fences'][string];
    return initialised && !signaled;
  });
  return { list: commits, latched, outs };
}
/** Play a command; a wait that can end by itself, or by a signal, does so, and one that cannot is passed over. */
function plays(kernel: KernelState, command: Command): string {
  const [call] = command;
  if (call !== 'vblank') asks(booted, kernel, 'task', text(command));
  const facts: Fact[] = [];
  const thread = call === 'vblank' ? 'crtc' : 'task';
  const frames = (): number => (kernel.threads[thread] as KernelState['threads'][string]).frames.length;
  let waited = '';
  do {
    const now = opens(booted.machine, kernel)[thread];
    const ways = now?.kind === 'blocked' ? now.outcomes : undefined;
    if (ways?.length === 0) return 'waits for ever';
    if (ways) waited = 'waits ';
    const way = ways?.find((each) => each === 'interrupted') ?? ways?.[0];
    facts.push(...takes(booted, kernel, way === undefined ? thread : `${thread}/${way}`));
  } while (frames() > 1);
  const ret = facts.findLast((fact) => fact.kind === 'returned' && fact.to === 'user');
  const rules = facts.flatMap((fact) => (fact.kind === 'misuse' ? [` ${fact.rule}`] : []));
  const early = facts.some((fact) => fact.kind === 'starts' && fact.missed.length > 0) ? ' early' : '';
  return call === 'vblank' ? '' : `${waited}${ret?.kind === 'returned' ? ret.ret : ''}${rules.join('')}${early}`;
}
const side: Side<Command> = { booted, plays, shows: objectShows, text };

const commit = fc.constantFrom(...COMMITS);
const one = (weight: number, ...calls: string[]) => ({
  weight,
  arbitrary: fc.tuple(fc.constantFrom(...calls), commit) as fc.Arbitrary<Command>,
});
const command: fc.Arbitrary<Command> = fc.oneof(
  one(6, 'setup', 'setup_nonblocking'),
  one(6, 'swap', 'swap_at_once'),
  one(5, 'planes', 'hw_done', 'cleanup'),
  one(3, 'prepare', 'before', 'flip_wait'),
  one(1, 'abort', 'fences'),
  { weight: 2, arbitrary: fc.tuple(fc.constant('vblank')) as fc.Arbitrary<Command> },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom('draw', 'drawn', 'drawn')) as fc.Arbitrary<Command> },
);
const fuzz = (many: number, fault: Fault = 'none'): number =>
  bouts(side, command, () => new Model(fault), many, { seed: 4, endOnFailure: fault !== 'none' });

describe('atomic commits against a list of them', () => {
  test('the same order, waits, complaints and out-fences after every command', () => {
    expect(fuzz(60)).toBeGreaterThan(1_000);
  });
  test('a hundred thousand commands', { tags: ['long'] }, () => {
    expect(fuzz(3_500)).toBeGreaterThan(100_000);
  });
  test.each([
    'a nonblocking commit never waits its turn',
    'flips out of order are fine',
    'the tail needs no fences',
  ] as const)('it can fail: a list in which %s is told apart', (fault) => {
    expect(() => fuzz(60, fault)).toThrow(/after/);
  });
});
