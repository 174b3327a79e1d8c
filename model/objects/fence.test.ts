import { describe, expect, test } from 'vitest';
import { may, must } from '../design.ts';
import type { Block } from '../machine.ts';
import { alone, misuses, stage, witnessed } from '../stage.ts';
import {
  dma_fence_add_callback,
  dma_fence_begin_signalling,
  dma_fence_enable_sw_signaling,
  dma_fence_end_signalling,
  dma_fence_get_status,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_set_error,
  dma_fence_signal,
  dma_fence_wait,
  dma_fence_wait_interruptible,
  dma_fence_wait_timeout,
  mod_timer,
  promise_passes_to,
  queue_work,
  return_,
  sync_file_get_fence,
  sync_file_install,
  timer,
  witness,
  work,
} from './index.ts';

const F = { objects: { fences: { f: {} } } };
const SAYS = { says: [witness('$what')] };
const says = (fence: string, what: string): Block => [dma_fence_add_callback(fence, 'says', { what })];

describe('init, signal, status', () => {
  test('F-3: creating, enabling, signalling a fence that nobody waited on passes without complaint', () => {
    const body = [dma_fence_init('f'), dma_fence_enable_sw_signaling('f'), dma_fence_signal('f')];
    expect(misuses(alone(body, F).facts)).toEqual([]);
  });
  test('F-3: a fresh fence with signalling enabled polls unsignalled', () => {
    expect(alone([dma_fence_init('f'), dma_fence_enable_sw_signaling('f'), dma_fence_is_signaled('f')], F).ret).toBe(
      '0',
    );
  });
  test('F-30: after the signal it polls signalled', () => {
    expect(alone([dma_fence_init('f'), dma_fence_signal('f'), dma_fence_is_signaled('f')], F).ret).toBe('1');
  });
  test('F-32: it signals once; the second signal does nothing', () => {
    const { facts } = alone([dma_fence_init('f'), dma_fence_signal('f'), dma_fence_signal('f')], F);
    expect(facts.filter(({ kind }) => kind === 'signaled')).toHaveLength(1);
    expect(misuses(facts)).toEqual([]);
  });
  test('F-40: the status of an unsignalled fence is 0', () => {
    expect(alone([dma_fence_init('f'), dma_fence_get_status('f')], F).ret).toBe('0');
  });
  test('F-40: the status after a signal without error is 1', () => {
    expect(alone([dma_fence_init('f'), dma_fence_signal('f'), dma_fence_get_status('f')], F).ret).toBe('1');
  });
  test('F-40: an error stored before the signal does not show yet', () => {
    expect(alone([dma_fence_init('f'), dma_fence_set_error('f', '-EIO'), dma_fence_get_status('f')], F).ret).toBe('0');
  });
  test('F-40: after the signal the status is exactly that error', () => {
    const body = [
      dma_fence_init('f'),
      dma_fence_set_error('f', '-EIO'),
      dma_fence_signal('f'),
      dma_fence_get_status('f'),
    ];
    expect(alone(body, F).ret).toBe('-EIO');
  });
  test('F-39: an error set after the signal is a misuse, and the status stays as it was', () => {
    const body = [
      dma_fence_init('f'),
      dma_fence_signal('f'),
      dma_fence_set_error('f', '-EIO'),
      dma_fence_get_status('f'),
    ];
    const { ret, facts } = alone(body, F);
    expect(misuses(facts)).toEqual(['F-39']);
    expect(ret).toBe('1');
  });
  test('F-42: an error does not change the wait: it returns 0', () => {
    const body = [dma_fence_init('f'), dma_fence_set_error('f', '-EIO'), dma_fence_signal('f'), dma_fence_wait('f')];
    expect(alone(body, F).ret).toBe('0');
  });
  test('F-3: a signal before dma_fence_init is a misuse', () => {
    expect(misuses(alone([dma_fence_signal('f')], F).facts)).toEqual(['F-3']);
  });
  test('F-10: initialising a fence again that others can see is a misuse; one that is over is not', () => {
    const seen = [dma_fence_init('f'), sync_file_install('f')];
    expect(misuses(alone([...seen, dma_fence_init('f')], F).facts)).toEqual(['F-10']);
    expect(misuses(alone([...seen, dma_fence_signal('f'), dma_fence_init('f')], F).facts)).toEqual([]);
  });
  test('SF-2: the descriptor gives the fence only after it was installed', () => {
    expect(alone([dma_fence_init('f'), sync_file_get_fence('f')], F).ret).toBe('-EBADF');
    expect(alone([dma_fence_init('f'), sync_file_install('f'), sync_file_get_fence('f')], F).ret).toBe('0');
  });
});

