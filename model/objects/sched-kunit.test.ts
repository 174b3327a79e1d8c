/**
 * What the kernel's own tests of the scheduler assert (drivers/gpu/drm/scheduler/tests/tests_basic.c, tests_scheduler.c,
 * mock_scheduler.c). Where they wait for a second, everybody who is owed a turn here has had all his turns.
 */
import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Fact } from '../machine.ts';
import { type SchedSetup, hardware, killWork, ringOf, schedStage, submit, tdrOf } from '../sched-stage.ts';
import { misuses, witnessed } from '../stage.ts';
import {
  type Priority,
  PRIORITIES,
  dma_fence_wait,
  drm_sched_entity_destroy,
  drm_sched_entity_modify_sched,
  drm_sched_entity_set_priority,
  drm_sched_fini,
  objects,
  scheduled,
} from './index.ts';

const named = (count: number, what = 'j'): string[] => Array.from({ length: count }, (_, at) => `${what}${at}`);
/** As many credits as anybody can want: the mock's schedulers have no limit unless a test sets one. */
const NO_LIMIT = 1_000_000;
const unlimited = { sched: { credit_limit: NO_LIMIT } };
const ran = (facts: readonly Fact[]): string[] => facts.flatMap((fact) => (fact.kind === 'jobRuns' ? [fact.job] : []));
const freed = (facts: readonly Fact[]): string[] =>
  facts.flatMap((fact) => (fact.kind === 'jobFreed' ? [fact.job] : []));
/** That many turns of the timeout work: it begins anew whenever a job stays pending. */
const turns = (count: number): string[] => Array.from({ length: count }, () => tdrOf('sched'));
const left = (kernel: Parameters<NonNullable<(typeof objects)[number]['leftovers']>>[0]): string[] =>
  objects.flatMap((object) => object.leftovers?.(kernel) ?? []);

describe('the mock driver', () => {
  test('KUNIT-74: run_job begins a hardware fence, and the job waits until somebody advances the hardware', () => {
    const at = schedStage({ jobs: ['job'] }, submit('job'));
    at.calm();
    expect(at.kernel.fences[hardware('job')]).toMatchObject({ initialised: true, signaled: false });
    expect(at.kernel.rings[ringOf('sched')]?.jobs).toHaveLength(1);
    expect(at.advance(1)).toBe(1);
    expect([at.has(hardware('job')), at.has('job')]).toEqual([true, true]);
  });
  test('KUNIT-75: jobs complete in the order of their submission, each after the one before it', () => {
    const jobs = named(3);
    const at = schedStage(
      { scheds: unlimited, jobs },
      jobs.map((job) => submit(job)),
    );
    at.calm();
    for (const [done] of jobs.entries()) {
      expect(jobs.map(at.has)).toEqual(jobs.map((_, other) => other < done));
      expect(at.advance(1)).toBe(1);
    }
  });
  test('KUNIT-76: timedout_job ends the job with -ETIMEDOUT and takes it off; told not to reset, it says NO_HANG', () => {
    const setup = { scheds: { sched: { credit_limit: 2, timeout: true } }, jobs: named(2) } as const;
    const resets = schedStage(setup, [submit('j0'), submit('j1')]);
    resets.calm();
    expect(witnessed(resets.plays(...turns(10)))).toEqual(['a job is timed out']);
    expect([resets.error(hardware('j0')), resets.error('j0'), resets.has('j0')]).toEqual([
      '-ETIMEDOUT',
      '-ETIMEDOUT',
      true,
    ]);
    expect(resets.kernel.rings[ringOf('sched')]?.jobs.map(({ job }) => job)).toEqual(['j1']);
    expect(resets.kernel.gpu_schedulers['sched']?.pending_list).toEqual(['j1']);

    const skips = schedStage({ ...setup, ops: { timedout_job: 'mock_skips_reset' } }, [submit('j0'), submit('j1')]);
    skips.calm();
    expect(witnessed(skips.plays(...turns(3)))).toEqual(['the reset is skipped']);
    expect(skips.kernel.gpu_schedulers['sched']?.pending_list).toEqual(['j0', 'j1']);
    expect(skips.has('j0')).toBe(false);
  });
  test('KUNIT-77: cancel_job ends the hardware fence with -ECANCELED, and one that is over stays as it is', () => {
    const jobs = named(2);
    const at = schedStage({ scheds: unlimited, jobs, threads: { unload: must(drm_sched_fini('sched')) } }, [
      jobs.map((job) => submit(job)),
    ]);
    at.runs('test');
    at.runs('sched');
    at.advance(1);
    at.runs('unload');
    expect(jobs.map((job) => at.error(hardware(job)))).toEqual([null, '-ECANCELED']);
  });
  test('KUNIT-78: free_job drops the job when it is finished, and not before', () => {
    const at = schedStage({ jobs: ['job'] }, submit('job'));
    expect(freed(at.calm())).toEqual([]);
    at.advance(1);
    expect(freed(at.calm())).toEqual(['job']);
    expect(at.kernel.sched_jobs['job']?.life).toBe('none');
    expect(left(at.kernel)).toEqual([]);
  });
});

