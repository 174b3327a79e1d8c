/** The rules of the GPU scheduler, each next to its opposite (drivers/gpu/drm/scheduler/; C2..C7). */
import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block, Fact } from '../machine.ts';
import { type SchedSetup, hardware, killWork, ringOf, schedStage, submit, tdrOf } from '../sched-stage.ts';
import { misuses } from '../stage.ts';
import {
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  drm_sched_entity_fini,
  drm_sched_entity_flush,
  drm_sched_entity_kill,
  drm_sched_entity_push_job,
  drm_sched_entity_set_priority,
  drm_sched_fini,
  drm_sched_increase_karma,
  drm_sched_job,
  drm_sched_job_add_dependency,
  drm_sched_job_add_resv_dependencies,
  drm_sched_job_arm,
  drm_sched_job_cleanup,
  drm_sched_job_init,
  drm_sched_start,
  drm_sched_stop,
  if_var,
  return_,
  scheduled,
} from './index.ts';

const ran = (facts: readonly Fact[]): string[] => facts.flatMap((fact) => (fact.kind === 'jobRuns' ? [fact.job] : []));
const two = ['a', 'b'];
/** Run this body alone on a machine with two jobs, or more: the rules it breaks, what it returns, the machine after it. */
function does(body: Block, setup: Partial<SchedSetup> = {}) {
  const at = schedStage({ jobs: two, ...setup }, body);
  const rules = misuses(at.runs('test'));
  return { rules, ret: at.ret('test'), at };
}
/** Everybody does his part: which jobs ran, in which order. */
const order = (body: Block, setup: Partial<SchedSetup> = {}): string[] => {
  const at = schedStage({ jobs: two, ...setup }, body);
  at.runs('test');
  return ran(at.finish());
};

describe('a job on its way (C2)', () => {
  const life = (body: Block) => {
    const { rules, at } = does(body);
    return [...rules, at.kernel.sched_jobs['a']?.life];
  };
  test('init wants credits, and an entity with a run queue (C2.1)', () => {
    expect(life(drm_sched_job_init('a', 'entity'))).toEqual(['init']);
    expect(life(drm_sched_job_init('a', 'entity', 0))).toEqual(['none']);
    // When its last scheduler is gone an entity notices at the next choice of a run queue.
    const gone = [drm_sched_fini('sched'), drm_sched_job_init('b', 'entity'), drm_sched_job_arm('b')];
    expect(life([gone, drm_sched_job_init('a', 'entity')])).toEqual(['C2.4', 'none']);
  });
  test('memory that is still in use is not initialised again (C2.1)', () => {
    const init = drm_sched_job_init('a', 'entity');
    expect(life([init, init])).toEqual(['C2.1', 'init']);
    expect(life([init, drm_sched_job_cleanup('a'), init])).toEqual(['init']);
  });
  test('dependencies come between init and arm, NULL is none (C2.2)', () => {
    const before = [dma_fence_init('x'), drm_sched_job_init('a', 'entity')];
    const adds = (fence: string) => drm_sched_job_add_dependency('a', fence);
    const of = (lines: Block) => {
      const { rules, at } = does(lines, { objects: { fences: { x: {} } } });
      return { rules, deps: at.kernel.sched_jobs['a']?.dependencies };
    };
    expect(of([before, adds('x'), adds('NULL')])).toEqual({ rules: [], deps: ['x'] });
    expect(of([before, drm_sched_job_arm('a'), adds('x')]).rules).toEqual(['C2.2']);
  });
  test('of two fences of one timeline only the later one is kept, whichever comes first (C2.2)', () => {
    const lines = { objects: { fences: { x1: { context: 'x', seqno: 1 }, x2: { context: 'x', seqno: 2 } } } };
    for (const fences of [
      ['x1', 'x2'],
      ['x2', 'x1'],
    ]) {
      const added = fences.map((fence) => drm_sched_job_add_dependency('a', fence));
      const { at } = does(
        [dma_fence_init('x1'), dma_fence_init('x2'), drm_sched_job_init('a', 'entity'), added],
        lines,
      );
      expect(at.kernel.sched_jobs['a']?.dependencies).toEqual(['x2']);
    }
  });
  test('the fences of a reservation are collected under its lock (C2.3)', () => {
    const lines = { objects: { fences: { x: {} }, resvs: { bo: {} } } };
    const fill = [
      dma_fence_init('x'),
      dma_resv_lock('bo'),
      dma_resv_reserve_fences('bo'),
      dma_resv_add_fence('bo', 'x', 'WRITE'),
    ];
    const collect = [drm_sched_job_init('a', 'entity'), drm_sched_job_add_resv_dependencies('a', 'bo', 'READ')];
    const under = does([fill, collect, dma_resv_unlock('bo')], lines);
    expect([under.rules, under.at.kernel.sched_jobs['a']?.dependencies]).toEqual([[], ['x']]);
    expect(does([fill, dma_resv_unlock('bo'), collect], lines).rules).toEqual(['C2.3']);
  });
  test('arm follows init, push follows arm, and nobody gives up between them (C2.4, C2.7, C2.8)', () => {
    expect(does([drm_sched_job_arm('a')]).rules).toEqual(['C2.4']);
    expect(does([drm_sched_job_init('a', 'entity'), drm_sched_entity_push_job('a')]).rules).toEqual(['C2.8']);
    expect(does([drm_sched_job_init('a', 'entity'), drm_sched_job_arm('a'), drm_sched_job_cleanup('a')]).rules).toEqual(
      ['C2.7'],
    );
    expect(does([drm_sched_job_init('a', 'entity'), drm_sched_job_cleanup('a')]).rules).toEqual([]);
    expect(does(submit('a')).rules).toEqual([]);
  });
  test('jobs are pushed in the order in which they were armed, or they signal in the wrong one (C2.6) (S-C5)', () => {
    const arm = two.map((job) => [drm_sched_job_init(job, 'entity'), drm_sched_job_arm(job)]);
    const [push_a, push_b] = [drm_sched_entity_push_job('a'), drm_sched_entity_push_job('b')];
    expect(does([arm, push_a, push_b]).rules).toEqual([]);
    const wrong = does([arm, push_b, push_a]);
    expect(wrong.rules).toEqual(['C2.6']);
    expect(misuses(wrong.at.finish())).toContain('F-6');
  });
  test('a job that is pushed to a stopped entity is served by nobody (C2.9)', () => {
    const { rules, at } = does([drm_sched_entity_kill('entity'), submit('a')]);
    expect(rules).toEqual(['C2.9']);
    at.finish();
    expect(at.has('a')).toBe(false);
  });
  test('seqnos go on while a job of the entity is on the way, and begin again after that', () => {
    const { at } = does([submit('a'), submit('b')]);
    const seqno = (job: string): number | undefined => at.kernel.fence_numbers[job]?.seqno;
    expect([seqno('a'), seqno('b')]).toEqual([1, 2]);
  });
});

