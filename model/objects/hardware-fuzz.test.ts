/**
 * Rings, timers and irq_work against what their documents say: a queue with a job that may hang, a flag and a handler, a
 * queue of calls.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Oracle, type Side, answerOf, bouts, calls } from '../bout.ts';
import { follow, opens } from '../case.ts';
import { type Booted, ioctl } from '../design.ts';
import type { Fact, KernelState } from '../machine.ts';
import { bootKernel, witnessed } from '../stage.ts';
import {
  del_timer,
  dma_fence_array_init,
  dma_fence_enable_sw_signaling,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  emit,
  fence_arrays,
  irq_work,
  mod_timer,
  reset_ring,
  return_,
  ring,
  timer,
  together,
  user,
  witness,
  work_a_while,
} from './index.ts';

/** A thread of hardware takes a turn: what was heard of it, or 'idle', or 'stuck'. */
function turn({ machine }: Booted, kernel: KernelState, word: string): readonly Fact[] | 'idle' | 'stuck' {
  const [thread = ''] = word.split('/');
  const { choice, facts } = follow(machine, kernel, word, false);
  if (choice) return facts;
  return opens(machine, kernel)[thread]?.kind === 'idle' ? 'idle' : 'stuck';
}

describe('rings', () => {
  const JOBS = ['one', 'two', 'three', 'four'];
  const RINGS = ['gfx', 'sdma'] as const;
  const booted = bootKernel({
    objects: { fences: Object.fromEntries(JOBS.map((job) => [job, {}])) },
    routines: { irq: [witness('$job'), dma_fence_signal('$fence')] },
    threads: { task: user(), gfx: ring({ may_hang: true }), sdma: ring() },
    calls: {
      emit: ioctl({ ring: RINGS, job: JOBS }, [dma_fence_init('$job'), emit('$ring', '$job', '$job', 'irq')]),
      reset: ioctl({ ring: RINGS }, [reset_ring('$ring')]),
    },
  });
  type Command = readonly [what: 'emit' | 'reset' | 'completes' | 'hangs', ring: (typeof RINGS)[number], job: string];
  const side: Side<Command> = {
    booted,
    plays: (kernel, [what, on, job]) => {
      if (what === 'emit') return answerOf(calls(booted, kernel, 'task', `emit(${on}, ${job})`));
      if (what === 'reset') return answerOf(calls(booted, kernel, 'task', `reset(${on})`));
      // The interrupt runs to its end: nothing else comes between.
      const first = turn(booted, kernel, `${on}/${what}`);
      if (typeof first === 'string') return [first];
      const facts = [...first];
      while ((kernel.threads[on]?.frames.length ?? 0) > 1) facts.push(...follow(booted.machine, kernel, on).facts);
      return [...witnessed(facts), ...(facts.some(({ kind }) => kind === 'hung') ? ['hung'] : [])];
    },
    shows: (kernel) => ({
      rings: RINGS.map((on) => ({ hung: kernel.rings[on]?.hung, jobs: kernel.rings[on]?.jobs.map(({ job }) => job) })),
      over: JOBS.filter((job) => kernel.fences[job]?.signaled),
      owed: JOBS.filter((job) => kernel.fences[job]?.promisedBy !== null).map((job) => [
        job,
        kernel.fences[job]?.promisedBy,
      ]),
    }),
  };
  /** `keepsJobs`: a reset that starts the ring again with the jobs that were on it. */
  class Queues implements Oracle<Command> {
    private readonly jobs: Record<string, string[]> = { gfx: [], sdma: [] };
    private readonly hung = new Set<string>();
    private readonly over = new Set<string>();
    private readonly owed = new Map<string, string>();
    private readonly keepsJobs: boolean;
    constructor(keepsJobs = false) {
      this.keepsJobs = keepsJobs;
    }
    plays([what, on, job]: Command): readonly string[] | undefined {
      const jobs = this.jobs[on] as string[];
      switch (what) {
        case 'emit':
          if (RINGS.some((each) => this.jobs[each]?.includes(job))) return undefined;
          jobs.push(job);
          this.over.delete(job);
          this.owed.set(job, on);
          return ['ret 0'];
        case 'reset': {
          const guilty = this.hung.has(on) ? jobs[0] : '0';
          this.hung.delete(on);
          if (!this.keepsJobs) jobs.length = 0;
          return [`ret ${guilty}`];
        }
        case 'completes':
        case 'hangs': {
          if (jobs.length === 0) return ['idle'];
          if (this.hung.has(on) || (what === 'hangs' && on === 'sdma')) return ['stuck'];
          if (what === 'hangs') {
            this.hung.add(on);
            return ['hung'];
          }
          const first = jobs.shift() as string;
          this.over.add(first);
          this.owed.delete(first);
          return [first];
        }
      }
    }
    shows(): unknown {
      return {
        rings: RINGS.map((on) => ({ hung: this.hung.has(on), jobs: this.jobs[on] })),
        over: JOBS.filter((job) => this.over.has(job)),
        owed: JOBS.filter((job) => this.owed.has(job)).map((job) => [job, this.owed.get(job)]),
      };
    }
  }
  const command: fc.Arbitrary<Command> = fc.tuple(
    fc.constantFrom('emit', 'emit', 'completes', 'completes', 'hangs', 'reset'),
    fc.constantFrom(...RINGS),
    fc.constantFrom(...JOBS),
  );
  test('jobs complete in order, a hung ring does nothing until it is reset, and then its jobs are gone', () => {
    expect(bouts(side, command, () => new Queues(), 20)).toBeGreaterThan(1_000);
  });
  test('a reset that keeps the jobs is told apart', () => {
    expect(() => bouts(side, command, () => new Queues(true), 20)).toThrow(/after/);
  });
  test('rings, 100,000 commands', { tags: ['long'] }, () => {
    expect(bouts(side, command, () => new Queues(), 1_300)).toBeGreaterThan(100_000);
  });
});