describe('basic', () => {
  test('KUNIT-79: one job is scheduled; not finished before the advance, which processes exactly it; then finished', () => {
    const at = schedStage({ jobs: ['job'] }, submit('job'));
    at.calm();
    expect([at.has(scheduled('job')), at.has('job')]).toEqual([true, false]);
    expect(at.advance(5)).toBe(1);
    expect(at.has('job')).toBe(true);
    expect(at.advance(1)).toBe(0);
  });
  test('KUNIT-80: 100 jobs on 1 or 4 entities, chained or not, all finish, the last one too', () => {
    for (const entities of [1, 4])
      for (const chained of [false, true])
        for (const credit_limit of [1, NO_LIMIT]) {
          const jobs = named(100);
          const at = schedStage(
            {
              scheds: { sched: { credit_limit } },
              entities: Object.fromEntries(named(entities, 'e').map((entity) => [entity, {}])),
              jobs,
            },
            jobs.map((job, index) =>
              submit(job, `e${index % entities}`, chained && index > 0 ? [jobs[index - 1] as string] : []),
            ),
          );
          const facts = at.finish();
          expect(jobs.filter((job) => !at.has(job))).toEqual([]);
          expect(ran(facts)).toEqual(jobs);
          expect(freed(facts)).toEqual(jobs);
          expect([misuses(facts), left(at.kernel)]).toEqual([[], []]);
        }
  });
  test('KUNIT-81: entities destroyed while half of a chained queue is executed: the rest is finished or cancelled', () => {
    for (const credit_limit of [1, NO_LIMIT]) {
      const jobs = named(100);
      const entities = named(4, 'e');
      const setup: SchedSetup = {
        scheds: { sched: { credit_limit } },
        entities: Object.fromEntries(entities.map((entity) => [entity, {}])),
        jobs,
      };
      const at = schedStage(setup, [
        jobs.map((job, index) => submit(job, `e${index % 4}`, index > 0 ? [jobs[index - 1] as string] : [])),
        dma_fence_wait('j50'),
        entities.map((entity) => drm_sched_entity_destroy(entity, 'killed')),
      ]);
      const facts = at.calm();
      while (!at.has('j50')) {
        at.advance(1);
        facts.push(...at.calm());
      }
      // The process is killed while the hardware stands still: it gives up waiting for the queues, and kills them.
      while (at.open('test').kind === 'blocked') facts.push(...at.plays('test/times out'), ...at.calm());
      facts.push(...at.finish());
      expect(jobs.filter((job) => !at.has(job))).toEqual([]);
      expect(at.ret('test')).toBe('0');
      const cancelled = jobs.filter((job) => at.error(job) === '-ESRCH');
      expect(cancelled).toEqual(credit_limit === 1 ? jobs.slice(100 - cancelled.length) : []);
      expect(cancelled.length > 40).toBe(credit_limit === 1);
      expect([...ran(facts), ...cancelled]).toEqual(jobs);
      expect(freed(facts).toSorted()).toEqual(jobs.toSorted());
      expect([misuses(facts), left(at.kernel)]).toEqual([[], []]);
    }
  });
  test('KUNIT-82: a scheduler that ends with a job on the hardware cancels it', () => {
    const at = schedStage({ jobs: ['job'] }, [
      submit('job'),
      dma_fence_wait(scheduled('job')),
      drm_sched_entity_destroy('entity'),
      drm_sched_fini('sched'),
    ]);
    const facts = at.calm();
    expect([at.error(hardware('job')), at.error('job'), at.has('job')]).toEqual(['-ECANCELED', '-ECANCELED', true]);
    expect([freed(facts), misuses(facts), left(at.kernel)]).toEqual([['job'], [], []]);
  });
});

