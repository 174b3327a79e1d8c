import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block } from '../machine.ts';
import { alone, misuses, stage } from '../stage.ts';
import {
  type Usage,
  dma_fence_array_init,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_copy_fences,
  dma_resv_lock,
  dma_resv_replace_fences,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  fence_arrays,
  grown,
  kmalloc,
  work_a_while,
} from './index.ts';
import { type Rows, AB, FENCES, STEP, add, init, rowOf, shown } from '../resv-stage.ts';

describe('slots', () => {
  const objects = {
    ...AB,
    fences: { ...FENCES, ...fence_arrays('array').fences },
    containers: fence_arrays('array')['containers'] as Rows,
  };
  const locked = (...lines: Block) => alone([...init, dma_resv_lock('a'), lines, dma_resv_unlock('a')], { objects });
  const slots = (...lines: Block): string[] => shown(locked(...lines).at);

  test('R-12: reserve one, add one, no complaint', () => {
    expect(misuses(locked(add('f')).facts)).toEqual([]);
  });
  test('R-13: adding without a reserved slot is a misuse, and nothing is added', () => {
    const { facts, at } = locked(dma_resv_add_fence('a', 'f', 'WRITE'));
    expect([misuses(facts), shown(at)]).toEqual([['R-13'], []]);
  });
  const adds = [dma_resv_add_fence('a', 'f', 'WRITE'), dma_resv_add_fence('a', 'g', 'WRITE')];
  test('R-9: reservations count from now, not on top of each other: the second fence fits by luck', () => {
    expect(misuses(locked(dma_resv_reserve_fences('a'), dma_resv_reserve_fences('a'), adds).facts)).toEqual(['R-9']);
    expect(misuses(locked(dma_resv_reserve_fences('a', 2), adds).facts)).toEqual([]);
  });
  test('R-9: an overwritten slot costs no reservation', () => {
    const again = dma_resv_add_fence('a', 'f', 'WRITE');
    expect(misuses(locked(dma_resv_reserve_fences('a'), again, again).facts)).toEqual([]);
  });
  test('R-9, R-6: a reservation dies with the lock, and so does the spare room', () => {
    const body = [dma_resv_unlock('a'), dma_resv_lock('a'), dma_resv_add_fence('a', 'f', 'WRITE')];
    const { facts, at } = locked(dma_resv_reserve_fences('a'), body);
    expect([misuses(facts), rowOf(at).max]).toEqual([['R-13'], 0]);
  });
  test('I-8: adding takes the lock, and a reservation made under the same hold; anything else is a misuse', () => {
    const one = dma_resv_add_fence('a', 'f', 'WRITE');
    const reserve = dma_resv_reserve_fences('a');
    const rules = (...lines: Block): string[] => misuses(alone([...init, lines], { objects }).facts);
    const [lock, unlock] = [dma_resv_lock('a'), dma_resv_unlock('a')];
    expect(rules(lock, reserve, one, unlock)).toEqual([]);
    expect(rules(lock, reserve, unlock, one)).toEqual(['R-12', 'R-13']);
    expect(rules(lock, reserve, unlock, lock, one, unlock)).toEqual(['R-13']);
    expect(rules(lock, one, unlock)).toEqual(['R-13']);
  });
  test('R-9, R-12: reserving and adding need the lock', () => {
    expect(misuses(alone([init, dma_resv_reserve_fences('a')], { objects }).facts)).toEqual(['R-9']);
    expect(misuses(alone([init, dma_resv_add_fence('a', 'f', 'READ')], { objects }).facts)).toContain('R-12');
  });
  test('R-9: a reclaimer has no memory for it: -ENOMEM, and no room', () => {
    const body = [dma_resv_lock('a'), dma_resv_reserve_fences('a')];
    const scan = [body, work_a_while('looks'), dma_resv_unlock('a')];
    const at = stage({
      objects: { ...objects, shrinkers: { slab: { scan: 'scan' } } },
      routines: { scan },
      threads: { task: must(kmalloc('GFP_KERNEL')) },
    });
    at.plays('task/shrinks slab', 'task', 'task/fails');
    expect([at.ret('task'), rowOf(at).reserved, rowOf(at).max]).toEqual(['-ENOMEM', 0, 0]);
  });
  test('R-9: what fits already allocates nothing', () => {
    const twice = [dma_resv_reserve_fences('a', 2), dma_resv_reserve_fences('a', 2)];
    const allocations = locked(twice).facts.filter(({ kind }) => kind === 'allocates');
    expect(allocations).toHaveLength(1);
  });
  test('R-10: reserving nothing is refused; older kernels let it pass', () => {
    const { facts, at } = alone([dma_resv_lock('a'), dma_resv_reserve_fences('a', 0), STEP, dma_resv_unlock('a')], {
      objects,
    });
    expect([misuses(facts), rowOf(at).max]).toEqual([['R-10'], 0]);
    const version = { switches: { resv_reserve_zero: false } };
    const before = alone([dma_resv_lock('a'), dma_resv_reserve_fences('a', 0), dma_resv_unlock('a')], {
      objects: { ...objects, version },
    });
    expect(misuses(before.facts)).toEqual([]);
  });
  test('R-11: a new list has room for five, and one that grows for at least twice as many', () => {
    expect([grown(0, 0, 1), grown(0, 0, 5), grown(5, 5, 1), grown(1, 1, 1), grown(1, 1, 7)]).toEqual([5, 9, 13, 5, 9]);
  });
  test('R-11: a list that grows leaves behind what has signalled', () => {
    const signalled = [add('f'), add('g'), dma_fence_signal('f'), dma_resv_unlock('a'), dma_resv_lock('a')];
    expect(slots(signalled)).toEqual(['f WRITE', 'g WRITE']);
    expect(slots(signalled, dma_resv_reserve_fences('a'))).toEqual(['g WRITE']);
  });
  test('F-9, R-18: adding publishes the fence, before the lock is dropped', () => {
    const at = stage({
      objects,
      threads: { task: must([dma_fence_init('f'), dma_resv_lock('a'), add('f'), dma_resv_unlock('a')]) },
    });
    at.plays('task', 'task', 'task', 'task');
    expect(at.kernel.fences['f']?.published).toBe(false);
    at.plays('task');
    expect(at.kernel.fences['f']?.published).toBe(true);
    expect(at.kernel.resvs['a']?.owner).toBe('task');
  });
  test('R-12: a later fence of the same context takes the place of the older one', () => {
    expect(slots(add('old'), add('young'))).toEqual(['young WRITE']);
  });
  test('R-12: an older fence of the same context does not displace the later one', () => {
    expect(slots(add('young'), add('old'))).toEqual(['young WRITE', 'old WRITE']);
  });
  test('R-12: fences of different contexts stand side by side', () => {
    expect(slots(add('f'), add('g'))).toEqual(['f WRITE', 'g WRITE']);
  });
  test('R-12: the first slot whose fence has signalled is overwritten, whatever its context and usage', () => {
    expect(
      slots(dma_resv_reserve_fences('a', 3), adds, dma_fence_signal('f'), dma_resv_add_fence('a', 'old', 'READ')),
    ).toEqual(['old READ', 'g WRITE']);
  });
  test('R-16: one slot only: an older fence of the context in a later slot stays', () => {
    const three = [
      add('f', 'BOOKKEEP'),
      add('old', 'READ'),
      dma_fence_signal('f'),
      dma_resv_add_fence('a', 'young', 'WRITE'),
    ];
    expect(slots(three)).toEqual(['young WRITE', 'old READ']);
  });
  test('R-15: adding again with a stronger usage promotes', () => {
    expect(slots(add('f', 'BOOKKEEP'), add('f', 'WRITE'))).toEqual(['f WRITE']);
  });
  test('R-15: adding never demotes: the stronger entry stays', () => {
    expect(slots(add('f', 'WRITE'), add('f', 'BOOKKEEP'))).toEqual(['f WRITE', 'f BOOKKEEP']);
  });
  test('R-12: a later fence with a weaker usage does not displace the stronger one', () => {
    expect(slots(add('old', 'WRITE'), add('young', 'BOOKKEEP'))).toEqual(['old WRITE', 'young BOOKKEEP']);
  });
  test('R-17: the very same fence overwrites its slot; older kernels wanted a strictly later one', () => {
    expect(slots(add('f'), add('f'))).toEqual(['f WRITE']);
    const version = { switches: { resv_add_same_fence: false } };
    const { at } = alone([...init, dma_resv_lock('a'), add('f'), add('f'), dma_resv_unlock('a')], {
      objects: { ...objects, version },
    });
    expect(shown(at)).toEqual(['f WRITE', 'f WRITE']);
  });
  test('R-14, I-7: a container on a reservation is a misuse; its members are not', () => {
    const array = [dma_fence_array_init('array', ['f', 'g'])];
    expect(misuses(locked(array, add('array')).facts)).toEqual(['R-14']);
    expect(misuses(locked(array, add('f'), add('g')).facts)).toEqual([]);
  });
  test('R-19: replace gives every slot of the context to the new fence, with the usage as told', () => {
    const before = [add('old', 'WRITE'), add('young', 'BOOKKEEP'), add('g', 'READ')];
    expect(slots(before, dma_resv_replace_fences('a', 'ring', 'f', 'BOOKKEEP'))).toEqual([
      'f BOOKKEEP',
      'f BOOKKEEP',
      'g READ',
    ]);
  });
  test('R-19: without a fence of that context nothing is replaced, and nothing is published', () => {
    const { at } = locked(add('g'), dma_resv_replace_fences('a', 'ring', 'f', 'BOOKKEEP'));
    expect(shown(at)).toEqual(['g WRITE']);
    expect(at.kernel.fences['f']?.published).toBe(false);
  });
  test('R-19: replace needs the lock', () => {
    expect(misuses(alone([init, dma_resv_replace_fences('a', 'ring', 'f', 'READ')], { objects }).facts)).toEqual([
      'R-19',
    ]);
  });
  const copies = (from: Block, to: Block) =>
    alone(
      [
        ...init,
        dma_resv_lock('b'),
        from,
        dma_resv_unlock('b'),
        dma_resv_lock('a'),
        to,
        dma_resv_copy_fences('a', 'b'),
        dma_resv_unlock('a'),
      ],
      { objects },
    );
  const put = (resv: string, fence: string, usage: Usage): Block => [
    dma_resv_reserve_fences(resv),
    dma_resv_add_fence(resv, fence, usage),
  ];
  test('R-21: copy takes the unsignalled fences of every usage, and leaves the source as it is', () => {
    const { facts, at } = copies(
      [put('b', 'f', 'KERNEL'), put('b', 'g', 'WRITE'), put('b', 'young', 'BOOKKEEP'), dma_fence_signal('g')],
      [],
    );
    expect(shown(at)).toEqual(['f KERNEL', 'young BOOKKEEP']);
    expect(shown(at, 'b')).toEqual(['f KERNEL', 'g WRITE', 'young BOOKKEEP']);
    expect(misuses(facts)).toEqual([]);
  });
  test('R-21, I-6: what stood on the destination is gone: a misuse while it is pending', () => {
    expect(misuses(copies(put('b', 'f', 'READ'), put('a', 'g', 'READ')).facts)).toEqual(['R-21']);
    expect(misuses(copies(put('b', 'f', 'READ'), [put('a', 'g', 'READ'), dma_fence_signal('g')]).facts)).toEqual([]);
    expect(misuses(copies(put('b', 'g', 'READ'), put('a', 'g', 'READ')).facts)).toEqual([]);
  });
  test('R-21: copy needs the lock of the destination', () => {
    expect(misuses(alone([init, dma_resv_copy_fences('a', 'b')], { objects }).facts)).toEqual(['R-21']);
  });
});
