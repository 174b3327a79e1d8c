/**
 * Drivers of the GPU scheduler that break its rules, and their nearest neighbours that do not: every state of a small
 * machine, judged by every property (C2.5, C5.5, C5.6, C5.10, C7.2, C8; HC-2, HC-6; C30, C31).
 */
import { describe, expect, test } from 'vitest';
import { type Kernel, ioctl, must } from '../model/design.ts';
import type { Block } from '../model/machine.ts';
import {
  type BackendOps,
  type SchedulerOptions,
  call,
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_set_error,
  dma_fence_signal,
  dma_fence_signal_locked,
  dma_fence_wait,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  drm_sched_entity_destroy,
  drm_sched_entity_init,
  drm_sched_entity_kill_work,
  drm_sched_entity_push_job,
  drm_sched_fini,
  drm_sched_init,
  drm_sched_job,
  drm_sched_job_arm,
  drm_sched_job_cleanup,
  drm_sched_job_init,
  drm_sched_resubmit_jobs,
  drm_sched_start,
  drm_sched_stop,
  drm_sched_tdr,
  emit,
  if_ret,
  kmalloc,
  queue_work,
  reset_ring,
  return_,
  ring,
  spin_lock_irqsave,
  spin_unlock_irqrestore,
  together,
  user,
  witness,
  work,
} from '../model/objects/index.ts';
import { bootKernel } from '../model/stage.ts';
import { properties } from './index.ts';
import { sweep } from './search/sweep.ts';

/** What comes of an allocation that may wait for the very fence that the allocating thread owes. */
const OWED = [
  'fence-signals (never signals)',
  'lock-order (circular dependency)',
  'no-alloc-in-signalling (owed)',
  'no-deadlock (circle of fence)',
];
/** Nobody but the application: what is told of the works needs no other. */
const TWO = { app: ['submit(job0)', 'submit(job1)'] };
interface Driver {
  readonly run_job?: Block;
  readonly free_job?: Block;
  readonly timedout_job?: Block;
  readonly between_arm_and_push?: Block;
  readonly may_hang?: boolean;
  readonly jobs?: number;
  readonly kernel?: Partial<Kernel>;
}
/** Stop, reset, start: what hung ends with an error, nothing is run again. */
const recovers = (on_the_way: Block = []): Block => [
  drm_sched_stop('sched', '$job'),
  on_the_way,
  witness('the ring is reset'),
  reset_ring('gpu'),
  drm_sched_start('sched', '-ETIME'),
  return_('RESET'),
];
function driver({ may_hang = true, jobs = 2, ...like }: Driver = {}): Kernel {
  const names = Array.from({ length: jobs }, (_, at) => `job${at}`);
  const ops: BackendOps = { run_job: 'run_job', timedout_job: 'timedout_job', free_job: 'free_job' };
  return {
    objects: together(
      drm_sched_entity_init('entity', ['sched']),
      ...names.map((job) => drm_sched_job(job, { hw: `hw.${job}` })),
      {
        fences: Object.fromEntries(names.map((job) => [`hw.${job}`, {}])),
        resvs: { bo: {} },
        shrinkers: { bo: { scan: 'shrink_bo' } },
      },
    ),
    threads: {
      app: user(),
      other: user(),
      sched: drm_sched_init(ops, { credit_limit: 2, work_tdr: 'tdr' }),
      tdr: drm_sched_tdr('sched'),
      gpu: ring({ may_hang }),
      kill_work: drm_sched_entity_kill_work('entity'),
    },
    routines: {
      run_job: like.run_job ?? [dma_fence_init('$hw'), emit('gpu', '$job', '$hw', 'irq'), return_('$hw')],
      irq: [dma_fence_signal('$fence')],
      free_job: like.free_job ?? [drm_sched_job_cleanup('$job')],
      timedout_job: like.timedout_job ?? recovers(),
      // It may wait, says L-23, since it takes no lock; whoever owes the fence must not end up here.
      shrink_bo: [dma_resv_wait('bo', 'BOOKKEEP')],
    },
    calls: {
      submit: ioctl({ job: names }, [
        drm_sched_job_init('$job', 'entity'),
        dma_resv_lock('bo'),
        dma_resv_reserve_fences('bo'),
        dma_fence_begin_signalling(),
        drm_sched_job_arm('$job'),
        dma_resv_add_fence('bo', '$job', 'BOOKKEEP'),
        like.between_arm_and_push ?? [],
        drm_sched_entity_push_job('$job'),
        dma_fence_end_signalling(),
        dma_resv_unlock('bo'),
      ]),
      idle: ioctl({}, [dma_resv_lock('bo'), dma_resv_wait('bo', 'BOOKKEEP'), dma_resv_unlock('bo')]),
    },
    workload: { app: names.map((job) => `submit(${job})`), other: ['idle()'] },
    ...like.kernel,
  };
}
/** What the sweep finds, as 'property (kind)'; the dangerous situation must have been reached. */
function found(of: Kernel, reached: readonly string[] = [], patient = true): string[] {
  const { findings, complete, why, witnesses } = sweep(bootKernel(of), properties, {
    verifyEvery: 100,
    patient,
  });
  expect(complete, why).toBe(true);
  expect(reached.filter((name) => !witnesses.has(name))).toEqual([]);
  return findings.map(({ blame }) => `${blame.property} (${blame.kind})`).sort();
}