describe('who is next (C3)', () => {
  const entities = { e0: {}, e1: {} };
  const mixed = [submit('a', 'e0'), submit('b', 'e0'), submit('c', 'e1')];
  test('with fifo the job that waits longest; round robin serves the entities in turn (C3.2)', () => {
    const jobs = ['a', 'b', 'c'];
    expect(order(mixed, { jobs, entities })).toEqual(['a', 'b', 'c']);
    expect(order(mixed, { jobs, entities, scheds: { sched: { policy: 'rr' } } })).toEqual(['a', 'c', 'b']);
  });
  test('by run time it may be anybody who is ready (C3.2)', () => {
    const at = schedStage({ jobs: ['a', 'b', 'c'], entities, scheds: { sched: { policy: 'fair' } } }, mixed);
    at.runs('test');
    expect(at.ways('sched')).toEqual(['run_job of e0', 'run_job of e1']);
  });
  test('a higher priority goes first, and a change counts from the next choice of a run queue on (C3.2, C6.5)', () => {
    const levels = { low: { priority: 'LOW' }, high: { priority: 'HIGH' } } as const;
    const jobs = ['a', 'b', 'c'];
    expect(order([submit('a', 'low'), submit('b', 'high')], { jobs, entities: levels })).toEqual(['b', 'a']);
    const late = [submit('a', 'low'), drm_sched_entity_set_priority('low', 'KERNEL'), submit('b', 'high')];
    expect(order(late, { jobs, entities: levels })).toEqual(['b', 'a']);
    const early = [drm_sched_entity_set_priority('low', 'KERNEL'), submit('b', 'high'), submit('a', 'low')];
    expect(order(early, { jobs, entities: levels })).toEqual(['a', 'b']);
  });
  test('a large job is not starved by small ones: whoever is next and lacks credits ends the search (C3.3)', () => {
    const jobs = ['a', 'big', 'small'];
    const scheds = { sched: { credit_limit: 2 } };
    const body = [submit('a', 'e0'), submit('big', 'e0', [], 2), submit('small', 'e1')];
    const at = schedStage({ jobs, entities, scheds }, body);
    at.runs('test');
    expect(ran(at.calm())).toEqual(['a']);
    expect(at.because('sched')).toBe('a holds the credits of sched that big needs');
    expect(ran(at.finish())).toEqual(['big', 'small']);
  });
  test('a job of more credits than there are takes them all, and the driver is told (C3.3)', () => {
    const at = schedStage({ jobs: two, scheds: { sched: { credit_limit: 2 } } }, [submit('a', 'entity', [], 5)]);
    expect(misuses(at.calm())).toEqual(['C3.3']);
    expect(at.kernel.gpu_schedulers['sched']?.credit_count).toBe(2);
  });
});

