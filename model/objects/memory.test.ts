import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block, Fact } from '../machine.ts';
import { alone, misuses, stage, witnessed } from '../stage.ts';
import {
  GFP,
  type Gfp,
  type GfpFlag,
  call,
  current_is_kswapd,
  if_ret,
  kmalloc,
  kswapd,
  memalloc_scope_restore,
  memalloc_scope_save,
  mempool_alloc,
  mempool_alloc_preallocated,
  mempool_free,
  mempool_hand_over,
  mmu_notifier_invalidate_range,
  mutex_lock,
  mutex_unlock,
  return_,
  unregister_shrinker,
  vmalloc,
  witness,
  work_a_while,
} from './index.ts';

const OBJECTS = {
  shrinkers: { slab: { scan: 'scan' } },
  ranges: { heap: { invalidate: 'invalidate', invalidate_end: 'invalidate_end' } },
};
const SAY = {
  scan: [witness('scan'), work_a_while('scans')],
  invalidate: [witness('invalidate')],
  invalidate_end: [witness('invalidate_end')],
};
const on = (body: Block, routines: Record<string, Block> = SAY) =>
  stage({ objects: OBJECTS, routines, threads: { task: must(body) } });
const STEP = work_a_while('looks around');
const direct = (facts: readonly Fact[]) => facts.flatMap((fact) => (fact.kind === 'allocates' ? [fact.direct] : []));

describe('kmalloc, by mask', () => {
  const WAYS: Readonly<Record<Gfp, readonly string[]>> = {
    GFP_NOWAIT: ['ok', 'fails'],
    GFP_ATOMIC: ['ok', 'fails'],
    GFP_NOIO: ['ok', 'unmaps heap'],
    GFP_NOFS: ['ok', 'unmaps heap'],
    GFP_KERNEL: ['ok', 'shrinks slab', 'unmaps heap'],
  };
  for (const gfp of GFP)
    test(`A1.11: ${gfp} may go: ${WAYS[gfp].join(', ')}`, () => {
      expect(on([kmalloc(gfp)]).ways('task')).toEqual(WAYS[gfp]);
    });
  test('A3.4: NOFS and NOIO avoid the shrinkers but not the notifiers', () => {
    for (const gfp of ['GFP_NOFS', 'GFP_NOIO'] as const) {
      const at = on([kmalloc(gfp)]);
      expect(() => at.plays('task/shrinks slab')).toThrow(/cannot be taken here/);
      expect(witnessed(at.plays('task/unmaps heap'))).toEqual(['invalidate', 'invalidate_end']);
    }
  });
  test('A1.2: with direct reclaim a small allocation does not fail; without it returns -ENOMEM', () => {
    const kernel = on([kmalloc('GFP_KERNEL'), STEP]);
    kernel.plays('task/shrinks slab', 'task');
    expect(kernel.ret('task')).toBe('0');
    const nowait = on([kmalloc('GFP_NOWAIT'), STEP]);
    nowait.plays('task/fails');
    expect(nowait.ret('task')).toBe('-ENOMEM');
  });
  test('A2.2: reclaim runs on the stack of the allocating task, with all its locks', () => {
    const at = stage({
      objects: { ...OBJECTS, locks: { a: {} } },
      routines: { ...SAY, scan: [mutex_lock('a'), mutex_unlock('a')] },
      threads: { task: must([mutex_lock('a'), kmalloc('GFP_KERNEL'), mutex_unlock('a')]) },
    });
    at.plays('task', 'task/shrinks slab');
    expect(at.because('task')).toBe('task holds a');
    expect(at.kernel.threads['task']?.frames.map(({ routine }) => routine)).toEqual(['task', 'shrink_slab', 'scan']);
  });
  test('A2.4: an allocation inside reclaim never reclaims again; it may fail', () => {
    const at = on([kmalloc('GFP_KERNEL')], { ...SAY, scan: [kmalloc('GFP_KERNEL')] });
    at.plays('task/shrinks slab');
    expect(at.ways('task')).toEqual(['ok', 'fails']);
    expect(direct(at.plays('task/fails'))).toEqual([false]);
  });
  test('A2.4: after reclaim it may reclaim again', () => {
    const at = on([kmalloc('GFP_KERNEL'), kmalloc('GFP_KERNEL')]);
    at.plays('task/unmaps heap');
    expect(at.ways('task')).toEqual(['ok', 'shrinks slab', 'unmaps heap']);
  });
  test('G-3: that it may reclaim is said also when memory is plentiful', () => {
    expect(direct(alone([kmalloc('GFP_NOIO'), kmalloc('GFP_NOWAIT')]).facts)).toEqual([true, false]);
  });
  test('a knob may say that nothing is allocated', () => {
    expect(kmalloc('never')).toEqual([]);
  });
});

