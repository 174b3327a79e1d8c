/**
 * What user space and the CPU do with a dma_buf: cpu access, kernel mappings, poll, and its fences as a file
 * (drivers/dma-buf/dma-buf.c; B-26..B-41).
 *
 * None of it keeps others away: a begin waits once, a poll hears of one fence at a time, an export is a snapshot.
 */
import {
  type Block,
  type Frame,
  type KernelObject,
  type KernelState,
  type Thread,
  complain,
  instruction,
  returns,
} from '../machine.ts';
import { type Callback, fencesWait, publish } from './fence.ts';
import { addCallback } from './fence-callback.ts';
import { answering } from './fence-signal.ts';
import { bufRow, convention, exporter_op, of_buf, onBuf } from './dma-buf.ts';
import { dma_fence_get_stub } from './fence-release.ts';
import { dma_fence_unwrap_for_each } from './fence-unwrap.ts';
import { call, goto, if_ret, if_var, label, return_, set } from './flow.ts';
import { kmalloc } from './memory.ts';
import { type Usage, dma_resv_lock, dma_resv_unlock, might_lock_resv, pendingFences } from './resv.ts';
import { addFence, dma_resv_reserve_fences } from './resv-fences.ts';
import { dma_resv_get_singleton } from './resv-copy.ts';
import { dma_resv_wait_interruptible } from './resv-wait.ts';
import { fd_install, sync_file_fence, sync_file_holds } from './sync-file.ts';

const varsOf = (kernel: KernelState, me: string): Record<string, string> =>
  ((kernel.threads[me] as Thread).frames.at(-1) as Frame).vars;
/** What a reader, and what a writer, must wait for: dma_resv_usage_rw (9.8). */
const usageRw = (writes: boolean): Usage => (writes ? 'READ' : 'WRITE');

export type Direction = 'from device' | 'to device' | 'bidirectional';
const cpu_checks = instruction('dma_buf_cpu_access', (buf: string, which: 'begin' | 'end') => ({ buf, which }), {
  text: ({ buf, which }) => `dma_buf_${which}_cpu_access(${buf})`,
  touches: onBuf,
  run: (kernel, me, { buf, which }) =>
    convention(kernel, me, buf, `dma_buf_${which}_cpu_access`, which === 'begin' ? 'B-26' : 'B-27', 'not held'),
});
/**
 * Before the CPU reads or writes: the exporter first, then a wait for what stands there now, interruptible and without
 * end. It excludes nobody afterwards, and explicit work is not waited for (B-26, B-28). ret '0' or '-ERESTARTSYS'.
 */
export const dma_buf_begin_cpu_access = (buf: string, direction: Direction): Block => [
  call('dma_buf_begin_cpu_access', { buf, usage: usageRw(direction !== 'from device') }),
];
export const dma_buf_end_cpu_access = (buf: string): Block => [call('dma_buf_end_cpu_access', { buf })];

const sync_flags = instruction('dma_buf_sync_flags', (buf: string, flags: string) => ({ buf, flags }), {
  text: ({ buf, flags }) => `ioctl(${buf}, DMA_BUF_IOCTL_SYNC, ${flags})`,
  touches: onBuf,
  run: (kernel, me, { flags }) => {
    const bits = flags.split(' ');
    const odd = bits.some((bit) => !['READ', 'WRITE', 'END'].includes(bit));
    const writes = bits.includes('WRITE');
    if (odd || !(writes || bits.includes('READ'))) return returns(kernel, me, '-EINVAL');
    varsOf(kernel, me)['usage'] = usageRw(writes);
    returns(kernel, me, bits.includes('END') ? 'end' : 'begin');
  },
});
/** DMA_BUF_IOCTL_SYNC: READ, WRITE or both, and END for the closing bracket; else '-EINVAL' (B-29). */
export const dma_buf_ioctl_sync = (buf: string, flags: readonly string[]): Block => [
  call('dma_buf_ioctl_sync', { buf, flags: flags.join(' ') }),
];

/** Map it for the kernel, reservation held; nested mappings are counted (B-30). */
export const dma_buf_vmap = instruction('dma_buf_vmap', (buf: string) => ({ buf }), {
  text: ({ buf }) => `dma_buf_vmap(${buf})`,
  touches: onBuf,
  run: (kernel, me, { buf }) => {
    convention(kernel, me, buf, 'dma_buf_vmap', 'B-30', 'held');
    bufRow(kernel, buf).vmaps += 1;
    returns(kernel, me, '0');
  },
});
export const dma_buf_vunmap = instruction('dma_buf_vunmap', (buf: string) => ({ buf }), {
  text: ({ buf }) => `dma_buf_vunmap(${buf})`,
  touches: onBuf,
  run: (kernel, me, { buf }) => {
    convention(kernel, me, buf, 'dma_buf_vunmap', 'B-30', 'held');
    const row = bufRow(kernel, buf);
    if (row.vmaps > 0) row.vmaps -= 1;
    else complain(kernel, me, 'B-30', `${me} unmaps ${buf}, which the kernel has not mapped`);
  },
});
/** Map it into a process: ret '0', or '-EINVAL' beyond its end; reservation not held (B-31). */
export const dma_buf_mmap = instruction('dma_buf_mmap', (buf: string, pages: number = 1) => ({ buf, pages }), {
  text: ({ buf, pages }) => `dma_buf_mmap(${buf}, ${pages})`,
  touches: onBuf,
  run: (kernel, me, { buf, pages }) => {
    convention(kernel, me, buf, 'dma_buf_mmap', 'B-31', 'not held');
    returns(kernel, me, pages > bufRow(kernel, buf).size ? '-EINVAL' : '0');
  },
});

