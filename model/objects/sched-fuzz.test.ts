/**
 * The GPU scheduler alone, driven by any sequence of calls, works, completions and timeouts, against a scheduler on paper
 * that is written from the rules and not from the object: S-C1..S-C9 and L-C1 after every command (C9).
 *
 * The paper has clocks where the object has lists, sums where it has counters, and knows no callbacks.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Booted, ioctl, start } from '../design.ts';
import { type Block, type Fact, type KernelState, open, reduce } from '../machine.ts';
import { killWork, ringOf, schedKernel, tdrOf } from '../sched-stage.ts';
import { bootKernel } from '../stage.ts';
import {
  PRIORITIES,
  type Priority,
  call,
  dma_fence_init,
  dma_fence_signal,
  drm_sched_entity_kill,
  drm_sched_entity_modify_sched,
  drm_sched_entity_push_job,
  drm_sched_entity_set_priority,
  drm_sched_fini,
  drm_sched_increase_karma,
  drm_sched_job_add_dependency,
  drm_sched_job_arm,
  drm_sched_job_cleanup,
  drm_sched_job_init,
  drm_sched_start,
  drm_sched_stop,
  if_ret,
  if_var,
  may_go,
  reset_ring,
  return_,
  scheduled,
  set,
  user,
} from './index.ts';

type Policy = 'fifo' | 'rr' | 'fair';
const SCHEDS: Readonly<Record<string, number>> = { a: 3, b: 2 };
const scheds = Object.keys(SCHEDS);
const ENTITIES: Readonly<Record<string, { priority: Priority; sched_list: readonly string[] }>> = {
  e0: { priority: 'NORMAL', sched_list: ['a'] },
  e1: { priority: 'NORMAL', sched_list: ['a'] },
  e2: { priority: 'HIGH', sched_list: ['a', 'b'] },
  e3: { priority: 'KERNEL', sched_list: ['b'] },
  e4: { priority: 'LOW', sched_list: ['b', 'a'] },
};
const entities = Object.keys(ENTITIES);
const jobs = Array.from({ length: 9 }, (_, at) => `j${at}`);
const others = ['x', 'y'];
const RUNS = ['fence', 'NULL', '-EIO'] as const;
const TIMES_OUT = ['NO_HANG', 'RESET', 'recovers'] as const;
const CREDITS = ['0', '1', '2', '4'];
const ERRNOS = ['0', '-ETIME'] as const;

const ring: Block = scheds.map((sched) => if_var('sched', sched, [set('ring', ringOf(sched))]));
const CALLS = {
  init: ioctl({ job: jobs, entity: entities, credits: CREDITS }, [
    CREDITS.map((credits) => if_var('credits', credits, drm_sched_job_init('$job', '$entity', Number(credits)))),
  ]),
  depend: ioctl({ job: jobs, fence: [...jobs, ...others] }, drm_sched_job_add_dependency('$job', '$fence')),
  drop: ioctl({ job: jobs }, [drm_sched_job_cleanup('$job')]),
  arm: ioctl({ job: jobs }, [drm_sched_job_arm('$job')]),
  push: ioctl({ job: jobs }, [drm_sched_entity_push_job('$job')]),
  stop: ioctl({ sched: scheds }, [drm_sched_stop('$sched'), ring, reset_ring('$ring')]),
  start: ioctl({ sched: scheds, errno: ERRNOS }, drm_sched_start('$sched', '$errno')),
  kill: ioctl({ entity: entities }, drm_sched_entity_kill('$entity')),
  priority: ioctl({ entity: entities, priority: PRIORITIES }, [
    drm_sched_entity_set_priority('$entity', '$priority' as Priority),
  ]),
  modify: ioctl({ entity: entities, sched: scheds }, [drm_sched_entity_modify_sched('$entity', ['$sched'])]),
  begin: ioctl({ fence: others }, [dma_fence_init('$fence')]),
  signal: ioctl({ fence: others }, [dma_fence_signal('$fence')]),
  fini: ioctl({ sched: scheds }, drm_sched_fini('$sched')),
};
const boots = (policy: Policy): Booted =>
  bootKernel({
    ...schedKernel({
      scheds: Object.fromEntries(
        Object.entries(SCHEDS).map(([sched, credit_limit]) => [sched, { credit_limit, policy, timeout: true }]),
      ),
      entities: ENTITIES,
      jobs,
      ops: { run_job: 'any_run_job', timedout_job: 'any_timedout_job' },
      objects: { fences: Object.fromEntries(others.map((fence) => [fence, {}])) },
      threads: { app: user() },
      routines: {
        any_run_job: [
          may_go('run_job', RUNS),
          if_ret('fence', [call('mock_run_job', { job: '$job', sched: '$sched', hw: '$hw' })]),
        ],
        any_timedout_job: [
          may_go('timedout_job', TIMES_OUT),
          if_ret('NO_HANG', [return_('NO_HANG')]),
          if_ret('RESET', [call('mock_timedout_job', { job: '$job', sched: '$sched', hw: '$hw' }), return_('ret')]),
          ring,
          drm_sched_increase_karma('$job'),
          drm_sched_stop('$sched', '$job'),
          reset_ring('$ring'),
          drm_sched_start('$sched', '-ETIME'),
          return_('RESET'),
        ],
      },
    }),
    calls: CALLS,
  });
const booted: Readonly<Record<Policy, Booted>> = { fifo: boots('fifo'), rr: boots('rr'), fair: boots('fair') };

/** What happens next: a call, or one round of a work, one completion, one timeout; `pick` and `luck` decide what may go several ways. */
interface Command {
  readonly what: keyof typeof CALLS | 'round' | 'complete' | 'timeout' | 'kill_round';
  readonly job: string;
  readonly entity: string;
  readonly sched: string;
  readonly fence: string;
  readonly pick: number;
  readonly luck: number;
}

