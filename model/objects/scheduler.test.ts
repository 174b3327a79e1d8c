import fc from 'fast-check';
import { expect, test } from 'vitest';
import { opens, follow } from '../case.ts';
import { type Booted, boot, design, ioctl, must, start } from '../design.ts';
import type { KernelState } from '../machine.ts';
import { ringOf, schedStage, submit } from '../sched-stage.ts';
import { type Stage, stage } from '../stage.ts';
import {
  dma_fence_add_callback,
  dma_fence_init,
  dma_fence_signal,
  drm_gpu_scheduler,
  drm_sched_entity_push_job,
  drm_sched_job_done,
  emit,
  if_ret,
  if_var,
  return_,
  ring,
  ring_by_hand,
  set,
  user,
} from './index.ts';

const twoJobs = (credit_limit: number, deps: readonly string[] = []): Booted =>
  boot(
    design({
      name: 'two-jobs',
      title: 'two jobs on one entity',
      sources: [],
      knobs: {},
      kernel: () => ({
        objects: { fences: { first: {}, second: {}, before: {} } },
        threads: { client: user(), other: user(), sched: drm_gpu_scheduler('run_job', { credit_limit }), gpu: ring() },
        calls: {
          submit: ioctl({ job: ['first', 'second'] }, [
            dma_fence_init('$job'),
            drm_sched_entity_push_job('sched', '$job', { deps }),
          ]),
          promise: ioctl({}, [dma_fence_init('before', 'other')]),
          keep: ioctl({}, [dma_fence_signal('before')]),
        },
        routines: {
          run_job: [emit('gpu', '$job', '$job', 'irq')],
          irq: [drm_sched_job_done('sched', '$job')],
        },
        workload: { client: ['submit(first)', 'submit(second)'], other: ['promise()', 'keep()'] },
      }),
      expect: [],
    }),
  );
const play = (booted: Booted, words: readonly string[]): KernelState => {
  const kernel = start(booted, booted.workload);
  expect(words.filter((text) => !follow(booted.machine, kernel, text).choice)).toEqual([]);
  return kernel;
};
const waitOf = (booted: Booted, kernel: KernelState, thread: string): string => {
  const open = opens(booted.machine, kernel)[thread];
  return open?.kind === 'blocked' || open?.kind === 'idle' ? open.wait.because : (open?.kind ?? 'unknown');
};
const submitted = Array<string>(6).fill('client');

test('a scheduler without a job is idle, and from the push on it owes the finished fence', () => {
  const booted = twoJobs(1);
  expect(waitOf(booted, play(booted, []), 'sched')).toBe('sched has no job');
  expect(play(booted, submitted.slice(0, 2)).fences['first']?.promisedBy).toBe('client');
  expect(play(booted, submitted.slice(0, 3)).fences['first']?.promisedBy).toBe('sched');
});

test('without a credit the second job waits for whoever must finish the first', () => {
  const booted = twoJobs(1);
  const kernel = play(booted, [...submitted, 'sched', 'sched']);
  expect(opens(booted.machine, kernel)['sched']).toMatchObject({
    kind: 'blocked',
    wait: { on: 'credits', owedBy: ['gpu'], because: 'first holds the last credit of sched' },
  });
});

test('with a second credit it does not wait, nor when the first job is done', () => {
  const two = twoJobs(2);
  expect(waitOf(two, play(two, [...submitted, 'sched', 'sched']), 'sched')).toBe('ready');
  const one = twoJobs(1);
  const kernel = play(one, [...submitted, 'sched', 'sched', 'gpu', 'gpu']);
  expect(waitOf(one, kernel, 'sched')).toBe('ready');
  expect(kernel.fences['first']?.signaled).toBe(true);
});

test('a job waits for what it depends on, and not longer', () => {
  const booted = twoJobs(2, ['before']);
  const kernel = play(booted, ['other', 'other', ...submitted]);
  expect(waitOf(booted, kernel, 'sched')).toBe('other has yet to signal before');
  for (const text of ['other', 'other']) follow(booted.machine, kernel, text);
  expect(waitOf(booted, kernel, 'sched')).toBe('ready');
});

test('a job that was never started cannot be done', () => {
  const booted = twoJobs(1);
  const kernel = play(booted, [...submitted, 'sched', 'sched', 'gpu']);
  kernel.scheds['sched']!.pending_list = [];
  const { facts } = follow(booted.machine, kernel, 'gpu');
  expect(facts).toContainEqual(expect.objectContaining({ kind: 'misuse', rule: 'C4.1' }));
});