describe('dependencies (C3.5)', () => {
  const entities = { e0: {}, e1: {} };
  const waits = (body: Block, setup: Partial<SchedSetup> = {}): string | undefined => {
    const at = schedStage({ jobs: two, entities, scheds: { sched: { credit_limit: 2 }, far: {} }, ...setup }, body);
    at.calm();
    return at.has(scheduled('b')) ? 'b runs' : at.because('sched');
  };
  test('a job of the same scheduler is waited for until it is scheduled, of another one until it is finished', () => {
    expect(waits([submit('a', 'e0'), submit('b', 'e1', ['a'])])).toBe('b runs');
    const far = { entities: { e0: { sched_list: ['far'] }, e1: {} } };
    expect(waits([submit('a', 'e0'), submit('b', 'e1', ['a'])], far)).toBe('far.gpu has yet to signal a');
  });
  test('… but until it is finished where it asks for that', () => {
    const whole = { objects: drm_sched_job('a', { hw: hardware('a') }, { dont_pipeline: true }) };
    expect(waits([submit('a', 'e0'), submit('b', 'e1', ['a'])], whole)).toBe('sched.gpu has yet to signal a');
  });
  test('fences of the own entity are no dependency: the order says it already', () => {
    const at = schedStage({ jobs: two, scheds: { sched: { credit_limit: 2 } } }, [
      submit('a'),
      submit('b', 'entity', ['a']),
    ]);
    at.runs('test');
    expect(ran(at.calm())).toEqual(two);
  });
  test('a fence that has to be asked to signal is asked', () => {
    const asked = {
      objects: { fences: { x: { enable_signaling: 'hook' } } },
      routines: { hook: [return_('true')] },
    };
    const at = schedStage({ jobs: two, ...asked }, [dma_fence_init('x'), submit('a', 'entity', ['x'])]);
    at.calm();
    expect(at.kernel.fences['x']?.enabled).toBe(true);
    expect(at.because('sched')).toBe('test has yet to signal x');
  });
  test('a fence that is over stays so for who depends on it, though its name begins a new life', () => {
    const runs = (between: Block): boolean => {
      const lines = [dma_fence_init('x'), drm_sched_job_init('a', 'entity'), drm_sched_job_add_dependency('a', 'x')];
      const last = [between, drm_sched_job_arm('a'), drm_sched_entity_push_job('a')];
      const at = schedStage({ jobs: two, objects: { fences: { x: {} } } }, [lines, last]);
      at.calm();
      return at.has(scheduled('a'));
    };
    expect(runs([])).toBe(false);
    expect(runs([dma_fence_signal('x'), dma_fence_init('x')])).toBe(true);
  });
  test('prepare_job may name further fences until it says NULL', () => {
    const prepares = {
      objects: { fences: { vmid: {} } },
      ops: { prepare_job: 'prepare' },
      routines: { prepare: [if_var('job', 'a', [return_('vmid')]), return_('NULL')] },
      threads: { vmid_owner: must([dma_fence_init('vmid')]) },
    };
    const at = schedStage({ jobs: two, entities, ...prepares }, [submit('a', 'e0'), submit('b', 'e1')]);
    at.runs('vmid_owner');
    at.runs('test');
    expect(ran(at.calm())).toEqual(['b']);
    expect(at.kernel.sched_entities['e0']?.dependency).toBe('vmid');
  });
});