interface Job {
  entity: string;
  sched: string;
  priority: Priority;
  credits: number;
  deps: string[];
  looked: number;
  armedAt: number;
  pushedAt: number;
  /** 'taken': left the queue, and not freed yet. */
  life: 'none' | 'init' | 'armed' | 'queued' | 'taken' | 'killed';
  /** Its credits are in use. */
  holds: boolean;
  /** Does the end of its hardware fence end it? */
  watched: boolean;
  scheduled: boolean;
  finished: boolean;
  error: string | null;
  freed: number;
}
interface Entity {
  may: readonly string[];
  wants: Priority;
  rq: { sched: string; priority: Priority };
  queue: string[];
  waitsFor: { fence: string; scheduled: boolean } | null;
  /** The last job that left the queue, unless it is finished. */
  last: string | null;
  killed: string[];
  attachedAt: number;
  servedAt: number;
  stopped: boolean;
  guilty: boolean;
}
interface Scheduler {
  pending: string[];
  hw: string[];
  paused: boolean;
  gone: boolean;
}
/** The scheduler on paper. */
class Paper {
  readonly policy: Policy;
  clock = 0;
  readonly jobs: Record<string, Job> = Object.fromEntries(jobs.map((job) => [job, Paper.blank(0)]));
  readonly entities: Record<string, Entity> = Object.fromEntries(
    Object.entries(ENTITIES).map(([name, { priority, sched_list }]) => [
      name,
      {
        may: sched_list,
        wants: priority,
        rq: { sched: sched_list[0] as string, priority },
        queue: [],
        waitsFor: null,
        last: null,
        killed: [],
        attachedAt: 0,
        servedAt: 0,
        stopped: false,
        guilty: false,
      },
    ]),
  );
  readonly scheds: Record<string, Scheduler> = Object.fromEntries(
    scheds.map((sched) => [sched, { pending: [], hw: [], paused: false, gone: false }]),
  );
  readonly others: Record<string, boolean> = { x: false, y: false };
  /** Rules that the last command broke, and jobs that it ran and freed. */
  broken: string[] = [];
  ran: string[] = [];
  freed: string[] = [];
  constructor(policy: Policy) {
    this.policy = policy;
  }
  static blank(freed: number): Job {
    return {
      entity: '',
      sched: '',
      priority: 'KERNEL',
      credits: 0,
      deps: [],
      looked: 0,
      armedAt: 0,
      pushedAt: 0,
      life: 'none',
      holds: false,
      watched: false,
      scheduled: false,
      finished: false,
      error: null,
      freed,
    };
  }
  job(name: string): Job {
    return this.jobs[name] as Job;
  }
  entity(name: string): Entity {
    return this.entities[name] as Entity;
  }
  sched(name: string): Scheduler {
    return this.scheds[name] as Scheduler;
  }
  /** Is the fence of a job, or another one, still to come? */
  open(fence: string, what: 'scheduled' | 'finished' = 'finished'): boolean {
    const job = this.jobs[fence];
    if (!job) return this.others[fence] === true;
    return job.life !== 'none' && job.life !== 'init' && !job[what];
  }
  inUse(sched: string): number {
    return jobs.reduce(
      (sum, name) => sum + (this.job(name).holds && this.job(name).sched === sched ? this.job(name).credits : 0),
      0,
    );
  }
  /** In the order in which they came. */
  attached(sched: string): string[] {
    const there = entities.filter((name) => this.entity(name).attachedAt > 0 && this.entity(name).rq.sched === sched);
    return there.toSorted((one, two) => this.entity(one).attachedAt - this.entity(two).attachedAt);
  }
  load(sched: string): number {
    const on = this.attached(sched);
    const queued = on.reduce((sum, name) => sum + this.entity(name).queue.length, 0);
    return on.length + queued + this.sched(sched).pending.filter((job) => this.job(job).holds).length;
  }
  asleep(name: string): boolean {
    const { waitsFor } = this.entity(name);
    return waitsFor !== null && this.open(waitsFor.fence, waitsFor.scheduled ? 'scheduled' : 'finished');
  }
  /** C3.2, C3.3: who may be next. */
  next(sched: string): string[] {
    const limit = SCHEDS[sched] as number;
    const ready = this.attached(sched).filter((name) => this.entity(name).queue.length > 0 && !this.asleep(name));
    const first = (name: string): Job => this.job(this.entity(name).queue[0] as string);
    const fits = (name: string): boolean => this.inUse(sched) + Math.min(limit, first(name).credits) <= limit;
    if (this.policy === 'fair') return ready.filter(fits);
    for (const priority of PRIORITIES) {
      const level = ready.filter((name) => this.entity(name).rq.priority === priority);
      if (level.length === 0) continue;
      const chosen =
        this.policy === 'fifo'
          ? level.toSorted((one, two) => first(one).pushedAt - first(two).pushedAt)[0]
          : this.inTurn(sched, priority, level);
      return chosen !== undefined && fits(chosen) ? [chosen] : [];
    }
    return [];
  }
  /** The first ready one after whoever was served last, in the order in which they came; that one itself last. */
  inTurn(sched: string, priority: Priority, ready: readonly string[]): string | undefined {
    const circle = this.attached(sched).filter((name) => this.entity(name).rq.priority === priority);
    const latest = circle.toSorted((one, two) => this.entity(two).servedAt - this.entity(one).servedAt)[0] as string;
    const at = this.entity(latest).servedAt > 0 ? circle.indexOf(latest) + 1 : 0;
    return [...circle.slice(at), ...circle.slice(0, at)].find((name) => ready.includes(name));
  }
  canFree(sched: string): boolean {
    const [first] = this.sched(sched).pending;
    return first !== undefined && this.job(first).finished;
  }
  /** C3.1, S-C6: nothing while stopped. */
  ways(sched: string): string[] {
    const { paused, gone } = this.sched(sched);
    if (paused || gone) return [];
    const next = this.next(sched);
    const run = this.policy === 'fair' ? next.map((name) => `run_job of ${name}`) : next.map(() => 'run_job');
    return [...(this.canFree(sched) ? ['free_job'] : []), ...run];
  }

