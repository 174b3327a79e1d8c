/**
 * sync_file: one fence behind a file descriptor, for its whole life (drivers/dma-buf/sync_file.c; SF-1..SF-11).
 *
 * The files that can ever exist are declared by name. Where user space may pass anything, BAD_FD stands for a number
 * behind which there is no sync_file.
 */
import { type Block, type KernelObject, type KernelState, instruction, returns } from '../machine.ts';
import { type Kept, flag, maybe, name, table } from '../schema.ts';
import { polls } from './fence-container.ts';
import { dma_fence_set_deadline } from './fence-deadline.ts';
import { dma_fence_unwrap_merge, leaves } from './fence-unwrap.ts';
import { type Callback, fenceRow, fencesWait, pending, publish, signalFence } from './fence.ts';
import { addCallback, removeCallback } from './fence-callback.ts';
import { answering } from './fence-signal.ts';
import { call, if_ret, if_var, return_, set } from './flow.ts';
import { kmalloc } from './memory.ts';

const fields = {
  sync_files: table({
    fence: maybe(name('fences')),
    /** Somebody polled it: its one callback is on the fence. */
    polled: flag,
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
export const BAD_FD = '-1';
const onFile = ({ file }: { file: string }): (readonly [string, string])[] =>
  file === BAD_FD ? [] : [['sync_files', file]];
const fenceOf = (kernel: KernelState, file: string): string | null => kernel.sync_files[file]?.fence ?? null;
const rowOf = (kernel: KernelState, file: string): KernelState['sync_files'][string] =>
  kernel.sync_files[file] as KernelState['sync_files'][string];

/** The file holds this fence from now on; no step of its own decides anything. */
export const sync_file_holds = instruction('sync_file_holds', (file: string, fence: string) => ({ file, fence }), {
  text: ({ file, fence }) => `${file}->fence = dma_fence_get(${fence})`,
  touches: ({ file, fence }) => [
    ['sync_files', file],
    ['fences', fence],
  ],
  run: (kernel, me, { file, fence }) => {
    Object.assign(rowOf(kernel, file), { fence, polled: false });
    returns(kernel, me, '0');
  },
});
/** Make a file for this fence; nobody else can reach it yet (SF-1). */
export const sync_file_create = (file: string, fence: string): Block => [
  kmalloc('GFP_KERNEL', 'sync_file'),
  sync_file_holds(file, fence),
];
/** Hand the file to user space, which publishes its fence: from here it must signal (SF-3). */
export const fd_install = instruction('fd_install', (file: string) => ({ file }), {
  text: ({ file }) => `fd_install(${file})`,
  touches: onFile,
  run: (kernel, me, { file }) => {
    const fence = fenceOf(kernel, file);
    if (fence !== null) publish(kernel, me, fence);
    returns(kernel, me, '0');
  },
});
/** The fence behind a descriptor: ret is its name, or 'NULL' (SF-2). */
export const sync_file_fence = instruction('sync_file_fence', (file: string) => ({ file }), {
  text: ({ file }) => `sync_file_get_fence(${file})`,
  touches: onFile,
  run: (kernel, me, { file }) => returns(kernel, me, fenceOf(kernel, file) ?? 'NULL'),
});

const waker = (file: string): Callback => ({ routine: 'sync_file_wakes', vars: { file } });
/** Poll: ret '1' or '0'. The first poll ever asks the fence for its signal (SF-4, SF-5). */
export const sync_file_poll = instruction('sync_file_poll', (file: string) => ({ file }), {
  text: ({ file }) => `poll(${file}, 0)`,
  touches: onFile,
  run: (kernel, me, { file }) => {
    const fence = fenceOf(kernel, file);
    if (fence === null) {
      returns(kernel, me, '-EBADF');
      return;
    }
    const over = polls(kernel, fence);
    answering(kernel, me, over ? '1' : '0', () => {
      if (over && pending(kernel, fence)) signalFence(kernel, me, fence);
      if (over || rowOf(kernel, file).polled) return;
      rowOf(kernel, file).polled = true;
      addCallback(kernel, me, fence, waker(file));
    });
  },
});
const poll_sleeps = instruction('poll_sleeps', (file: string, timeout: 'HZ' | 'MAX') => ({ file, timeout }), {
  text: ({ file, timeout }) => `poll(${file}, ${timeout})`,
  touches: onFile,
  waits: (kernel, _me, { file, timeout }) => {
    const fence = fenceOf(kernel, file);
    const how = { interruptible: 'interrupted', ...(timeout === 'HZ' ? { bounded: 'times out' } : {}) };
    return fence === null ? undefined : fencesWait(kernel, [fence], how);
  },
  run: (kernel, me, _operands, outcome) =>
    returns(kernel, me, outcome === 'interrupted' ? '-EINTR' : outcome === 'times out' ? '-ETIME' : '0'),
});
/** As user space waits for a fence: ret '0', '-ETIME' or '-EINTR'. A timeout of 0 only polls. */
export const sync_wait = (file: string, timeout: '0' | 'HZ' | 'MAX' = 'MAX'): Block => [
  sync_file_poll(file),
  if_ret(
    '0',
    [timeout === '0' ? return_code('-ETIME') : poll_sleeps(file, timeout)],
    [if_ret('1', [return_code('0')])],
  ),
];
const return_code_op = instruction('return_code', (value: string) => ({ value }), {
  text: ({ value }) => `ret = ${value}`,
  local: true,
  run: (kernel, me, { value }) => returns(kernel, me, value),
});
const return_code = (value: string) => return_code_op(value);

/** The last close: the callback goes, then the reference (SF-6). */
export const sync_file_release = instruction('sync_file_release', (file: string) => ({ file }), {
  text: ({ file }) => `close(${file})`,
  touches: onFile,
  run: (kernel, _me, { file }) => {
    const fence = fenceOf(kernel, file);
    if (fence !== null && rowOf(kernel, file).polled) removeCallback(kernel, fence, waker(file));
    Object.assign(rowOf(kernel, file), { fence: null, polled: false });
  },
});

const merge_checks = instruction('merge_checks', (a: string, b: string, flags: string) => ({ a, b, flags }), {
  text: ({ a, b }) => `ioctl(${a}, SYNC_IOC_MERGE, ${b})`,
  run: (kernel, me, { a, b, flags }) => {
    if (fenceOf(kernel, a) === null) returns(kernel, me, '-EBADF');
    else if (flags !== '0') returns(kernel, me, '-EINVAL');
    else returns(kernel, me, fenceOf(kernel, b) === null ? '-ENOENT' : '0');
  },
});
/** SYNC_IOC_MERGE: `into` holds one fence for those of `a` and `b`, which stay as they are (SF-7). */
export const sync_file_merge = (into: string, a: string, b: string, flags = '0'): Block => [
  call('sync_file_ioctl_merge', { into, a, b, flags }),
];

const statusOf = (kernel: KernelState, leaf: string): string =>
  polls(kernel, leaf) ? (fenceRow(kernel, leaf).error ?? '1') : '0';
/** SYNC_IOC_FILE_INFO: ret is the number of leaves, the status of all, and with room for them the status of each (SF-8, SF-9). */
export const sync_file_info = instruction(
  'sync_file_info',
  (file: string, room: number = 0, flags: string = '0') => ({ file, room, flags }),
  {
    text: ({ file, room }) => `ioctl(${file}, SYNC_IOC_FILE_INFO, ${room})`,
    touches: onFile,
    run: (kernel, me, { file, room, flags }) => {
      const fence = fenceOf(kernel, file);
      if (fence === null || flags !== '0') {
        returns(kernel, me, fence === null ? '-EBADF' : '-EINVAL');
        return;
      }
      const each = leaves(kernel, fence).map((leaf) => statusOf(kernel, leaf));
      const all = each.find((status) => status !== '1') ?? '1';
      if (room === 0) returns(kernel, me, `${each.length} ${all}`);
      else returns(kernel, me, room < each.length ? '-EINVAL' : `${each.length} ${all}: ${each.join(' ')}`);
    },
  },
);
/** SYNC_IOC_SET_DEADLINE (SF-10). */
export const sync_file_set_deadline = (file: string, deadline: number): Block => [
  call('sync_file_ioctl_set_deadline', { file, deadline: `${deadline}` }),
];

const sync_file_wakes = instruction('sync_file_wakes', (file: string) => ({ file }), {
  text: ({ file }) => `wake_up_all(&${file}->wq)`,
  local: true,
  run: () => {},
});

export const syncFile: KernelObject = {
  schema: fields,
  ops: [
    sync_file_holds,
    fd_install,
    sync_file_fence,
    sync_file_poll,
    poll_sleeps,
    return_code_op,
    sync_file_release,
    merge_checks,
    sync_file_info,
    sync_file_wakes,
  ],
  routines: {
    sync_file_wakes: [sync_file_wakes('$file')],
    sync_file_ioctl_merge: [
      merge_checks('$a', '$b', '$flags'),
      if_ret(['-EBADF', '-EINVAL', '-ENOENT'], [return_('ret')]),
      kmalloc('GFP_KERNEL', 'sync_file'),
      sync_file_fence('$a'),
      set('first', 'ret'),
      sync_file_fence('$b'),
      set('second', 'ret'),
      dma_fence_unwrap_merge('$first', '$second'),
      set('merged', 'ret'),
      if_var('merged', 'NULL', [return_('-ENOMEM')]),
      sync_file_holds('$into', '$merged'),
      fd_install('$into'),
      return_('0'),
    ],
    sync_file_ioctl_set_deadline: [
      sync_file_fence('$file'),
      set('fence', 'ret'),
      if_var('fence', 'NULL', [return_('-EBADF')]),
      dma_fence_set_deadline('$fence', '$deadline'),
      return_('0'),
    ],
  },
};