export type PollEvent = 'in' | 'out';
const armed = (kernel: KernelState, buf: string, event: PollEvent): string | null =>
  bufRow(kernel, buf)[event === 'in' ? 'poll_in' : 'poll_out'];
function setArmed(kernel: KernelState, buf: string, event: PollEvent, fence: string | null): void {
  bufRow(kernel, buf)[event === 'in' ? 'poll_in' : 'poll_out'] = fence;
}
const waker = (buf: string, event: PollEvent): Callback => ({ routine: 'dma_buf_poll_cb', vars: { buf, event } });
/** Under the reservation: busy, armed on the first fence that takes a callback, or ready (B-33..B-35). */
const poll_arms = instruction('dma_buf_poll_arms', (buf: string, event: PollEvent) => ({ buf, event }), {
  text: ({ buf, event }) => `dma_buf_poll_add_cb(${buf}, ${event})`,
  touches: onBuf,
  run: (kernel, me, { buf, event }) => {
    const busy = armed(kernel, buf, event) !== null;
    const [first] = busy ? [] : pendingFences(kernel, bufRow(kernel, buf).resv, usageRw(event === 'out'));
    answering(kernel, me, busy || first !== undefined ? '0' : '1', () => {
      if (first === undefined) return;
      setArmed(kernel, buf, event, first);
      addCallback(kernel, me, first, waker(buf, event));
    });
  },
});
const poll_checks = instruction('dma_buf_poll_checks', (buf: string, event: PollEvent) => ({ buf, event }), {
  text: ({ buf, event }) => `poll(${buf}, ${event})`,
  local: true,
  touches: onBuf,
  run: (kernel, me, { buf }) => convention(kernel, me, buf, 'poll', 'B-32', 'not held'),
});
const poll_wakes = instruction('dma_buf_poll_wakes', (buf: string, event: PollEvent) => ({ buf, event }), {
  text: ({ buf }) => `wake_up_locked_poll(&${buf}->poll)`,
  local: true,
  run: (kernel, _me, { buf, event }) => setArmed(kernel, buf, event, null),
});
const poll_sleeps = instruction('dma_buf_poll_sleeps', (buf: string, event: PollEvent) => ({ buf, event }), {
  text: ({ buf, event }) => `poll_schedule_timeout(${buf}, ${event})`,
  touches: onBuf,
  waits: (kernel, _me, { buf, event }) => {
    const fence = armed(kernel, buf, event);
    return fence === null ? undefined : fencesWait(kernel, [fence], { interruptible: 'interrupted' });
  },
  run: (kernel, me, _operands, outcome) => returns(kernel, me, outcome === 'interrupted' ? '-EINTR' : '0'),
});
/** Poll once: ret '1' or '0'. Takes the reservation, so it must not be held (B-32, B-34). */
export const dma_buf_poll = (buf: string, event: PollEvent): Block => [call('dma_buf_poll', { buf, event })];
/** Sleep until it is ready, one fence after the other: ret '1' or '-EINTR' (B-35). */
export const dma_buf_poll_wait = (buf: string, event: PollEvent): Block => [call('dma_buf_poll_wait', { buf, event })];