describe('the timeout handler is on the signalling path (HC-2, C5.5)', () => {
  test('a handler that stops, resets and starts is acquitted, whoever waits meanwhile', () => {
    expect(found(driver(), ['the ring is reset', 'other waits for job0'])).toEqual([]);
  });
  test('it is, too, when the timeout may strike at any time, in the middle of run_job or of the interrupt', () => {
    expect(found(driver({ jobs: 1 }), ['the ring is reset'], false)).toEqual([]);
  });
  test('one that allocates with GFP_KERNEL for a core dump is convicted; with GFP_NOWAIT it is not', () => {
    const dumps = (gfp: 'GFP_KERNEL' | 'GFP_NOWAIT'): Kernel =>
      driver({ timedout_job: recovers(kmalloc(gfp, 'coredump')), jobs: 1 });
    expect(found(driver({ jobs: 1 }), ['the ring is reset'])).toEqual([]);
    expect(found(dumps('GFP_KERNEL'))).toEqual(OWED);
    expect(found(dumps('GFP_NOWAIT'), ['the ring is reset'])).toEqual([]);
  });
  test('one that takes a reservation is convicted', () => {
    const locks = driver({ timedout_job: recovers([dma_resv_lock('bo'), dma_resv_unlock('bo')]), jobs: 1 });
    expect(found(locks)).toEqual([
      'fence-signals (never signals)',
      'lock-order (circular dependency)',
      'no-deadlock (circle of fence+resv)',
    ]);
  });
});

describe('the works share one queue (C4.4, C5.6)', () => {
  test('a free_job that waits for another job of its scheduler is convicted; one that leaves the waiting to others is not (C30)', () => {
    const frees = (...waits: Block): Kernel =>
      driver({ free_job: [waits, drm_sched_job_cleanup('$job')], may_hang: false, kernel: { workload: TWO } });
    expect(found(frees(dma_resv_wait('bo', 'BOOKKEEP')))).toEqual([
      'fence-signals (never signals)',
      'no-deadlock (circle of fence)',
    ]);
    expect(found(frees())).toEqual([]);
  });
  test('a run_job that stops its own scheduler waits for itself; the timeout work may (C31)', () => {
    const resets = driver({
      run_job: [dma_fence_init('$hw'), emit('gpu', '$job', '$hw', 'irq'), drm_sched_stop('sched'), return_('$hw')],
      jobs: 1,
    });
    expect(found(resets)).toEqual(['fence-signals (never signals)', 'no-deadlock (circle of work)']);
  });
});

