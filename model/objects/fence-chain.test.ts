/** What the kernel's chain self-test asserts, one claim a test (drivers/dma-buf/st-dma-fence-chain.c; S31..S54; H-1..H-16). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import { everywhere } from '../everywhere.ts';
import type { Block } from '../machine.ts';
import { type Stage, alone, misuses, stage } from '../stage.ts';
import {
  dma_fence_add_callback,
  dma_fence_chain_alloc,
  dma_fence_chain_find_seqno,
  dma_fence_chain_free,
  dma_fence_chain_init,
  dma_fence_enable_sw_signaling,
  dma_fence_get_status,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_put,
  dma_fence_set_error,
  dma_fence_signal,
  dma_fence_wait,
  fence_chain_nodes,
  if_ret,
  irq_work,
  sync_file_install,
  together,
  witness,
} from './index.ts';

const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const rows = (n: number) =>
  together(fence_chain_nodes(...count(n).map((i) => `c${i}`)), {
    fences: Object.fromEntries(count(n).map((i) => [`p${i}`, {}])),
  });
/** Payloads p0.., nodes c0.. in a row with these seqnos, signalling enabled on each. */
const chain = (n: number, seqno: (i: number) => number = (i) => i + 1, enabled = true): Block =>
  count(n).map((i) => [
    dma_fence_init(`p${i}`),
    dma_fence_chain_init(`c${i}`, i === 0 ? 'NULL' : `c${i - 1}`, `p${i}`, seqno(i)),
    enabled ? dma_fence_enable_sw_signaling(`c${i}`) : [],
  ]);
/** Build it, run these lines, and say what each of the lines after returns. */
function built(n: number, lines: Block = [], seqno?: (i: number) => number, enabled = true): Stage {
  const at = stage({
    objects: rows(n),
    threads: { task: must([chain(n, seqno, enabled), lines]), irq_work: irq_work() },
  });
  at.runs('task');
  return at;
}
/** What a line returns when it is the last of these. */
const answers = (n: number, line: Block, lines: Block = [], seqno?: (i: number) => number): string => {
  const at = stage({
    objects: rows(n),
    threads: { task: must([chain(n, seqno), lines, line, witness('end')]), irq_work: irq_work() },
  });
  let ret = '';
  for (const fact of at.runs('task')) if (fact.kind === 'returned' && fact.to === 'nobody') ret = fact.ret;
  return ret;
};
const find = (fence: string, seqno: number): Block => [dma_fence_chain_find_seqno(fence, seqno)];

describe('find_seqno', () => {
  test('S31: one node: enable, signal the payload, drop both, without complaint', () => {
    const at = stage({
      objects: rows(1),
      threads: {
        task: must([chain(1), dma_fence_signal('p0'), dma_fence_put('p0'), dma_fence_wait('c0'), dma_fence_put('c0')]),
        irq_work: irq_work(),
      },
    });
    const facts = [...at.runs('task'), ...at.runs('irq_work'), ...at.runs('task')];
    expect(misuses(facts)).toEqual([]);
    expect(at.open('task').kind).toBe('finished');
  });
  test('S32: seqno 0 succeeds and leaves the pointer alone', () => {
    expect(answers(3, find('c2', 0))).toBe('c2');
  });
  const N = 64;
  const tail = `c${N - 1}`;
  test('S33: in a chain 1..64 with nothing signalled every seqno is found', () => {
    for (const i of count(N)) expect(answers(N, find(tail, i + 1))).not.toBe('-EINVAL');
  });
  test('S34: and it is exactly that node', () => {
    for (const i of [0, 1, 31, 62, 63]) expect(answers(N, find(tail, i + 1))).toBe(`c${i}`);
  });
  test('S35: from a node its own seqno is the node itself', () => {
    for (const i of [0, 1, 31, 63]) expect(answers(N, find(`c${i}`, i + 1))).toBe(`c${i}`);
  });
  test('S36: from a node the seqno after its own is a future point, and fails', () => {
    for (const i of [0, 1, 31, 63]) expect(answers(N, find(`c${i}`, i + 2))).toBe('-EINVAL');
  });
  test('S37: from a node the seqno before its own is found; for the first that is 0', () => {
    for (const i of [0, 1, 31, 63]) expect(answers(N, find(`c${i}`, i))).not.toBe('-EINVAL');
  });
  test('S38: and it is the node before', () => {
    for (const i of [1, 2, 32, 63]) expect(answers(N, find(`c${i}`, i))).toBe(`c${i - 1}`);
  });
  test('S39: two nodes, the first payload signalled: seqno 1 is found', () => {
    expect(answers(2, find('c1', 1), [dma_fence_signal('p0')])).not.toBe('-EINVAL');
  });
  test('S40: and it is nothing at all, or node 1; never another', () => {
    expect(['NULL', 'c0']).toContain(answers(2, find('c1', 1), [dma_fence_signal('p0')]));
  });
  test('S41: three nodes, the middle payload signalled: seqno 2 is found', () => {
    expect(answers(3, find('c2', 2), [dma_fence_signal('p1')])).not.toBe('-EINVAL');
  });
  test('S42: and it is node 1: the middle one is cut out, the older one must still be waited for', () => {
    expect(answers(3, find('c2', 2), [dma_fence_signal('p1')])).toBe('c0');
  });
  const gapped = (i: number): number => 2 * i + 2;
  test('S43: seqnos 2, 4, … 128: an odd one finds the node after it', () => {
    for (const i of [0, 1, 31, 63]) expect(answers(N, find(tail, 2 * i + 1), [], gapped)).toBe(`c${i}`);
  });
  test('S44: and from that node its own seqno finds itself', () => {
    for (const i of [0, 1, 31, 63]) expect(answers(N, find(`c${i}`, 2 * i + 2), [], gapped)).toBe(`c${i}`);
  });

  /** Random lookups while random payloads, never the last, are signalled. */
  const racing = (property: (ret: string, seqno: number, again: (from: string) => string) => boolean) =>
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(14), fc.integer({ min: 1, max: 16 })), { maxLength: 24 }), (moves) => {
        const lines: Block[] = [];
        for (const [payload, seqno] of moves) {
          lines.push(dma_fence_signal(`p${payload}`) as unknown as Block);
          const ret = answers(16, find('c15', seqno), lines);
          if (!property(ret, seqno, (from) => answers(16, find(from, seqno), lines))) return false;
        }
        return true;
      }),
      { numRuns: 20, seed: 45 },
    );
  test('S45: lookups among signals never fail; that nothing is left to wait for is legal', () => {
    racing((ret) => ret !== '-EINVAL');
  });
  test('S46: when the node found has the seqno asked for, asking it again succeeds', () => {
    racing((ret, seqno, again) => ret !== `c${seqno - 1}` || again(ret) !== '-EINVAL');
  });
});

