/**
 * The GPU scheduler alone, driven by any sequence of calls, works, completions and timeouts, against a scheduler on paper
 * that is written from the rules and not from the object: S-C1..S-C9 and L-C1 after every command (C9).
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Booted, type CallSpec, ioctl, start } from '../design.ts';
import { type Block, type Fact, type KernelState, open, reduce } from '../machine.ts';
import {
  CREDITS,
  type Call,
  type Command,
  ENTITIES,
  ERRNOS,
  Paper,
  type Policy,
  RUNS,
  SCHEDS,
  TIMES_OUT,
  entities,
  jobs,
  others,
  scheds,
} from '../sched-paper.ts';
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
} satisfies Record<Call, CallSpec>;
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