describe('timers', () => {
  const TIMERS = ['t', 'u'] as const;
  const booted = bootKernel({
    objects: {},
    threads: { task: user(), ...Object.fromEntries(TIMERS.map((each) => [each, timer([work_a_while('handles it')])])) },
    calls: {
      mod: ioctl({ timer: TIMERS }, [mod_timer('$timer')]),
      del: ioctl({ timer: TIMERS }, [del_timer('$timer')]),
    },
  });
  type Command = readonly [what: 'mod' | 'del' | 'turn', timer: (typeof TIMERS)[number]];
  const side: Side<Command> = {
    booted,
    plays: (kernel, [what, on]) => {
      if (what !== 'turn') return answerOf(calls(booted, kernel, 'task', `${what}(${on})`));
      const heard = turn(booted, kernel, on);
      return typeof heard === 'string' ? [heard] : heard.filter(({ kind }) => kind === 'progress').map(() => 'over');
    },
    shows: (kernel) => TIMERS.map((each) => kernel.timers[each]),
  };
  /** `disarmsRunning`: del_timer that also ends a handler which runs already. */
  class Flags implements Oracle<Command> {
    private readonly armed = new Set<string>();
    /** The handler runs, and this many turns of it are left. */
    private readonly running = new Map<string, number>();
    private readonly disarmsRunning: boolean;
    constructor(disarmsRunning = false) {
      this.disarmsRunning = disarmsRunning;
    }
    plays([what, on]: Command): readonly string[] {
      if (what === 'mod') this.armed.add(on);
      if (what === 'del') {
        this.armed.delete(on);
        if (this.disarmsRunning) this.running.delete(on);
      }
      if (what !== 'turn') return ['ret 0'];
      const left = this.running.get(on);
      if (left === undefined) {
        if (!this.armed.delete(on)) return ['idle'];
        this.running.set(on, 2);
        return [];
      }
      this.running.set(on, left - 1);
      if (left > 1) return [];
      this.running.delete(on);
      return ['over'];
    }
    shows(): unknown {
      return TIMERS.map((each) => ({ armed: this.armed.has(each), running: this.running.has(each) }));
    }
  }
  const command: fc.Arbitrary<Command> = fc.tuple(
    fc.constantFrom('mod', 'del', 'turn', 'turn'),
    fc.constantFrom(...TIMERS),
  );
  test('a timer fires once for all that armed it, and a handler that runs ends, whatever is deleted meanwhile', () => {
    expect(bouts(side, command, () => new Flags(), 20)).toBe(2_000);
  });
  test('a deletion that ends the handler is told apart', () => {
    expect(() => bouts(side, command, () => new Flags(true), 20)).toThrow(/after/);
  });
  test('timers, 100,000 commands', { tags: ['long'] }, () => {
    expect(bouts(side, command, () => new Flags(), 1_000)).toBe(100_000);
  });
});