describe('signalling', () => {
  const N = 64;
  const polls = (i: number): Block => [dma_fence_is_signaled(`c${i}`)];
  const oldest_first = (upTo: number): Block => count(upTo + 1).map((i) => dma_fence_signal(`p${i}`));
  const newest_first = (downTo: number): Block => count(N - downTo).map((i) => dma_fence_signal(`p${N - 1 - i}`));
  test('S47: oldest first: after its payload a node polls signalled', () => {
    for (const i of [0, 1, 31, 63]) expect(answers(N, polls(i), [oldest_first(i)])).toBe('1');
  });
  test('S48: and the next node does not', () => {
    for (const i of [0, 1, 31, 62]) expect(answers(N, polls(i + 1), [oldest_first(i)])).toBe('0');
  });
  test('S49: newest first: after its payload a node is still pending, for older ones are', () => {
    for (const i of [1, 2, 31, 63]) expect(answers(N, polls(i), [newest_first(i)])).toBe('0');
  });
  test('S50: and once all payloads have signalled, every node polls signalled', () => {
    for (const i of [0, 1, 31, 63]) expect(answers(N, polls(i), [newest_first(0)])).toBe('1');
  });
  /** A thread waits on the tail of a long chain; another signals the payloads in this order. */
  const waits = (order: readonly number[]): Stage => {
    const at = stage({
      objects: rows(N),
      threads: {
        task: must([chain(N, undefined, false), dma_fence_wait(`c${N - 1}`)]),
        gpu: must(order.map((i) => dma_fence_signal(`p${i}`))),
        irq_work: irq_work(),
      },
    });
    at.runs('task');
    for (const _ of order) {
      expect(at.open('task').kind).toBe('blocked');
      do
        at.plays('gpu'); // the signal, and the callback if one was on this payload
      while ((at.kernel.threads['gpu']?.frames.length ?? 0) > 1);
      at.runs('irq_work');
    }
    return at;
  };
  const ended = (at: Stage): boolean => {
    at.runs('task');
    return at.open('task').kind === 'finished';
  };
  test('S51: a wait on the tail of a long chain ends after the payloads, oldest first', () => {
    expect(ended(waits(count(N)))).toBe(true);
  });
  test('S52: the same, newest first', () => {
    expect(ended(waits(count(N).toReversed()))).toBe(true);
  });
  test('S53: the same, in any order', () => {
    const any = fc.shuffledSubarray(count(N), { minLength: N });
    fc.assert(
      fc.property(any, (order) => ended(waits(order))),
      { numRuns: 3, seed: 53 },
    );
  });
  test('S54: polling a node looks at the payloads itself: no irq_work needs to have run', () => {
    expect(answers(3, polls(2), [oldest_first(2)])).toBe('1');
    expect(built(3, [oldest_first(2)]).kernel.fences['c2']?.signaled).toBe(false);
  });
});