describe('timeouts', () => {
  const timed = { sched: { timeout: true } } as const;
  test('KUNIT-83: a job that the hardware does not complete in time is timed out, its fence carries the error', () => {
    const at = schedStage({ scheds: timed, jobs: ['job'] }, submit('job'));
    expect(witnessed(at.calm())).toEqual([]);
    expect(at.kernel.timers[tdrOf('sched')]?.armed).toBe(true);
    const facts = at.runs(tdrOf('sched'));
    expect(witnessed(facts)).toEqual(['a job is timed out']);
    expect([at.has('job'), at.error('job'), freed(facts), left(at.kernel)]).toEqual([true, '-ETIMEDOUT', ['job'], []]);

    const in_time = schedStage({ scheds: timed, jobs: ['job'] }, submit('job'));
    in_time.calm();
    in_time.advance(1);
    in_time.calm();
    expect(in_time.because(tdrOf('sched'))).toBe('sched.tdr is not armed');
    expect(in_time.error('job')).toBe(null);
  });
  test('KUNIT-84: a skipped reset leaves the job pending, and the hardware completes it without an error', () => {
    const at = schedStage({ scheds: timed, jobs: ['job'], ops: { timedout_job: 'mock_skips_reset' } }, submit('job'));
    at.calm();
    expect(witnessed(at.plays(...turns(4)))).toEqual(['the reset is skipped']);
    expect([at.has('job'), at.kernel.gpu_schedulers['sched']?.pending_list]).toEqual([false, ['job']]);
    expect(at.advance(1)).toBe(1);
    expect(freed(at.calm())).toEqual(['job']);
    expect([at.has('job'), at.error('job'), left(at.kernel)]).toEqual([true, null, []]);
  });
});