  armed(entity: string): boolean {
    return jobs.some((name) => this.job(name).life === 'armed' && this.job(name).entity === entity);
  }
  /** Arming another job cannot move it while one is armed and not pushed (C2.6). */
  settled({ may, rq, wants }: Entity): boolean {
    return may.length === 1 && may[0] === rq.sched && wants === rq.priority;
  }
  /** What would hang the caller, or is nobody's business, is not played. */
  possible(command: Command): boolean {
    const { what, job: name, entity, sched, fence } = command;
    const job = this.job(name);
    const free = (dep: string): boolean =>
      !jobs.some((each) => this.job(each).life !== 'none' && this.job(each).deps.includes(dep)) &&
      !entities.some((each) => this.entity(each).waitsFor?.fence === dep);
    switch (what) {
      case 'init':
        return (
          job.life === 'none' &&
          free(name) &&
          !this.entity(entity).stopped &&
          !this.sched(this.entity(entity).rq.sched).gone
        );
      case 'depend':
        return (
          job.life === 'init' &&
          fence !== name &&
          (fence in this.others || !['none', 'init'].includes(this.job(fence).life))
        );
      case 'drop':
        return job.life === 'init';
      case 'arm':
        return job.life === 'init' && (!this.armed(job.entity) || this.settled(this.entity(job.entity)));
      case 'push':
        return (
          job.life === 'armed' &&
          this.entity(job.entity).queue.every((each) => this.job(each).armedAt < job.armedAt) &&
          !jobs.some(
            (each) =>
              this.job(each).life === 'armed' &&
              this.job(each).entity === job.entity &&
              this.job(each).armedAt < job.armedAt,
          )
        );
      case 'stop':
        return !this.sched(sched).paused;
      case 'start':
        return this.sched(sched).paused && !this.sched(sched).gone;
      case 'kill':
        return (
          command.pick < 3 &&
          !this.entity(entity).stopped &&
          !jobs.some((each) => this.job(each).entity === entity && ['init', 'armed'].includes(this.job(each).life))
        );
      case 'priority':
      case 'modify':
        return true;
      case 'begin':
        return !(this.others[fence] ?? true) && free(fence);
      case 'signal':
        return this.others[fence] === true;
      case 'fini':
        return false;
      case 'round':
        return this.ways(sched).length > 0;
      case 'complete':
        return this.sched(sched).hw.length > 0;
      case 'timeout':
        return this.sched(sched).pending.length > 0 && !this.sched(sched).paused;
      case 'kill_round':
        return this.killedReady(entity);
    }
  }

