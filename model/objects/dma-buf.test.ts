import { describe, expect, test } from 'vitest';
import { type Kernel, may, must } from '../design.ts';
import type { Block, Fact } from '../machine.ts';
import { type Stage, alone, misuses, stage, witnessed } from '../stage.ts';
import {
  dmaBuf,
  dma_buf_attach,
  dma_buf_begin_move,
  dma_buf_detach,
  dma_buf_device_access,
  dma_buf_export,
  dma_buf_finish_move,
  dma_buf_get,
  dma_buf_is_pinned,
  dma_buf_map_attachment,
  dma_buf_map_attachment_unlocked,
  dma_buf_move_notify,
  dma_buf_pin,
  dma_buf_put,
  dma_buf_revoke,
  dma_buf_unmap_attachment,
  dma_buf_unmap_attachment_unlocked,
  dma_buf_unpin,
  dma_buf_vmap,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  exporter,
  if_ret,
  known_mapping,
  mark_mapping_stale,
  may_go,
  return_,
  set,
  witness,
  work_a_while,
} from './index.ts';

const STEP = work_a_while('looks around');
type Ops = Parameters<typeof exporter>[1];
/** A buffer with a static and a dynamic importer; the exporter as told. */
const world = (ops: Ops = { dynamic: true }, switches: Record<string, boolean> = {}): Omit<Kernel, 'threads'> => ({
  objects: {
    resvs: { bo: {}, other: {} },
    fences: { move: {}, job: {} },
    dma_bufs: { buf: exporter('bo', ops) },
    attachments: { display: { buf: 'buf' }, gpu: { buf: 'buf', dynamic: true, invalidate: 'notified' } },
    version: { switches },
  },
  routines: {
    notified: [witness('told to move')],
    refuses: [return_('-EBUSY')],
    may_refuse: [may_go('reach the storage', ['0', '-EBUSY'])],
    hooked: [witness('the exporter is called'), return_('0')],
  },
});
const locked = (...lines: Block): Block => [dma_resv_lock('bo'), lines, dma_resv_unlock('bo')];
const run = (body: Block, ops?: Ops, switches?: Record<string, boolean>) =>
  alone([dma_buf_export('buf'), body], world(ops, switches));
const broken = (body: Block, ops?: Ops): string[] => misuses(run(body, ops).facts);
const bufOf = (at: Stage) => at.kernel.dma_bufs['buf'] as Stage['kernel']['dma_bufs'][string];
const attachment = (at: Stage, name: string) => at.kernel.attachments[name] as Stage['kernel']['attachments'][string];
const stale = (facts: readonly Fact[]): (string | null)[] =>
  facts.flatMap((fact) => (fact.kind === 'accesses' ? [fact.stale] : []));
/** What the lines return one after the other, said by a witness each. */
const rets = (lines: readonly Block[], ops?: Ops): string[] => {
  const CODES = ['0', '-EINVAL', '-ENOMEM', '-EBUSY', '-ENODEV', '-EBADF', '-ERESTARTSYS'];
  const said = lines.map((line) => [line, CODES.map((code) => if_ret(code, [witness(code)]))]);
  return witnessed(run(said, ops).facts);
};
const bothAttached = [dma_buf_attach('display'), dma_buf_attach('gpu')];

