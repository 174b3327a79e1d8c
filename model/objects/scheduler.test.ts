import { expect, test } from 'vitest';
import { opens, follow } from '../case.ts';
import { type Booted, boot, design, ioctl, start } from '../design.ts';
import type { KernelState } from '../machine.ts';
import {
  dma_fence_init,
  dma_fence_signal,
  drm_gpu_scheduler,
  drm_sched_entity_push_job,
  drm_sched_job_done,
  emit,
  ring,
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