  does(command: Command): void {
    const { what, job: name, entity, sched, fence, pick, luck } = command;
    this.clock += 1;
    this.broken = [];
    this.ran = [];
    this.freed = [];
    const job = this.job(name);
    switch (what) {
      case 'init': {
        const credits = Number(CREDITS[pick % CREDITS.length]);
        if (credits > 0) this.jobs[name] = { ...Paper.blank(job.freed), entity, credits, life: 'init' };
        break;
      }
      case 'depend':
        this.depends(job, fence);
        break;
      case 'drop':
        this.frees(name);
        break;
      case 'arm':
        this.arms(job);
        break;
      case 'push': {
        const to = this.entity(job.entity);
        job.life = 'queued';
        job.pushedAt = this.clock;
        to.queue.push(name);
        if (to.attachedAt === 0) to.attachedAt = this.clock;
        break;
      }
      case 'stop':
        this.stops(sched, null);
        this.sched(sched).hw = [];
        break;
      case 'start':
        this.starts(sched, ERRNOS[pick % 2] as string);
        break;
      case 'kill':
        this.kills(entity);
        break;
      case 'priority':
        this.entity(entity).wants = PRIORITIES[pick % 4] as Priority;
        break;
      case 'modify':
        this.entity(entity).may = [sched];
        break;
      case 'begin':
        this.others[fence] = true;
        break;
      case 'signal':
        this.others[fence] = false;
        break;
      case 'fini':
        this.ends(sched);
        break;
      case 'round': {
        const ways = this.ways(sched);
        const way = ways[pick % ways.length] as string;
        if (way === 'free_job') this.frees(this.sched(sched).pending.shift() as string);
        else
          this.round(
            sched,
            way.startsWith('run_job of ') ? way.slice('run_job of '.length) : (this.next(sched)[0] as string),
            RUNS[luck % 3] as string,
          );
        break;
      }
      case 'complete': {
        const done = this.sched(sched).hw.shift() as string;
        if (this.job(done).watched) this.finishes(done, null);
        break;
      }
      case 'timeout':
        this.timesOut(sched, TIMES_OUT[luck % 3] as string);
        break;
      case 'kill_round': {
        const killed = this.entity(entity).killed.shift() as string;
        this.job(killed).scheduled = true;
        this.finishes(killed, '-ESRCH');
        this.frees(killed);
        break;
      }
    }
  }
  /** C2.2: one fence a timeline, the later one. */
  depends(job: Job, fence: string): void {
    const timeline = (each: string): string => this.jobs[each]?.entity ?? each;
    const at = job.deps.findIndex((each) => timeline(each) === timeline(fence));
    const entry = job.deps[at];
    if (entry === undefined) job.deps.push(fence);
    else if (!this.open(entry) || (fence in this.jobs && this.job(fence).armedAt > this.job(entry).armedAt))
      job.deps[at] = fence;
  }
  /** C2.4, C6.5: an entity with nothing on the way goes to the least loaded scheduler, with the priority that it wants. */
  arms(job: Job): void {
    const entity = this.entity(job.entity);
    if (entity.queue.length === 0 && entity.last === null) {
      const there = entity.may.filter((sched) => !this.sched(sched).gone);
      const sched = there.toSorted((one, two) => this.load(one) - this.load(two))[0] as string;
      if (sched !== entity.rq.sched || entity.wants !== entity.rq.priority) {
        entity.attachedAt = 0;
        entity.servedAt = 0;
        entity.rq = { sched, priority: entity.wants };
      }
    }
    Object.assign(job, { life: 'armed', sched: entity.rq.sched, priority: entity.rq.priority, armedAt: this.clock });
    Object.assign(job, { scheduled: false, finished: false, error: null });
  }
  /** C3.5..C3.10: one round with this entity. */
  round(sched: string, name: string, returned: string): void {
    const entity = this.entity(name);
    const first = entity.queue[0] as string;
    const job = this.job(first);
    entity.waitsFor = null;
    while (job.looked < job.deps.length) {
      const dep = job.deps[job.looked] as string;
      job.looked += 1;
      const other = this.jobs[dep];
      if (other?.entity === name) continue;
      const pipelined = other !== undefined && other.sched === sched && other.error === null && other.life !== 'none';
      if (!this.open(dep, pipelined ? 'scheduled' : 'finished')) continue;
      entity.waitsFor = { fence: dep, scheduled: pipelined };
      return;
    }
    // S-C7: whatever it depends on is over, or on the same ring before it.
    for (const dep of job.deps)
      if (
        this.open(dep) &&
        this.jobs[dep]?.entity !== name &&
        !(this.jobs[dep]?.sched === sched && this.jobs[dep]?.scheduled)
      )
        throw new Error(`${first} runs before ${dep}`);
    if (job.credits > (SCHEDS[sched] as number)) {
      this.broken.push('C3.3');
      job.credits = SCHEDS[sched] as number;
    }
    entity.queue.shift();
    entity.last = first;
    entity.servedAt = this.clock;
    this.sched(sched).pending.push(first);
    this.ran.push(first);
    if (entity.guilty) job.error = '-ECANCELED';
    Object.assign(job, { life: 'taken', holds: true, scheduled: true, watched: returned === 'fence' });
    if (returned === 'fence') this.sched(sched).hw.push(first);
    else this.finishes(first, returned === 'NULL' ? null : returned);
  }
  /** C4.1, S-C3: once, and in order on its timeline, or somebody is told (F-6). */
  finishes(name: string, error: string | null): void {
    const job = this.job(name);
    if (job.finished) throw new Error(`${name} is finished twice`);
    const younger = (each: string): boolean =>
      this.job(each).entity === job.entity && this.job(each).armedAt < job.armedAt;
    for (const each of jobs) if (each !== name && younger(each) && this.open(each)) this.broken.push('F-6');
    Object.assign(job, { finished: true, holds: false, watched: false, error: error ?? job.error });
    const entity = this.entity(job.entity);
    if (entity.last === name) entity.last = null;
  }
  frees(name: string): void {
    const job = this.job(name);
    this.freed.push(name);
    this.jobs[name] = { ...job, life: 'none', freed: job.freed + 1, deps: [] };
  }
  /** C5.6. */
  stops(sched: string, bad: string | null): void {
    const row = this.sched(sched);
    row.paused = true;
    const list = bad === null ? row.pending : [bad, ...row.pending];
    row.pending = list.filter((each) => !this.job(each).finished);
    for (const each of list.toReversed()) {
      if (this.job(each).finished) this.frees(each);
      else Object.assign(this.job(each), { holds: false, watched: false });
    }
  }
  /** C5.7: nobody has given these jobs another hardware fence. */
  starts(sched: string, errno: string): void {
    const row = this.sched(sched);
    row.paused = false;
    for (const each of row.pending)
      if (!this.job(each).finished) this.finishes(each, errno === '0' ? '-ECANCELED' : errno);
  }
  /** C5.2, C5.3, C5.9. */
  timesOut(sched: string, how: string): void {
    const row = this.sched(sched);
    const bad = row.pending.shift() as string;
    const job = this.job(bad);
    if (how === 'NO_HANG') row.pending.unshift(bad);
    else if (how === 'RESET') {
      if (!job.finished) {
        row.hw = row.hw.filter((each) => each !== bad);
        this.finishes(bad, '-ETIMEDOUT');
      }
      this.frees(bad);
    } else {
      const entity = this.entity(job.entity);
      if (job.priority !== 'KERNEL' && entity.attachedAt > 0 && entity.rq.sched === sched) entity.guilty = true;
      this.stops(sched, bad);
      row.hw = [];
      this.starts(sched, '-ETIME');
    }
  }
  /** C6.2. */
  kills(name: string): void {
    const entity = this.entity(name);
    Object.assign(entity, { stopped: true, attachedAt: 0, servedAt: 0 });
    for (const each of entity.queue) this.job(each).life = 'killed';
    entity.killed.push(...entity.queue.splice(0));
  }
  killedReady(name: string): boolean {
    const { killed, last } = this.entity(name);
    const [first] = killed;
    return first !== undefined && ![last, ...this.job(first).deps].some((fence) => fence !== null && this.open(fence));
  }
  /** C7.1, C7.2: from the last to the first. */
  ends(sched: string): void {
    const row = this.sched(sched);
    for (const name of this.attached(sched)) this.entity(name).stopped = true;
    for (const each of row.pending.splice(0).toReversed()) {
      if (this.job(each).watched) {
        row.hw = row.hw.filter((other) => other !== each);
        this.finishes(each, '-ECANCELED');
      }
      this.frees(each);
    }
    Object.assign(row, { paused: true, gone: true });
  }
  shows(): unknown {
    return {
      jobs: jobs.map((name) => {
        const { life, finished, scheduled: runs, error } = this.job(name);
        const unborn = life === 'none' || life === 'init';
        return unborn
          ? `${name} ${life}`
          : `${name} ${runs ? 'scheduled' : 'waits'} ${finished ? `finished ${error}` : ''}`;
      }),
      scheds: scheds.map((sched) => {
        const { pending, hw, paused, gone } = this.sched(sched);
        return {
          pending,
          hw,
          credits: this.inUse(sched),
          ways: this.ways(sched),
          armed: pending.length > 0 && !paused && !gone,
        };
      }),
      entities: entities.map((name) => [this.entity(name).queue, this.entity(name).killed, this.killedReady(name)]),
    };
  }
}

