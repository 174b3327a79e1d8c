/**
 * The OOM reaper: takes the memory of a victim that does not exit (mm/oom_kill.c; rules A6.2..A6.4, A9.5, A9.8).
 *
 * It may not wait for anybody: mmap_lock only by trylock, notifiers non-blockable. What refuses is skipped and tried
 * again, and after so many attempts the killer may choose somebody else.
 */
import { type Frame, type KernelObject, type Thread, type ThreadSpec, instruction, note, returns } from '../machine.ts';
import { type Kept, table } from '../schema.ts';
import { next_range } from './exit.ts';
import { count_down, forever, goto, label, quietly_if_ret, quietly_if_var, set } from './flow.ts';
import { down_read_trylock, up_read } from './lock.ts';
import { invalidate_range_nonblockable } from './mmu-notifier.ts';
import { oomVictims, processRow } from './oom.ts';
import { isPinned } from './user-pages.ts';

/** Attempts, 100 ms apart (A6.2). */
const MAX_OOM_REAP_RETRIES = 10;
const fields = { oom_reapers: table({}) };
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}

/** Idle until somebody is killed; then it gives the victim two seconds to exit by itself (A6.2). */
const oom_reap_begin = instruction('oom_reap_begin', (reaper: string, attempts: number) => ({ reaper, attempts }), {
  text: () => 'wake_oom_reaper()',
  time: true,
  waits: (kernel, _me, { reaper }) =>
    oomVictims(kernel).length > 0
      ? undefined
      : { on: 'work', object: reaper, owedBy: [], because: `${reaper} has no victim`, idle: true },
  run: (kernel, me, { attempts }) => {
    const frame = (kernel.threads[me] as Thread).frames.at(-1) as Frame;
    const process = oomVictims(kernel)[0] as string;
    const { mm } = processRow(kernel, process);
    const lock = kernel.mms[mm]?.mmap_lock ?? '';
    Object.assign(frame.vars, { process, mm, left: String(attempts), lock: lock in kernel.locks ? lock : '' });
  },
});
/** Has it exited meanwhile? ret '1' or '0'. */
const oom_is_over = instruction('oom_is_over', (process: string) => ({ process }), {
  text: () => '',
  local: true,
  run: (kernel, me, { process }) => returns(kernel, me, processRow(kernel, process).oom === 'skipped' ? '1' : '0'),
});
/** Its pages are unmapped, and come back unless somebody pins them. */
const oom_reaped = instruction('oom_reaped', (process: string, range: string) => ({ process, range }), {
  text: ({ process, range }) => `unmap_page_range(${process}, ${range})`,
  local: true,
  run: (kernel, _me, { process, range }) => {
    if (!isPinned(kernel, range)) processRow(kernel, process).freed = true;
  },
});
/** An address space that nobody watches any part of is reaped without asking anybody. */
const oom_reaped_all = instruction('oom_reaped_all', (process: string, mm: string) => ({ process, mm }), {
  text: () => '',
  local: true,
  run: (kernel, _me, { process, mm }) => {
    if (!Object.values(kernel.ranges).some((range) => range.mm === mm)) processRow(kernel, process).freed = true;
  },
});
const oom_reap_again = instruction('oom_reap_again', () => ({}), {
  text: () => 'schedule_timeout_idle(HZ/10)',
  time: true,
  run: () => {},
});
const oom_reap_done = instruction('oom_reap_done', (process: string) => ({ process }), {
  text: ({ process }) => `set_bit(MMF_OOM_SKIP, &${process}->mm->flags)`,
  run: (kernel, me, { process }) => {
    processRow(kernel, process).oom = 'skipped';
    const thread = kernel.threads[me] as Thread;
    thread.ret = '0';
    (thread.frames[0] as Frame).vars = { me };
    note(kernel, me, { kind: 'progress', what: `${process} is reaped, or skipped` });
  },
});
/**
 * The reaper: unmaps the memory of a victim that does not exit. It may not sleep for anybody: mmap_lock only by trylock,
 * notifiers non-blockable, and what refuses is skipped and tried again (A6.2..A6.4). With the retries there are in the
 * kernel, or fewer: in patient time one after another changes nothing.
 */
export const oom_reaper = (attempts: number = MAX_OOM_REAP_RETRIES): ThreadSpec => ({
  kind: 'kernel',
  begins: 'must',
  program: [
    forever([
      oom_reap_begin('$me', attempts),
      label('attempt'),
      oom_is_over('$process'),
      quietly_if_ret('1', [goto('done')]),
      quietly_if_var('lock', '', [goto('locked')]),
      down_read_trylock('$lock'),
      quietly_if_ret('0', [goto('again')]),
      label('locked'),
      set('refused', 'no'),
      set('at', '0'),
      label('next'),
      next_range('$mm', '$at'),
      quietly_if_ret('end', [goto('unlock')]),
      invalidate_range_nonblockable('$range'),
      quietly_if_ret('-EAGAIN', [set('refused', 'yes'), goto('next')]),
      oom_reaped('$process', '$range'),
      goto('next'),
      label('unlock'),
      quietly_if_var('lock', '', [goto('unlocked')]),
      up_read('$lock'),
      label('unlocked'),
      quietly_if_var('refused', 'no', [oom_reaped_all('$process', '$mm'), goto('done')]),
      label('again'),
      count_down('left'),
      quietly_if_ret('1', [oom_reap_again(), goto('attempt')]),
      label('done'),
      oom_reap_done('$process'),
    ]),
  ],
  rows: (me) => ({ oom_reapers: { [me]: {} } }),
});

export const oomReaper: KernelObject = {
  schema: fields,
  ops: [oom_reap_begin, oom_is_over, oom_reaped, oom_reaped_all, oom_reap_again, oom_reap_done],
};