describe('scopes', () => {
  const after = (lines: Block, gfp: Gfp) => {
    const at = on([STEP, lines, kmalloc(gfp)]);
    at.plays('task');
    return at;
  };
  const inside = (gfp: Gfp, scope: Gfp) => after([memalloc_scope_save(scope)], gfp);
  test('G-1, A1.6: inside a NOFS scope GFP_KERNEL is NOFS', () => {
    expect(inside('GFP_KERNEL', 'GFP_NOFS').ways('task')).toEqual(['ok', 'unmaps heap']);
  });
  test('G-1: a scope never strengthens a mask', () => {
    expect(inside('GFP_NOWAIT', 'GFP_NOFS').ways('task')).toEqual(['ok', 'fails']);
    const { facts } = alone([memalloc_scope_save('GFP_NOFS'), kmalloc('GFP_NOIO'), memalloc_scope_restore('GFP_NOFS')]);
    expect(facts).toContainEqual(expect.objectContaining({ kind: 'allocates', gfp: 'GFP_NOIO' }));
  });
  test('G-1: NOIO wins over NOFS, whichever was opened first', () => {
    for (const scopes of [['GFP_NOFS', 'GFP_NOIO'] as const, ['GFP_NOIO', 'GFP_NOFS'] as const]) {
      const body = [
        ...scopes.map((each) => memalloc_scope_save(each)),
        kmalloc('GFP_KERNEL'),
        ...scopes.toReversed().map((each) => memalloc_scope_restore(each)),
      ];
      expect(alone(body).facts).toContainEqual(expect.objectContaining({ kind: 'allocates', gfp: 'GFP_NOIO' }));
    }
  });
  test('A1.9: in a noreclaim scope nothing reclaims', () => {
    expect(inside('GFP_KERNEL', 'GFP_NOWAIT').ways('task')).toEqual(['ok', 'fails']);
  });
  test('A1.6: restored in the order of saving, or without a save, is a misuse; in reverse order it is not', () => {
    const [noFs, noIo] = [memalloc_scope_save('GFP_NOFS'), memalloc_scope_save('GFP_NOIO')];
    const [fs, io] = [memalloc_scope_restore('GFP_NOFS'), memalloc_scope_restore('GFP_NOIO')];
    const rules = (...lines: Block): string[] => misuses(alone([STEP, lines]).facts);
    expect(rules(noFs, noIo, fs, io)).toEqual(['A1.6']);
    expect(rules(fs)).toEqual(['A1.6']);
    expect(rules(noFs, noIo, io, fs)).toEqual([]);
  });
  test('A1.6: after the restore the mask is itself again', () => {
    const at = after([memalloc_scope_save('GFP_NOFS'), memalloc_scope_restore('GFP_NOFS')], 'GFP_KERNEL');
    expect(at.ways('task')).toContain('shrinks slab');
  });
});

describe('notifiers and background reclaim', () => {
  test('A9.2: the notifier of the range is called before and after what happens in between', () => {
    const { facts } = alone([mmu_notifier_invalidate_range('heap', [witness('the page tables change')])], {
      objects: OBJECTS,
      routines: SAY,
    });
    expect(witnessed(facts)).toEqual(['invalidate', 'the page tables change', 'invalidate_end']);
  });
  test('A9.5, N-1: a non-blockable notifier may not sleep; a blockable one may', () => {
    const kernel = {
      objects: { ...OBJECTS, locks: { a: {} } },
      routines: { ...SAY, invalidate: [mutex_lock('a'), mutex_unlock('a'), return_('0')] },
    };
    expect(misuses(alone([call('invalidate_range_nonblockable', { range: 'heap' })], kernel).facts)).toEqual(['CTX-A']);
    expect(misuses(alone([mmu_notifier_invalidate_range('heap')], kernel).facts)).toEqual([]);
  });
  test('A9.8: a non-blockable start that answers -EAGAIN has no end', () => {
    const ends = (answer: string): string[] =>
      witnessed(
        alone([call('invalidate_range_nonblockable', { range: 'heap' })], {
          objects: OBJECTS,
          routines: { ...SAY, invalidate: [return_(answer)] },
        }).facts,
      );
    expect(ends('-EAGAIN')).toEqual([]);
    expect(ends('0')).toEqual(['invalidate_end']);
  });
  test('A2.1: kswapd may take anything, holds no lock of anybody, and never has to begin', () => {
    const at = stage({ objects: OBJECTS, routines: SAY, threads: { kswapd } });
    expect(at.open('kswapd')).toMatchObject({
      kind: 'ready',
      nature: 'may',
      outcomes: ['shrinks slab', 'unmaps heap'],
    });
    expect(witnessed(at.plays('kswapd/shrinks slab'))).toEqual(['scan']);
  });
});

