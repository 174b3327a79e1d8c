import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block } from '../machine.ts';
import { stage } from '../stage.ts';
import { device_unmap, tlb, tlb_invalidate, user_queue } from './index.ts';

describe('a TLB', () => {
  const cached = (...lines: Block) =>
    stage({
      objects: { bos: { bo: { place: 'TT', tt: 'populated', mapped: 'pages' } }, tlb_entries: { bo: { tlb: 'tlb' } } },
      threads: { tlb: tlb(), queue: user_queue({ uses: ['bo'] }), task: must(lines) },
    });
  const reaches = (at: ReturnType<typeof cached>): unknown =>
    at.plays('queue').find((fact) => fact.kind === 'accesses');
  test('remembers an entry from the first access on', () => {
    const before = cached(device_unmap('bo'));
    before.runs('task');
    expect(reaches(before)).toMatchObject({ stale: 'bo is not mapped any more' });
    const after = cached(device_unmap('bo'));
    reaches(after);
    after.runs('task');
    expect(reaches(after)).toMatchObject({ stale: null });
  });
  test('forgets when it acknowledges, not when it is asked', () => {
    const at = cached(device_unmap('bo'), tlb_invalidate('tlb'));
    reaches(at);
    at.runs('task');
    expect(reaches(at)).toMatchObject({ stale: null });
    at.runs('tlb');
    expect(reaches(at)).toMatchObject({ stale: 'bo is not mapped any more' });
  });
});