describe('export and release', () => {
  test('B-2: an exporter must be able to map, unmap and release, and to pin and unpin or neither', () => {
    expect(rets([[]], {})).toEqual(['0']);
    for (const ops of [{ map: '' }, { unmap: '' }, { release: '' }, { pin: 'hooked' }, { unpin: 'hooked' }]) {
      const { ret, facts } = run([], ops);
      expect([ret, misuses(facts)]).toEqual(['-EINVAL', ['B-2']]);
    }
  });
  test('B-2: exporting is not for who holds the reservation', () => {
    expect(misuses(alone(locked(dma_buf_export('buf')), world()).facts)).toEqual(['B-2']);
  });
  test('B-3: the last put runs the release of the exporter, an earlier one does not', () => {
    const twice = [dma_buf_get('buf'), dma_buf_put('buf')];
    expect(witnessed(run(twice, { release: 'hooked' }).facts)).toEqual([]);
    expect(witnessed(run([twice, dma_buf_put('buf')], { release: 'hooked' }).facts)).toEqual([
      'the exporter is called',
    ]);
  });
  test('B-3: after that there is nothing to get and nothing to put', () => {
    expect(rets([dma_buf_put('buf'), [dma_buf_get('buf')]])).toEqual(['0', '-EBADF']);
    expect(broken([dma_buf_put('buf'), dma_buf_put('buf')])).toEqual(['B-3']);
  });
  test('B-4: released while attached, or mapped by the kernel, is a misuse', () => {
    expect(broken([dma_buf_attach('gpu'), dma_buf_put('buf')])).toEqual(['B-4']);
    expect(broken([locked(dma_buf_vmap('buf')), dma_buf_put('buf')])).toEqual(['B-4']);
    expect(broken([dma_buf_attach('gpu'), dma_buf_detach('gpu'), dma_buf_put('buf')])).toEqual([]);
  });
});

describe('attach and detach', () => {
  test('B-6: attaching takes the reservation itself: who holds it waits for itself', () => {
    const { ret, facts } = run(locked(dma_buf_attach('gpu')));
    expect([ret, misuses(facts)]).toEqual(['still waits: task holds the reservation of bo', ['B-6']]);
  });
  test('B-6: a dynamic importer needs a callback for moves', () => {
    const objects = { ...world().objects, attachments: { gpu: { buf: 'buf', dynamic: true } } };
    const { ret, facts } = alone([dma_buf_export('buf'), dma_buf_attach('gpu')], { ...world(), objects });
    expect([ret, misuses(facts)]).toEqual(['-EINVAL', ['B-6']]);
  });
  test('B-6: the exporter may refuse, and then nothing is attached', () => {
    const { ret, at } = run(dma_buf_attach('gpu'), { attach: 'refuses' });
    expect([ret, attachment(at, 'gpu').attached]).toEqual(['-EBUSY', false]);
  });
  test('B-7: detaching what is still mapped is a misuse', () => {
    const maps = [dma_buf_attach('gpu'), dma_buf_map_attachment_unlocked('gpu')];
    expect(broken([maps, dma_buf_detach('gpu')])).toEqual(['B-7']);
    expect(broken([maps, dma_buf_unmap_attachment_unlocked('gpu'), dma_buf_detach('gpu')])).toEqual([]);
  });
  test('B-7: detaching is not for who holds the reservation, nor for who is not attached', () => {
    expect(broken([dma_buf_attach('gpu'), locked(dma_buf_detach('gpu'))])).toEqual(['B-7']);
    expect(broken(dma_buf_detach('gpu'))).toEqual(['B-7']);
  });
});