describe('what more a mask may say', () => {
  const ways = (gfp: Gfp, flag: GfpFlag) => on([kmalloc(gfp, 'p', flag)]).ways('task');
  test('A1.3, A1.4: NORETRY and RETRY_MAYFAIL reclaim as GFP_KERNEL does, and may fail all the same', () => {
    for (const flag of ['__GFP_NORETRY', '__GFP_RETRY_MAYFAIL', 'order > 3'] as const) {
      expect(ways('GFP_KERNEL', flag)).toEqual(['ok', 'shrinks slab', 'unmaps heap', 'fails']);
      expect(direct(alone([kmalloc('GFP_KERNEL', 'p', flag)]).facts)).toEqual([true]);
    }
  });
  test('A1.5: NOFAIL reclaims and does not fail', () => {
    expect(ways('GFP_KERNEL', '__GFP_NOFAIL')).toEqual(['ok', 'shrinks slab', 'unmaps heap']);
  });
  test('A1.5: NOFAIL where nothing may reclaim can only loop: a misuse', () => {
    const nofail = (gfp: Gfp): Block => kmalloc(gfp, 'p', '__GFP_NOFAIL');
    expect(misuses(alone(nofail('GFP_NOWAIT')).facts)).toEqual(['A1.5']);
    const scope = [memalloc_scope_save('GFP_NOWAIT'), nofail('GFP_KERNEL'), memalloc_scope_restore('GFP_NOWAIT')];
    expect(misuses(alone(scope).facts)).toEqual(['A1.5']);
    expect(
      misuses(on([kmalloc('GFP_KERNEL')], { ...SAY, scan: nofail('GFP_KERNEL') }).plays('task/shrinks slab', 'task')),
    ).toEqual(['A1.5']);
    expect(misuses(alone(nofail('GFP_NOFS')).facts)).toEqual([]);
  });
});

describe('vmalloc', () => {
  const masks = (body: Block) => alone(body).facts.flatMap((fact) => (fact.kind === 'allocates' ? [fact.gfp] : []));
  test('A1.8: its page tables know nothing of the mask', () => {
    expect(masks(vmalloc('GFP_NOFS'))).toEqual(['GFP_NOFS', 'GFP_KERNEL']);
  });
  test('A1.8: a scope they obey', () => {
    const scope = [memalloc_scope_save('GFP_NOFS'), vmalloc('GFP_KERNEL'), memalloc_scope_restore('GFP_NOFS')];
    expect(masks(scope)).toEqual(['GFP_NOFS', 'GFP_NOFS']);
  });
});

describe('unregister_shrinker', () => {
  const two = (task: Block, refs = true) =>
    stage({
      objects: { ...OBJECTS, locks: { a: {} }, ...(refs ? { shrinker_refs: { slab: {} } } : {}) },
      routines: { ...SAY, scan: [mutex_lock('a'), mutex_unlock('a')] },
      threads: { task: must([task, STEP]), kswapd, other: must([STEP, kmalloc('GFP_KERNEL')]) },
    });
  test('A4.7: waits for the scans that are under way', () => {
    const at = two(unregister_shrinker('slab'));
    at.plays('kswapd/shrinks slab', 'task');
    expect(at.because('task')).toBe('kswapd scans slab');
    at.runs('kswapd');
    expect(at.open('task').kind).toBe('ready');
  });
  test('A4.7: and no other begins', () => {
    const at = two(unregister_shrinker('slab'));
    at.plays('other');
    expect(at.ways('other')).toContain('shrinks slab');
    at.plays('task');
    expect(at.ways('other')).toEqual(['ok', 'unmaps heap']);
  });
  test('A4.7: with a lock that the scan takes, they wait for each other', () => {
    const at = two([mutex_lock('a'), unregister_shrinker('slab'), mutex_unlock('a')]);
    at.plays('task', 'kswapd/shrinks slab', 'task');
    expect(at.open('task')).toMatchObject({ kind: 'blocked', wait: { owedBy: ['kswapd'] } });
    expect(at.open('kswapd')).toMatchObject({ kind: 'blocked', wait: { owedBy: ['task'] } });
  });
  test('A4.9: several scans are each waited for', () => {
    const at = two([mutex_lock('a'), STEP, mutex_unlock('a'), unregister_shrinker('slab')]);
    at.plays('task', 'kswapd/shrinks slab', 'other', 'other/shrinks slab', 'task', 'task', 'task');
    expect(at.because('task')).toBe('kswapd, other scans slab');
    at.runs('kswapd');
    expect(at.because('task')).toBe('other scans slab');
  });
  test('a shrinker nobody keeps book of cannot be unregistered: the error lists those that can', () => {
    expect(() => two(unregister_shrinker('slab'), false)).toThrow(/unknown shrinker_refs "slab"; there are: none/);
  });
});