/** The same, read off the object. */
function objectShows({ machine }: Booted, kernel: KernelState): unknown {
  const can = (thread: string): readonly string[] => {
    const now = open(machine, kernel, thread);
    return now.kind === 'ready' ? now.outcomes : [];
  };
  return {
    jobs: jobs.map((name) => {
      const life = kernel.sched_jobs[name]?.life ?? 'none';
      const [runs, ends] = [kernel.fences[scheduled(name)], kernel.fences[name]];
      if (life === 'none' || life === 'init') return `${name} ${life}`;
      return `${name} ${runs?.signaled ? 'scheduled' : 'waits'} ${ends?.signaled ? `finished ${ends.error}` : ''}`;
    }),
    scheds: scheds.map((sched) => ({
      pending: kernel.gpu_schedulers[sched]?.pending_list,
      hw: kernel.rings[ringOf(sched)]?.jobs.map(({ job }) => job),
      credits: kernel.gpu_schedulers[sched]?.credit_count,
      ways: can(sched),
      armed: kernel.timers[tdrOf(sched)]?.armed,
    })),
    entities: entities.map((name) => {
      const row = kernel.sched_entities[name];
      return [row?.job_queue, row?.killed, can(killWork(name)).length > 0];
    }),
  };
}

/** Let the object do the same: the facts of all its steps. */
function plays({ machine }: Booted, kernel: KernelState, command: Command): Fact[] {
  const { what, job, entity, sched, fence, pick, luck } = command;
  const facts: Fact[] = [];
  const step = (thread: string, choose: (ways: readonly string[]) => string): void => {
    const now = open(machine, kernel, thread);
    if (now.kind !== 'ready') throw new Error(`${thread} cannot go on: ${JSON.stringify(now)}`);
    reduce(machine, kernel, { thread, outcome: choose(now.outcomes) });
    facts.push(...kernel.facts);
  };
  const lucky = (ways: readonly string[]): string =>
    ways.length === 3 ? (ways[luck % 3] as string) : (ways[0] as string);
  /** One round of a thread that goes round for ever. */
  const round = (thread: string, first: (ways: readonly string[]) => string): void => {
    step(thread, first);
    while ((kernel.threads[thread]?.frames.length ?? 1) > 1) step(thread, lucky);
  };
  if (what === 'round') round(sched, (ways) => ways[pick % ways.length] as string);
  else if (what === 'complete') round(ringOf(sched), () => 'completes');
  else if (what === 'kill_round') round(killWork(entity), lucky);
  else if (what === 'timeout') {
    round(tdrOf(sched), lucky);
    step(tdrOf(sched), lucky); // the handler is over
  } else {
    const given: Readonly<Record<string, string>> = { job, entity, sched, fence };
    const picked: Readonly<Record<string, readonly string[]>> = {
      credits: CREDITS,
      errno: ERRNOS,
      priority: PRIORITIES,
    };
    const args: Record<string, string> = {};
    for (const name of Object.keys(CALLS[what].params)) {
      const of = picked[name];
      args[name] = of ? (of[pick % of.length] as string) : (given[name] as string);
    }
    (kernel.users['app'] as { todo: unknown }).todo = [{ call: what, with: args }];
    round('app', lucky);
  }
  return facts;
}
const text = ({ what, job, entity, sched, fence, pick, luck }: Command): string =>
  `${what}(${job} ${entity} ${sched} ${fence} ${pick} ${luck})`;