describe('irq_work', () => {
  const ARRAYS: Readonly<Record<string, readonly string[]>> = { x: ['f', 'g'], y: ['g', 'h'], z: ['h'] };
  const FENCES = ['f', 'g', 'h'];
  const names = Object.keys(ARRAYS);
  const booted = bootKernel({
    objects: together({ fences: Object.fromEntries(FENCES.map((each) => [each, {}])) }, fence_arrays(...names)),
    threads: { task: user(), irq_work: irq_work() },
    calls: {
      begin: ioctl({}, [
        FENCES.map((each) => dma_fence_init(each)),
        Object.entries(ARRAYS).map(([array, members]) => [
          dma_fence_array_init(array, members),
          dma_fence_enable_sw_signaling(array),
        ]),
        return_('0'),
      ]),
      signal: ioctl({ fence: FENCES }, [dma_fence_signal('$fence')]),
      poll: ioctl({ fence: names }, [dma_fence_is_signaled('$fence')]),
    },
  });
  type Command = readonly [what: 'begin' | 'signal' | 'poll' | 'irq', of: number];
  const pick = (list: readonly string[], of: number): string => list[of % list.length] as string;
  const side: Side<Command> = {
    booted,
    plays: (kernel, [what, of]) => {
      if (what === 'irq') {
        const heard = turn(booted, kernel, 'irq_work');
        if (typeof heard === 'string') return [heard];
        while ((kernel.threads['irq_work']?.frames.length ?? 0) > 1) follow(booted.machine, kernel, 'irq_work');
        return [];
      }
      const text = { begin: 'begin()', signal: `signal(${pick(FENCES, of)})`, poll: `poll(${pick(names, of)})` }[what];
      return answerOf(calls(booted, kernel, 'task', text));
    },
    shows: (kernel) => ({
      over: [...FENCES, ...names].filter((each) => kernel.fences[each]?.signaled),
      queued: kernel.irq_works['irq_work']?.queue.length,
    }),
  };
  /** `lastFirst`: an irq_work that runs what was queued last. */
  class Calls implements Oracle<Command> {
    private begun = false;
    private readonly over = new Set<string>();
    private readonly queue: string[] = [];
    private readonly lastFirst: boolean;
    constructor(lastFirst = false) {
      this.lastFirst = lastFirst;
    }
    plays([what, of]: Command): readonly string[] | undefined {
      // The next life begins when nothing of this one is left: what is queued has the names of both.
      const atRest = this.over.size === FENCES.length + names.length && this.queue.length === 0;
      if (what === 'begin' ? this.begun && !atRest : !this.begun) return undefined;
      const complete = (array: string): boolean => (ARRAYS[array] ?? []).every((each) => this.over.has(each));
      switch (what) {
        case 'begin':
          this.begun = true;
          this.over.clear();
          return ['ret 0'];
        case 'signal': {
          const fence = pick(FENCES, of);
          if (this.over.has(fence)) return ['ret 0'];
          this.over.add(fence);
          this.queue.push(...names.filter((array) => ARRAYS[array]?.includes(fence) && complete(array)));
          return ['ret 0'];
        }
        case 'poll': {
          const array = pick(names, of);
          if (complete(array)) this.over.add(array);
          return [complete(array) ? 'ret 1' : 'ret 0'];
        }
        case 'irq': {
          const next = this.lastFirst ? this.queue.pop() : this.queue.shift();
          if (next === undefined) return ['idle'];
          this.over.add(next);
          return [];
        }
      }
    }
    shows(): unknown {
      return { over: [...FENCES, ...names].filter((each) => this.over.has(each)), queued: this.queue.length };
    }
  }
  const command: fc.Arbitrary<Command> = fc.tuple(
    fc.constantFrom('begin', 'begin', 'signal', 'poll', 'irq', 'irq'),
    fc.nat(11),
  );
  test('an array is over when its last member is and its call has run, first come first, or when somebody polls it', () => {
    expect(bouts(side, command, () => new Calls(), 40)).toBeGreaterThan(1_000);
  });
  test('one that runs the last call first is told apart', () => {
    expect(() => bouts(side, command, () => new Calls(true), 100)).toThrow(/after/);
  });
  test('irq_work, 100,000 commands', { tags: ['long'] }, () => {
    expect(bouts(side, command, () => new Calls(), 1_600)).toBeGreaterThan(100_000);
  });
});
