/**
 * The model checklist of the scheduler in every state that a small machine can reach: S-C1, S-C2, S-C4..S-C8, and no job
 * left behind (S-C9) (C9).
 *
 * Two entities of different priority, a job that depends on the other one's, a ring that may hang, a timeout that may
 * strike at any time and then recovers or finds no hang, and a process that kills one entity in the middle of it all.
 */
import { expect, test } from 'vitest';
import { type Booted, must, start } from '../model/design.ts';
import type { Fact, KernelState } from '../model/machine.ts';
import {
  drm_sched_entity_kill,
  drm_sched_start,
  drm_sched_stop,
  if_ret,
  may_go,
  reset_ring,
  return_,
  ring,
  scheduled,
} from '../model/objects/index.ts';
import { ringOf, schedKernel, submit } from '../model/sched-stage.ts';
import { bootKernel } from '../model/stage.ts';
import { explore } from './search/explore.ts';
import { Learned } from './search/learned.ts';
import { kernelSystem } from './search/system.ts';

const LIMIT = 2;
const JOBS = ['a', 'b', 'c'];
type Policy = 'fifo' | 'rr' | 'fair';
const machineOf = (policy: Policy, jobs = 3): Booted => {
  const kernel = schedKernel({
    scheds: { sched: { credit_limit: LIMIT, policy, timeout: true } },
    entities: { e0: {}, e1: { priority: 'HIGH' } },
    jobs: JOBS,
    ops: { timedout_job: 'recovers' },
    routines: {
      recovers: [
        may_go('is it hung?', ['yes', 'no']),
        if_ret('no', [return_('NO_HANG')]),
        drm_sched_stop('sched', '$job'),
        reset_ring(ringOf('sched')),
        drm_sched_start('sched'),
        return_('RESET'),
      ],
    },
    threads: {
      app: must([
        submit('a', 'e0'),
        jobs > 2 ? submit('b', 'e0', [], 2) : [],
        submit('c', 'e1', ['a']),
        drm_sched_entity_kill('e0'),
      ]),
    },
  });
  return bootKernel({ ...kernel, threads: { ...kernel.threads, [ringOf('sched')]: ring({ may_hang: true }) } });
};