describe('who times out, and who is freed (C5.2, C5.3, C5.10)', () => {
  const looks_first = (status: string): Kernel =>
    driver({
      timedout_job: [dma_fence_is_signaled('$hw'), if_ret('1', [witness('it was over'), return_(status)]), recovers()],
      jobs: 1,
    });
  test('a handler that finds the job over and says RESET leaks it; NO_HANG gives it back to be freed', () => {
    expect(found(looks_first('RESET'), ['it was over'], false)).toEqual([
      'fence-signals (never signals)', // it looks before run_job has begun the fence, and then the ring hangs
      'no-leak (left over)',
    ]);
    expect(found(looks_first('NO_HANG'), ['it was over'], false)).toEqual([]);
  });
  const frees_itself = (status: string): Kernel =>
    driver({
      timedout_job: [
        reset_ring('gpu'),
        dma_fence_set_error('$hw', '-ETIMEDOUT'),
        dma_fence_signal('$hw'),
        drm_sched_job_cleanup('$job'),
        return_(status),
      ],
      jobs: 1,
    });
  test('a handler that frees the job itself says RESET; with NO_HANG it would be freed twice', () => {
    expect(found(frees_itself('RESET'))).toEqual([]);
    expect(found(frees_itself('NO_HANG'))).toEqual(['api-contract (C5.3)']);
  });
  test('… and it is convicted when the timeout is shorter than run_job: only drm_sched_stop waits for that', () => {
    expect(found(frees_itself('RESET'), [], false)).toContain('api-contract (S-C4)');
  });
  test('running the jobs again is acquitted as long as that allocates nothing (HC-6)', () => {
    const again = (gfp: 'never' | 'GFP_KERNEL'): Kernel =>
      driver({
        timedout_job: [
          drm_sched_stop('sched', '$job'),
          reset_ring('gpu'),
          kmalloc(gfp, 'hw_fence'),
          drm_sched_resubmit_jobs('sched'),
          drm_sched_start('sched'),
          return_('RESET'),
        ],
        jobs: 1,
      });
    expect(found(again('never'))).toEqual([]);
    expect(found(again('GFP_KERNEL'))).toEqual(OWED);
  });
});

describe('two schedulers on one hardware (C1.3, HC-4)', () => {
  /** Both timeouts strike at once; their works are on this queue, or on none. */
  const both = (queue: string): Kernel => ({
    objects: together(
      ...['a', 'b'].map((sched) => drm_sched_entity_init(`entity.${sched}`, [sched])),
      drm_sched_job('job.a', { hw: 'hw.a' }),
      drm_sched_job('job.b', { hw: 'hw.b' }),
      { fences: { 'hw.a': {}, 'hw.b': {} }, workqueues: { timeout_wq: {} } },
    ),
    threads: {
      app: must([
        ['a', 'b'].map((each) => [
          drm_sched_job_init(`job.${each}`, `entity.${each}`),
          drm_sched_job_arm(`job.${each}`),
          drm_sched_entity_push_job(`job.${each}`),
          dma_fence_wait(`job.${each}.scheduled`),
        ]),
        queue_work('reset.a'),
        queue_work('reset.b'),
      ]),
      a: drm_sched_init({ run_job: 'run_job', timedout_job: 'timedout_job' }),
      b: drm_sched_init({ run_job: 'run_job', timedout_job: 'timedout_job' }),
      gpu: ring({ may_hang: true }),
      'reset.a': work([call('drm_sched_job_timedout', { sched: 'a' })], queue),
      'reset.b': work([call('drm_sched_job_timedout', { sched: 'b' })], queue),
    },
    routines: {
      run_job: [dma_fence_init('$hw'), emit('gpu', '$job', '$hw', 'irq'), return_('$hw')],
      irq: [dma_fence_signal('$fence')],
      timedout_job: [
        drm_sched_stop('a', '$job'),
        drm_sched_stop('b', '$job'),
        witness('the ring is reset'),
        reset_ring('gpu'),
        drm_sched_start('a'),
        drm_sched_start('b'),
        return_('RESET'),
      ],
    },
  });
  test('their timeouts run one after the other, or one starts what the other has stopped', () => {
    expect(found(both(''), ['the ring is reset'])).toContain('api-contract (C5.7)');
    expect(found(both('timeout_wq'), ['the ring is reset'])).toEqual([]);
  });
});

