/**
 * Fuzz of a preemption fence against a page of rules: created, armed, published, asked for, its two queues preempted and
 * mapped again, its work item run step by step, in any order, wrong ones too.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Oracle, type Side, asks, bouts, takes } from '../bout.ts';
import { opens } from '../case.ts';
import { type Booted, ioctl } from '../design.ts';
import type { Fact, KernelState } from '../machine.ts';
import { bootKernel } from '../stage.ts';
import {
  dma_fence_enable_sw_signaling,
  firmware,
  map_queue,
  preempt_fence,
  preempt_fence_arm,
  preempt_fence_create,
  preempt_fence_work,
  sync_file_install,
  together,
  user,
  user_queue,
  work,
} from './index.ts';

const QUEUES = ['left', 'right'] as const;
const queue = user_queue({ mapped: false, ring_buffer: true, preempted_by: 'fw' });
const booted: Booted = bootKernel({
  objects: together(preempt_fence('fence', { queues: QUEUES, work: 'preempt_work' })),
  threads: {
    task: user(),
    left: queue,
    right: queue,
    fw: firmware(),
    preempt_work: work(preempt_fence_work('fence')),
  },
  calls: {
    create: ioctl({}, preempt_fence_create('fence')),
    fails: ioctl({}, preempt_fence_create('fence', 'GFP_NOWAIT')),
    arm: ioctl({}, [preempt_fence_arm('fence')]),
    publish: ioctl({}, [sync_file_install('fence')]),
    ask: ioctl({}, [dma_fence_enable_sw_signaling('fence')]),
    map: ioctl({ queue: QUEUES }, [map_queue('$queue')]),
  },
});

/** `preempts` is a turn of the firmware, `works` one of the work item; everything else is a call. */
type Command = readonly [call: string, queue?: string];
const text = ([call, of]: Command): string => `${call}(${of ?? ''})`;
type Fault = 'none' | 'asking is enough' | 'a spare is never used up' | 'asked for once and for all';

class Model implements Oracle<Command> {
  readonly fault: Fault;
  readonly on: Record<string, boolean> = { left: false, right: false };
  readonly asked: Record<string, boolean> = { left: false, right: false };
  spare = false;
  fence: 'none' | 'live' | 'signalled' = 'none';
  published = false;
  enabled = false;
  queued = false;
  /** Where the work item is. */
  at: 'idle' | 'waits' | 'signals' | 'ends' = 'idle';
  constructor(fault: Fault = 'none') {
    this.fault = fault;
  }
  canWork(): boolean {
    if (this.at === 'idle') return this.queued;
    return this.at !== 'waits' || QUEUES.every((each) => !this.asked[each]) || this.fault === 'asking is enough';
  }
  possible([call, of = '']: Command): boolean {
    if (call === 'preempts') return this.asked[of] === true;
    if (call === 'works') return this.canWork();
    return call === 'publish' || call === 'ask' ? this.fence !== 'none' : true;
  }
  /** Do it, and say which rules it breaks. */
  does([call, of = '']: Command): string[] {
    const broken: string[] = [];
    switch (call) {
      case 'create':
        this.spare = true;
        break;
      case 'arm':
        if (!this.spare) broken.push('P-5');
        if (this.published && this.fence === 'live') broken.push('F-10');
        this.spare = this.fault === 'a spare is never used up' && this.spare;
        this.fence = 'live';
        this.published = false;
        if (this.fault !== 'asked for once and for all') this.enabled = false;
        break;
      case 'publish':
        this.published = true;
        break;
      case 'ask':
        if (this.enabled || this.fence === 'signalled') break;
        this.enabled = true;
        this.queued = true;
        for (const each of QUEUES) this.asked[each] ||= this.on[each] as boolean;
        break;
      case 'map':
        this.on[of] = true;
        this.asked[of] = false;
        break;
      case 'preempts':
        this.on[of] = false;
        this.asked[of] = false;
        break;
      case 'works':
        if (this.at === 'idle') this.queued = false;
        if (this.at === 'waits' && QUEUES.some((each) => this.on[each])) broken.push('P-3');
        if (this.at === 'signals') this.fence = 'signalled';
        this.at = ({ idle: 'waits', waits: 'signals', signals: 'ends', ends: 'idle' } as const)[this.at];
        break;
    }
    return broken;
  }
  plays(command: Command): unknown {
    return this.possible(command) ? this.does(command) : undefined;
  }
  shows(): unknown {
    const { spare, published, enabled, queued, fence } = this;
    const queues = QUEUES.map((each) => [this.on[each], this.asked[each]]);
    return { spare, published, enabled, queued, fence, queues, works: this.canWork() };
  }
}
function objectShows(kernel: KernelState): unknown {
  const { initialised, signaled, published, enabled } = kernel.fences['fence'] as KernelState['fences'][string];
  const queues = QUEUES.map((each) => {
    const { mapped, suspending } = kernel.user_queues[each] as KernelState['user_queues'][string];
    return [mapped, suspending];
  });
  return {
    spare: kernel.preempt_fences['fence']?.spare,
    published,
    enabled,
    queued: kernel.works['preempt_work']?.queued,
    fence: initialised ? (signaled ? 'signalled' : 'live') : 'none',
    queues,
    works: opens(booted.machine, kernel)['preempt_work']?.kind === 'ready',
  };
}
function plays(kernel: KernelState, command: Command): string[] {
  const [call, of = ''] = command;
  const facts: Fact[] = [];
  const take = (word: string): readonly Fact[] => {
    const taken = takes(booted, kernel, word);
    facts.push(...taken);
    return taken;
  };
  if (call === 'preempts') take(`fw/${of}`);
  else if (call === 'works') take('preempt_work');
  else {
    asks(booted, kernel, 'task', text(command));
    for (let over = false; !over; ) {
      const now = opens(booted.machine, kernel)['task'];
      // Memory is short in the one call, and there in the other.
      const short = now?.kind === 'ready' ? now.outcomes.find((way) => way.includes('fail')) : undefined;
      over = take(call === 'fails' && short !== undefined ? `task/${short}` : 'task').some(
        (fact) => fact.kind === 'returned' && fact.to === 'user',
      );
    }
  }
  return facts.flatMap((fact) => (fact.kind === 'misuse' ? [fact.rule] : []));
}
const side: Side<Command> = { booted, plays, shows: objectShows, text };

const name = fc.constantFrom(...QUEUES);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(fc.constantFrom('create', 'fails', 'arm', 'publish', 'ask')) as fc.Arbitrary<Command>,
  },
  { weight: 4, arbitrary: fc.tuple(fc.constant('works')) as fc.Arbitrary<Command> },
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom('map', 'preempts', 'preempts'), name) as fc.Arbitrary<Command> },
);
const fuzz = (many: number, fault: Fault = 'none'): number =>
  bouts(side, command, () => new Model(fault), many, { seed: 4, endOnFailure: fault !== 'none' });

describe('a preemption fence against a page of rules', () => {
  test('the same fence, queues, work and complaints after every command', () => {
    expect(fuzz(20)).toBeGreaterThan(1_000);
  });
  test('a hundred thousand commands', { tags: ['long'] }, () => {
    expect(fuzz(2_000)).toBeGreaterThan(100_000);
  });
  test.each(['asking is enough', 'a spare is never used up', 'asked for once and for all'] as const)(
    'it can fail: rules in which %s are told apart',
    (fault) => {
      expect(() => fuzz(50, fault)).toThrow(/after/);
    },
  );
});
