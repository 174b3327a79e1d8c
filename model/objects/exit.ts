/**
 * The exit of a process that has an address space: first its memory, then its files (kernel/exit.c, mm/mmap.c; rule A9.10).
 *
 * Every notifier hears of it, blockable, before the page tables go; a driver's release of its files runs when the address
 * space is gone.
 */
import { type Frame, type KernelObject, type Thread, instruction, pushCall, returns } from '../machine.ts';
import { goto, label, quietly_if_ret, set } from './flow.ts';
import { mmu_notifier_invalidate_range } from './mmu-notifier.ts';
import { processRow } from './oom.ts';

const onProcess = ({ process }: { process: string }): [['processes', string]] => [['processes', process]];
/** The ranges of an address space, one after the other: ret '0' with `range`, or 'end'. */
export const next_range = instruction('next_range', (mm: string, at: string) => ({ mm, at }), {
  text: () => '',
  local: true,
  run: (kernel, me, { mm, at }) => {
    const frame = (kernel.threads[me] as Thread).frames.at(-1) as Frame;
    const range = Object.keys(kernel.ranges).filter((each) => kernel.ranges[each]?.mm === mm)[Number(at)];
    Object.assign(frame.vars, { range: range ?? '', at: String(Number(at) + 1) });
    returns(kernel, me, range === undefined ? 'end' : '0');
  },
});

/** The last user of the address space is gone, and its memory with it (A9.10). */
const exit_mm = instruction('exit_mm', (process: string) => ({ process }), {
  text: ({ process }) => `exit_mmap(${process})`,
  touches: onProcess,
  run: (kernel, _me, { process }) => {
    const row = processRow(kernel, process);
    row.freed = true;
    row.oom = 'skipped';
  },
});
const exit_files = instruction('exit_files', (process: string) => ({ process }), {
  text: ({ process }) => `exit_files(${process})`,
  local: true,
  run: (kernel, me, { process }) => {
    const exit = kernel.users[process]?.exit ?? '';
    if (exit !== '') pushCall(kernel, me, exit);
  },
});
const exit_over = instruction('exit_over', (process: string) => ({ process }), {
  text: ({ process }) => `/* ${process} is gone */`,
  local: true,
  run: (kernel, _me, { process }) => {
    (kernel.fatal_signals[process] as { pending: boolean }).pending = false;
  },
});

export const processExit: KernelObject = {
  ops: [next_range, exit_mm, exit_files, exit_over],
  routines: {
    process_exit: [
      set('at', '0'),
      label('next'),
      next_range('$mm', '$at'),
      quietly_if_ret('0', [mmu_notifier_invalidate_range('$range'), goto('next')]),
      exit_mm('$me'),
      exit_files('$me'),
      exit_over('$me'),
    ],
  },
};