describe('order on one context', () => {
  const ring = { objects: { fences: { old: { context: 'ring', seqno: 1 }, young: { context: 'ring', seqno: 2 } } } };
  const both = [dma_fence_init('old'), dma_fence_init('young')];
  test('F-6: the younger fence signalling first is a misuse', () => {
    const { facts } = alone([...both, dma_fence_signal('young'), dma_fence_signal('old')], ring);
    expect(misuses(facts)).toEqual(['F-6']);
  });
  test('F-6: in the order of their seqno they may', () => {
    expect(misuses(alone([...both, dma_fence_signal('old'), dma_fence_signal('young')], ring).facts)).toEqual([]);
  });
  test('F-6: fences of two contexts may signal in any order', () => {
    const two = { objects: { fences: { old: { context: 'a', seqno: 1 }, young: { context: 'b', seqno: 2 } } } };
    expect(misuses(alone([...both, dma_fence_signal('young')], two).facts)).toEqual([]);
  });
});

describe('callbacks', () => {
  const kernel = { ...F, routines: SAYS };
  test('F-19: add_callback on an unsignalled fence returns 0', () => {
    expect(alone([dma_fence_init('f'), says('f', 'a')], kernel).ret).toBe('0');
  });
  test('F-19: add_callback on a signalled fence returns -ENOENT and never calls', () => {
    const { ret, facts } = alone(
      [dma_fence_init('f'), dma_fence_signal('f'), dma_fence_signal('f'), says('f', 'a')],
      kernel,
    );
    expect(ret).toBe('-ENOENT');
    expect(witnessed(facts)).toEqual([]);
  });
  test('F-30: when the signal returns, the callbacks have run, on the stack of the signaller', () => {
    const at = stage({
      ...kernel,
      threads: { task: must([dma_fence_init('f'), says('f', 'a'), dma_fence_signal('f')]) },
    });
    at.plays('task', 'task');
    const facts = at.plays('task');
    expect(facts.filter(({ kind }) => kind === 'witness')).toMatchObject([{ thread: 'task', name: 'a' }]);
  });
  test('F-35: callbacks run once each, in the order of registration', () => {
    const body = [
      dma_fence_init('f'),
      says('f', 'first'),
      says('f', 'second'),
      says('f', 'third'),
      dma_fence_signal('f'),
      dma_fence_signal('f'),
    ];
    expect(witnessed(alone(body, kernel).facts)).toEqual(['first', 'second', 'third']);
  });
  test('F-28, F-31: the flag is up before any callback runs', () => {
    const polls = { polls: [dma_fence_is_signaled('f'), return_('ret')] };
    const { facts } = alone([dma_fence_init('f'), dma_fence_add_callback('f', 'polls'), dma_fence_signal('f')], {
      ...F,
      routines: polls,
    });
    expect(facts).toContainEqual({ kind: 'returned', thread: 'task', routine: 'polls', ret: '1', to: 'caller' });
  });
  test('F-26: a callback that sleeps is a misuse; the same wait outside is not', () => {
    const two = { objects: { fences: { f: {}, g: {} } } };
    const body = [dma_fence_init('f'), dma_fence_init('g'), dma_fence_signal('g')];
    const inside = alone([...body, dma_fence_add_callback('f', 'waits'), dma_fence_signal('f')], {
      ...two,
      routines: { waits: [dma_fence_wait('g')] },
    });
    expect(misuses(inside.facts)).toEqual(['CTX-A']);
    expect(misuses(alone([...body, dma_fence_signal('f'), dma_fence_wait('g')], two).facts)).toEqual([]);
  });
  test('F-27: a callback may queue work', () => {
    const at = stage({
      ...F,
      routines: { queues: [queue_work('later')] },
      threads: {
        task: must([dma_fence_init('f'), dma_fence_add_callback('f', 'queues'), dma_fence_signal('f')]),
        later: work([witness('later ran')]),
      },
    });
    expect(misuses(at.runs('task'))).toEqual([]);
    expect(witnessed(at.runs('later'))).toEqual(['later ran']);
  });
});