const ioctl_flags = instruction(
  'dma_buf_sync_file_flags',
  (buf: string, flags: string, what: 'EXPORT' | 'IMPORT') => ({ buf, flags, what }),
  {
    text: ({ buf, flags, what }) => `ioctl(${buf}, DMA_BUF_IOCTL_${what}_SYNC_FILE, ${flags})`,
    touches: onBuf,
    run: (kernel, me, { flags, what }) => {
      const bits = flags.split(' ');
      const good = bits.every((bit) => bit === 'READ' || bit === 'WRITE');
      const writes = bits.includes('WRITE');
      if (good) varsOf(kernel, me)['usage'] = what === 'EXPORT' ? usageRw(writes) : writes ? 'WRITE' : 'READ';
      returns(kernel, me, good ? '0' : '-EINVAL');
    },
  },
);
/** DMA_BUF_IOCTL_EXPORT_SYNC_FILE: what a reader or a writer would wait for now, behind `file`: ret '0' or an error (B-37). */
export const dma_buf_export_sync_file = (buf: string, flags: readonly ('READ' | 'WRITE')[], file: string): Block => [
  call('dma_buf_export_sync_file', { buf, file, flags: flags.join(' ') }),
];
/** DMA_BUF_IOCTL_IMPORT_SYNC_FILE: every leaf of the file's fence, as a reader's or a writer's (B-38..B-41). */
export const dma_buf_import_sync_file = (buf: string, flags: readonly ('READ' | 'WRITE')[], file: string): Block => [
  call('dma_buf_import_sync_file', { buf, file, flags: flags.join(' ') }),
];
const count_leaves = instruction('dma_buf_count_leaves', (leaves: string) => ({ leaves }), {
  text: () => 'num_fences',
  local: true,
  run: (kernel, me, { leaves }) => {
    varsOf(kernel, me)['count'] = String(leaves.split(' ').filter((each) => each !== '').length);
  },
});
const add_leaves = instruction(
  'dma_buf_add_leaves',
  (resv: string, leaves: string, usage: string) => ({ resv, leaves, usage }),
  {
    text: ({ resv, leaves, usage }) => `dma_resv_add_fence(${resv}, { ${leaves} }, ${usage})`,
    touches: ({ resv }) => [['resvs', resv]],
    run: (kernel, me, { resv, leaves, usage }) => {
      for (const fence of leaves.split(' ')) {
        addFence(kernel, me, resv, fence, usage as Usage);
        publish(kernel, me, fence);
      }
      returns(kernel, me, '0');
    },
  },
);

const notZero = (): Block => [if_ret('0', [], [return_('ret')])];
export const dmaBufAccess: KernelObject = {
  ops: [
    cpu_checks,
    sync_flags,
    dma_buf_vmap,
    dma_buf_vunmap,
    dma_buf_mmap,
    poll_arms,
    poll_checks,
    poll_wakes,
    poll_sleeps,
    ioctl_flags,
    count_leaves,
    add_leaves,
  ],
  routines: {
    dma_buf_begin_cpu_access: [
      of_buf('$buf'),
      cpu_checks('$buf', 'begin'),
      might_lock_resv('$resv'),
      exporter_op('$buf', 'begin_cpu_access'),
      notZero(),
      dma_resv_wait_interruptible('$resv', '$usage' as Usage),
      return_('ret'),
    ],
    dma_buf_end_cpu_access: [
      of_buf('$buf'),
      cpu_checks('$buf', 'end'),
      might_lock_resv('$resv'),
      exporter_op('$buf', 'end_cpu_access'),
      return_('ret'),
    ],
    dma_buf_ioctl_sync: [
      sync_flags('$buf', '$flags'),
      if_ret('begin', [call('dma_buf_begin_cpu_access', { buf: '$buf', usage: '$usage' }), return_('ret')]),
      if_ret('end', [call('dma_buf_end_cpu_access', { buf: '$buf' })]),
      return_('ret'),
    ],
    dma_buf_poll: [
      of_buf('$buf'),
      poll_checks('$buf', '$event' as PollEvent),
      dma_resv_lock('$resv'),
      poll_arms('$buf', '$event' as PollEvent),
      set('ready', 'ret'),
      dma_resv_unlock('$resv'),
      return_('$ready'),
    ],
    dma_buf_poll_wait: [
      label('again'),
      call('dma_buf_poll', { buf: '$buf', event: '$event' }),
      if_ret('1', [return_('1')]),
      poll_sleeps('$buf', '$event' as PollEvent),
      if_ret('-EINTR', [return_('-EINTR')]),
      goto('again'),
    ],
    dma_buf_poll_cb: [poll_wakes('$buf', '$event' as PollEvent)],
    dma_buf_export_sync_file: [
      of_buf('$buf'),
      ioctl_flags('$buf', '$flags', 'EXPORT'),
      notZero(),
      dma_resv_get_singleton('$resv', '$usage' as Usage),
      if_ret('-ENOMEM', [return_('-ENOMEM')]),
      if_ret('NULL', [dma_fence_get_stub()]),
      set('fence', 'ret'),
      kmalloc('GFP_KERNEL', 'sync_file'),
      notZero(),
      sync_file_holds('$file', '$fence'),
      fd_install('$file'),
      return_('0'),
    ],
    dma_buf_import_sync_file: [
      of_buf('$buf'),
      ioctl_flags('$buf', '$flags', 'IMPORT'),
      notZero(),
      sync_file_fence('$file'),
      set('fence', 'ret'),
      if_var('fence', 'NULL', [return_('-EINVAL')]),
      dma_fence_unwrap_for_each('$fence'),
      set('leaves', 'ret'),
      count_leaves('$leaves'),
      dma_resv_lock('$resv'),
      dma_resv_reserve_fences('$resv', '$count'),
      if_ret('0', [add_leaves('$resv', '$leaves', '$usage')]),
      set('result', 'ret'),
      dma_resv_unlock('$resv'),
      return_('$result'),
    ],
  },
};