describe('priorities and schedulers', () => {
  const of_each = Object.fromEntries(PRIORITIES.map((priority) => [priority, { priority }]));
  test('KUNIT-85: jobs on entities of every priority all finish', () => {
    const jobs = named(100);
    for (const policy of ['fifo', 'rr', 'fair'] as const) {
      const at = schedStage(
        { scheds: { sched: { policy, credit_limit: 3 } }, entities: of_each, jobs },
        jobs.map((job, index) => submit(job, PRIORITIES[index % 4])),
      );
      at.runs('test');
      const facts = at.finish();
      expect(ran(facts).toSorted()).toEqual(jobs.toSorted());
      expect(jobs.filter((job) => !at.has(job))).toEqual([]);
      const kernel_first = jobs.filter((_, index) => index % 4 === 0);
      if (policy !== 'fair') expect(ran(facts).slice(0, 25)).toEqual(kernel_first);
      expect([misuses(facts), left(at.kernel)]).toEqual([[], []]);
    }
  });
  test('KUNIT-86: priorities that change while jobs run: all finish', () => {
    const jobs = named(200);
    const at = schedStage(
      { scheds: unlimited, entities: of_each, jobs },
      jobs.map((job, index) => [
        submit(job, PRIORITIES[index % 4]),
        drm_sched_entity_set_priority(PRIORITIES[index % 4] as string, PRIORITIES[(index + 1) % 4] as Priority),
      ]),
    );
    const facts: Fact[] = [];
    while (at.open('test').kind === 'ready') {
      facts.push(...at.plays('test'));
      if (facts.length % 7 === 0) facts.push(...at.runs('sched'));
      if (facts.length % 11 === 0) at.advance(2);
    }
    facts.push(...at.finish());
    expect(jobs.filter((job) => !at.has(job))).toEqual([]);
    expect(ran(facts).toSorted()).toEqual(jobs.toSorted());
    expect([misuses(facts), left(at.kernel)]).toEqual([[], []]);
  });
  test('KUNIT-87: 13 entities move between 3 schedulers while 1000 jobs are submitted: all finish', () => {
    const jobs = named(1000);
    const scheds = named(3, 's');
    const entities = named(13, 'e');
    const at = schedStage(
      {
        scheds: Object.fromEntries(scheds.map((sched) => [sched, { credit_limit: NO_LIMIT }])),
        entities: Object.fromEntries(entities.map((entity, index) => [entity, { sched_list: [`s${index % 3}`] }])),
        jobs,
      },
      jobs.map((job, index) => [
        submit(job, `e${index % 13}`),
        drm_sched_entity_modify_sched(`e${(index * 5) % 13}`, [`s${index % 3}`]),
      ]),
    );
    const facts: Fact[] = [];
    while (at.open('test').kind === 'ready') {
      facts.push(...at.plays('test'));
      if (facts.length % 50 === 0) facts.push(...at.finish());
    }
    facts.push(...at.finish());
    expect(jobs.filter((job) => !at.has(job))).toEqual([]);
    expect(ran(facts).toSorted()).toEqual(jobs.toSorted());
    expect(new Set(facts.flatMap((fact) => (fact.kind === 'jobRuns' ? [fact.sched] : [])))).toEqual(new Set(scheds));
    expect([misuses(facts), left(at.kernel)]).toEqual([[], []]);
  });
  test('KUNIT-88: with a credit limit of 1 the second job is scheduled when the first is finished, and not before', () => {
    const at = schedStage({ jobs: named(2) }, [submit('j0'), submit('j1')]);
    at.calm();
    expect(named(2).map((job) => at.has(scheduled(job)))).toEqual([true, false]);
    expect(at.advance(1)).toBe(1);
    at.calm();
    expect(at.has(scheduled('j1'))).toBe(true);
    expect(at.advance(1)).toBe(1);
    expect(named(2).map(at.has)).toEqual([true, true]);
  });
});

describe('many submitters', () => {
  const jobs = named(16 * 8);
  const workers = named(16, 'w');
  const of = (worker: string): string[] => jobs.filter((_, index) => `w${index % 16}` === worker);
  const setup: SchedSetup = {
    scheds: unlimited,
    entities: Object.fromEntries(workers.map((worker) => [`e.${worker}`, {}])),
    jobs,
    threads: Object.fromEntries(
      workers.map((worker) => [worker, must(of(worker).map((job) => submit(job, `e.${worker}`)))]),
    ),
  };
  test('KUNIT-89: 16 workers with 8 jobs each: all are scheduled, and advancing them all finishes all; or by turns', () => {
    const parallel = schedStage(setup);
    const facts: Fact[] = [];
    while (workers.some((worker) => parallel.open(worker).kind === 'ready'))
      for (const worker of workers) if (parallel.open(worker).kind === 'ready') facts.push(...parallel.plays(worker));
    facts.push(...parallel.calm());
    expect(jobs.filter((job) => !parallel.has(scheduled(job)))).toEqual([]);
    expect(parallel.advance(jobs.length)).toBe(jobs.length);
    facts.push(...parallel.calm());
    expect(jobs.filter((job) => !parallel.has(job))).toEqual([]);
    expect([misuses(facts), left(parallel.kernel)]).toEqual([[], []]);

    const interleaved = schedStage(setup);
    for (let turn = 0; workers.some((worker) => interleaved.open(worker).kind === 'ready'); turn += 1) {
      const worker = workers[turn % 16] as string;
      if (interleaved.open(worker).kind === 'ready') interleaved.plays(worker);
      if (turn % 3 === 0) interleaved.runs('sched');
      if (turn % 5 === 0) interleaved.advance(1);
    }
    interleaved.finish();
    expect(jobs.filter((job) => !interleaved.has(job))).toEqual([]);
    expect(left(interleaved.kernel)).toEqual([]);
  });
});

