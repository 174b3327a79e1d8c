/**
 * A stage for tests of the scheduler: the mock driver of the kernel's own tests, and a machine around it
 * (drivers/gpu/drm/scheduler/tests/mock_scheduler.c; KUNIT-74..KUNIT-78).
 *
 * The mock's hardware is one ring a scheduler. It completes jobs in the order of their submission, and only when the test
 * lets it: nothing else in the machine can make it move, so a timeout may always strike first.
 */
import { type Kernel, must } from './design.ts';
import type { Block, Fact, ThreadSpec } from './machine.ts';
import {
  type BackendOps,
  type Priority,
  type SchedulerOptions,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_set_error,
  dma_fence_signal_locked,
  drm_sched_entity_init,
  drm_sched_entity_kill_work,
  drm_sched_entity_push_job,
  drm_sched_init,
  drm_sched_job,
  drm_sched_job_add_dependency,
  drm_sched_job_arm,
  drm_sched_job_cleanup,
  drm_sched_job_init,
  drm_sched_tdr,
  emit,
  if_ret,
  if_var,
  return_,
  ring_by_hand,
  set,
  skip_job,
  spin_lock_irqsave,
  spin_unlock_irqrestore,
  together,
  witness,
} from './objects/index.ts';
import { type Stage, stage } from './stage.ts';

/** Every hardware fence shares it, so whoever has it knows that no completion is under way. */
const LOCK = 'mock.lock';
export const ringOf = (sched: string): string => `${sched}.gpu`;
export const hardware = (job: string): string => `${job}.hw`;
export const killWork = (entity: string): string => `${entity}.kill`;
export const tdrOf = (sched: string): string => `${sched}.tdr`;

export interface SchedSetup {
  /** Schedulers and what is special of each; 'sched' when left out. */
  readonly scheds?: Readonly<Record<string, SchedulerOptions & { readonly timeout?: true }>>;
  /** Entities with their priority; each may go to these schedulers, the first one when left out. */
  readonly entities?: Readonly<
    Record<string, { readonly priority?: Priority; readonly sched_list?: readonly string[] }>
  >;
  readonly jobs: readonly string[];
  readonly ops?: Partial<BackendOps>;
  readonly routines?: Readonly<Record<string, Block>>;
  readonly threads?: Readonly<Record<string, ThreadSpec>>;
  readonly objects?: Kernel['objects'];
}
/** The kernel around these entities and jobs, with the mock driver unless `ops` says otherwise. */
export function schedKernel(setup: SchedSetup): Kernel {
  const { scheds = { sched: {} }, entities = { entity: {} }, jobs, ops, routines, threads, objects } = setup;
  const names = Object.keys(scheds);
  const ring_of_sched = names.map((sched) => if_var('sched', sched, [set('ring', ringOf(sched))]));
  const mock_ends = (error: string): Block => [
    ring_of_sched,
    spin_lock_irqsave(LOCK),
    dma_fence_is_signaled('$hw'),
    if_ret('0', [skip_job('$ring', '$job'), dma_fence_set_error('$hw', error), dma_fence_signal_locked('$hw')]),
    spin_unlock_irqrestore(LOCK),
  ];
  const mock_routines = {
    mock_run_job: [
      ring_of_sched,
      dma_fence_init('$hw'),
      emit('$ring', '$job', '$hw', 'mock_completes'),
      return_('$hw'),
    ],
    mock_completes: [spin_lock_irqsave(LOCK), dma_fence_signal_locked('$fence'), spin_unlock_irqrestore(LOCK)],
    // The mock frees the job itself: after a reset nobody else would (C5.2).
    mock_timedout_job: [
      witness('a job is timed out'),
      mock_ends('-ETIMEDOUT'),
      drm_sched_job_cleanup('$job'),
      return_('RESET'),
    ],
    mock_skips_reset: [witness('the reset is skipped'), return_('NO_HANG')],
    mock_cancel_job: [mock_ends('-ECANCELED')],
  } satisfies Record<string, Block>;
  const mock: BackendOps = {
    run_job: 'mock_run_job',
    timedout_job: 'mock_timedout_job',
    cancel_job: 'mock_cancel_job',
    ...ops,
  };
  return {
    objects: together(
      ...Object.entries(entities).map(([name, { priority, sched_list }]) =>
        drm_sched_entity_init(name, sched_list ?? [names[0] as string], priority),
      ),
      ...jobs.map((job) => drm_sched_job(job, { hw: hardware(job) })),
      {
        locks: { [LOCK]: { irq: true } },
        fences: Object.fromEntries(jobs.map((job) => [hardware(job), { lock: LOCK }])),
      },
      objects ?? {},
    ),
    threads: {
      ...Object.fromEntries(
        Object.entries(scheds).flatMap(([sched, { timeout, ...options }]) => [
          [sched, drm_sched_init(mock, { ...options, ...(timeout ? { work_tdr: tdrOf(sched) } : {}) })],
          [ringOf(sched), ring_by_hand()],
          ...(timeout ? [[tdrOf(sched), drm_sched_tdr(sched)] as const] : []),
        ]),
      ),
      ...Object.fromEntries(
        Object.keys(entities).map((entity) => [killWork(entity), drm_sched_entity_kill_work(entity)]),
      ),
      ...threads,
    },
    routines: { ...mock_routines, ...routines },
  };
}

/** The whole way of one job to its entity. */
export const submit = (job: string, entity = 'entity', deps: readonly string[] = [], credits = 1): Block => [
  drm_sched_job_init(job, entity, credits),
  deps.map((fence) => drm_sched_job_add_dependency(job, fence)),
  drm_sched_job_arm(job),
  drm_sched_entity_push_job(job),
];

export interface SchedStage extends Stage {
  /** Let everybody go on who is owed a turn, until nobody can; the hardware, and time, stand still. */
  calm(): Fact[];
  /** Let the hardware complete that many jobs; how many there were. */
  advance(jobs: number, sched?: string): number;
  /** Everybody goes on, and the hardware completes one job after another, until nothing is left to do. */
  finish(): Fact[];
  has(fence: string): boolean;
  error(fence: string): string | null | undefined;
}
/** Put such a machine on the stage, with a test that does this. */
export function schedStage(setup: SchedSetup, body: Block = []): SchedStage {
  const kernel = schedKernel(setup);
  const at = stage({ ...kernel, threads: { ...kernel.threads, test: must(body) } });
  const { threads } = at.booted.machine;
  const fair = Object.keys(threads).filter((thread) => threads[thread]?.kind === 'kernel');
  const calm = (): Fact[] => {
    const facts: Fact[] = [];
    while (fair.some((thread) => at.open(thread).kind === 'ready'))
      for (const thread of fair) facts.push(...at.runs(thread));
    return facts;
  };
  const advance = (jobs: number, sched = 'sched'): number => {
    const gpu = ringOf(sched);
    let completed = 0;
    while (completed < jobs && at.open(gpu).kind === 'ready') {
      completed += at.plays(gpu).filter(({ kind }) => kind === 'completed').length;
      while ((at.kernel.threads[gpu]?.frames.length ?? 1) > 1) at.plays(gpu);
    }
    return completed;
  };
  const scheds = Object.keys(at.kernel.gpu_schedulers);
  return {
    ...at,
    calm,
    advance,
    finish: () => {
      const facts = calm();
      while (scheds.some((sched) => advance(1, sched) > 0)) facts.push(...calm());
      return facts;
    },
    has: (fence) => at.kernel.fences[fence]?.signaled === true,
    error: (fence) => at.kernel.fences[fence]?.error,
  };
}