/** What is wrong with this state, by the checklist. */
function wrongWith(kernel: KernelState): string[] {
  const jobs = Object.entries(kernel.sched_jobs);
  const sched = kernel.gpu_schedulers['sched'] as KernelState['gpu_schedulers'][string];
  const entities = Object.values(kernel.sched_entities);
  const has = (fence: string): boolean => kernel.fences[fence]?.signaled === true;
  const inUse = jobs.reduce((sum, [, { life, credits }]) => sum + (life === 'pending' ? credits : 0), 0);
  const places = [sched.pending_list, ...entities.flatMap((row) => [row.job_queue, row.killed])].flat();
  const seqno = (job: string): number => kernel.fence_numbers[job]?.seqno ?? 0;
  const ordered = (list: readonly string[]): boolean =>
    list.every((job, at) => at === 0 || seqno(list[at - 1] as string) < seqno(job));
  const begun = jobs.filter(([, { life }]) => life !== 'none' && life !== 'init').map(([job]) => job);
  return [
    sched.credit_count < 0 || sched.credit_count > LIMIT ? [`S-C1: ${sched.credit_count} credits`] : [],
    sched.credit_count !== inUse ? [`S-C2: ${sched.credit_count} credits, and ${inUse} in use`] : [],
    new Set(places).size !== places.length ? [`S-C4: a job is in two places: ${places.join(', ')}`] : [],
    places.filter((job) => kernel.sched_jobs[job]?.life === 'none').map((job) => `S-C4: ${job} is gone, and listed`),
    entities.some(({ job_queue, timeline }) => !ordered(job_queue) || !ordered(timeline)) ? ['S-C5: out of order'] : [],
    begun.filter((job) => has(job) && !has(scheduled(job))).map((job) => `S-C8: ${job} is finished and not scheduled`),
  ].flat();
}
/** What is wrong with a step that led to this state. */
function wrongStep(after: KernelState, facts: readonly Fact[]): string[] {
  const over = (dep: string): boolean =>
    after.fences[dep]?.signaled === true || after.fences[scheduled(dep)]?.signaled === true;
  return facts.flatMap((fact) => {
    if (fact.kind === 'misuse') return [`${fact.rule}: ${fact.what}`];
    if (fact.kind !== 'jobRuns') return [];
    const deps = after.sched_jobs[fact.job]?.dependencies ?? [];
    return [
      after.gpu_schedulers[fact.sched]?.pause_submit === null ? [] : [`S-C6: ${fact.job} runs, and all is stopped`],
      deps.filter((dep) => !over(dep)).map((dep) => `S-C7: ${fact.job} runs before ${dep}`),
    ].flat();
  });
}
const MOST_STATES = 500_000;
/** Every state within reach: how many, what is wrong with them, what happened, and how they end. */
function everywhere(of: Booted, patient = true) {
  const learned = new Learned<KernelState>(kernelSystem(of.machine));
  const wrong = new Set<string>();
  const saw = new Set<string>();
  const ends = new Set<string>();
  const graph = explore(learned, learned.packing.pack(start(of, {})), {
    maxStates: MOST_STATES,
    patient,
    edges: false,
    state: (_state, _turns, words, at, resting) => {
      const kernel = learned.packing.unpack<KernelState>(words, at);
      for (const what of wrongWith(kernel)) wrong.add(what);
      if (resting) ends.add(JOBS.map((job) => `${job} ${kernel.sched_jobs[job]?.life}`).join(', '));
    },
    step: (way, _from, words) => {
      for (const fact of way.facts) saw.add(fact.kind === 'jobRuns' ? `${fact.job} runs` : fact.kind);
      if (way.facts.some(({ kind }) => kind === 'jobRuns' || kind === 'misuse'))
        for (const what of wrongStep(learned.packing.unpack<KernelState>(words, 0), way.facts)) wrong.add(what);
    },
  });
  expect(graph.exhausted).toBe(true);
  return { states: graph.store.count, wrong: [...wrong], saw, ends: [...ends] };
}
/** Nothing is wrong, the dangerous things happened, and at rest every job has been freed. */
function claims({ states, wrong, saw, ends }: ReturnType<typeof everywhere>): number {
  expect(wrong).toEqual([]);
  expect([...saw]).toEqual(expect.arrayContaining(['a runs', 'c runs', 'hung', 'jobFreed']));
  expect(ends).toEqual([JOBS.map((job) => `${job} none`).join(', ')]);
  return states;
}

test('S-C1, S-C2, S-C4..S-C9 hold in every state and in every step', () => {
  expect(claims(everywhere(machineOf('fifo')))).toBe(16_238);
});
test('… with any rule for who is next, and with a timeout that may strike at any time', { tags: ['long'] }, () => {
  for (const policy of ['rr', 'fair'] as const) claims(everywhere(machineOf(policy)));
  claims(everywhere(machineOf('fifo', 2), false));
});
test('the checklist can fail: each of its rules is missed in a state that breaks it', () => {
  const kernel = start(machineOf('fifo'), {});
  const sched = kernel.gpu_schedulers['sched'] as KernelState['gpu_schedulers'][string];
  sched.credit_count = 3;
  sched.pending_list = ['a', 'a'];
  Object.assign(kernel.sched_jobs['b'] as object, { life: 'armed' });
  Object.assign(kernel.fences['b'] as object, { initialised: true, signaled: true });
  (kernel.sched_entities['e0'] as { timeline: readonly string[] }).timeline = ['b', 'c'];
  const rules = (all: readonly string[]): string[] => [...new Set(all.map((what) => what.split(':')[0] as string))];
  expect(rules(wrongWith(kernel))).toEqual(['S-C1', 'S-C2', 'S-C4', 'S-C5', 'S-C8']);
  sched.pause_submit = 'app';
  (kernel.sched_jobs['b'] as { dependencies: readonly string[] }).dependencies = ['c'];
  const runs = { kind: 'jobRuns', thread: 'sched', sched: 'sched', entity: 'e0', job: 'b' } as const;
  expect(rules(wrongStep(kernel, [runs]))).toEqual(['S-C6', 'S-C7']);
});