/** The wish, and then the same for other jobs, schedulers and entities: most wishes can be had of somebody. */
function variants(wish: Command): Command[] {
  const others = <K extends 'job' | 'sched' | 'entity'>(key: K, all: readonly string[]): Command[] => {
    const from = all.indexOf(wish[key]);
    return all.map((_, at) => ({ ...wish, [key]: all[(from + at) % all.length] as string }));
  };
  return [...others('job', jobs), ...others('sched', scheds), ...others('entity', entities)];
}

/** What a broken object would do to the state after a command. */
type Fault = (kernel: KernelState, command: Command) => void;
/** Play these on both, compare after each, and see everything through to its end; what was played. */
function compare(policy: Policy, commands: readonly Command[], drains: boolean, fault?: Fault): Command['what'][] {
  const of = booted[policy];
  const kernel = start(of, {});
  const paper = new Paper(policy);
  const played: string[] = [];
  const kinds: Command['what'][] = [];
  const both = (command: Command): void => {
    played.push(text(command));
    kinds.push(command.what);
    paper.does(command);
    const facts = plays(of, kernel, command);
    fault?.(kernel, command);
    const said = {
      ...(objectShows(of, kernel) as object),
      broken: facts.flatMap((fact) => (fact.kind === 'misuse' ? [fact.rule] : [])).sort(),
      ran: facts.flatMap((fact) => (fact.kind === 'jobRuns' ? [fact.job] : [])),
      freed: facts.flatMap((fact) => (fact.kind === 'jobFreed' ? [fact.job] : [])),
    };
    const wanted = { ...(paper.shows() as object), broken: paper.broken.sort(), ran: paper.ran, freed: paper.freed };
    expect(said, `after ${played.join('; ')}`).toEqual(wanted);
  };
  for (const wish of commands) {
    const command = variants(wish).find((each) => paper.possible(each));
    if (command) both(command);
  }
  const plain: Command = { what: 'push', job: 'j0', entity: 'e0', sched: 'a', fence: 'x', pick: 0, luck: 0 };
  // S-C9, L-C1: from here on everybody does his part, and every job that was armed comes to its end.
  const wherever = (what: Command['what']): Command[] => [
    ...jobs.map((job) => ({ ...plain, what, job })),
    ...entities.map((entity) => ({ ...plain, what, entity })),
    ...scheds.map((sched) => ({ ...plain, what, sched })),
    ...others.map((fence) => ({ ...plain, what, fence })),
  ];
  const parts: readonly Command['what'][] = ['drop', 'push', 'start', 'signal', 'kill_round', 'round', 'complete'];
  if (drains)
    for (let before = -1; before !== played.length; ) {
      before = played.length;
      for (const command of parts.flatMap(wherever)) if (paper.possible(command)) both(command);
    }
  if (drains) expect(jobs.filter((job) => paper.job(job).life !== 'none')).toEqual([]);
  for (const sched of scheds) {
    const starts: Command = { ...plain, what: 'start', sched };
    if (paper.possible(starts)) both(starts); // nobody stops a scheduler in order to tear it down
    both({ ...plain, what: 'fini', sched });
  }
  return kinds;
}