describe('rules', () => {
  test('H-3: a node linked with a smaller seqno opens a new context and takes the larger number', () => {
    const { kernel } = built(2, [], (i) => 5 - 2 * i);
    expect(kernel.fence_numbers['c1']).toEqual({ context: 'c1', seqno: 5 });
    expect(kernel.fence_chains['c1']?.prev_seqno).toBe(0);
    expect(built(2).kernel.fence_numbers['c1']).toEqual({ context: 'c0', seqno: 2 });
  });
  test('H-10, H-12: one callback at a time: the newest pending payload, then the next', () => {
    const at = built(3, [], undefined, false);
    const queued = (): number[] => count(3).map((i) => at.kernel.fences[`p${i}`]?.callbacks.length ?? 0);
    expect(queued()).toEqual([0, 0, 0]);
    const armed = built(3, [dma_fence_enable_sw_signaling('c2')], undefined, false);
    expect(count(3).map((i) => armed.kernel.fences[`p${i}`]?.callbacks.length)).toEqual([0, 0, 1]);
  });
  test('H-14: errors of payloads are not carried over', () => {
    const lines = [dma_fence_set_error('p0', '-EIO'), dma_fence_signal('p0'), dma_fence_is_signaled('c0')];
    expect(answers(1, [dma_fence_get_status('c0')], lines)).toBe('1');
    expect(answers(1, [dma_fence_get_status('p0')], lines)).toBe('-EIO');
  });
  test('K-2: all payloads have signalled and the node has not, until irq_work ran', () => {
    const at = built(1, [dma_fence_signal('p0')]);
    expect(at.kernel.fences['c0']?.signaled).toBe(false);
    at.runs('irq_work');
    expect(at.kernel.fences['c0']?.signaled).toBe(true);
  });
  test('K-3: a chain node for a payload is a misuse; an array is not asked', () => {
    const objects = rows(2);
    const body = [dma_fence_init('p0'), dma_fence_chain_init('c0', 'NULL', 'p0', 1)];
    expect(misuses(alone([...body, dma_fence_chain_init('c1', 'NULL', 'c0', 1)], { objects }).facts)).toEqual(['K-3']);
    expect(misuses(alone(body, { objects }).facts)).toEqual([]);
  });
  test('H-2: nodes come from the pool until it is empty; one that was not used goes back', () => {
    const objects = rows(1);
    expect(alone([dma_fence_chain_alloc()], { objects }).ret).toBe('c0');
    expect(alone([dma_fence_chain_alloc(), dma_fence_chain_alloc()], { objects }).ret).toBe('NULL');
    expect(alone([dma_fence_chain_alloc(), dma_fence_chain_free('c0'), dma_fence_chain_alloc()], { objects }).ret).toBe(
      'c0',
    );
  });
  test('F-9: publishing a node publishes all that it stands for', () => {
    const at = built(2, [sync_file_install('c1')]);
    expect(['c0', 'c1', 'p0', 'p1'].map((each) => at.kernel.fences[each]?.published)).toEqual([true, true, true, true]);
  });
  test('the wait names who owes the payloads, and then the irq_work', () => {
    const at = stage({
      objects: rows(1),
      threads: {
        task: must([chain(1, undefined, false), dma_fence_wait('c0')]),
        gpu: must([dma_fence_signal('p0')]),
        irq_work: irq_work(),
      },
    });
    at.runs('task');
    expect(at.because('task')).toBe('task has yet to signal p0');
    at.runs('gpu');
    expect(at.because('task')).toBe('irq_work has yet to signal c0');
  });
  test('all interleavings: a waiter, a poller and signals in any order: everybody ends, the callback runs', () => {
    const given = { initialised: true, promisedBy: 'gpu' };
    const { ends, facts } = everywhere({
      objects: together(rows(2), { fences: { p0: given, p1: given } }),
      routines: { seen: [witness('seen')] },
      threads: {
        task: must([
          dma_fence_chain_init('c0', 'NULL', 'p0', 1),
          dma_fence_chain_init('c1', 'c0', 'p1', 2),
          dma_fence_add_callback('c1', 'seen'),
          if_ret('-ENOENT', [witness('all over')]),
          dma_fence_wait('c1'),
        ]),
        gpu: must([dma_fence_signal('p1'), dma_fence_signal('p0')]),
        poller: must([dma_fence_is_signaled('c1'), dma_fence_is_signaled('c1')]),
        irq_work: irq_work(),
      },
    });
    expect(facts).toContain('witness seen');
    expect(facts).toContain('witness all over');
    expect(ends.length).toBeGreaterThan(0);
    expect(ends.filter(({ threads }) => (threads['task']?.frames.length ?? 0) > 0)).toHaveLength(0);
  });
});
