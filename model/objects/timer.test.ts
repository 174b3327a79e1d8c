import { expect, test } from 'vitest';
import { choices, follow } from '../case.ts';
import { may, must, start } from '../design.ts';
import { misuses, stage, witnessed } from '../stage.ts';
import {
  cancel_delayed_work_sync,
  del_timer,
  del_timer_sync,
  delayed_work,
  delayed_work_timer,
  mod_timer,
  mutex_lock,
  mutex_unlock,
  queue_delayed_work,
  queue_work,
  return_,
  timer,
  witness,
  work,
  work_a_while,
} from './index.ts';

const STEP = work_a_while('works');

test('patient: an armed timer fires only when nothing that is owed can move', () => {
  const at = stage({ threads: { task: must([mod_timer('t'), STEP]), t: timer([witness('fires')]) } });
  at.plays('task');
  expect(() => at.plays('t')).toThrow(/cannot be taken here/);
  at.plays('task');
  expect(witnessed(at.plays('t', 't'))).toEqual(['fires']);
});
test('any time: it may fire in between', () => {
  const { booted } = stage({ threads: { task: must([mod_timer('t'), STEP]), t: timer([]) } });
  const kernel = start(booted, {});
  follow(booted.machine, kernel, 'task', false);
  expect(choices(booted.machine, kernel, true).map(({ thread }) => thread)).toEqual(['task']);
  expect(choices(booted.machine, kernel, false).map(({ thread }) => thread)).toEqual(['task', 't']);
});
test('a timer that is not armed is idle, and fires once for once armed', () => {
  const at = stage({ threads: { task: must([mod_timer('t'), mod_timer('t')]), t: timer([witness('fires')]) } });
  expect(at.because('t')).toBe('t is not armed');
  at.runs('task');
  expect(witnessed(at.runs('t'))).toEqual(['fires']);
  expect(at.open('t').kind).toBe('idle');
});
test('once it has begun, its handler is owed its steps like any other thread', () => {
  const at = stage({ threads: { task: must([mod_timer('t')]), t: timer([STEP]) } });
  at.plays('task');
  expect(at.open('t')).toMatchObject({ kind: 'ready', nature: 'time' });
  at.plays('t');
  expect(at.open('t')).toMatchObject({ kind: 'ready', nature: 'owed' });
});
test('a handler that returns early is over, and fires again when it is armed again; so does a work item that is queued', () => {
  const early = [witness('runs'), return_('0'), witness('never')];
  for (const [spec, again] of [
    [timer(early), mod_timer('t')],
    [delayed_work(early), mod_timer('t')],
    [work(early), queue_work('t')],
  ] as const) {
    const at = stage({ threads: { task: must([again]), once_more: may([again]), t: spec } });
    for (const each of ['task', 'once_more']) {
      at.runs(each);
      const facts = at.runs('t');
      expect([witnessed(facts), misuses(facts)]).toEqual([['runs'], []]);
    }
    expect(at.open('t').kind).toBe('idle');
  }
});
test('del_timer keeps it from firing', () => {
  const at = stage({ threads: { task: must([mod_timer('t'), del_timer('t')]), t: timer([]) } });
  at.runs('task');
  expect(at.open('t').kind).toBe('idle');
});
test('del_timer does not wait for a running handler; del_timer_sync does', () => {
  const at = stage({
    threads: { task: must([mod_timer('t')]), loose: must([STEP, del_timer('t')]), t: timer([STEP]) },
  });
  at.runs('loose');
  at.plays('task', 't');
  expect(at.open('loose').kind).toBe('finished');
  const sync = stage({ threads: { task: must([mod_timer('t'), del_timer_sync('t')]), t: timer([STEP]) } });
  const { machine } = sync.booted;
  follow(machine, sync.kernel, 'task', false);
  follow(machine, sync.kernel, 't', false);
  expect(sync.because('task')).toBe('the handler of t is running');
  sync.runs('t');
  expect(sync.open('task').kind).toBe('ready');
});
test('CTX-S: a timer handler may not sleep; delayed work may', () => {
  const sleeps = [mutex_lock('a'), mutex_unlock('a')];
  const broken = (t: ReturnType<typeof timer>): string[] => {
    const at = stage({ objects: { locks: { a: {} } }, threads: { task: must([mod_timer('t')]), t } });
    at.runs('task');
    return misuses(at.runs('t'));
  };
  expect(broken(timer(sleeps))).toEqual(['CTX-A']);
  expect(broken(delayed_work(sleeps))).toEqual([]);
});
test('delayed work on a queue waits for its turn there when the time has come', () => {
  const at = stage({
    objects: { workqueues: { q: {} } },
    threads: {
      task: must(queue_delayed_work('t')),
      t: delayed_work_timer('w'),
      w: work([witness('runs')], 'q'),
    },
  });
  at.runs('task');
  expect(at.open('w').kind).toBe('idle');
  at.runs('t');
  expect(at.kernel.workqueues['q']?.items).toEqual(['w']);
  expect(witnessed(at.runs('w'))).toEqual(['runs']);
});
test('cancelled before or after the timer has fired, it does not run; cancelled while it runs, it is waited for', () => {
  const cancels = (...words: readonly string[]) => {
    const at = stage({
      threads: {
        task: must(queue_delayed_work('t')),
        cancel: must([STEP, cancel_delayed_work_sync('t', 'w')]),
        t: delayed_work_timer('w'),
        w: work([STEP, witness('runs')]),
      },
    });
    at.runs('task');
    at.plays('cancel');
    for (const word of words) follow(at.booted.machine, at.kernel, word, false);
    at.runs('cancel');
    return { cancel: at.because('cancel'), ran: witnessed([...at.runs('t'), ...at.runs('w')]) };
  };
  expect(cancels()).toEqual({ cancel: undefined, ran: [] });
  expect(cancels('t', 't', 't')).toEqual({ cancel: undefined, ran: [] });
  expect(cancels('t', 't', 't', 'w')).toEqual({ cancel: 'w is running', ran: ['runs'] });
});
test('an unknown timer lists the timers there are', () => {
  expect(() => stage({ threads: { task: must([mod_timer('x')]), t: timer([]) } })).toThrow(
    /unknown timers "x"; there are: t/,
  );
});