const number = fc.nat(11);
const weights: Readonly<Record<Command['what'], number>> = {
  init: 12,
  depend: 16,
  drop: 1,
  arm: 12,
  push: 14,
  stop: 1,
  start: 2,
  kill: 2,
  priority: 1,
  modify: 1,
  begin: 5,
  signal: 2,
  fini: 0,
  round: 30,
  complete: 14,
  timeout: 3,
  kill_round: 6,
};
const anyCommand: fc.Arbitrary<Command> = fc.record({
  what: fc.oneof(
    ...Object.entries(weights).map(([what, weight]) => ({
      weight,
      arbitrary: fc.constant(what as Command['what']),
    })),
  ),
  job: fc.constantFrom(...jobs),
  entity: fc.constantFrom(...entities),
  sched: fc.constantFrom(...scheds),
  fence: fc.constantFrom(...jobs, ...others),
  pick: number,
  luck: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, number),
});
const session = fc.tuple(
  fc.constantFrom<Policy>('fifo', 'rr', 'fair'),
  fc.array(anyCommand, { minLength: 200, maxLength: 200 }),
  fc.boolean(),
);
/** That many sessions of 200 wishes each; how often each sort of command was played. */
function fuzz(sessions: number, fault?: Fault): Map<Command['what'], number> {
  const played = new Map<Command['what'], number>();
  fc.assert(
    fc.property(session, ([policy, commands, drains]) => {
      for (const what of compare(policy, commands, drains, fault)) played.set(what, (played.get(what) ?? 0) + 1);
    }),
    { numRuns: sessions, seed: 11, endOnFailure: fault !== undefined },
  );
  return played;
}
const total = (played: ReadonlyMap<string, number>): number =>
  [...played.values()].reduce((sum, each) => sum + each, 0);