describe('what run_job returns (C3.9, C3.10)', () => {
  const returns = (value: string) => {
    const at = schedStage({ jobs: two, ops: { run_job: 'odd' }, routines: { odd: [return_(value)] } }, submit('a'));
    const facts = at.calm();
    return { over: at.has('a'), error: at.error('a'), rules: misuses(facts) };
  };
  test('NULL or an error ends the job at once; anything else is a mistake of the driver', () => {
    expect(returns('NULL')).toEqual({ over: true, error: null, rules: [] });
    expect(returns('-EIO')).toEqual({ over: true, error: '-EIO', rules: [] });
    expect(returns('0')).toEqual({ over: true, error: null, rules: ['C3.9'] });
  });
  test('a job that is finished is freed only when it is the first of the list (C4.3)', () => {
    const at = schedStage(
      {
        jobs: two,
        scheds: { sched: { credit_limit: 1 } },
        ops: { run_job: 'odd' },
        routines: { odd: [if_var('job', 'b', [return_('NULL')]), dma_fence_init('$hw'), return_('$hw')] },
        entities: { e0: {}, e1: {} },
      },
      [submit('a', 'e0'), submit('b', 'e1')],
    );
    at.calm();
    expect(at.kernel.gpu_schedulers['sched']).toMatchObject({ pending_list: ['a'], credit_count: 1 });
  });
});

describe('stop, start, karma (C5)', () => {
  const scheds = { sched: { credit_limit: 3 } };
  const then = (body: Block) => ({ threads: { reset: must(body) } });
  test('stop gives the credits back and frees what is over; start ends the rest with the error (C5.6, C5.7)', () => {
    for (const [errno, error] of [
      ['0', '-ECANCELED'],
      ['-ETIME', '-ETIME'],
    ] as const) {
      const at = schedStage(
        { jobs: two, scheds, ...then([drm_sched_stop('sched'), drm_sched_start('sched', errno)]) },
        [submit('a'), submit('b')],
      );
      at.runs('test');
      at.runs('sched');
      at.advance(1);
      at.plays('reset', 'reset', 'reset', 'reset');
      expect(at.kernel.gpu_schedulers['sched']).toMatchObject({ pending_list: ['b'], credit_count: 0 });
      at.runs('reset');
      expect(two.map(at.error)).toEqual([null, error]);
      at.calm();
      expect(at.kernel.sched_jobs['b']?.life).toBe('none');
    }
  });
  test('while it is stopped no job runs, and the worker waits for whoever stopped it (S-C6)', () => {
    const at = schedStage({ jobs: two, scheds }, [drm_sched_stop('sched'), submit('a')]);
    expect(ran(at.calm())).toEqual([]);
    expect(at.because('sched')).toBe('test has stopped sched');
  });
  test('who starts what nobody has stopped would take the credits twice (C5.7) (S-C2)', () => {
    const at = schedStage({ jobs: two, scheds, ...then([drm_sched_start('sched')]) }, [submit('a')]);
    at.runs('test');
    at.runs('sched');
    expect(misuses(at.runs('reset'))).toEqual(['C5.7', 'S-C2']);
    expect(at.kernel.gpu_schedulers['sched']?.credit_count).toBe(1);
  });
  test('who frees a job that still runs is told, and who frees it twice (S-C4)', () => {
    const at = schedStage({ jobs: two, scheds, ...then([drm_sched_job_cleanup('a')]) }, [submit('a')]);
    at.runs('test');
    at.runs('sched');
    expect(misuses(at.runs('reset'))).toEqual(['S-C4']);
    expect(
      does([drm_sched_job_init('a', 'entity'), drm_sched_job_cleanup('a'), drm_sched_job_cleanup('a')]).rules,
    ).toEqual(['S-C4']);
  });
  test('karma over the limit makes the entity guilty, and its later jobs are cancelled; the kernel is never guilty (C5.9, C3.6)', () => {
    const blamed = (priority: 'NORMAL' | 'KERNEL', hang_limit: number) => {
      const at = schedStage(
        {
          jobs: two,
          scheds: { sched: { credit_limit: 1, hang_limit } },
          entities: { entity: { priority } },
          ...then([drm_sched_increase_karma('a')]),
        },
        [submit('a'), submit('b')],
      );
      at.runs('test');
      at.runs('sched');
      at.runs('reset');
      at.finish();
      return [at.error('a'), at.error('b')];
    };
    expect(blamed('NORMAL', 0)).toEqual([null, '-ECANCELED']);
    expect(blamed('NORMAL', 1)).toEqual([null, null]);
    expect(blamed('KERNEL', 0)).toEqual([null, null]);
  });
  test('the timeout runs while a job is pending (C5.1)', () => {
    const at = schedStage({ jobs: two, scheds: { sched: { timeout: true } } }, [submit('a')]);
    const armed = (): boolean | undefined => at.kernel.timers[tdrOf('sched')]?.armed;
    expect(armed()).toBe(false);
    at.runs('test');
    at.runs('sched');
    expect(armed()).toBe(true);
    at.advance(1);
    at.calm();
    expect(armed()).toBe(false);
  });
});

