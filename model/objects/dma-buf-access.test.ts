import { describe, expect, test } from 'vitest';
import { type Kernel, may, must } from '../design.ts';
import type { Block, Fact } from '../machine.ts';
import { type Stage, alone, misuses, stage, witnessed } from '../stage.ts';
import {
  type Usage,
  USAGES,
  dma_buf_begin_cpu_access,
  dma_buf_end_cpu_access,
  dma_buf_export,
  dma_buf_export_sync_file,
  dma_buf_import_sync_file,
  dma_buf_ioctl_sync,
  dma_buf_mmap,
  dma_buf_poll,
  dma_buf_poll_wait,
  dma_buf_put,
  dma_buf_vmap,
  dma_buf_vunmap,
  dma_fence_array_init,
  dma_fence_init,
  dma_fence_signal,
  dma_fence_stub,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  exporter,
  fd_install,
  fence_arrays,
  return_,
  sync_file_holds,
  witness,
  work_a_while,
} from './index.ts';

const STEP = work_a_while('looks around');
const arrays = fence_arrays('many', 'given');
const world = (ops: Parameters<typeof exporter>[1] = {}): Omit<Kernel, 'threads'> => ({
  objects: {
    resvs: { bo: {} },
    fences: { f: {}, g: {}, stub: dma_fence_stub, ...arrays['fences'] },
    containers: arrays['containers'] as Record<string, Record<string, unknown>>,
    dma_bufs: { buf: exporter('bo', ops) },
    sync_files: { out: {}, in: {} },
  },
  routines: { refuses: [return_('-EBUSY')], hooked: [witness('the exporter is called'), return_('0')] },
});
const locked = (...lines: Block): Block => [dma_resv_lock('bo'), lines, dma_resv_unlock('bo')];
const put = (fence: string, usage: Usage): Block => [
  dma_fence_init(fence, `owner_of_${fence}`),
  locked(dma_resv_reserve_fences('bo'), dma_resv_add_fence('bo', fence, usage)),
];
/** f and g stand on the buffer as told; the task then does this. */
function played(fences: Readonly<Record<string, Usage>>, body: Block, ops?: Parameters<typeof exporter>[1]): Stage {
  const setup = [dma_buf_export('buf'), Object.entries(fences).map(([fence, usage]) => put(fence, usage))];
  const at = stage({
    ...world(ops),
    threads: {
      owner_of_f: may([dma_fence_signal('f')]),
      owner_of_g: may([dma_fence_signal('g')]),
      setup: must(setup),
      task: may(body),
    },
  });
  at.runs('setup');
  return at;
}
const rets = (facts: readonly Fact[]): string[] =>
  facts.flatMap((fact) => (fact.kind === 'returned' && fact.to === 'nobody' ? [fact.ret] : []));
const broken = (body: Block): string[] => misuses(alone(body, world()).facts);

