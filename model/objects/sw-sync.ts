/**
 * sw_sync: timelines that user space moves by hand, for tests (drivers/dma-buf/sw_sync.c; SW-1..SW-10).
 *
 * Nothing in the kernel ever signals a point: whoever holds the timeline may never move it. That makes it the generator
 * of indefinite fences, and the best oracle for fences that there is. The numbers are 32 bits wide and wrap.
 */
import { type Block, type KernelObject, type KernelState, instruction, returns } from '../machine.ts';
import { type Kept, flag, fixedName, table, whole } from '../schema.ts';
import { dma_fence_get, putFence } from './fence-release.ts';
import { fenceRow, initialise, pending, seqnoOf } from './fence.ts';
import { dma_fence_set_error, dma_fence_signal_locked } from './fence-signal.ts';
import { call, forever, goto, if_ret, if_var, label, return_, set } from './flow.ts';
import { spin_lock_irqsave, spin_unlock_irqrestore } from './lock.ts';
import { kmalloc } from './memory.ts';
import type { Rows } from './rows.ts';
import { BAD_FD, fd_install, sync_file_create } from './sync-file.ts';

const fields = {
  sw_timelines: table({ value: whole<number>(0), closed: flag }),
  sw_points: table({
    timeline: fixedName('sw_timelines'),
    /** The earliest deadline that anybody asked for (SW-9). */
    deadline: whole<number | null>(null),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type Timeline = Kept<typeof fields>['sw_timelines'][string];
const rowOf = (kernel: KernelState, timeline: string): Timeline => kernel.sw_timelines[timeline] as Timeline;

/** Largest step for which the wrapping comparison still means "later" (SW-4). */
const MOST_AT_ONCE = 0x7fffffff;
/** How much later a is than b, in 32 bits. */
const ahead = (a: number, b: number): number => (a - b) | 0;

/** Rows for a timeline, its lock, and the points that can ever be on it; `counted` points have references. */
export const sw_sync_timeline = (timeline: string, points: number, options: { counted?: true } = {}): Rows => {
  const names = Array.from({ length: points }, (_, at) => `${timeline}.${at + 1}`);
  const each = (row: Readonly<Record<string, unknown>>): Record<string, Record<string, unknown>> =>
    Object.fromEntries(names.map((name) => [name, row]));
  return {
    sw_timelines: { [timeline]: {} },
    locks: { [timeline]: { class: 'sync_timeline', irq: true } },
    fences: each({ context: timeline, lock: timeline, set_deadline: 'sw_sync_set_deadline' }),
    fence_numbers: each({ context: timeline }),
    sw_points: each({ timeline }),
    ...(options.counted ? { fence_refs: each({ release_locks: true }) } : {}),
  };
};
const pointsOf = (kernel: KernelState, timeline: string): string[] =>
  Object.keys(kernel.sw_points).filter((point) => kernel.sw_points[point]?.timeline === timeline);
/** Points on the list, in the order in which they come due. */
const queued = (kernel: KernelState, timeline: string): string[] => {
  const { value } = rowOf(kernel, timeline);
  return pointsOf(kernel, timeline)
    .filter((point) => pending(kernel, point))
    .sort((a, b) => ahead(seqnoOf(kernel, a), value) - ahead(seqnoOf(kernel, b), value));
};

const timeline_checks = instruction('timeline_checks', (timeline: string) => ({ timeline }), {
  text: ({ timeline }) => `/* is ${timeline} an open timeline? */`,
  run: (kernel, me, { timeline }) => {
    const row = kernel.sw_timelines[timeline];
    returns(kernel, me, row && !row.closed ? '0' : '-EBADF');
  },
});
const point_added = instruction('point_added', (timeline: string, value: string) => ({ timeline, value }), {
  text: ({ timeline, value }) => `sync_pt_create(${timeline}, ${value})`,
  run: (kernel, me, { timeline, value }) => {
    const seqno = Number(value) >>> 0;
    const due = ahead(seqno, rowOf(kernel, timeline).value) <= 0;
    const same = due ? undefined : queued(kernel, timeline).find((each) => seqnoOf(kernel, each) === seqno);
    const point = same ?? pointsOf(kernel, timeline).find((each) => !fenceRow(kernel, each).initialised);
    const references = same === undefined ? undefined : kernel.fence_refs[same];
    if (references) references.count += 1;
    if (point !== undefined && same === undefined) {
      initialise(kernel, point, me);
      (kernel.fence_numbers[point] as { seqno: number }).seqno = seqno;
      if (due) Object.assign(fenceRow(kernel, point), { signaled: true, promisedBy: null });
    }
    returns(kernel, me, point ?? 'NULL');
  },
});
/** SW_SYNC_IOC_CREATE_FENCE: a point at this value, behind `file`; born signalled when the value is reached already (SW-2). */
export const sw_sync_create_fence = (timeline: string, value: number | string, file: string): Block => [
  call('sw_sync_ioctl_create_fence', { timeline, value: `${value}`, file }),
];

const value_grows = instruction('value_grows', (timeline: string, by: string) => ({ timeline, by }), {
  text: ({ timeline, by }) => `${timeline}->value += ${by}`,
  run: (kernel, me, { timeline, by }) => {
    const step = Math.min(Number(by), MOST_AT_ONCE);
    const row = rowOf(kernel, timeline);
    row.value = (row.value + step) >>> 0;
    returns(kernel, me, `${Number(by) - step}`);
  },
});
const next_due = instruction('next_due', (timeline: string) => ({ timeline }), {
  text: ({ timeline }) => `/* the next point of ${timeline} that is due */`,
  run: (kernel, me, { timeline }) => {
    const first = queued(kernel, timeline)[0];
    const due = first !== undefined && ahead(seqnoOf(kernel, first), rowOf(kernel, timeline).value) <= 0;
    returns(kernel, me, due ? first : 'none');
  },
});
const next_queued = instruction('next_queued', (timeline: string) => ({ timeline }), {
  text: ({ timeline }) => `/* the next point of ${timeline} */`,
  run: (kernel, me, { timeline }) => {
    rowOf(kernel, timeline).closed = true;
    returns(kernel, me, queued(kernel, timeline)[0] ?? 'none');
  },
});
/** The references that kept the signalled points alive go only now that the lock is left (SW-5). */
const points_put = instruction('points_put', (points: string) => ({ points }), {
  text: ({ points }) => `dma_fence_put(${points.trim()})`,
  run: (kernel, me, { points }) => {
    for (const point of points.split(' ').filter((each) => each !== '')) putFence(kernel, me, point);
    returns(kernel, me, '0');
  },
});
const remember = instruction('remember', (points: string, point: string) => ({ points, point }), {
  text: ({ point }) => `list_add(${point}, &signalled)`,
  local: true,
  run: (kernel, me, { points, point }) => returns(kernel, me, `${points} ${point}`),
});
/** SW_SYNC_IOC_INC: move the timeline on; points are signalled in order, under its lock (SW-4). */
export const sw_sync_inc = (timeline: string, by: number | string): Block => [
  call('sw_sync_ioctl_inc', { timeline, by: `${by}`, signalled: '' }),
];
/** Close the timeline: what is pending ends with -ENOENT (SW-6). */
export const sw_sync_close = (timeline: string): Block => [call('sw_sync_release', { timeline })];

const deadline_kept = instruction('deadline_kept', (fence: string, deadline: string) => ({ fence, deadline }), {
  text: ({ fence, deadline }) => `${fence}->deadline = min(${deadline})`,
  run: (kernel, _me, { fence, deadline }) => {
    const row = kernel.sw_points[fence] as { deadline: number | null };
    row.deadline = Math.min(row.deadline ?? Number(deadline), Number(deadline));
  },
});
/** SW_SYNC_GET_DEADLINE: ret is the earliest deadline; '-ENOENT' when none was set, '-EINVAL' for a foreign fence (SW-9). */
export const sw_sync_get_deadline = instruction('sw_sync_get_deadline', (file: string) => ({ file }), {
  text: ({ file }) => `ioctl(${file}, SW_SYNC_GET_DEADLINE)`,
  touches: ({ file }) => (file === BAD_FD ? [] : [['sync_files', file]]),
  run: (kernel, me, { file }) => {
    const point = kernel.sw_points[kernel.sync_files[file]?.fence ?? ''];
    returns(kernel, me, point ? `${point.deadline ?? '-ENOENT'}` : '-EINVAL');
  },
});

export const swSync: KernelObject = {
  schema: fields,
  ops: [
    timeline_checks,
    point_added,
    value_grows,
    next_due,
    next_queued,
    points_put,
    remember,
    deadline_kept,
    sw_sync_get_deadline,
  ],
  routines: {
    sw_sync_ioctl_create_fence: [
      timeline_checks('$timeline'),
      if_ret('-EBADF', [return_('-EBADF')]),
      kmalloc('GFP_KERNEL', 'sync_pt'),
      spin_lock_irqsave('$timeline'),
      point_added('$timeline', '$value'),
      set('point', 'ret'),
      spin_unlock_irqrestore('$timeline'),
      if_var('point', 'NULL', [return_('-ENOMEM')]),
      sync_file_create('$file', '$point'),
      fd_install('$file'),
      return_('0'),
    ],
    sw_sync_ioctl_inc: [
      timeline_checks('$timeline'),
      if_ret('-EBADF', [return_('-EBADF')]),
      forever([
        spin_lock_irqsave('$timeline'),
        value_grows('$timeline', '$by'),
        set('by', 'ret'),
        label('next'),
        next_due('$timeline'),
        if_ret('none', [goto('unlock')]),
        set('point', 'ret'),
        dma_fence_get('$point'),
        remember('$signalled', '$point'),
        set('signalled', 'ret'),
        dma_fence_signal_locked('$point'),
        goto('next'),
        label('unlock'),
        spin_unlock_irqrestore('$timeline'),
        points_put('$signalled'),
        set('signalled', ''),
        if_var('by', '0', [return_('0')]),
      ]),
    ],
    sw_sync_release: [
      spin_lock_irqsave('$timeline'),
      label('next'),
      next_queued('$timeline'),
      if_ret('none', [goto('unlock')]),
      set('point', 'ret'),
      dma_fence_set_error('$point', '-ENOENT'),
      dma_fence_signal_locked('$point'),
      goto('next'),
      label('unlock'),
      spin_unlock_irqrestore('$timeline'),
      return_('0'),
    ],
    sw_sync_set_deadline: [deadline_kept('$fence', '$deadline')],
  },
};