describe('enable_signaling', () => {
  const armed = { objects: { fences: { f: { enable_signaling: 'hook' } } } };
  const hook = (...lines: Block): { routines: Record<string, Block> } => ({
    routines: { ...SAYS, hook: [witness('hook'), ...lines] },
  });
  test('F-12: the first add_callback asks for signalling', () => {
    expect(witnessed(alone([dma_fence_init('f'), says('f', 'a')], { ...armed, ...hook() }).facts)).toEqual(['hook']);
  });
  test('F-13: the hook runs at most once, whoever asks and however often', () => {
    const at = stage({
      ...armed,
      ...hook(),
      threads: {
        task: must([
          dma_fence_init('f', 'task'),
          dma_fence_enable_sw_signaling('f'),
          says('f', 'a'),
          says('f', 'b'),
          dma_fence_signal('f'),
        ]),
        waiter: must([dma_fence_wait('f')]),
      },
    });
    const facts = [...at.plays('task', 'waiter'), ...at.runs('waiter'), ...at.runs('task'), ...at.runs('waiter')];
    expect(witnessed(facts)).toEqual(['hook', 'a', 'b']);
    expect(at.open('waiter').kind).toBe('finished');
  });
  test('F-12: on a signalled fence the hook never runs', () => {
    const body = [dma_fence_init('f'), dma_fence_signal('f'), dma_fence_enable_sw_signaling('f'), says('f', 'a')];
    expect(witnessed(alone(body, { ...armed, ...hook() }).facts)).toEqual([]);
  });
  test('F-13: the hook may not sleep', () => {
    const body = [dma_fence_init('f'), dma_fence_enable_sw_signaling('f')];
    const sleeps = hook(dma_fence_wait('g'));
    const objects = { fences: { f: { enable_signaling: 'hook' }, g: {} } };
    expect(misuses(alone(body, { objects, ...sleeps }).facts)).toEqual(['CTX-A']);
    expect(misuses(alone(body, { ...armed, ...hook() }).facts)).toEqual([]);
  });
  test('F-12, F-14: a hook that returns false says it is over: the core signals, and add_callback returns -ENOENT', () => {
    const { ret, facts, at } = alone([dma_fence_init('f'), says('f', 'a')], { ...armed, ...hook(return_('false')) });
    expect(ret).toBe('-ENOENT');
    expect(witnessed(facts)).toEqual(['hook']);
    expect(at.kernel.fences['f']?.signaled).toBe(true);
  });
  test('F-19: what the hook returns otherwise does not become the result of add_callback', () => {
    expect(alone([dma_fence_init('f'), says('f', 'a')], { ...armed, ...hook(return_('true')) }).ret).toBe('0');
  });
  test('F-43: a wait asks too, before it waits', () => {
    const at = stage({
      ...armed,
      ...hook(),
      threads: { owner: may([dma_fence_signal('f')]), task: must([dma_fence_init('f', 'owner'), dma_fence_wait('f')]) },
    });
    expect(witnessed(at.runs('task'))).toEqual(['hook']);
    expect(at.because('task')).toBe('owner has yet to signal f');
  });
});