describe('cpu access', () => {
  const waitsFor = (body: Block): Usage[] =>
    USAGES.filter((usage) => {
      const at = played({ f: usage }, body);
      at.runs('task');
      return at.because('task') === 'owner_of_f has yet to signal f';
    });
  test('B-26: before reading it waits for writers, before writing for readers too, and never for explicit work', () => {
    expect(waitsFor(dma_buf_begin_cpu_access('buf', 'from device'))).toEqual(['KERNEL', 'WRITE']);
    expect(waitsFor(dma_buf_begin_cpu_access('buf', 'to device'))).toEqual(['KERNEL', 'WRITE', 'READ']);
    expect(waitsFor(dma_buf_begin_cpu_access('buf', 'bidirectional'))).toEqual(['KERNEL', 'WRITE', 'READ']);
  });
  test('B-26: a signal ends the wait', () => {
    const at = played({ f: 'WRITE' }, [dma_buf_begin_cpu_access('buf', 'from device')]);
    at.runs('task');
    expect(rets(at.plays('task/interrupted'))).toEqual(['-ERESTARTSYS']);
  });
  test('B-26: the exporter comes first, and its error is passed on without a wait', () => {
    const at = played({ f: 'WRITE' }, [dma_buf_begin_cpu_access('buf', 'from device')], {
      begin_cpu_access: 'refuses',
    });
    expect(rets(at.runs('task'))).toEqual(['-EBUSY']);
  });
  test('B-26, B-27: neither is for who holds the reservation', () => {
    expect(broken(locked(dma_buf_begin_cpu_access('buf', 'from device')))).toEqual(['B-26']);
    expect(broken(locked(dma_buf_end_cpu_access('buf')))).toEqual(['B-27']);
  });
  test('B-27: the end is only the exporter: it waits for nothing', () => {
    const at = played({ f: 'KERNEL' }, [dma_buf_end_cpu_access('buf')], { end_cpu_access: 'hooked' });
    const facts = at.runs('task');
    expect([rets(facts), witnessed(facts)]).toEqual([['0'], ['the exporter is called']]);
  });
  test('B-28: it waits once: who comes afterwards is not kept away', () => {
    const at = played({ f: 'WRITE' }, [dma_buf_begin_cpu_access('buf', 'from device'), STEP]);
    at.runs('task');
    at.plays('owner_of_f', 'task');
    expect(at.kernel.resvs['bo']?.owner).toBeNull();
  });
  test('B-29: the ioctl: READ, WRITE or both, begin or END; anything else is -EINVAL', () => {
    expect(waitsFor(dma_buf_ioctl_sync('buf', ['READ']))).toEqual(['KERNEL', 'WRITE']);
    expect(waitsFor(dma_buf_ioctl_sync('buf', ['WRITE']))).toEqual(['KERNEL', 'WRITE', 'READ']);
    expect(waitsFor(dma_buf_ioctl_sync('buf', ['READ', 'WRITE']))).toEqual(['KERNEL', 'WRITE', 'READ']);
    expect(waitsFor(dma_buf_ioctl_sync('buf', ['READ', 'END']))).toEqual([]);
    for (const flags of [['END'], [], ['READ', 'SOON']])
      expect(alone(dma_buf_ioctl_sync('buf', flags), world()).ret).toBe('-EINVAL');
  });
});

describe('mappings of the kernel and of processes', () => {
  test('B-30: nested mappings are counted, and one too many undone is a misuse', () => {
    const twice = [dma_buf_vmap('buf'), dma_buf_vmap('buf')];
    const { at } = alone(locked(twice, dma_buf_vunmap('buf')), world());
    expect(at.kernel.dma_bufs['buf']?.vmaps).toBe(1);
    expect(broken(locked(twice, dma_buf_vunmap('buf'), dma_buf_vunmap('buf')))).toEqual([]);
    expect(broken(locked(dma_buf_vmap('buf'), dma_buf_vunmap('buf'), dma_buf_vunmap('buf')))).toEqual(['B-30']);
  });
  test('B-30: both need the reservation', () => {
    expect(broken([dma_buf_vmap('buf'), dma_buf_vunmap('buf')])).toEqual(['B-30', 'B-30']);
  });
  test('B-31: mmap: not beyond the end, and not with the reservation held', () => {
    expect(alone([dma_buf_mmap('buf', 1)], world()).ret).toBe('0');
    expect(alone([dma_buf_mmap('buf', 2)], world()).ret).toBe('-EINVAL');
    expect(alone([dma_buf_mmap('buf', 2)], world({ size: 2 })).ret).toBe('0');
    expect(broken(locked(dma_buf_mmap('buf')))).toEqual(['B-31']);
  });
});