describe('pin', () => {
  test('B-10: for dynamic importers, reservation held', () => {
    const pins = (which: string): Block => [dma_buf_pin(which), dma_buf_unpin(which)];
    expect(broken([bothAttached, locked(pins('gpu'))])).toEqual([]);
    expect(broken([bothAttached, pins('gpu')])).toEqual(['B-10', 'B-10']);
    expect(broken([bothAttached, locked(pins('display'))])).toEqual(['B-10', 'B-10']);
  });
  test('B-10: the exporter may refuse, and then nothing is pinned', () => {
    const { at } = run([bothAttached, locked(dma_buf_pin('gpu'))], { pin: 'refuses', unpin: 'hooked' });
    expect([bufOf(at).pins, attachment(at, 'gpu').pins]).toEqual([0, 0]);
  });
  test('B-12: while it is pinned the exporter may not move it; after the unpin it may', () => {
    const moves = [dma_buf_begin_move('buf'), dma_buf_finish_move('buf')];
    expect(broken([bothAttached, locked(dma_buf_pin('gpu'), moves, dma_buf_unpin('gpu'))])).toEqual(['B-12']);
    expect(broken([bothAttached, locked(dma_buf_pin('gpu'), dma_buf_unpin('gpu'), moves)])).toEqual([]);
  });
  test('B-12: the exporter sees pins, and mappings that are pins, while it holds the reservation', () => {
    const asked = (...lines: Block): string =>
      run([bothAttached, lines, locked(dma_buf_is_pinned('buf'), set('pinned', 'ret')), return_('$pinned')]).ret;
    expect(asked()).toBe('0');
    expect(asked(locked(dma_buf_pin('gpu')))).toBe('1');
    expect(asked(locked(dma_buf_pin('gpu'), dma_buf_unpin('gpu')))).toBe('0');
    expect(asked(dma_buf_map_attachment_unlocked('display'))).toBe('1');
    expect(asked(dma_buf_map_attachment_unlocked('gpu'))).toBe('0');
    expect(broken([dma_buf_is_pinned('buf')])).toEqual(['B-12']);
  });
  test('B-12: unpinning what is not pinned is a misuse', () => {
    expect(broken([bothAttached, locked(dma_buf_unpin('gpu'))])).toEqual(['B-12']);
  });
  test('B-11: pinned before the move under way is over: a misuse of the exporter', () => {
    const pin = dma_buf_pin('gpu');
    const body = (...lines: Block): Block => [
      bothAttached,
      locked(dma_buf_begin_move('buf'), lines, dma_buf_unpin('gpu')),
    ];
    expect(broken(body(pin, dma_buf_finish_move('buf')))).toEqual(['B-11']);
    expect(broken(body(dma_buf_finish_move('buf'), pin))).toEqual([]);
  });
});