describe('waiting', () => {
  const waiting = (wait: Block) =>
    stage({ ...F, threads: { owner: must([dma_fence_init('f'), dma_fence_signal('f')]), task: must(wait) } });
  test('F-44: the wait ends with the signal, and names who owes it until then', () => {
    const at = waiting([dma_fence_wait('f')]);
    at.plays('owner');
    expect(at.open('task')).toMatchObject({ kind: 'blocked', wait: { object: 'f', owedBy: ['owner'] }, outcomes: [] });
    at.plays('owner', 'task');
    expect(at.open('task').kind).toBe('finished');
  });
  test('F-45: a signal to the process may end an interruptible wait, with -ERESTARTSYS', () => {
    const at = waiting([dma_fence_wait_interruptible('f'), sync_file_install('f')]);
    at.plays('owner', 'task/interrupted');
    expect(at.ret('task')).toBe('-ERESTARTSYS');
  });
  test('F-45: a bounded wait on a fence that does not signal ends, and the fence is still pending', () => {
    const at = stage({
      ...F,
      threads: {
        owner: may([dma_fence_signal('f')]),
        task: must([dma_fence_init('f', 'owner'), dma_fence_wait_timeout('f')]),
      },
    });
    const facts = at.plays('task', 'task/times out');
    expect(facts).toContainEqual({ kind: 'returned', thread: 'task', routine: 'task', ret: '-ETIME', to: 'nobody' });
    expect(at.kernel.fences['f']?.signaled).toBe(false);
  });
  test('patient time: a bounded wait does not give up while the owner can still move', () => {
    const at = waiting([dma_fence_wait_timeout('f')]);
    at.plays('owner');
    expect(() => at.plays('task/times out')).toThrow(/cannot be taken here/);
  });
  test('F-34: a timer may signal, and the wait returns 0', () => {
    const at = stage({
      ...F,
      threads: {
        task: must([dma_fence_init('f', 'tick'), mod_timer('tick'), dma_fence_wait('f')]),
        tick: timer([dma_fence_signal('f')]),
      },
    });
    at.runs('task');
    expect(misuses(at.runs('tick'))).toEqual([]);
    expect(at.runs('task')).toContainEqual(expect.objectContaining({ kind: 'returned', ret: '0', to: 'nobody' }));
  });
  test('the promise is handed on: the wait names who must act next, and nobody once it signalled', () => {
    const at = stage({
      ...F,
      threads: {
        ioctl: must([dma_fence_init('f'), promise_passes_to('f', 'worker')]),
        worker: may([dma_fence_signal('f')]),
        waiter: must([dma_fence_wait('f')]),
      },
    });
    at.plays('ioctl');
    expect(at.because('waiter')).toBe('ioctl has yet to signal f');
    at.plays('ioctl');
    expect(at.because('waiter')).toBe('worker has yet to signal f');
    at.plays('worker');
    expect(at.kernel.fences['f']?.promisedBy).toBeNull();
  });
});

describe('signalling sections', () => {
  const held = (...lines: Block): number =>
    (alone([dma_fence_init('f'), ...lines, dma_fence_signal('f')], F).at.kernel.threads['task']?.held ?? []).length;
  test('L-3: sections nest, and end with their own end', () => {
    expect(held(dma_fence_begin_signalling(), dma_fence_begin_signalling(), dma_fence_end_signalling())).toBe(1);
    expect(
      held(
        dma_fence_begin_signalling(),
        dma_fence_begin_signalling(),
        dma_fence_end_signalling(),
        dma_fence_end_signalling(),
      ),
    ).toBe(0);
  });
  test('ending inside a section is a misuse (I-16)', () => {
    expect(misuses(alone([dma_fence_init('f'), dma_fence_begin_signalling()], F).facts)).toEqual(['I-16']);
    expect(
      misuses(alone([dma_fence_init('f'), dma_fence_begin_signalling(), dma_fence_end_signalling()], F).facts),
    ).toEqual([]);
  });
});

describe('boot', () => {
  const bad =
    (body: Block, objects: Record<string, Record<string, Record<string, unknown>>> = F.objects) =>
    () =>
      alone(body, { objects, routines: SAYS });
  test('an unknown fence lists the fences there are', () => {
    expect(bad([dma_fence_signal('g')])).toThrow(/unknown fences "g"; there are: f/);
  });
  test('an unknown callback lists the routines there are', () => {
    expect(bad([dma_fence_add_callback('f', 'shouts')])).toThrow(/unknown routines "shouts"; there are: .*says/);
  });
  test('an unknown owner lists the threads there are', () => {
    expect(bad([dma_fence_init('f', 'nobody')])).toThrow(/unknown threads "nobody"; there are: task/);
  });
  test('an unknown enable_signaling hook lists the routines there are', () => {
    expect(bad([dma_fence_init('f')], { fences: { f: { enable_signaling: 'arm' } } })).toThrow(
      /fences\.f\.enable_signaling: unknown routines "arm"; there are: .*says/,
    );
  });
  test('an unknown field lists the fields there are', () => {
    expect(bad([dma_fence_init('f')], { fences: { f: { colour: 'red' } } })).toThrow(
      /no field "colour"; there are: .*seqno/,
    );
  });
});
