import { describe, expect, test } from 'vitest';
import { may, must } from '../design.ts';
import { type Access, type Usage, USAGES } from './index.ts';
import { alone, stage } from '../stage.ts';
import {
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  implicit_sync_wait,
  job_starts,
  sync_file_install,
} from './index.ts';

const busy = (usage: Usage) => [
  dma_fence_init('f', 'gpu'),
  dma_resv_lock('bo'),
  dma_resv_reserve_fences('bo'),
  dma_resv_add_fence('bo', 'f', usage),
  dma_resv_unlock('bo'),
];
const on = (
  usage: Usage,
  waits: Parameters<typeof implicit_sync_wait>,
  housekeeping: Record<string, { owner: string }> = {},
) => {
  const at = stage({
    objects: { resvs: { bo: {} }, fences: { f: {} }, housekeeping },
    threads: { gpu: may([dma_fence_signal('f')]), task: must([busy(usage), implicit_sync_wait(...waits)]) },
  });
  const facts = at.runs('task');
  return { at, facts };
};

describe('what an access waits for', () => {
  const WAITS: Readonly<Record<Access, readonly Usage[]>> = {
    explicit: ['KERNEL'],
    read: ['KERNEL', 'WRITE'],
    write: ['KERNEL', 'WRITE', 'READ'],
  };
  for (const [access, usages] of Object.entries(WAITS) as [Access, readonly Usage[]][]) {
    test(`9.8: ${access} waits for ${usages.join(', ')} and nothing else`, () => {
      const waited = USAGES.filter((usage) => on(usage, ['bo', access]).at.open('task').kind === 'blocked');
      expect(waited).toEqual(usages);
    });
    test(`R-24: ${access} misses exactly these when it starts too early`, () => {
      const missed = USAGES.filter((usage) => {
        const { facts } = alone([dma_fence_init('f'), busy(usage).slice(1), job_starts('job', 'bo', access)], {
          objects: { resvs: { bo: {} }, fences: { f: {} } },
        });
        return facts.some((fact) => fact.kind === 'starts' && fact.missed.includes('f'));
      });
      expect(missed).toEqual(usages);
    });
  }
  test('a job does not miss its own fence', () => {
    const { facts } = alone([dma_fence_init('f'), busy('WRITE').slice(1), job_starts('job', 'bo', 'write', 'f')], {
      objects: { resvs: { bo: {} }, fences: { f: {} } },
    });
    expect(facts).toContainEqual(expect.objectContaining({ kind: 'starts', missed: [] }));
  });
});

describe('fences of memory management', () => {
  const kfd = { f: { owner: 'kfd' } };
  const needless = (usage: Usage, skips: string, housekeeping: Record<string, { owner: string }>): boolean => {
    const { at, facts } = on(usage, ['bo', 'write', skips], housekeeping);
    if (at.open('task').kind === 'blocked') facts.push(...at.plays('gpu'), ...at.runs('task'));
    return facts.some(({ kind }) => kind === 'waitsNeedlessly');
  };
  test('E1.13: a job that waits for one waits needlessly, unless its driver knows it and leaves it out', () => {
    expect(on('WRITE', ['bo', 'write', ''], kfd).at.because('task')).toBe('gpu has yet to signal f');
    expect(on('WRITE', ['bo', 'write', 'kfd'], kfd).at.open('task').kind).toBe('finished');
    expect(on('WRITE', ['bo', 'write', 'xe'], kfd).at.because('task')).toBe('gpu has yet to signal f');
  });
  test('the needless wait is said, though nobody had to ask for the signal', () => {
    expect(needless('WRITE', '', kfd)).toBe(true);
    expect(needless('WRITE', 'kfd', kfd)).toBe(false);
    expect(needless('WRITE', '', {})).toBe(false);
  });
  test("in the BOOKKEEP slot it is in nobody's way", () => {
    expect(needless('BOOKKEEP', '', kfd)).toBe(false);
    expect(on('BOOKKEEP', ['bo', 'write', ''], kfd).at.open('task').kind).toBe('finished');
  });
  test('a job never misses one', () => {
    const { facts } = alone([dma_fence_init('f'), busy('WRITE').slice(1), job_starts('job', 'bo', 'write')], {
      objects: { resvs: { bo: {} }, fences: { f: {} }, housekeeping: kfd },
    });
    expect(facts).toContainEqual(expect.objectContaining({ kind: 'starts', missed: [] }));
  });
});

describe('writers whose fences stand nowhere', () => {
  const missed = (access: Access, published: boolean, of = 'bo'): readonly string[] => {
    const { facts } = alone(
      [dma_fence_init('f'), published ? sync_file_install('f') : [], job_starts('job', 'bo', access)],
      { objects: { resvs: { bo: {}, other: {} }, fences: { f: {} }, writers: { f: { of } } } },
    );
    return facts.flatMap((fact) => (fact.kind === 'starts' ? fact.missed : []));
  };
  test('R-24: who reads or writes misses one that the reservation does not know', () => {
    expect([missed('read', true), missed('write', true)]).toEqual([['f'], ['f']]);
  });
  test('explicit work brings what it must wait for, and misses none of them', () => {
    expect(missed('explicit', true)).toEqual([]);
  });
  test('work that nobody has heard of, and work with another buffer, is not missed', () => {
    expect([missed('read', false), missed('read', true, 'other')]).toEqual([[], []]);
  });
  test('one that stands on the reservation as well is missed once', () => {
    const { facts } = alone([dma_fence_init('f'), busy('WRITE').slice(1), job_starts('job', 'bo', 'read')], {
      objects: { resvs: { bo: {} }, fences: { f: {} }, writers: { f: { of: 'bo' } } },
    });
    expect(facts).toContainEqual(expect.objectContaining({ kind: 'starts', missed: ['f'] }));
  });
});
