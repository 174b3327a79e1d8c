/**
 * Fuzz of user queues and their page faults against a page of rules: after every command both have the same pointers, the
 * same queues on the hardware, the same faults unanswered, and the same hardware can move. One queue runs its process's
 * ring and can be preempted in a fault; the other one runs what need not end, on hardware that cannot.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Oracle, type Side, asks, bouts, takes } from '../bout.ts';
import { opens } from '../case.ts';
import { type Booted, ioctl } from '../design.ts';
import type { KernelState } from '../machine.ts';
import { bootKernel } from '../stage.ts';
import {
  device_map,
  device_unmap,
  firmware,
  gpu_fault_address,
  gpu_fault_answer,
  gpu_fault_take,
  map_queue,
  reset_queue,
  ring_doorbell,
  suspend_queue,
  unmap_queue,
  user,
  user_fence_reached,
  user_queue,
  write_user_fence,
  write_wptr,
} from './index.ts';

const QUEUES = ['ring', 'batch'] as const;
const BOS = ['a', 'b'] as const;
const VALUES = [0, 1, 2, 3] as const;
const q = { queue: QUEUES };
const wptr = Object.fromEntries(VALUES.map((value) => [`wptr${value}`, ioctl(q, [write_wptr('$queue', value)])]));
const memory = Object.fromEntries(
  VALUES.map((value) => [`memory${value}`, ioctl({}, [write_user_fence('mem', value)])]),
);
const booted: Booted = bootKernel({
  objects: {
    bos: Object.fromEntries(BOS.map((bo) => [bo, { place: 'TT', tt: 'populated' }])),
    user_fences: { mem: {} },
    fault_buffers: { faults: { handled_by: 'task', capacity: 2 } },
  },
  threads: {
    task: user(),
    ring: user_queue({ uses: ['a'], ring_buffer: true, completes: 'mem', preempted_by: 'fw', fault_buffer: 'faults' }),
    batch: user_queue({
      uses: BOS,
      may_run_forever: true,
      preempted_by: 'fw',
      fault_buffer: 'faults',
      preempts_on_fault: false,
    }),
    fw: firmware(),
  },
  calls: {
    ...wptr,
    ...memory,
    map: ioctl(q, [map_queue('$queue')]),
    unmap: ioctl(q, [unmap_queue('$queue')]),
    reset: ioctl(q, [reset_queue('$queue')]),
    suspend: ioctl(q, [suspend_queue('$queue')]),
    bell: ioctl(q, [ring_doorbell('$queue')]),
    bind: ioctl({ bo: BOS }, [device_map('$bo')]),
    unbind: ioctl({ bo: BOS }, [device_unmap('$bo')]),
    take: ioctl({}, [gpu_fault_take('faults')]),
    address: ioctl(q, [gpu_fault_address('$queue')]),
    success: ioctl(q, [gpu_fault_answer('$queue', 'success')]),
    failure: ioctl(q, [gpu_fault_answer('$queue', 'failure')]),
    reached: ioctl({}, [user_fence_reached('mem', 2)]),
  },
});

/** `runs`, `runs for ever` and `preempts` are turns of the hardware; everything else is a call. */
type Command = readonly [call: string, ...args: string[]];
const text = ([call, ...args]: Command): string => `${call}(${args.join(', ')})`;
const HARDWARE = ['runs', 'runs for ever', 'preempts'];
type Fault =
  | 'none'
  | 'a doorbell is a write pointer'
  | 'preempts in any fault'
  | 'forgets what it was in the middle of'
  | 'stops in a packet';