describe('load', () => {
  /** Steps of the scheduler between two completions, while it works off what the test has submitted. */
  function stepsAJob(setup: SchedSetup, body: Parameters<typeof schedStage>[1]): number[] {
    const at = schedStage(setup, body);
    at.runs('test');
    const steps: number[] = [];
    do {
      steps.push(0);
      while (at.open('sched').kind === 'ready') {
        at.plays('sched');
        steps[steps.length - 1] = (steps.at(-1) as number) + 1;
      }
    } while (at.advance(1) > 0);
    expect(setup.jobs.filter((job) => !at.has(job))).toEqual([]);
    return steps;
  }
  test('KUNIT-90: a queue of 1000 jobs and one credit finishes, and no job costs the scheduler more than the one before', () => {
    const jobs = named(1000);
    const steps = stepsAJob(
      { jobs },
      jobs.map((job) => submit(job)),
    );
    expect(steps).toHaveLength(1001);
    expect(new Set(steps.slice(1, -1))).toEqual(new Set([steps[1]]));
  });
  test('KUNIT-91: so do two entities whose jobs depend on each other by turns', () => {
    const jobs = named(200);
    const steps = stepsAJob(
      { entities: { e0: {}, e1: {} }, jobs },
      jobs.map((job, index) => submit(job, `e${index % 2}`, index > 0 ? [jobs[index - 1] as string] : [])),
    );
    expect(steps).toHaveLength(201);
    expect(new Set(steps.slice(2, -1))).toEqual(new Set([steps[2]]));
  });
  test('KUNIT-92: pairs of clients of different priority, batch and synchrony: all complete', () => {
    const CYCLES = 5;
    const client = (who: string, batch: number, sync: boolean) => {
      const jobs = named(CYCLES * batch, `${who}.`);
      const body = Array.from({ length: CYCLES }, (_, cycle) => {
        const these = jobs.slice(cycle * batch, (cycle + 1) * batch);
        return [these.map((job) => submit(job, who)), sync ? dma_fence_wait(these.at(-1) as string) : []];
      });
      return { jobs, thread: must([...body, dma_fence_wait(jobs.at(-1) as string)]) };
    };
    const pairs: readonly (readonly [Priority, Priority])[] = [
      ['NORMAL', 'NORMAL'],
      ['NORMAL', 'LOW'],
      ['HIGH', 'NORMAL'],
      ['HIGH', 'LOW'],
      ['LOW', 'NORMAL'],
    ];
    for (const policy of ['fifo', 'rr', 'fair'] as const)
      for (const [first, second] of pairs)
        for (const [batch, sync] of [
          [1, false],
          [1, true],
          [4, true],
          [3, false],
        ] as const) {
          const [a, b] = [client('a', batch, sync), client('b', 1, true)];
          const at = schedStage({
            scheds: { sched: { policy, credit_limit: 2 } },
            entities: { a: { priority: first }, b: { priority: second } },
            jobs: [...a.jobs, ...b.jobs],
            threads: { first: a.thread, second: b.thread },
          });
          const facts = at.finish();
          expect([at.open('first').kind, at.open('second').kind]).toEqual(['finished', 'finished']);
          expect([misuses(facts), left(at.kernel), at.has(killWork('a'))]).toEqual([[], [], false]);
        }
  });
});