describe('between arm and push there is no way back (C2.5, C8.2)', () => {
  test('an allocation there is convicted, and so is giving up; what cannot fail and cannot wait is not', () => {
    const does = (between_arm_and_push: Block): Kernel => driver({ between_arm_and_push, jobs: 1, may_hang: false });
    expect(found(does(kmalloc('GFP_KERNEL', 'dependency')))).toEqual(OWED);
    expect(
      found(
        does([
          kmalloc('GFP_NOWAIT', 'p'),
          if_ret('-ENOMEM', [dma_fence_end_signalling(), dma_resv_unlock('bo'), return_('-EAGAIN')]),
        ]),
      ),
    ).toEqual(['api-contract (I-10)', 'fence-signals (never signals)', 'no-leak (left over)']);
    expect(found(does(kmalloc('GFP_NOWAIT', 'p')))).toEqual([]);
  });
});

describe('the end of a scheduler (C7)', () => {
  /** Unload with a job on the hardware; the interrupt signals under the lock that the hardware fences share. */
  const ends = (cancel_job: Block | undefined, options: SchedulerOptions = {}): Kernel => {
    const kernel = driver({ jobs: 1, may_hang: options.work_tdr !== undefined });
    const ops = {
      run_job: 'run_job',
      timedout_job: 'timedout_job',
      ...(cancel_job ? { cancel_job: 'cancel_job' } : {}),
    };
    return {
      ...kernel,
      objects: together(kernel.objects ?? {}, {
        locks: { 'gpu.lock': { irq: true } },
        fences: { 'hw.job0': { lock: 'gpu.lock' } },
      }),
      threads: { ...kernel.threads, sched: drm_sched_init(ops, options) },
      routines: {
        ...kernel.routines,
        irq: under_lock(dma_fence_signal_locked('$fence')),
        cancel_job: cancel_job ?? [],
      },
      calls: {
        ...kernel.calls,
        unload: ioctl({}, [drm_sched_entity_destroy('entity', 'killed'), drm_sched_fini('sched')]),
      },
      workload: { app: ['submit(job0)', 'unload()'] },
    };
  };
  const under_lock = (...body: Block): Block => [
    spin_lock_irqsave('gpu.lock'),
    body,
    spin_unlock_irqrestore('gpu.lock'),
  ];
  const unless_over = (...body: Block): Block => [
    reset_ring('gpu'),
    dma_fence_is_signaled('$hw'),
    if_ret('0', [witness('a job is cancelled'), dma_fence_set_error('$hw', '-ECANCELED'), body]),
  ];
  const cancels = under_lock(unless_over(dma_fence_signal_locked('$hw')));
  test('a job that is on the hardware leaks when the driver cannot cancel it', () => {
    expect(found(ends(undefined))).toEqual(['api-contract (C7.2)', 'no-leak (left over)']);
    expect(found(ends(cancels), ['a job is cancelled'])).toEqual([]);
  });
  test('one that cancels without the lock of its fences is convicted: the interrupt may be just about to end the job', () => {
    const races = found(ends(unless_over(dma_fence_signal('$hw'))), ['a job is cancelled']);
    expect(races).toContain('api-contract (F-39)');
    expect(races).toContain('api-contract (S-C4)');
  });
  test('a timeout that is under way starts the works again, behind the back of the teardown: the job is freed twice', () => {
    const timed = ends(cancels, { work_tdr: 'tdr' });
    expect(found(timed, ['the ring is reset'])).toEqual(['api-contract (S-C4)']);
  });
});
