import { describe, expect, expectTypeOf, test } from 'vitest';
import * as api from './api.ts';
import { type Kernel, boot, design, dma_fence_wait, ioctl, must, mutex_lock, names, settings, user } from './api.ts';

const about = { name: 'x', title: '', sources: [], expect: [] };
/** What booting a kernel complains of. */
const complaint = (kernel: Kernel): string => {
  try {
    boot(design({ ...about, knobs: {}, kernel: () => kernel }));
  } catch (error) {
    return (error as Error).message;
  }
  return '';
};

describe('in the editor', () => {
  test('a knob has the values that were declared, and no others', () => {
    design({
      ...about,
      knobs: { waits: ['no', 'yes'] },
      kernel: ({ waits }) => {
        expectTypeOf(waits).toEqualTypeOf<'no' | 'yes'>();
        // @ts-expect-error there is no such value
        return { threads: waits === 'maybe' ? {} : {} };
      },
      expect: [
        { when: { waits: ['no', 'yes'] }, acquits: true, because: '' },
        // @ts-expect-error there is no such value
        { when: { waits: 'never' }, acquits: true, because: '' },
        // @ts-expect-error there is no such knob
        { when: { wait: 'no' }, acquits: true, because: '' },
        // @ts-expect-error there is no such property
        { when: {}, convicts: ['no-luck'], because: '' },
      ],
    });
    // @ts-expect-error there is no such knob
    design({ ...about, knobs: { waits: ['no'] }, kernel: ({ wait: _wait }) => ({ threads: {} }) });
  });
  test('a table and a field exist, and a value is one of those that the field may have', () => {
    expectTypeOf({ locks: { a: { class: 'c' } }, bos: { b: { place: 'VRAM' as const } } }).toExtend<api.Objects>();
    const wrong = (objects: api.Objects): api.Objects => objects;
    // @ts-expect-error there is no such table
    wrong({ lokcs: { a: {} } });
    // @ts-expect-error there is no such field
    wrong({ locks: { a: { klass: 'c' } } });
    // @ts-expect-error there is no such place
    wrong({ bos: { b: { place: 'DRAM' } } });
    // @ts-expect-error threads are declared elsewhere
    wrong({ threads: {} });
  });
  test('a name is known to be one, for who asks for it', () => {
    const { locks, fences } = names({ locks: { 'mine->lock': {} }, fences: { job: {} } });
    expectTypeOf(fences.job).toEqualTypeOf<'job'>();
    expect([mutex_lock(locks['mine->lock']), dma_fence_wait(fences.job)]).toEqual([
      mutex_lock('mine->lock'),
      dma_fence_wait('job'),
    ]);
    // @ts-expect-error there is no such fence
    expect(fences.jbo).toBeUndefined();
  });
});

describe('at boot, with what exists', () => {
  const objects = { locks: { 'mine->lock': {} }, fences: { job: {} } };
  test.each<[string, Kernel, RegExp]>([
    [
      'a lock',
      { objects, threads: { a: must([mutex_lock('mine->lokc')]) } },
      /unknown locks "mine->lokc"; there are: mine->lock$/,
    ],
    ['a fence', { objects, threads: { a: must([dma_fence_wait('jbo')]) } }, /unknown fences "jbo"; there are: job$/],
    [
      'a table',
      { objects: { lokcs: { a: {} } } as object, threads: {} },
      /unknown objects "lokcs"; there are: .*locks/,
    ],
    [
      'a field',
      { objects: { locks: { a: { klass: '' } as object } }, threads: {} },
      /locks\.a has no field "klass"; there are: class/,
    ],
    [
      'a value',
      { objects: { bos: { b: { place: 'DRAM' as never } } }, threads: {} },
      /bos\.b\.place: "DRAM" is none of: /,
    ],
    [
      'a thread',
      { objects, threads: { a: must([api.dma_fence_init('job', 'nobody')]) } },
      /unknown threads "nobody"; there are: a$/,
    ],
    [
      'a work item',
      { objects, threads: { a: must([api.queue_work('nothing')]) } },
      /unknown works "nothing"; there are: none$/,
    ],
    ['a call', { threads: { app: user() }, workload: { app: ['submit()'] } }, /has no call "submit"; there are: none$/],
    ['a user', { threads: { app: user() }, workload: { appp: [] } }, /unknown user "appp"; there are: app$/],
    [
      'an argument',
      { threads: { app: user() }, calls: { submit: ioctl({ bo: ['a', 'b'] }, []) }, workload: { app: ['submit(c)'] } },
      /submit: bo cannot be "c"; it can be: a, b$/,
    ],
  ])('%s', (_what, kernel, says) => {
    expect(complaint(kernel)).toMatch(says);
  });
  test('a knob', () => {
    const knobbed = design({ ...about, knobs: { waits: ['no'] }, kernel: () => ({ threads: {} }) });
    expect(() => boot(knobbed, { wait: 'no' })).toThrow(/x has no knob "wait"; there are: waits$/);
    expect(settings(knobbed)).toEqual([{ waits: 'no' }]);
  });
});
