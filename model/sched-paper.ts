/**
 * A scheduler on paper, for the fuzz of the object: written from the rules (C2..C7, C9) and not from the object.
 *
 * It has clocks where the object has lists, sums where it has counters, and knows no callbacks. What would hang the
 * caller, or is another object's business, it calls impossible.
 */
import { type Priority, PRIORITIES } from './objects/index.ts';

export type Policy = 'fifo' | 'rr' | 'fair';
export const SCHEDS: Readonly<Record<string, number>> = { a: 3, b: 2 };
export const scheds = Object.keys(SCHEDS);
export const ENTITIES: Readonly<Record<string, { priority: Priority; sched_list: readonly string[] }>> = {
  e0: { priority: 'NORMAL', sched_list: ['a'] },
  e1: { priority: 'NORMAL', sched_list: ['a'] },
  e2: { priority: 'HIGH', sched_list: ['a', 'b'] },
  e3: { priority: 'KERNEL', sched_list: ['b'] },
  e4: { priority: 'LOW', sched_list: ['b', 'a'] },
};
export const entities = Object.keys(ENTITIES);
export const jobs = Array.from({ length: 9 }, (_, at) => `j${at}`);
export const others = ['x', 'y'];
export const RUNS = ['fence', 'NULL', '-EIO'] as const;
export const TIMES_OUT = ['NO_HANG', 'RESET', 'recovers'] as const;
export const CREDITS = ['0', '1', '2', '4'];
export const ERRNOS = ['0', '-ETIME'] as const;

/** The calls that a driver or its user makes. */
export type Call =
  | 'init'
  | 'depend'
  | 'drop'
  | 'arm'
  | 'push'
  | 'stop'
  | 'start'
  | 'kill'
  | 'priority'
  | 'modify'
  | 'begin'
  | 'signal'
  | 'fini';
/** What happens next: a call, or one round of a work, one completion, one timeout; `pick` and `luck` decide what may go several ways. */
export interface Command {
  readonly what: Call | 'round' | 'complete' | 'timeout' | 'kill_round';
  readonly job: string;
  readonly entity: string;
  readonly sched: string;
  readonly fence: string;
  readonly pick: number;
  readonly luck: number;
}

/** A fence as it was when somebody came to depend on it: its name may begin a new life, which is none of his business. */
interface Dependency {
  fence: string;
  born: number;
  timeline: string;
}
interface Job {
  entity: string;
  sched: string;
  priority: Priority;
  credits: number;
  deps: Dependency[];
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
  waitsFor: { on: Dependency; scheduled: boolean } | null;
  /** The last job that left the queue, unless it is finished. */
  last: string | null;
  killed: string[];
  attachedAt: number;
  stopped: boolean;
  guilty: boolean;
}
interface Scheduler {
  pending: string[];
  hw: string[];
  /** Whose turn it was last, by priority; nobody's when that one has left. */
  turn: Partial<Record<Priority, string>>;
  paused: boolean;
  gone: boolean;
}
export class Paper {
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
        stopped: false,
        guilty: false,
      },
    ]),
  );
  readonly scheds: Record<string, Scheduler> = Object.fromEntries(
    scheds.map((sched) => [sched, { pending: [], hw: [], turn: {}, paused: false, gone: false }]),
  );
  readonly others: Record<string, boolean> = { x: false, y: false };
  readonly begunAt: Record<string, number> = { x: 0, y: 0 };
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
  bornAt(fence: string): number {
    return this.jobs[fence]?.armedAt ?? (this.begunAt[fence] as number);
  }
  /** Is it still the same fence, and still to come? */
  still({ fence, born }: Dependency, what: 'scheduled' | 'finished' = 'finished'): boolean {
    return this.bornAt(fence) === born && this.open(fence, what);
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
    return waitsFor !== null && this.still(waitsFor.on, waitsFor.scheduled ? 'scheduled' : 'finished');
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
    const at = circle.indexOf(this.sched(sched).turn[priority] ?? '') + 1;
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
    switch (what) {
      case 'init':
        return job.life === 'none' && !this.entity(entity).stopped && !this.sched(this.entity(entity).rq.sched).gone;
      case 'depend':
        return (
          job.life === 'init' &&
          fence !== name &&
          (fence in this.others ? this.begunAt[fence] !== 0 : !['none', 'init'].includes(this.job(fence).life))
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
        return !(this.others[fence] ?? true);
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
        this.begunAt[fence] = this.clock;
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
    const added = { fence, born: this.bornAt(fence), timeline: this.jobs[fence]?.entity ?? fence };
    const same = (each: Dependency): boolean =>
      each.timeline === added.timeline && each.born === this.bornAt(each.fence);
    const at = job.deps.findIndex(same);
    const entry = job.deps[at];
    if (entry === undefined) job.deps.push(added);
    else if (!this.still(entry) || added.born > entry.born) job.deps[at] = added;
  }
  /** C2.4, C6.5: an entity with nothing on the way goes to the least loaded scheduler, with the priority that it wants. */
  arms(job: Job): void {
    const entity = this.entity(job.entity);
    if (entity.queue.length === 0 && entity.last === null) {
      const there = entity.may.filter((sched) => !this.sched(sched).gone);
      const sched = there.toSorted((one, two) => this.load(one) - this.load(two))[0] as string;
      if (sched !== entity.rq.sched || entity.wants !== entity.rq.priority) {
        this.leaves(job.entity);
        entity.rq = { sched, priority: entity.wants };
      }
    }
    Object.assign(job, { life: 'armed', sched: entity.rq.sched, priority: entity.rq.priority, armedAt: this.clock });
    Object.assign(job, { scheduled: false, finished: false, error: null });
  }
  leaves(name: string): void {
    const { rq } = this.entity(name);
    this.entity(name).attachedAt = 0;
    const { turn } = this.sched(rq.sched);
    if (turn[rq.priority] === name) delete turn[rq.priority];
  }
  /** C3.5..C3.10: one round with this entity. */
  round(sched: string, name: string, returned: string): void {
    const entity = this.entity(name);
    const first = entity.queue[0] as string;
    const job = this.job(first);
    this.sched(sched).turn[entity.rq.priority] = name;
    entity.waitsFor = null;
    while (job.looked < job.deps.length) {
      const dep = job.deps[job.looked] as Dependency;
      job.looked += 1;
      if (dep.timeline === name) continue;
      const other = this.jobs[dep.fence];
      const pipelined = other !== undefined && other.sched === sched && other.error === null;
      if (!this.still(dep, pipelined ? 'scheduled' : 'finished')) continue;
      entity.waitsFor = { on: dep, scheduled: pipelined };
      return;
    }
    // S-C7: whatever it depends on is over, or on the same ring before it.
    for (const dep of job.deps) {
      const other = this.jobs[dep.fence];
      const before = dep.timeline === name || (other?.sched === sched && other.scheduled);
      if (this.still(dep) && !before) throw new Error(`${first} runs before ${dep.fence}`);
    }
    if (job.credits > (SCHEDS[sched] as number)) {
      this.broken.push('C3.3');
      job.credits = SCHEDS[sched] as number;
    }
    entity.queue.shift();
    entity.last = first;
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
    entity.stopped = true;
    this.leaves(name);
    for (const each of entity.queue) this.job(each).life = 'killed';
    entity.killed.push(...entity.queue.splice(0));
  }
  killedReady(name: string): boolean {
    const { killed, last } = this.entity(name);
    const [first] = killed;
    return first !== undefined && last === null && !this.job(first).deps.some((dep) => this.still(dep));
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