describe('map', () => {
  /** A move of the buffer is under way on the copy engine: its fence is on the reservation. */
  const copying = (importer: string): Stage => {
    const at = stage({
      ...world(),
      threads: {
        copy_engine: may([dma_fence_signal('move')]),
        task: must([
          dma_buf_export('buf'),
          bothAttached,
          dma_fence_init('move', 'copy_engine'),
          locked(
            dma_resv_reserve_fences('bo'),
            dma_resv_add_fence('bo', 'move', 'KERNEL'),
            dma_buf_map_attachment(importer),
            if_ret('0', [STEP, dma_buf_unmap_attachment(importer)]),
          ),
        ]),
      },
    });
    at.runs('task');
    return at;
  };
  test('B-13, I-15: a static importer pins the buffer for as long as it is mapped', () => {
    const at = stage({
      ...world(),
      threads: {
        task: must([
          dma_buf_export('buf'),
          bothAttached,
          dma_buf_map_attachment_unlocked('display'),
          STEP,
          dma_buf_unmap_attachment_unlocked('display'),
        ]),
      },
    });
    while (attachment(at, 'display').mapping === 'none') at.plays('task');
    expect([bufOf(at).pins, attachment(at, 'display').mapping]).toEqual([1, 'current']);
    at.runs('task');
    expect([bufOf(at).pins, attachment(at, 'display').mapping]).toEqual([0, 'none']);
  });
  test('B-14: a dynamic importer does not pin it', () => {
    const { at } = run([bothAttached, dma_buf_map_attachment_unlocked('gpu')]);
    expect([bufOf(at).pins, attachment(at, 'gpu').mapping]).toEqual([0, 'current']);
  });
  test('B-5, B-13: nor does a static importer of an exporter that never moves', () => {
    const { at } = run([bothAttached, dma_buf_map_attachment_unlocked('display')], {});
    expect([bufOf(at).pins, attachment(at, 'display').mapping]).toEqual([0, 'current']);
  });
  test('B-13: a static importer waits for the move under way, holding the reservation', () => {
    const at = copying('display');
    expect([at.because('task'), at.kernel.resvs['bo']?.owner]).toEqual(['copy_engine has yet to signal move', 'task']);
    at.plays('copy_engine');
    at.runs('task');
    expect(at.open('task').kind).toBe('finished');
  });
  test('B-14: a dynamic importer does not wait', () => {
    expect(copying('gpu').open('task').kind).toBe('finished');
  });
  test('B-13: a signal ends the wait of a static importer, and undoes map and pin', () => {
    const at = copying('display');
    at.plays('task/interrupted');
    at.runs('task');
    expect([bufOf(at).pins, attachment(at, 'display').mapping, at.kernel.resvs['bo']?.owner]).toEqual([
      0,
      'none',
      null,
    ]);
  });
  test('B-13: a pin that fails is passed on; -EBUSY although it is attached is a misuse of the exporter', () => {
    const { facts, at } = run([bothAttached, dma_buf_map_attachment_unlocked('display')], {
      pin: 'refuses',
      unpin: 'hooked',
    });
    expect([misuses(facts), attachment(at, 'display').mapping, bufOf(at).pins]).toEqual([['B-13'], 'none', 0]);
  });
  test('B-13: a map that fails is passed on, and undoes the pin', () => {
    const { ret, at } = run([bothAttached, dma_buf_map_attachment_unlocked('display')], {
      dynamic: true,
      map: 'refuses',
    });
    expect([ret, attachment(at, 'display').mapping, bufOf(at).pins]).toEqual(['-EBUSY', 'none', 0]);
  });
  test('10.9, B-43: mapping and unmapping without the reservation is a misuse', () => {
    expect(broken([bothAttached, dma_buf_map_attachment('gpu'), dma_buf_unmap_attachment('gpu')])).toEqual([
      'B-13',
      'B-15',
    ]);
    expect(broken([bothAttached, locked(dma_buf_map_attachment('gpu'), dma_buf_unmap_attachment('gpu'))])).toEqual([]);
  });
  test('B-16: the unlocked variants are not for who holds any reservation', () => {
    expect(run([bothAttached, locked(dma_buf_map_attachment_unlocked('gpu'))]).ret).toMatch(/still waits: task holds/);
    const another = [dma_resv_lock('other'), dma_buf_map_attachment_unlocked('gpu'), dma_resv_unlock('other')];
    expect(broken([bothAttached, another])).toEqual(['W-9']);
  });
  test('B-15: unmapping what is not mapped is a misuse', () => {
    expect(broken([bothAttached, locked(dma_buf_unmap_attachment('gpu'))])).toEqual(['B-15']);
  });
  test('B-18: older kernels map a static importer when it attaches, and keep it pinned until it detaches', () => {
    const older = { static_attach_maps_on_map: false };
    const attached = run(dma_buf_attach('display'), { dynamic: true }, older).at;
    expect([bufOf(attached).pins, attachment(attached, 'display').mapping]).toEqual([1, 'current']);
    const twice = [dma_buf_map_attachment_unlocked('display'), dma_buf_unmap_attachment_unlocked('display')];
    const unmapped = run([dma_buf_attach('display'), twice], { dynamic: true }, older).at;
    expect(bufOf(unmapped).pins).toBe(1);
    const { at, facts } = run([dma_buf_attach('display'), twice, dma_buf_detach('display')], { dynamic: true }, older);
    expect([bufOf(at).pins, attachment(at, 'display').mapping, misuses(facts)]).toEqual([0, 'none', []]);
    expect(bufOf(run(dma_buf_attach('display')).at).pins).toBe(0);
  });
});