test('a fence that has to be asked to signal is asked, and the job waits for it', () => {
  const at = stage({
    objects: { fences: { job: {}, x: { enable_signaling: 'hook' } } },
    threads: {
      client: must([
        dma_fence_init('x'),
        dma_fence_init('job'),
        drm_sched_entity_push_job('sched', 'job', { deps: ['x'] }),
      ]),
      sched: drm_gpu_scheduler('run_job'),
      gpu: ring_by_hand(),
    },
    routines: { run_job: [emit('gpu', 'job', 'job', '')], hook: [return_('true')] },
  });
  at.runs('client');
  at.runs('sched');
  expect(at.kernel.fences['x']?.enabled).toBe(true);
  expect(at.because('sched')).toBe('client has yet to signal x');
});

/** The same driver in front of either scheduler: three jobs, the second of which may depend on x. */
const JOBS = ['a', 'b', 'c'];
const deps = (job: string): readonly string[] => (job === 'b' ? ['x'] : []);
const x = { signals: must([dma_fence_signal('x')]), begins: must([dma_fence_init('x')]) };
const inBrief = (credit_limit: number): Stage =>
  stage({
    objects: {
      fences: Object.fromEntries(['x', ...JOBS.flatMap((job) => [job, `${job}.hw`])].map((each) => [each, {}])),
    },
    threads: {
      ...x,
      sched: drm_gpu_scheduler('run_job', { credit_limit }),
      [ringOf('sched')]: ring_by_hand(),
      ...Object.fromEntries(
        JOBS.map((job) => [
          `submits ${job}`,
          must([dma_fence_init(job), drm_sched_entity_push_job('sched', job, { deps: deps(job) })]),
        ]),
      ),
    },
    routines: {
      run_job: [
        JOBS.map((job) => if_var('job', job, [set('hw', `${job}.hw`)])),
        dma_fence_init('$hw'),
        emit(ringOf('sched'), '$job', '$hw', 'irq'),
        dma_fence_add_callback('$hw', 'job_done', { job: '$job' }),
        if_ret('-ENOENT', [drm_sched_job_done('sched', '$job')]),
      ],
      job_done: [drm_sched_job_done('sched', '$job')],
      irq: [dma_fence_signal('$fence')],
    },
  });
const inFull = (credit_limit: number): Stage =>
  schedStage({
    scheds: { sched: { credit_limit } },
    jobs: JOBS,
    objects: { fences: { x: {} } },
    threads: {
      ...x,
      ...Object.fromEntries(JOBS.map((job) => [`submits ${job}`, must(submit(job, 'entity', deps(job)))])),
    },
  });
/** Where both credits and a fence are missing, the one looks for the fence first, and the other, as the kernel, for credits. */
const shows = (at: Stage) => ({
  on_the_ring: at.kernel.rings[ringOf('sched')]?.jobs.map(({ job }) => job),
  finished: JOBS.map((job) => at.kernel.fences[job]?.signaled),
  worker: at.open('sched').kind,
});

const agree = (full: (credit_limit: number) => Stage): void => {
  const completions = Array<string>(4).fill(ringOf('sched'));
  const events = fc.shuffledSubarray(['signals', ...JOBS.map((job) => `submits ${job}`), ...completions], {
    minLength: 8,
  });
  const check = (all: readonly string[], credits: number): void => {
    const both = [inBrief(credits), full(credits)] as const;
    for (const event of ['begins', ...all]) {
      for (const at of both) {
        if (at.open(event).kind === 'ready') at.plays(event);
        while (at.open(event).kind === 'ready' && (at.kernel.threads[event]?.frames.length ?? 0) > 1) at.plays(event);
        if (event !== ringOf('sched')) at.runs(event);
        at.runs('sched');
      }
      expect(shows(both[0])).toEqual(shows(both[1]));
    }
  };
  fc.assert(fc.property(events, fc.integer({ min: 1, max: 3 }), check), { numRuns: 60, seed: 5 });
};
test('in brief and in full the same jobs run and end, and the worker waits or rests alike, in whatever order things happen', () => {
  agree(inFull);
});
test('the comparison can fail: one credit more is found out', () => {
  expect(() => agree((credits) => inFull(credits + 1))).toThrow(/Property failed/);
});
