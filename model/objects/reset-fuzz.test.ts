/**
 * Fuzz of rings and resets against a page of rules: two rings of one device and one of another, jobs that complete, hang
 * or go on late, and every step of a reset at any time and in any order, wrong ones too.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Oracle, type Side, asks, bouts, takes } from '../bout.ts';
import { opens } from '../case.ts';
import { type Booted, ioctl } from '../design.ts';
import type { Fact, KernelState } from '../machine.ts';
import { bootKernel } from '../stage.ts';
import {
  dma_fence_init,
  dma_fence_signal,
  emit,
  late_completion,
  reset_begin,
  reset_end,
  reset_force_completion,
  reset_hardware,
  reset_resubmit,
  ring,
  user,
} from './index.ts';

const DEVICE = ['gfx', 'sdma'] as const;
const RINGS = [...DEVICE, 'other'] as const;
const FENCES = ['f', 'g', 'h', 'i', 'j'] as const;
const job = { ring: RINGS, fence: FENCES };
const booted: Booted = bootKernel({
  objects: {
    fences: Object.fromEntries(FENCES.map((fence) => [fence, {}])),
    reset_domains: { device: { rings: DEVICE, may_fail: true } },
  },
  routines: { done: [dma_fence_signal('$fence')] },
  threads: {
    task: user(),
    ...Object.fromEntries(RINGS.map((each) => [each, ring({ may_hang: true })])),
    slow: late_completion('gfx'),
  },
  calls: {
    emit: ioctl(job, [dma_fence_init('$fence'), emit('$ring', '$fence', '$fence', 'done')]),
    resubmit: ioctl(job, [reset_resubmit('$ring', '$fence', '$fence', 'done')]),
    begin: ioctl({}, [reset_begin('device')]),
    force: ioctl({}, [reset_force_completion('device', '-ECANCELED')]),
    resets: ioctl({}, [reset_hardware('device')]),
    fails: ioctl({}, [reset_hardware('device')]),
    end: ioctl({}, [reset_end('device')]),
  },
});

type Command = readonly [call: string, ...args: string[]];
const text = ([call, ...args]: Command): string => `${call}(${args.join(', ')})`;
type Fault = 'none' | 'forcing takes the jobs away' | 'a reset that fails clears the rings' | 'nothing is parked';

interface Job {
  readonly fence: string;
}
class Model implements Oracle<Command> {
  readonly fault: Fault;
  readonly jobs: Record<string, Job[]> = { gfx: [], sdma: [], other: [] };
  readonly hung: Record<string, boolean> = { gfx: false, sdma: false, other: false };
  readonly pending: Record<string, boolean> = {};
  readonly errors: Record<string, string | null> = Object.fromEntries(FENCES.map((fence) => [fence, null]));
  /** The ring that a fence was last given to. */
  readonly owner: Record<string, string> = {};
  state = 'none';
  parked = false;
  lost: string[] = [];
  constructor(fault: Fault = 'none') {
    this.fault = fault;
  }
  onRing(fence: string): boolean {
    return RINGS.some((each) => this.jobs[each]?.some((one) => one.fence === fence));
  }
  possible([call, on = '', fence = '']: Command): boolean {
    if (call === 'emit') return !this.pending[fence] && !this.onRing(fence);
    if (call === 'resubmit') return !this.onRing(fence);
    if (call === 'goes on') return this.hung['gfx'] === true;
    return call === 'completes' || call === 'hangs' ? !this.hung[on] && (this.jobs[on] as Job[]).length > 0 : true;
  }
  outstanding(): string[] {
    const on = DEVICE.flatMap((each) => (this.jobs[each] as Job[]).map(({ fence }) => fence));
    return [...this.lost, ...on].filter((fence) => this.pending[fence]);
  }
  gives(fence: string, to: string): void {
    (this.jobs[to] as Job[]).push({ fence });
    this.owner[fence] = to;
  }
  /** Do it, and say which rules it breaks. */
  does([call, on = '', fence = '']: Command): string[] {
    const ofDevice = (DEVICE as readonly string[]).includes(on);
    switch (call) {
      case 'emit':
        this.pending[fence] = true;
        this.errors[fence] = null;
        this.gives(fence, on);
        return ofDevice && this.parked ? ['HC-3'] : [];
      case 'resubmit':
        if (!this.pending[fence]) return [];
        if (ofDevice) this.lost = this.lost.filter((each) => each !== fence);
        this.gives(fence, on);
        return [];
      case 'completes': {
        const first = (this.jobs[on] as Job[]).shift() as Job;
        this.pending[first.fence] = false;
        return [];
      }
      case 'hangs':
      case 'goes on':
        this.hung[call === 'hangs' ? on : 'gfx'] = call === 'hangs';
        return [];
      case 'begin': {
        const busy = !['none', 'wedged'].includes(this.state);
        this.state = 'stopping';
        this.parked = this.fault !== 'nothing is parked';
        return busy ? ['HC-4'] : [];
      }
      case 'force':
        for (const each of this.outstanding()) {
          this.pending[each] = false;
          this.errors[each] = '-ECANCELED';
        }
        if (this.fault === 'forcing takes the jobs away') for (const each of DEVICE) this.jobs[each] = [];
        if (this.state === 'stopping') this.state = 'forced';
        return [];
      case 'end': {
        const dead = (this.state === 'wedged' ? this.outstanding() : this.lost).filter(
          (each) => this.pending[each] && (DEVICE as readonly string[]).includes(this.owner[each] as string),
        );
        this.lost = [];
        if (this.state !== 'wedged') {
          this.state = 'none';
          this.parked = false;
        }
        return dead.map(() => 'S-D3');
      }
      default: {
        const early = this.state === 'none';
        if (call === 'resets') this.lost = this.outstanding();
        if (call === 'resets' || this.fault === 'a reset that fails clears the rings')
          for (const each of DEVICE) {
            this.jobs[each] = [];
            this.hung[each] = false;
          }
        this.state = call === 'resets' ? 'hw_reset' : 'wedged';
        return early ? ['HC-3'] : [];
      }
    }
  }
  plays(command: Command): unknown {
    return this.possible(command) ? this.does(command) : undefined;
  }
  shows(): unknown {
    const rings = RINGS.map((each) => ({
      jobs: (this.jobs[each] as Job[]).map(({ fence }) => fence),
      hung: this.hung[each],
      parked: each !== 'other' && this.parked,
    }));
    const fences = FENCES.map((fence) => `${this.pending[fence] ?? false} ${this.errors[fence]}`);
    return { rings, fences, state: this.state, lost: this.lost };
  }
}
function objectShows(kernel: KernelState): unknown {
  const rings = RINGS.map((each) => {
    const { jobs, hung, parked } = kernel.rings[each] as KernelState['rings'][string];
    return { jobs: jobs.map(({ fence }) => fence), hung, parked };
  });
  const fences = FENCES.map((fence) => {
    const { initialised, signaled, error } = kernel.fences[fence] as KernelState['fences'][string];
    return `${initialised && !signaled} ${error}`;
  });
  const { state, lost } = kernel.reset_domains['device'] as KernelState['reset_domains'][string];
  return { rings, fences, state, lost };
}
function plays(kernel: KernelState, command: Command): string[] {
  const [call, on = ''] = command;
  const facts: Fact[] = [];
  const take = (word: string): readonly Fact[] => {
    const taken = takes(booted, kernel, word);
    facts.push(...taken);
    return taken;
  };
  if (call === 'goes on') take('slow');
  else if (call === 'hangs') take(`${on}/hangs`);
  else if (call === 'completes') {
    take(`${on}/completes`);
    // The completion routine, in its interrupt.
    while ((kernel.threads[on] as KernelState['threads'][string]).frames.length > 1) take(on);
  } else {
    asks(booted, kernel, 'task', text(command));
    for (let over = false; !over; ) {
      const now = opens(booted.machine, kernel)['task'];
      const chooses = now?.kind === 'ready' && now.outcomes.includes(call);
      over = take(chooses ? `task/${call}` : 'task').some((fact) => fact.kind === 'returned' && fact.to === 'user');
    }
  }
  return facts.flatMap((fact) => (fact.kind === 'misuse' ? [fact.rule] : []));
}
const side: Side<Command> = { booted, plays, shows: objectShows, text };

const on = fc.constantFrom(...RINGS);
const fence = fc.constantFrom(...FENCES);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(fc.constant('emit'), on, fence) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('resubmit'), on, fence) },
  { weight: 5, arbitrary: fc.tuple(fc.constant('completes'), on) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('hangs'), on) },
  { weight: 7, arbitrary: fc.tuple(fc.constantFrom('goes on', 'begin', 'force', 'resets', 'end')) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('fails')) },
);
const fuzz = (many: number, fault: Fault = 'none'): number =>
  bouts(side, command, () => new Model(fault), many, { seed: 4, endOnFailure: fault !== 'none' });

describe('rings and resets against a page of rules', () => {
  test('the same jobs, fences, errors and complaints after every command', () => {
    expect(fuzz(25)).toBeGreaterThan(1_000);
  });
  test('a hundred thousand commands', { tags: ['long'] }, () => {
    expect(fuzz(2_200)).toBeGreaterThan(100_000);
  });
  test.each(['forcing takes the jobs away', 'a reset that fails clears the rings', 'nothing is parked'] as const)(
    'it can fail: rules in which %s are told apart',
    (fault) => {
      expect(() => fuzz(50, fault)).toThrow(/after/);
    },
  );
});