describe('pages that must be written before they are free', () => {
  const swap = (pageout: Block, body: Block, gfp: Gfp = 'GFP_KERNEL') =>
    stage({
      objects: { ranges: { heap: { invalidate: 'invalidate', pageout: 'pageout' } }, mempools: { bios: { free: 1 } } },
      routines: { invalidate: [witness('unmapped'), return_('0')], pageout },
      threads: { task: must([body.length > 0 ? body : kmalloc(gfp), STEP]), kswapd },
    });
  test('A7.1: a page that is written out is memory; the notifier ran before', () => {
    const at = swap([witness('written'), return_('0')], []);
    expect(witnessed(at.plays('task/unmaps heap'))).toEqual(['unmapped', 'written']);
    at.plays('task');
    expect(at.open('task').kind).toBe('finished');
  });
  test('A1.11: one that cannot be written is no progress: the allocator goes round again', () => {
    const at = swap([return_('-ENOMEM')], []);
    at.plays('task/unmaps heap');
    expect(at.ways('task')).toEqual(['ok', 'unmaps heap']);
  });
  test('A1.3: with NORETRY it fails instead', () => {
    const at = swap([return_('-ENOMEM')], kmalloc('GFP_KERNEL', 'p', '__GFP_NORETRY'));
    at.plays('task/unmaps heap');
    expect(at.ret('task')).toBe('-ENOMEM');
  });
  test('A7.1, A2.4: writing needs memory itself, and gets it from reserves and pools: it never reclaims, and may fail', () => {
    const at = swap([kmalloc('GFP_NOIO'), STEP, return_('0')], []);
    at.plays('task/unmaps heap');
    expect(at.ways('task')).toEqual(['ok', 'fails']);
    expect(direct(at.plays('task/ok'))).toEqual([false]);
    const pool = swap([mempool_alloc('bios', 'GFP_NOIO', 'task'), mempool_free('bios', 'task'), return_('0')], []);
    pool.plays('task/unmaps heap');
    expect(pool.ways('task')).toEqual(['ok']);
  });
  test('without IO only what is clean is taken', () => {
    expect(witnessed(swap([witness('written'), return_('0')], [], 'GFP_NOIO').plays('task/unmaps heap'))).toEqual([
      'unmapped',
    ]);
    expect(witnessed(swap([witness('written'), return_('0')], [], 'GFP_NOFS').plays('task/unmaps heap'))).toEqual([
      'unmapped',
      'written',
    ]);
  });
  test('kswapd lets such a page be', () => {
    const at = swap([return_('-ENOMEM')], []);
    at.plays('kswapd/unmaps heap');
    expect(at.open('kswapd').kind).toBe('finished');
  });
});

describe('kswapd is no rescue', () => {
  const waits = {
    ...SAY,
    scan: [mutex_lock('a'), mutex_unlock('a')],
  };
  const both = (scan: Block) =>
    stage({
      objects: { ...OBJECTS, locks: { a: {} } },
      routines: { ...waits, scan },
      threads: { task: must([mutex_lock('a'), STEP, mutex_unlock('a'), kmalloc('GFP_KERNEL')]), kswapd },
    });
  test('A2.1: while it waits in a shrinker, everybody else reclaims for himself', () => {
    const at = both(waits.scan);
    at.plays('task', 'kswapd/shrinks slab');
    expect(at.because('kswapd')).toBe('task holds a');
    at.plays('task', 'task');
    expect(at.ways('task')).toEqual(['ok', 'shrinks slab', 'unmaps heap']);
  });
  test('A2.3: a shrinker can tell whether it runs in kswapd, and wait only there', () => {
    const at = both([current_is_kswapd(), if_ret('1', [witness('may wait')], [witness('may not')]), return_('0')]);
    expect(witnessed(at.plays('kswapd/shrinks slab'))).toEqual(['may wait']);
    at.plays('task', 'task', 'task');
    expect(witnessed(at.plays('task/shrinks slab'))).toEqual(['may not']);
  });
  test('A2.4: neither does what it does in there reclaim again', () => {
    const at = both([kmalloc('GFP_KERNEL'), return_('0')]);
    at.plays('kswapd/shrinks slab');
    expect(at.ways('kswapd')).toEqual(['ok', 'fails']);
  });
});