interface Queue {
  mapped: boolean;
  busy: boolean;
  suspending: boolean;
  endless: boolean;
  wptr: number;
  rptr: number;
  rung: number;
  faulting: string | null;
}
class Model implements Oracle<Command> {
  readonly fault: Fault;
  readonly queues: Record<string, Queue>;
  readonly bound: Record<string, boolean> = { a: false, b: false };
  faults: string[] = [];
  mem = 0;
  constructor(fault: Fault = 'none') {
    this.fault = fault;
    const fresh = { mapped: true, busy: false, suspending: false, endless: false, wptr: 0, rptr: 0, rung: 0 };
    this.queues = Object.fromEntries(QUEUES.map((queue) => [queue, { ...fresh, faulting: null }]));
  }
  /** The first buffer that it needs and does not find. */
  missing(queue: string): string | undefined {
    return (queue === 'ring' ? ['a'] : ['a', 'b']).find((bo) => !this.bound[bo]);
  }
  canRun(queue: string): boolean {
    const { mapped, busy, faulting, rptr, rung } = this.queues[queue] as Queue;
    // A packet that is begun is finished, wherever the doorbell says that the ring ends now.
    const begun = busy && this.fault !== 'stops in a packet';
    if (!mapped || faulting !== null || (queue === 'ring' && rptr === rung && !begun)) return false;
    return this.missing(queue) === undefined || this.faults.length < 2;
  }
  canPreempt(queue: string): boolean {
    const stuck = queue === 'batch' && (this.queues[queue] as Queue).faulting !== null;
    return !stuck || this.fault === 'preempts in any fault';
  }
  possible([call, queue = '']: Command): boolean {
    const of = this.queues[queue] as Queue;
    if (call === 'runs') return this.canRun(queue);
    if (call === 'runs for ever') return queue === 'batch' && this.canRun(queue) && !of.busy;
    if (call === 'preempts') return of.suspending && this.canPreempt(queue);
    return call !== 'unmap' || this.canPreempt(queue);
  }
  off(of: Queue): void {
    Object.assign(of, { mapped: false, suspending: false, faulting: null });
    if (this.fault !== 'forgets what it was in the middle of') of.busy = false;
  }
  /** Do it: what it returned. */
  does([call, name = '']: Command): string {
    const of = this.queues[name] as Queue;
    const value = Number(call.at(-1));
    if (call.startsWith('wptr')) {
      of.wptr = value;
      if (this.fault === 'a doorbell is a write pointer') of.rung = value;
    } else if (call.startsWith('memory')) this.mem = value;
    else if (call === 'map') Object.assign(of, { mapped: true, suspending: false });
    else if (call === 'unmap' || call === 'preempts') this.off(of);
    else if (call === 'reset') {
      this.off(of);
      Object.assign(of, { busy: false, endless: false, rptr: of.rung });
    } else if (call === 'suspend') of.suspending ||= of.mapped;
    else if (call === 'bell') of.rung = of.wptr;
    else if (call === 'bind' || call === 'unbind') this.bound[name] = call === 'bind';
    else if (call === 'reached') return this.mem >= 2 ? '1' : '0';
    else if (call === 'address') return of.faulting ?? '0';
    else if (call === 'take') {
      const at = this.faults.findIndex((queue) => (this.queues[queue] as Queue).faulting !== null);
      const found = this.faults[at];
      this.faults = at < 0 ? [] : this.faults.slice(at + 1);
      return found ?? '0';
    } else if (call === 'success' || call === 'failure') {
      if (of.faulting !== null && call === 'failure')
        Object.assign(of, { mapped: false, busy: false, suspending: false, endless: false });
      of.faulting = null;
    } else this.runs(name, of, call === 'runs for ever');
    return '';
  }
  runs(name: string, of: Queue, forEver: boolean): void {
    const bo = this.missing(name);
    if (bo !== undefined) {
      of.faulting = bo;
      this.faults.push(name);
      return;
    }
    if (forEver) of.endless = true;
    if (of.endless) of.busy = true;
    else if (!of.busy) of.busy = true;
    else {
      of.busy = false;
      if (name === 'ring') this.mem = of.rptr = (of.rptr + 1) % 4;
    }
  }
  plays(command: Command): unknown {
    return this.possible(command) ? this.does(command) : undefined;
  }
  shows(): unknown {
    const ready = [
      ...QUEUES.filter((queue) => this.canRun(queue)),
      ...(QUEUES.some((queue) => (this.queues[queue] as Queue).suspending && this.canPreempt(queue)) ? ['fw'] : []),
    ];
    return { queues: this.queues, faults: this.faults, mem: this.mem, ready };
  }
}
function objectShows(kernel: KernelState): unknown {
  const queues = QUEUES.map((queue): [string, unknown] => {
    const {
      mapped,
      busy,
      suspending,
      endless,
      wptr: to,
      rptr,
      rung,
      faulting,
    } = kernel.user_queues[queue] as KernelState['user_queues'][string];
    return [queue, { mapped, busy, suspending, endless, wptr: to, rptr, rung, faulting }];
  });
  const now = opens(booted.machine, kernel);
  const ready = [...QUEUES, 'fw'].filter((thread) => now[thread]?.kind === 'ready');
  const { faults } = kernel.fault_buffers['faults'] as { faults: readonly string[] };
  const shown: Record<string, unknown> = Object.fromEntries(queues);
  return { queues: shown, faults, mem: kernel.user_fences['mem']?.value, ready };
}
const ASKS = ['take', 'address', 'reached'];
function plays(kernel: KernelState, command: Command): string {
  const [call, queue = ''] = command;
  const { endless, busy } = kernel.user_queues[queue] ?? { endless: false, busy: false };
  const choosing = queue === 'batch' && !endless && !busy;
  const word =
    call === 'preempts'
      ? `fw/${queue}`
      : call === 'runs for ever'
        ? `${queue}/never ends`
        : choosing
          ? `${queue}/ends`
          : queue;
  if (HARDWARE.includes(call)) {
    takes(booted, kernel, word);
    return '';
  }
  asks(booted, kernel, 'task', text(command));
  for (let ret = ''; ; ) {
    const facts = takes(booted, kernel, 'task');
    for (const fact of facts) if (fact.kind === 'returned') ret = fact.ret;
    if (facts.some((fact) => fact.kind === 'returned' && fact.to === 'user')) return ASKS.includes(call) ? ret : '';
  }
}
const side: Side<Command> = { booted, plays, shows: objectShows, text };