describe('the end of an entity (C6)', () => {
  const jobs = ['a', 'b', 'c'];
  test('flush waits until the queue is empty; a live process may be killed there, a dying one waits a while (C6.1)', () => {
    for (const [how, way] of [
      ['close', 'test/killed'],
      ['exit', 'test/times out'],
    ] as const) {
      const at = schedStage({ jobs }, [submit('a'), submit('b'), drm_sched_entity_flush('entity', how)]);
      at.calm();
      expect(at.because('test')).toBe('sched has yet to run b');
      at.plays(way);
      expect(at.open('test').kind).toBe('finished');
      expect(at.kernel.sched_entities['entity']?.stopped).toBe(false);
    }
    const served = schedStage({ jobs }, [submit('a'), drm_sched_entity_flush('entity')]);
    served.calm();
    expect(served.open('test').kind).toBe('finished');
  });
  test('killed jobs end in order, behind what runs and behind their own dependencies, and are freed without a run (C6.2)', () => {
    const kills = schedStage(
      {
        jobs,
        objects: { fences: { x: {} } },
        threads: { other: must([dma_fence_signal('x')]), closes: must(drm_sched_entity_kill('entity')) },
      },
      [dma_fence_init('x'), submit('a'), submit('b', 'entity', ['x']), submit('c')],
    );
    kills.runs('test');
    kills.runs('sched');
    kills.runs('closes');
    expect(kills.because(killWork('entity'))).toBe('sched.gpu has yet to signal a, and test has yet to signal x');
    kills.advance(1);
    kills.runs(killWork('entity'));
    expect(kills.because(killWork('entity'))).toBe('test has yet to signal x');
    kills.runs('other');
    const facts = kills.calm();
    expect(jobs.map(kills.error)).toEqual([null, '-ESRCH', '-ESRCH']);
    expect(['b', 'c'].map((job) => kills.has(scheduled(job)))).toEqual([true, true]);
    expect([ran(facts), misuses(facts)]).toEqual([[], []]);
  });
  test('whoever kills waits until run_job has left the entity (C6.2)', () => {
    const at = schedStage({ jobs, threads: { closes: must(drm_sched_entity_kill('entity')) } }, [submit('a')]);
    at.runs('test');
    at.plays('sched', 'closes');
    expect(at.because('closes')).toBe('sched is in the middle of entity');
    at.runs('sched');
    at.runs('closes');
    expect(at.open('closes').kind).toBe('finished');
  });
  test('fini takes the callback off the dependency: nobody wakes an entity that is gone (C6.4)', () => {
    const lines = { jobs, objects: { fences: { x: {} } }, threads: { closes: must(drm_sched_entity_fini('entity')) } };
    const at = schedStage(lines, [dma_fence_init('x'), submit('a', 'entity', ['x'])]);
    at.runs('test');
    at.runs('sched');
    expect(at.kernel.fences['x']?.callbacks).toHaveLength(1);
    at.runs('closes');
    expect(at.kernel.fences['x']?.callbacks).toEqual([]);
  });
});

describe('the end of a scheduler (C7)', () => {
  test('nobody stops a scheduler in order to tear it down: its jobs would be freed before they are finished', () => {
    const ends = (before: Block): string[] => {
      const at = schedStage({ jobs: two, threads: { unload: must([before, drm_sched_fini('sched')]) } }, [submit('a')]);
      at.runs('test');
      at.runs('sched');
      return misuses(at.runs('unload'));
    };
    expect(ends([])).toEqual([]);
    expect(ends(drm_sched_stop('sched'))).toEqual(['S-C4']);
  });
  test('of two jobs of one entity the later one is cancelled first, and signals before the older one (C7.2, F-6)', () => {
    const at = schedStage(
      { jobs: two, scheds: { sched: { credit_limit: 2 } }, threads: { unload: must(drm_sched_fini('sched')) } },
      [submit('a'), submit('b')],
    );
    at.runs('test');
    at.runs('sched');
    expect(misuses(at.runs('unload'))).toEqual(['F-6']);
    expect(two.map(at.error)).toEqual(['-ECANCELED', '-ECANCELED']);
    expect(at.kernel.rings[ringOf('sched')]?.jobs).toEqual([]);
  });
});