describe('mempool', () => {
  const pool = (free: number) => ({ objects: { ...OBJECTS, mempools: { pool: { free } } }, routines: SAY });
  const two = (free: number, one: Block, two: Block) =>
    stage({ ...pool(free), threads: { one: must(one), two: must(two) } });

  test('A5.2: the reserve is used before reclaim', () => {
    expect(two(1, [mempool_alloc('pool', 'GFP_KERNEL', 'one')], []).ways('one')).toEqual(['ok']);
    expect(two(0, [mempool_alloc('pool', 'GFP_KERNEL', 'one')], []).ways('one')).toEqual([
      'ok',
      'shrinks slab',
      'unmaps heap',
    ]);
  });
  test('A5.3: with direct reclaim it never fails: it sleeps until an element comes back', () => {
    const at = two(
      1,
      [mempool_alloc('pool', 'GFP_NOIO', 'one'), mempool_free('pool', 'one')],
      [mempool_alloc('pool', 'GFP_NOIO', 'two'), mempool_free('pool', 'two'), STEP],
    );
    at.plays('one', 'one', 'two');
    expect(at.because('two')).toBe('one has the last elements of pool');
    at.plays('one', 'two');
    expect(at.ret('two')).toBe('0');
    expect(at.kernel.mempools['pool']).toEqual({ free: 0, holders: ['two'] });
  });
  test('A5.4: without direct reclaim it returns -ENOMEM when all are out, and waits for nobody', () => {
    expect(alone([mempool_alloc('pool', 'GFP_NOWAIT', 'task')], pool(0)).ret).toBe('-ENOMEM');
    expect(alone([mempool_alloc_preallocated('pool', 'task')], pool(1)).ret).toBe('0');
  });
  test('A5.4: mempool_alloc(GFP_KERNEL) counts as direct reclaim even when the reserve has one', () => {
    expect(direct(alone([mempool_alloc('pool', 'GFP_KERNEL', 'task')], pool(1)).facts)).toEqual([true]);
    expect(direct(alone([mempool_alloc('pool', 'GFP_NOWAIT', 'task')], pool(1)).facts)).toEqual([]);
  });
  test('A5.6: the element is handed on with the promise behind it', () => {
    const at = two(
      1,
      [mempool_alloc_preallocated('pool', 'one'), mempool_hand_over('pool', 'one', 'two'), STEP],
      [mempool_alloc('pool', 'GFP_NOIO', 'two')],
    );
    at.plays('one', 'one', 'two');
    expect(at.open('two')).toMatchObject({ kind: 'blocked', wait: { owedBy: ['two'], any: true } });
  });
  test('A5.5: freeing an element that one does not have is a misuse', () => {
    expect(misuses(alone([mempool_free('pool', 'task')], pool(0)).facts)).toEqual(['A5.5']);
    expect(
      misuses(alone([mempool_alloc_preallocated('pool', 'task'), mempool_free('pool', 'task')], pool(1)).facts),
    ).toEqual([]);
  });
});

describe('boot', () => {
  test('a shrinker or notifier without routine lists the routines there are', () => {
    const at = (objects: Record<string, Record<string, Record<string, unknown>>>) => () =>
      alone([], { objects, routines: SAY });
    expect(at({ shrinkers: { slab: { scan: 'skan' } } })).toThrow(
      /shrinkers\.slab\.scan: unknown routines "skan"; .*scan/,
    );
    expect(at({ ranges: { heap: { invalidate: 'gone' } } })).toThrow(
      /ranges\.heap\.invalidate: unknown routines "gone"/,
    );
  });
  test('more elements than a pool may have are refused, with the range', () => {
    expect(() => alone([], pool_of(9))).toThrow(/mempools\.pool\.free: 9 is not a whole number from 0 to 8/);
    expect(() => alone([], pool_of(8))).not.toThrow();
  });
  const pool_of = (free: number) => ({ objects: { mempools: { pool: { free } } } });
});