const rows = <K extends 'gpu_schedulers' | 'sched_entities' | 'sched_jobs'>(kernel: KernelState, table: K) =>
  Object.values(kernel[table]) as KernelState[K][string][];
const FAULTS: Readonly<Record<string, Fault>> = {
  'a credit is lost': (kernel) => {
    for (const row of rows(kernel, 'gpu_schedulers')) if (row.credit_count > 0) row.credit_count -= 1;
  },
  'a job is freed and stays on the list': (kernel, { what, sched }) => {
    const { freed, row } = {
      freed: kernel.facts.find(({ kind }) => kind === 'jobFreed'),
      row: kernel.gpu_schedulers[sched],
    };
    if (what === 'round' && freed?.kind === 'jobFreed' && row) row.pending_list = [freed.job, ...row.pending_list];
  },
  'a scheduler that is stopped runs on': (kernel) => {
    for (const row of rows(kernel, 'gpu_schedulers')) if (!row.torn_down) row.pause_submit = null;
  },
  'a dependency is forgotten': (kernel) => {
    for (const row of rows(kernel, 'sched_entities')) row.dependency = '';
  },
  'a dependency counts as met once it is found': (kernel) => {
    for (const row of rows(kernel, 'sched_jobs')) row.last_dependency = row.dependencies.length;
  },
  'jobs of one entity change places': (kernel) => {
    for (const row of rows(kernel, 'sched_entities')) row.job_queue = row.job_queue.toReversed();
  },
  'the hardware fence is not looked at': (kernel) => {
    for (const [fence, row] of Object.entries(kernel.fences)) if (fence.endsWith('.hw')) row.callbacks = [];
  },
  'an error is lost': (kernel) => {
    for (const job of jobs) (kernel.fences[job] as { error: string | null }).error = null;
  },
  'nobody arms the timeout': (kernel) => {
    for (const row of Object.values(kernel.timers)) row.armed = false;
  },
  'a priority is not looked at': (kernel) => {
    for (const row of rows(kernel, 'sched_entities')) if (row.rq) row.rq = { ...row.rq, priority: 'NORMAL' };
  },
  'the longest wait is forgotten': (kernel) => {
    for (const row of rows(kernel, 'gpu_schedulers')) row.submitted = row.submitted.toSorted();
  },
  'the turn is forgotten': (kernel) => {
    for (const row of rows(kernel, 'gpu_schedulers')) row.current_entity = {};
  },
  'a killed job is forgotten': (kernel) => {
    for (const row of rows(kernel, 'sched_entities')) row.killed = [];
  },
  'guilt is forgiven': (kernel) => {
    for (const row of rows(kernel, 'sched_entities')) row.guilty = false;
  },
};

describe('the scheduler against a scheduler on paper', () => {
  test('S-C1..S-C9, L-C1: works, fences, errors, credits and lists are those on paper after every command', () => {
    const played = fuzz(60);
    expect(Object.keys(weights).filter((what) => !played.has(what as Command['what']))).toEqual([]);
    expect(total(played)).toBeGreaterThan(4000);
  });
  for (const [what, fault] of Object.entries(FAULTS))
    test(`it can fail: ${what}`, () => {
      expect(() => fuzz(100, fault)).toThrow(/Property failed/);
    });
  test('a hundred thousand commands', { tags: ['long'] }, () => {
    expect(total(fuzz(1600))).toBeGreaterThan(100_000);
  });
});