describe('poll', () => {
  const ready = (usage: Usage, event: 'in' | 'out'): string | undefined =>
    rets(played({ f: usage }, dma_buf_poll('buf', event)).runs('task'))[0];
  test('B-34: IN looks at writers, OUT at readers too', () => {
    expect(USAGES.map((usage) => ready(usage, 'in'))).toEqual(['0', '0', '1', '1']);
    expect(USAGES.map((usage) => ready(usage, 'out'))).toEqual(['0', '0', '0', '1']);
  });
  test('B-35: nothing pending: ready at once', () => {
    expect(rets(played({}, dma_buf_poll('buf', 'out')).runs('task'))).toEqual(['1']);
  });
  test('B-35: it hears of one fence at a time, and arms on the next when that has signalled', () => {
    const at = played({ f: 'WRITE', g: 'WRITE' }, dma_buf_poll_wait('buf', 'in'));
    at.runs('task');
    expect(at.because('task')).toBe('owner_of_f has yet to signal f');
    at.runs('owner_of_f');
    at.runs('task');
    expect(at.because('task')).toBe('owner_of_g has yet to signal g');
    at.runs('owner_of_g');
    expect(rets(at.runs('task'))).toEqual(['1']);
  });
  test('B-33: one callback for each direction: a second poller finds it busy, not ready', () => {
    const at = played({ f: 'WRITE' }, [
      dma_buf_poll('buf', 'in'),
      dma_buf_poll('buf', 'in'),
      dma_buf_poll('buf', 'out'),
    ]);
    at.runs('task');
    expect(at.kernel.fences['f']?.callbacks.map(({ vars }) => vars['event'])).toEqual(['in', 'out']);
  });
  test('B-32: polling is not for who holds the reservation', () => {
    expect(broken(locked(dma_buf_poll('buf', 'in')))).toEqual(['B-32']);
  });
  test('B-36: an armed poll holds the file: the release comes after the callback', () => {
    const at = played({ f: 'WRITE' }, [dma_buf_poll('buf', 'in'), dma_buf_put('buf')], { release: 'hooked' });
    expect(witnessed(at.runs('task'))).toEqual([]);
    expect(at.because('task')).toBe('somebody polls buf until f signals');
    at.runs('owner_of_f');
    expect(witnessed(at.runs('task'))).toEqual(['the exporter is called']);
  });
});

describe('its fences as a file', () => {
  const exports = (fences: Readonly<Record<string, Usage>>, flags: readonly ('READ' | 'WRITE')[]): string | null => {
    const at = played(fences, dma_buf_export_sync_file('buf', flags, 'out'));
    at.runs('task');
    return at.kernel.sync_files['out']?.fence ?? null;
  };
  test('B-37: export: what a reader or a writer would wait for, now: the stub, the only one, or an array', () => {
    expect(exports({}, ['READ'])).toBe('stub');
    expect(exports({ f: 'READ' }, ['READ'])).toBe('stub');
    expect(exports({ f: 'READ' }, ['WRITE'])).toBe('f');
    expect(exports({ f: 'WRITE', g: 'BOOKKEEP' }, ['READ'])).toBe('f');
    expect(exports({ f: 'WRITE', g: 'READ' }, ['READ', 'WRITE'])).toBe('many');
  });
  test('B-37, B-38: other flags, or none, are -EINVAL', () => {
    for (const body of [dma_buf_export_sync_file('buf', [], 'out'), dma_buf_import_sync_file('buf', [], 'in')])
      expect(alone(body, world()).ret).toBe('-EINVAL');
  });
  /** A file with f and g behind it, imported like this. */
  const imports = (flags: readonly ('READ' | 'WRITE')[], before: Readonly<Record<string, Usage>> = {}): Stage => {
    const given = [
      dma_fence_init('f', 'owner_of_f'),
      dma_fence_init('g', 'owner_of_g'),
      dma_fence_array_init('given', ['f', 'g']),
      sync_file_holds('in', 'given'),
      fd_install('in'),
    ];
    return played(before, [
      Object.keys(before).length > 0 ? [sync_file_holds('in', 'f')] : given,
      dma_buf_import_sync_file('buf', flags, 'in'),
    ]);
  };
  const slots = (at: Stage): string[] =>
    (at.kernel.resvs['bo']?.fences ?? []).map(({ fence, usage }) => `${fence} ${usage}`);
  test('B-38: import: every leaf, as a writer or as a reader', () => {
    const write = imports(['WRITE']);
    const facts = write.runs('task');
    expect([rets(facts), misuses(facts), slots(write)]).toEqual([['0'], [], ['f WRITE', 'g WRITE']]);
    const read = imports(['READ']);
    read.runs('task');
    expect(slots(read)).toEqual(['f READ', 'g READ']);
  });
  test('B-38: nothing behind the descriptor: -EINVAL', () => {
    expect(alone(dma_buf_import_sync_file('buf', ['READ'], 'in'), world()).ret).toBe('-EINVAL');
  });
  test('B-40: importing promotes the fence of explicit work', () => {
    const at = imports(['WRITE'], { f: 'BOOKKEEP' });
    at.runs('task');
    expect(slots(at)).toEqual(['f WRITE']);
  });
});