const name = fc.constantFrom(...QUEUES);
const one = (weight: number, ...calls: string[]) => ({
  weight,
  arbitrary: fc.tuple(fc.constantFrom(...calls), name) as fc.Arbitrary<Command>,
});
const plain = (weight: number, ...calls: string[]) => ({
  weight,
  arbitrary: fc.tuple(fc.constantFrom(...calls)) as fc.Arbitrary<Command>,
});
const command: fc.Arbitrary<Command> = fc.oneof(
  one(12, 'runs'),
  one(1, 'runs for ever', 'reset', 'failure'),
  one(2, 'preempts', 'suspend', 'unmap', 'address'),
  one(5, 'map'),
  one(3, 'bell', ...Object.keys(wptr)),
  one(3, 'success'),
  plain(3, 'take', 'reached'),
  plain(1, ...Object.keys(memory)),
  { weight: 5, arbitrary: fc.tuple(fc.constant('bind'), fc.constantFrom(...BOS)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('unbind'), fc.constantFrom(...BOS)) },
);
const fuzz = (many: number, fault: Fault = 'none'): number =>
  bouts(side, command, () => new Model(fault), many, { seed: 4, endOnFailure: fault !== 'none' });

describe('user queues against a page of rules', () => {
  test('the same pointers, queues, faults and turns after every command', () => {
    expect(fuzz(20)).toBeGreaterThan(1_000);
  });
  test('a hundred thousand commands', { tags: ['long'] }, () => {
    expect(fuzz(1_800)).toBeGreaterThan(100_000);
    expect(() => fuzz(1_800, 'stops in a packet')).toThrow(/after/);
  });
  test.each([
    'a doorbell is a write pointer',
    'preempts in any fault',
    'forgets what it was in the middle of',
  ] as const)('it can fail: rules in which %s are told apart', (fault) => {
    expect(() => fuzz(50, fault)).toThrow(/after/);
  });
});