describe('move', () => {
  const tell = dma_buf_move_notify('buf');
  const begin = dma_buf_begin_move('buf');
  const finish = dma_buf_finish_move('buf');
  const use = dma_buf_device_access('gpu');
  const mapped: Block = [bothAttached, dma_buf_map_attachment_unlocked('gpu')];
  const accesses = (...lines: Block): (string | null)[] => stale(run([mapped, lines]).facts);

  test('B-20, B-21: every dynamic importer is told, on the stack of the exporter, with the reservation held', () => {
    const { facts } = run([mapped, locked(tell)]);
    expect([witnessed(facts), misuses(facts)]).toEqual([['told to move'], []]);
  });
  test('B-42: telling without the reservation is a misuse', () => {
    expect(broken([mapped, tell])).toEqual(['B-42']);
  });
  test('B-21: a callback that locks the reservation waits for itself', () => {
    const kernel = { ...world(), routines: { ...world().routines, notified: [dma_resv_lock('bo')] } };
    const { ret } = alone([dma_buf_export('buf'), dma_buf_attach('gpu'), locked(tell)], kernel);
    expect(ret).toBe('still waits: task holds the reservation of bo');
  });
  test('B-20, I-15: moving without telling who has it mapped is a misuse', () => {
    expect(broken([mapped, locked(begin, finish)])).toEqual(['B-20']);
    expect(broken([mapped, locked(tell, begin, finish)])).toEqual([]);
    expect(broken([bothAttached, locked(begin, finish)])).toEqual([]);
  });
  test('B-17, I-15: moving what a static importer has mapped is a misuse, pinned or not', () => {
    const maps = [bothAttached, dma_buf_map_attachment_unlocked('display')];
    expect(broken([maps, locked(begin, finish)])).toEqual(['B-12']);
    expect(broken([maps, locked(begin, finish)], {})).toEqual(['I-15']);
  });
  test('B-24: moving without the reservation is a misuse', () => {
    expect(broken([begin, finish])).toEqual(['B-24']);
  });
  test('B-14, I-14: a current mapping is good', () => {
    expect(accesses(use)).toEqual([null]);
  });
  test('B-13, I-14: without a mapping there is nothing to use', () => {
    expect(stale(run([bothAttached, use]).facts)).toEqual(['gpu has no mapping']);
  });
  test('B-21: the importer knows of its mapping what its callback marked, until it maps anew', () => {
    const known = (...lines: Block): string =>
      run([bothAttached, lines, known_mapping('gpu'), set('known', 'ret'), return_('$known')]).ret;
    const map = dma_buf_map_attachment_unlocked('gpu');
    expect(known()).toBe('none');
    expect(known(map)).toBe('good');
    expect(known(map, locked(tell, begin, finish))).toBe('good'); // a callback that marks nothing
    expect(known(map, mark_mapping_stale('gpu'))).toBe('stale');
    expect(known(map, mark_mapping_stale('gpu'), map)).toBe('good');
    expect(known(map, mark_mapping_stale('gpu'), dma_buf_unmap_attachment_unlocked('gpu'))).toBe('none');
  });
  test('B-22: an old mapping is good until the move is over, and not after', () => {
    expect(accesses(locked(tell, begin), use, finish, use)).toEqual([
      null,
      'the mapping of gpu leads to where buf was',
    ]);
  });
  test('B-25: a new mapping is good when the move is over, and not before', () => {
    const remap = [dma_buf_unmap_attachment('gpu'), dma_buf_map_attachment('gpu')];
    expect(accesses(locked(tell, begin, remap), use, finish, use)).toEqual(['the move of buf is not over', null]);
  });
  test('a buffer that was revoked cannot be mapped again, and old mappings go with the storage', () => {
    expect(accesses(locked(tell, dma_buf_revoke('buf')), use, finish, use)).toEqual([
      null,
      'the mapping of gpu leads to where buf was',
    ]);
    const again = locked(tell, dma_buf_revoke('buf'), dma_buf_unmap_attachment('gpu'), dma_buf_map_attachment('gpu'));
    expect(attachment(run([mapped, again]).at, 'gpu').mapping).toBe('none');
    expect(rets([mapped, locked(tell, dma_buf_revoke('buf')), dma_buf_map_attachment_unlocked('gpu')])).toContain(
      '-ENODEV',
    );
  });
  test('B-4, I-16: what is still attached, mapped or pinned is left over', () => {
    const left = (body: Block): readonly string[] => dmaBuf.leftovers?.(run(body).at.kernel) ?? [];
    expect(left([mapped, locked(dma_buf_pin('gpu'))])).toEqual([
      'display is still attached to buf',
      'gpu is still attached to buf',
      'gpu still maps buf',
      'buf is still pinned',
    ]);
    const undone = [dma_buf_unmap_attachment_unlocked('gpu'), dma_buf_detach('gpu'), dma_buf_detach('display')];
    expect(left([mapped, undone])).toEqual([]);
  });
});
